"""Invoices: map the resolved invoice, take it through the one-draft protocol, tell how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.ledger import InvoiceOutcome, Ledger
from hub.outcomes import Outcomes, Told
from hub.stage.ports import Failure, Outgoing
from mapping.sales_invoices import MappedInvoice, build_sales_invoice
from schemas.messages import ContactResolved
from schemas.money import format_amount
from schemas.stripe_objects import Invoice
from services.invoices.ports import Remotes
from services.invoices.protocol import DraftProtocol

# Finalized invoices hardly change, but one can be voided while its message waits in a backlog.
_FRESH = timedelta(minutes=2)


@dataclass(frozen=True)
class InvoicesHandler:
    """Handles resolved contacts."""

    directory: Directory
    ledger: Ledger
    remotes: Remotes
    outcomes: Outcomes
    clock: Clock

    async def handle(self, message: ContactResolved) -> Sequence[Outgoing]:
        """Make sure of the one draft, and return the result."""
        snapshot = await self.directory.get(message.connection)
        invoice = await self._refresh(snapshot, message)
        if invoice is None or invoice.status not in {"open", "paid"}:
            return await self._conclude_changed(message)
        customer_id = message.customer.id if message.customer else None
        mapped = build_sales_invoice(invoice, snapshot.settings.invoices, customer_id=customer_id)
        if snapshot.connection.dry_run:
            return await self._conclude_dry_run(message, snapshot, mapped)
        if customer_id is None:
            # Resolved in a dry run that has ended since: round again, to create the customer.
            return []
        return await self._draft(message, snapshot, invoice, mapped, customer_id)

    async def report(self, message: ContactResolved, failure: Failure) -> Sequence[Outgoing]:
        """Tell a failure."""
        return await self.outcomes.report(message.connection, message.received, failure)

    async def _refresh(self, snapshot: Snapshot, message: ContactResolved) -> Invoice | None:
        if self.clock.now() - message.resolved_at < _FRESH:
            return message.invoice
        return await self.remotes.stripe(snapshot).fetch_invoice(message.invoice.id)

    async def _draft(
        self,
        message: ContactResolved,
        snapshot: Snapshot,
        invoice: Invoice,
        mapped: MappedInvoice,
        customer_id: str,
    ) -> Sequence[Outgoing]:
        async with self.ledger.hold_invoice(message.connection, invoice.id) as lease:
            record = await self.ledger.load_invoice(message.connection, invoice.id)
            if record.state.phase == "synced" and record.outcome is not None and message.received.cause != "replay":
                return [self.outcomes.tell(message.connection, message.received, record.outcome)]
            protocol = DraftProtocol(
                snapshot=snapshot,
                invoice=invoice,
                mapped=mapped,
                customer_id=customer_id,
                recreate=message.received.recreate,
                bc=self.remotes.business_central(snapshot),
                ledger=self.ledger,
                directory=self.directory,
                clock=self.clock,
                lease=lease,
                state=record.state,
            )
            document = await protocol.run()
        outcome = InvoiceOutcome(
            outcome="synced",
            document=document,
            settings_version=message.settings_version,
            decided_at=self.clock.now(),
        )
        told = Told(attempts=protocol.attempts, notes=mapped.notes)
        return await self.outcomes.conclude(message.connection, message.received, outcome, told)

    async def _conclude_dry_run(
        self, message: ContactResolved, snapshot: Snapshot, mapped: MappedInvoice
    ) -> Sequence[Outgoing]:
        """Say what would be written."""
        customer = (
            f"customer {message.customer.number} {message.customer.name} ({message.customer.how})"
            if message.customer
            else "a new customer"
        )
        outcome = InvoiceOutcome(
            outcome="skipped",
            reason=f"Dry run: a draft {mapped.external_document_number} of "
            f"{format_amount(mapped.total, mapped.currency)} "
            f"for {customer} would be created.",
            settings_version=snapshot.settings_version,
            dry_run=True,
            decided_at=self.clock.now(),
        )
        told = Told(notes=mapped.notes)
        return await self.outcomes.conclude(message.connection, message.received, outcome, told)

    async def _conclude_changed(self, message: ContactResolved) -> Sequence[Outgoing]:
        outcome = InvoiceOutcome(
            outcome="skipped",
            reason="The invoice was voided, written off or deleted in Stripe before its draft was made.",
            decided_at=self.clock.now(),
        )
        return await self.outcomes.conclude(message.connection, message.received, outcome)
