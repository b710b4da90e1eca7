"""All state: tables of rows per company, with etags, an undo journal and a log for the lagging read replica.

Records are never changed in place: an operation builds a new row and puts it, so a failed one leaves nothing behind.
"""

import base64
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from simulators.business_central.clock import Clock, Ids
from simulators.business_central.entities import ENTITIES, EntityType
from simulators.business_central.readings import Readings

Json = dict[str, Any]
# The properties clients look records up by; the sign of a good client is that these carry its searches.
_INDEXED = (
    "id number code externalDocumentNumber displayName email taxRegistrationNumber customerNumber customerId "
    "customerPurchaseOrderReference status invoiceNumber phoneNumber"
).split()
_LOG_LIMIT = 100_000


@dataclass(slots=True)
class Row:
    """One record: `wire` is what clients read, `hidden` what only the application knows (posting groups, lines)."""

    wire: Json
    ordinal: int
    hidden: Json = field(default_factory=dict[str, Any])
    older: "Row | None" = None
    """The record before its last change, for answers that come too early."""


@dataclass(slots=True)
class Journal:
    """How to undo what a `Isolation: snapshot` batch has done so far (BC facts §13)."""

    kept_writes: int
    undo: list[Callable[[], object]] = field(default_factory=list[Callable[[], object]])

    def commit(self, writes: int) -> None:
        """Forget: AL code that commits, such as posting, cannot be rolled back; `writes` stay counted."""
        self.kept_writes = writes
        self.undo.clear()

    def roll_back(self) -> None:
        """Undo everything since the last commit, newest first."""
        for step in reversed(self.undo):
            step()
        self.undo.clear()


class Core:
    """What all tables share: time, ids, row versions, counters, the journal in force, the replica's lag."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self.clock = clock
        self.ids = ids
        self.readings = Readings()
        self.writes = 0
        self.replica_lag = 0.0
        self.journal: Journal | None = None
        self._version = 12_063_000

    def next_version(self) -> int:
        """Return a row version nobody had before."""
        self._version += 1
        return self._version

    def etag(self) -> str:
        """Return a weak etag in the usual dress; clients must treat it as opaque (BC facts §11)."""
        text = f"'19;{self.next_version():020d};00;'"
        return f'W/"{base64.b64encode(text.encode()).decode()}"'


@dataclass(frozen=True, slots=True)
class _Change:
    at: float
    key: str
    before: Row | None


class Table:
    """The rows of one entity set, in order of insertion, with hash indexes on what clients search by."""

    def __init__(self, core: Core, set_name: str) -> None:
        self.entity: EntityType = ENTITIES[set_name]
        self.rows: dict[str, Row] = {}
        self._core = core
        self._ordinal = 0
        self._indexes: dict[str, dict[Any, dict[str, None]]] = {
            name: {} for name in _INDEXED if name in self.entity.properties
        }
        self._log: deque[_Change] = deque(maxlen=_LOG_LIMIT)

    def insert(self, wire: Json, hidden: Json | None = None) -> Row:
        """Add a record under the id it carries, or a fresh one."""
        self._ordinal += 1
        full = self.entity.blank() | wire
        if full["id"] == self.entity.properties["id"].blank:
            full["id"] = self._core.ids.guid()
        return self._place(Row(full, self._ordinal, hidden or {}), None)

    def replace(self, row: Row, wire: Json, hidden: Json | None = None) -> Row:
        """Put a changed record in the place of `row`."""
        before = Row(row.wire, row.ordinal, row.hidden)
        changed = Row(wire, row.ordinal, row.hidden if hidden is None else hidden, before)
        return self._place(changed, row)

    def delete(self, row: Row) -> None:
        """Remove a record."""
        self._swap(row.wire["id"], row, None)

    def _place(self, row: Row, before: Row | None) -> Row:
        row.wire = {"@odata.etag": ""} | row.wire
        row.wire["@odata.etag"] = self._core.etag()
        if "lastModifiedDateTime" in row.wire:
            row.wire["lastModifiedDateTime"] = self._core.clock.stamp()
        self._swap(row.wire["id"], before, row)
        return row

    def _swap(self, key: str, before: Row | None, after: Row | None) -> None:
        self._apply(key, before, after)
        if self._core.journal is not None:
            self._core.journal.undo.append(lambda: self._apply(key, after, before))
        if self._core.replica_lag:
            self._log.append(_Change(self._core.clock.now(), key, before))

    def _apply(self, key: str, before: Row | None, after: Row | None) -> None:
        for name, index in self._indexes.items():
            old = before.wire[name] if before else None
            new = after.wire[name] if after else None
            if old == new:
                continue
            if before:
                index[old].pop(key, None)
            if after:
                index.setdefault(new, {})[key] = None
        if after is None:
            self.rows.pop(key, None)
            return
        returns = before is None and after.ordinal < self._ordinal and key not in self.rows
        self.rows[key] = after
        if returns:
            self.rows = dict(sorted(self.rows.items(), key=lambda item: item[1].ordinal))

    def find(self, name: str, value: Any) -> list[Row]:
        """Return the rows with this value, by index."""
        return [self.rows[key] for key in self._indexes[name].get(value, ())]

    def first(self, name: str, value: Any) -> Row | None:
        """Return one row with this value, or nothing."""
        for key in self._indexes[name].get(value, ()):
            return self.rows[key]
        return None

    def is_indexed(self, name: str) -> bool:
        """Tell whether `find` may be asked for this property."""
        return name in self._indexes

    def as_of_replica(self) -> Iterable[Row]:
        """Return the rows as the read-only replica shows them: the changes of the last seconds are missing."""
        horizon = self._core.clock.now() - self._core.replica_lag
        stale = dict(self.rows)
        for change in reversed(self._log):
            if change.at <= horizon:
                break
            if change.before is None:
                stale.pop(change.key, None)
            else:
                stale[change.key] = change.before
        return stale.values()
