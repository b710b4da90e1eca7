"""Backfill: invoices of a period before the go-live date, carried out as a person asked for it.

Day by day of the creation of drafts in Stripe, so that a restart goes on where it was; and no more at once than the
waiting set holds well, for a period may be years.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hub.backfill import Backfill, Backfills
from hub.clients import Clients
from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.ledger import InvoiceRecord, Ledger
from hub.log import get_logger
from hub.stage.ports import Gate
from hub.waiting import RedisWaitingSet
from mapping.eligibility import GoOn, get_issue_time, is_issued_within
from schemas.messages import BACKFILL
from schemas.stripe_objects import Invoice
from services.ingest.duty import Duty
from services.ingest.findings import decide_listed, is_sent
from services.ingest.history import History, Look

_DAY = timedelta(days=1)
_ROLE_LIFE = timedelta(minutes=10)
_TOUCHES = frozenset({"stripe"})
_ENDED = frozenset({"synced", "failed", "attention"})


@dataclass(frozen=True)
class _Due:
    """An invoice that is to be drafted; they sort by when they were issued."""

    issued_at: datetime
    invoice_id: str


@dataclass
class BackfillDuty:
    """Carries out the backfills of all connections."""

    directory: Directory
    ledger: Ledger
    clients: Clients
    waiting: RedisWaitingSet
    gate: Gate
    redis: Any
    clock: Clock
    interval: timedelta = timedelta(seconds=2)
    # Two minutes of work at Business Central's limits; what waits beyond that costs memory and brings nothing.
    most_waiting: int = 2000
    _duty: Duty = field(init=False)

    def __post_init__(self) -> None:
        """Claim the duty under a name of its own."""
        self._duty = Duty("backfill", _ROLE_LIFE, self.redis, self.gate, _TOUCHES)

    async def run(self) -> None:
        """See again and again whose backfill is to go on."""
        await self._duty.go_round(self.directory.list_ids, self._go_on_if_asked, self.interval)

    async def _go_on_if_asked(self, connection: str) -> None:
        if await self._load(connection) is not None:
            await self._duty.pass_gate(connection, self.go_on)

    async def go_on(self, connection: str) -> None:
        """Carry it out to its end, unless it is stopped, or another replica has taken it over."""
        while (asked := await self._load(connection)) is not None:
            snapshot = await self.directory.get(connection)
            end = min(asked.reached + _DAY, asked.end)
            issued = await self._list_issued(snapshot, asked, end)
            due, brought = await self._choose_due(snapshot, asked, issued)
            if not await self._bring_all(snapshot, asked, due):
                return
            moved = asked.model_copy(
                update={
                    "reached": end,
                    "looked": asked.looked + len(issued),
                    "sent_round": asked.sent_round + brought + len(due),
                    "ended_at": self.clock.now() if end >= asked.end else None,
                }
            )
            await Backfills(self.redis).advance(connection, asked, moved)
            if due or moved.ended_at:
                get_logger().info("ingest.backfill.moved", connection=connection, to=end.isoformat(), due=len(due))

    async def _load(self, connection: str) -> Backfill | None:
        """Load what is under way."""
        asked = await Backfills(self.redis).load(connection)
        return asked if asked is not None and asked.ended_at is None else None

    async def _list_issued(self, snapshot: Snapshot, asked: Backfill, end: datetime) -> list[Invoice]:
        """List what of the period was created in Stripe until then."""
        listed = self.clients.stripe(snapshot).list_invoices(
            created_gte=int(asked.reached.timestamp()), created_lt=int(end.timestamp())
        )
        return [invoice async for invoice in listed if is_issued_within(invoice, asked.begin, asked.end)]

    async def _choose_due(
        self, snapshot: Snapshot, asked: Backfill, issued: Sequence[Invoice]
    ) -> tuple[list[_Due], int]:
        """Choose what has neither ended nor waits already, oldest first. That it was sent is remembered.

        Returns how many this backfill has brought before, too: it was interrupted.
        """
        connection = snapshot.connection.id
        waits = await self.waiting.find(connection, [invoice.id for invoice in issued])
        due: list[_Due] = []
        brought = 0
        for invoice in issued:
            record = await self.ledger.load_invoice(connection, invoice.id)
            if invoice.id in waits or not _is_due(snapshot, invoice, record, self.clock.now()):
                brought += record.backfilled_at == asked.asked_at
                continue
            if record.sent_at is None and is_sent(invoice, record, self.clock.now()):
                await self.ledger.record_sent(connection, invoice.id, get_issue_time(invoice))
            due.append(_Due(get_issue_time(invoice), invoice.id))
        return sorted(due, key=lambda one: (one.issued_at, one.invoice_id)), brought

    async def _bring_all(self, snapshot: Snapshot, asked: Backfill, due: Sequence[_Due]) -> bool:
        """Bring them as the waiting set has room; False if it is to be left meanwhile."""
        connection = snapshot.connection.id
        look = Look("backfill", BACKFILL, asked.asked_at, "It was asked for by a backfill, and waits for its turn.")
        for one in due:
            if not await self._find_room(connection, asked):
                return False
            await self.ledger.record_backfilled(connection, one.invoice_id, asked.asked_at)
            await History(self.waiting).bring(connection, one.invoice_id, look, one.issued_at)
        return True

    async def _find_room(self, connection: str, asked: Backfill) -> bool:
        while await self._duty.keep(connection) and await self._load(connection) == asked:
            if await self.waiting.count(connection) < self.most_waiting:
                return True
            await asyncio.sleep(self.interval.total_seconds())
        return False


def _is_due(snapshot: Snapshot, invoice: Invoice, record: InvoiceRecord, now: datetime) -> bool:
    """Tell whether it is due and has come to no end. What failed is replayed by people, who mend it first."""
    outcome = record.outcome
    if outcome is not None and outcome.outcome in _ENDED and outcome.dry_run == snapshot.connection.dry_run:
        return False
    return isinstance(decide_listed(snapshot, invoice, record, now, is_asked_for=True), GoOn)
