"""Due invoices that the hub does nothing about, looked for in Stripe itself: nothing may come in any more."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from hub.clock import Clock
from hub.directory import Snapshot
from hub.ledger import Ledger
from hub.log import get_logger
from hub.redis import run, stranded_key
from hub.waiting import RedisWaitingSet
from mapping.eligibility import get_issue_time
from schemas.errors import HubError
from schemas.stripe_objects import Invoice
from services.ingest.findings import Views, compare, decide_listed, get_last_change

# One page of Stripe's list: enough to see that nothing comes in, and no second sweep.
_MOST_LOOKED_AT = 100
_LOOKS_PER_AGE = 4


class InvoiceList(Protocol):
    """Lists invoices."""

    def list_invoices(self, *, created_lt: int) -> AsyncIterator[Invoice]:
        """Yield invoices whose drafts were made before this Unix second, newest first."""
        ...


class Remotes(Protocol):
    """Gives the clients of a connection."""

    def stripe(self, snapshot: Snapshot) -> InvoiceList:
        """Return the connection's Stripe client."""
        ...


@dataclass(frozen=True)
class StrandedInvoices:
    """Asks Stripe, seldom, and remembers the answer until it asks again."""

    remotes: Remotes
    ledger: Ledger
    waiting: RedisWaitingSet
    redis: Any
    clock: Clock

    async def find(self, snapshot: Snapshot, age: timedelta) -> str:
        """Name an invoice that has been due for `age` with no draft, no failure, and nothing waiting; else empty.

        Stripe is asked for one page, four times within `age` at most. If it does not answer, or the connection is
        blocked or paused, the last answer stands.

        Raises:
            RetrySoon: the ledger does not answer.
        """
        now, key = self.clock.now(), stranded_key(snapshot.connection.id)
        known_since = max(snapshot.connection.created_at, (await self.ledger.load_incarnation()).born_at)
        if now - known_since < age:
            return ""  # the history of a new connection, or of a ledger that was lost, is only just coming in
        stored: str = await run(self.redis.get(key)) or "0 "
        asked, _, found = stored.partition(" ")
        if now.timestamp() - float(asked) < age.total_seconds() / _LOOKS_PER_AGE:
            return found
        if not snapshot.blocks and not snapshot.connection.paused:
            found = await self._search_safely(snapshot, now - age, found)
        await run(self.redis.set(key, f"{now.timestamp():.3f} {found}", px=age))
        return found

    async def _search_safely(self, snapshot: Snapshot, until: datetime, before: str) -> str:
        try:
            return await self._search(snapshot, until)
        except HubError as error:
            # Other alerts must be told all the same; a key that is refused is catch-up's to tell.
            get_logger().warning("ingest.alerts.not_asked", code=error.code, why=error.message)
            return before

    async def _search(self, snapshot: Snapshot, until: datetime) -> str:
        looked_at = 0
        async for invoice in self.remotes.stripe(snapshot).list_invoices(created_lt=int(until.timestamp())):
            if get_last_change(invoice) <= until and await self._is_stranded(snapshot, invoice):
                return f"{invoice.number or invoice.id} of {get_issue_time(invoice):%Y-%m-%d}"
            looked_at += 1
            if looked_at == _MOST_LOOKED_AT:
                break
        return ""

    async def _is_stranded(self, snapshot: Snapshot, invoice: Invoice) -> bool:
        """As the sweep finds it *missing*, without a look into Business Central."""
        connection, settings = snapshot.connection, snapshot.settings
        record = await self.ledger.load_invoice(connection.id, invoice.id)
        due = decide_listed(snapshot, invoice, record, self.clock.now())
        waits = bool(await self.waiting.find(connection.id, [invoice.id]))
        views = Views(invoice, record, due, waits)
        return compare(views, prefix=settings.metadata_prefix, dry_run=connection.dry_run).kind == "missing"
