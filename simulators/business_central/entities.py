"""What each entity set looks like on the wire: its properties with type, length and writability."""

import re
from dataclasses import dataclass
from typing import Any

from simulators.business_central.document_entities import DOCUMENTS
from simulators.business_central.list_entities import LISTS

ZERO_GUID = "00000000-0000-0000-0000-000000000000"
BLANK_DATE = "0001-01-01"
_VERBS = {"G": "GET", "P": "POST", "M": "PATCH", "D": "DELETE"}
_BLANKS: dict[str, Any] = {
    "guid": ZERO_GUID,
    "decimal": 0,
    "int": 0,
    "bool": False,
    "date": BLANK_DATE,
    "datetime": "0001-01-01T00:00:00Z",
}
_KIND = re.compile(r"([a-z]+)(\d*)(?::(.*))?$")


@dataclass(frozen=True, slots=True)
class Property:
    """One property; `kind` is guid, code, text, decimal, int, bool, date, datetime or enum."""

    name: str
    kind: str
    length: int | None
    members: tuple[str, ...]
    writable: bool

    @property
    def blank(self) -> Any:
        """Return the value that stands for empty; the API knows no nulls (BC facts §4)."""
        return self.members[0] if self.members else _BLANKS.get(self.kind, "")


@dataclass(frozen=True, slots=True)
class EntityType:
    """One entity set."""

    set_name: str
    name: str
    verbs: frozenset[str]
    properties: dict[str, Property]

    def blank(self) -> dict[str, Any]:
        """Return a record with every property empty, in the order of the page."""
        return {name: prop.blank for name, prop in self.properties.items()}


def _read_property(text: str) -> Property:
    name, kind_text = text.split()
    match = _KIND.match(kind_text)
    if match is None:
        raise ValueError(text)
    kind, length, members = match.groups()
    return Property(
        name.rstrip("!"), kind, int(length) if length else None, tuple((members or "").split("|")) if members else (),
        not name.endswith("!"),
    )  # fmt: skip


def _read_entity(set_name: str, declared: tuple[str, str, str]) -> EntityType:
    name, verbs, text = declared
    properties = (_read_property(part) for part in text.split(";"))
    return EntityType(set_name, name, frozenset(_VERBS[letter] for letter in verbs), {p.name: p for p in properties})


ENTITIES = {name: _read_entity(name, declared) for name, declared in (LISTS | DOCUMENTS).items()}
