"""What one invoice is to become, and how far it has come: held under its lease while it is worked on."""

from dataclasses import dataclass
from typing import Any

from hub.directory import Snapshot
from hub.intent import build_not_replicated
from hub.lease import Lease
from hub.ledger import InvoiceState, Ledger
from mapping.sales_documents import MappedDocument
from schemas.ids import ConnectionId
from schemas.messages import CustomerMatch
from schemas.stripe_objects import Invoice


@dataclass(frozen=True)
class Wanted:
    """What there must be one draft of."""

    snapshot: Snapshot
    invoice: Invoice
    mapped: MappedDocument
    customer: CustomerMatch
    recreate: bool
    """A person asks for a new draft although an earlier one was deleted."""
    seeks_doubles: bool = False
    """A sweep has found more than one document."""


@dataclass
class HeldInvoice:
    """The invoice's protocol state, while its lease is held."""

    ledger: Ledger
    lease: Lease
    connection: ConnectionId
    invoice_id: str
    state: InvoiceState

    async def save(self, state: InvoiceState, *, proved: bool = True) -> None:
        """Write the state. What sets the time of the first success counts as usage of its month, if it is `proved`.

        Raises:
            RetrySoon: the lease has ended, and someone else may be at work.
        """
        first = state.synced_at if proved and self.state.synced_at is None else None
        await self.ledger.save_state(self.lease, self.connection, self.invoice_id, state, first_success=first)
        self.state = state

    async def change(self, **changes: Any) -> None:
        """Write the state with some of it changed."""
        await self.save(self.state.model_copy(update=changes))

    async def forget(self, *, has_remains: bool = False) -> None:
        """Begin anew; only the time of the first success stays, and that Business Central may have kept something."""
        await self.save(InvoiceState(synced_at=self.state.synced_at, has_remains=has_remains))

    async def write_intent(self) -> None:
        """Say that a draft is about to be requested, with the whole life of the lease before us.

        Raises:
            RetrySoon: the lease has ended, and someone else may be at work; or a failover of Redis could forget the
                intent, and it was taken back.
        """
        before = self.state
        intent = await self.ledger.write_intent(self.lease, self.connection, self.invoice_id, before.synced_at)
        if not intent.is_replicated:
            await self.save(before)
            raise build_not_replicated()
        self.state = intent.record
