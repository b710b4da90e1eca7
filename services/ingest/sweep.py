"""The periodic sweep: once a day, the invoices of the last days in Stripe against ledger and Business Central.

It also covers what the Events API can't: an outage of more than 30 days, and a ledger that was lost. It begins where
the last sweep ended, for this life of the ledger, else at the go-live; day by day, so that a restart goes on.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hub.clients import Clients
from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.learned import LearnedFacts
from hub.ledger import Ledger
from hub.log import get_logger
from hub.metrics import SWEPT
from hub.redis import swept_key
from hub.stage.ports import Gate
from hub.waiting import RedisWaitingSet
from services.ingest.duty import Duty, load_cursor, save_cursor
from services.ingest.sweeper import Announcer, Sweeper

# Stripe lists by the creation of drafts: most are finalized within the hour, some by hand after days.
_LOOK_BACK = timedelta(days=3)
_DAY = timedelta(days=1)
# An invoice that changed since is on its way; so is what catch-up brings after a start.
_SETTLING = timedelta(minutes=15)
_PACE = timedelta(minutes=1)
# A page of Stripe and its look-ups may wait long for their turn behind live traffic.
_ROLE_LIFE = timedelta(minutes=10)
_TOUCHES = frozenset({"stripe", "bc"})


@dataclass
class Sweep:
    """Sweeps every connection, one replica at a time by lease."""

    directory: Directory
    ledger: Ledger
    clients: Clients
    waiting: RedisWaitingSet
    announcer: Announcer
    gate: Gate
    redis: Any
    clock: Clock
    interval: timedelta
    """Between two sweeps of a connection; zero: none."""
    _duty: Duty = field(init=False)

    def __post_init__(self) -> None:
        """Claim the duty under a name of its own."""
        self._duty = Duty("sweep", _ROLE_LIFE, self.redis, self.gate, _TOUCHES)

    async def run(self) -> None:
        """See again and again whose sweep is due. The first time after a while: catch-up comes first."""
        await asyncio.sleep(_SETTLING.total_seconds())
        await self._duty.go_round(self.directory.list_ids, self._sweep_if_due, _PACE)

    async def _sweep_if_due(self, connection: str) -> None:
        if self.interval and await self._load_begin(await self.directory.get(connection)) is not None:
            await self._duty.pass_gate(connection, self._sweep)

    async def _sweep(self, connection: str) -> None:
        snapshot = await self.directory.get(connection)
        if (begin := await self._load_begin(snapshot)) is not None:
            await self.sweep(snapshot, begin)

    async def sweep(self, snapshot: Snapshot, begin: datetime) -> Counter[str]:
        """Sweep from a moment on until now, and publish what is found; returns how many of each kind."""
        life, now = (await self.ledger.load_incarnation()).id, self.clock.now()
        found: Counter[str] = Counter()
        begin -= _LOOK_BACK
        while begin < now:
            end = min(begin + _DAY, now)
            found += await self._sweep_day(snapshot, begin, end)
            await save_cursor(self.redis, swept_key(snapshot.connection.id), end, life)
            begin = end
            if not await self._duty.keep(snapshot.connection.id):
                break
        get_logger().info("ingest.sweep.ended", connection=snapshot.connection.id, **found)
        return found

    async def _sweep_day(self, snapshot: Snapshot, begin: datetime, end: datetime) -> Counter[str]:
        bc = self.clients.business_central(snapshot, live=False)
        sweeper = Sweeper(snapshot, bc, self.ledger, self.waiting, LearnedFacts(self.redis), self.clock, _SETTLING)
        invoices = self.clients.stripe(snapshot).list_invoices(
            created_gte=int(begin.timestamp()), created_lt=int(end.timestamp())
        )
        found: Counter[str] = Counter()
        async for finding in sweeper.sweep(invoices):
            found[finding.kind] += 1
            if finding.kind == "fine":
                continue
            SWEPT.labels(finding.kind).inc()
            get_logger().warning(
                "ingest.sweep.found", invoice_id=finding.invoice.id, finding=finding.kind, why=finding.words
            )
            await self.announcer.announce(snapshot, finding)
        return found

    async def _load_begin(self, snapshot: Snapshot) -> datetime | None:
        """Where the last sweep ended; None if that was not long ago."""
        life = (await self.ledger.load_incarnation()).id
        swept = await load_cursor(self.redis, swept_key(snapshot.connection.id), life)
        if swept is None:
            return snapshot.connection.go_live
        return swept if self.clock.now() - swept >= self.interval else None
