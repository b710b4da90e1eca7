"""The periodic sweep: once a day, the invoices of the last days in Stripe against ledger and Business Central.

It also covers what the Events API can't: an outage of more than 30 days, and a ledger that was lost. It begins where
the last sweep ended, for this life of the ledger, else at the go-live; day by day, so that a restart goes on.
"""

import asyncio
import contextlib
import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.clients import Clients
from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.lease import try_role
from hub.ledger import Ledger
from hub.log import get_logger
from hub.metrics import SWEPT
from hub.redis import role_lease_key, run, swept_key
from hub.stage.ports import Closed, Gate
from hub.waiting import RedisWaitingSet
from schemas.errors import Blocked, HubError
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
    _token: str = field(default_factory=lambda: secrets.token_hex(16))

    async def run(self) -> None:
        """See again and again whose sweep is due. The first time after a while: catch-up comes first."""
        pace = _SETTLING
        while True:
            await asyncio.sleep(pace.total_seconds())
            pace = _PACE
            for connection in await self.directory.list_ids() if self.interval else ():
                await self._sweep_safely(connection)

    async def _sweep_safely(self, connection: str) -> None:
        """One connection's trouble is not the others'."""
        try:
            await self._sweep_if_ours(connection)
        except Blocked as error:
            get_logger().error("ingest.sweep.blocked", connection=connection, code=error.code, why=error.message)
            with contextlib.suppress(HubError):
                await self.gate.block(connection, error)
        except HubError as error:
            get_logger().warning("ingest.sweep.retried", connection=connection, code=error.code, why=error.message)
        except Exception as error:  # noqa: BLE001 - a defect that one connection's data bring out must not end the loop
            get_logger().error("ingest.sweep.failed", connection=connection, exc_info=error)

    async def _sweep_if_ours(self, connection: str) -> None:
        if not await self._keep_role(connection):
            return
        snapshot = await self.directory.get(connection)
        begin = await self._load_begin(snapshot)
        if begin is None or isinstance(admission := await self.gate.enter(connection, _TOUCHES), Closed):
            return
        await self.sweep(snapshot, begin)
        await self.gate.passed(admission)

    async def sweep(self, snapshot: Snapshot, begin: datetime) -> Counter[str]:
        """Sweep from a moment on until now, and publish what is found; returns how many of each kind."""
        life, now = (await self.ledger.load_incarnation()).id, self.clock.now()
        found: Counter[str] = Counter()
        begin -= _LOOK_BACK
        while begin < now:
            end = min(begin + _DAY, now)
            found += await self._sweep_day(snapshot, begin, end)
            await run(self.redis.set(swept_key(snapshot.connection.id), f"{int(end.timestamp())} {life}"))
            begin = end
            if not await self._keep_role(snapshot.connection.id):
                break
        get_logger().info("ingest.sweep.ended", connection=snapshot.connection.id, **found)
        return found

    async def _sweep_day(self, snapshot: Snapshot, begin: datetime, end: datetime) -> Counter[str]:
        bc = self.clients.business_central(snapshot, live=False)
        sweeper = Sweeper(snapshot, bc, self.ledger, self.waiting, self.clock, _SETTLING)
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

    async def _keep_role(self, connection: str) -> bool:
        return await try_role(self.redis, role_lease_key(connection, "sweep"), self._token, _ROLE_LIFE)

    async def _load_begin(self, snapshot: Snapshot) -> datetime | None:
        """Where the last sweep ended; None if that was not long ago."""
        stored: str = await run(self.redis.get(swept_key(snapshot.connection.id))) or ""
        seconds, _, life = stored.partition(" ")
        if life != (await self.ledger.load_incarnation()).id:
            return snapshot.connection.go_live
        swept = datetime.fromtimestamp(int(seconds), tz=UTC)
        return swept if self.clock.now() - swept >= self.interval else None
