"""Contacts: fetch the invoice as it is now, decide whether it is due, resolve its customer, hand it on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.ledger import InvoiceOutcome, InvoiceRecord, Ledger
from hub.log import get_logger
from hub.outcomes import Outcomes
from hub.stage.ports import Failure, Outgoing
from mapping.eligibility import GoOn, LeftAlone, NotYet, decide_due
from mapping.sales_invoices import build_sales_invoice
from schemas.ids import build_message_key
from schemas.messages import ContactResolved, StripeEventReceived
from schemas.stripe_objects import Invoice
from schemas.topics import CONTACTS_RESOLVED
from services.contacts.ports import Remotes
from services.contacts.resolver import CustomerResolver, WouldCreate

# Events after which a synced invoice is looked at again: what was booked may not stand any more.
_CHANGES_BOOKED = frozenset({"invoice.voided", "invoice.marked_uncollectible", "invoice.deleted"})


@dataclass(frozen=True)
class ContactsHandler:
    """Handles the head topic."""

    directory: Directory
    ledger: Ledger
    remotes: Remotes
    resolver: CustomerResolver
    outcomes: Outcomes
    clock: Clock

    async def handle(self, message: StripeEventReceived) -> Sequence[Outgoing]:
        """Bring one object a step further; returns a resolved contact, a result, or nothing."""
        if not message.object_id.startswith("in_"):
            get_logger().info("contacts.object.left_alone", object_id=message.object_id, event_type=message.event_type)
            return []
        snapshot = await self.directory.get(message.connection)
        record = await self.ledger.load_invoice(message.connection, message.object_id)
        if (again := self._report_synced(message, record)) is not None:
            return again
        invoice = await self.remotes.stripe(snapshot).fetch_invoice(message.object_id)
        if invoice is None:
            return await self._conclude_gone(message, record)
        return await self._decide(message, snapshot, record, invoice)

    async def report(self, message: StripeEventReceived, failure: Failure) -> Sequence[Outgoing]:
        """Tell the failure of an invoice. Other objects have no place to tell it."""
        if not message.object_id.startswith("in_"):
            return []
        return await self.outcomes.report(message.connection, message.build_wakeup(), failure)

    def _report_synced(self, message: StripeEventReceived, record: InvoiceRecord) -> list[Outgoing] | None:
        """A duplicate of a synced invoice costs no remote call: its outcome is told again."""
        is_done = record.state.phase == "synced" and record.outcome is not None
        if not is_done or record.outcome is None or message.cause == "replay" or message.event_type in _CHANGES_BOOKED:
            return None
        return [self.outcomes.tell(message.connection, message.build_wakeup(), record.outcome)]

    async def _decide(
        self, message: StripeEventReceived, snapshot: Snapshot, record: InvoiceRecord, invoice: Invoice
    ) -> Sequence[Outgoing]:
        decision = decide_due(
            invoice,
            triggers=snapshot.settings.triggers,
            was_sent=record.sent_at is not None,
            go_live=snapshot.connection.go_live,
            metadata_prefix=snapshot.settings.metadata_prefix,
        )
        match decision:
            case NotYet(reason):
                return await self._conclude_not_yet(message, record, reason)
            case LeftAlone(reason):
                return await self._conclude_left_alone(message, record, reason)
            case GoOn():
                return [await self._resolve(message, snapshot, invoice, decision)]

    async def _resolve(
        self, message: StripeEventReceived, snapshot: Snapshot, invoice: Invoice, decision: GoOn
    ) -> Outgoing:
        # The mapping is tried without its customer first: none is created for an invoice that can't be booked.
        build_sales_invoice(invoice, snapshot.settings.invoices, customer_id=None)
        bc = self.remotes.business_central(snapshot)
        match, _notes = await self.resolver.resolve(snapshot, invoice, bc)
        would_create: dict[str, Any] | None = match.payload if isinstance(match, WouldCreate) else None
        resolved = ContactResolved(
            connection=message.connection,
            invoice=invoice,
            trigger=decision.trigger,
            customer=None if isinstance(match, WouldCreate) else match,
            would_create_customer=would_create,
            received=message.build_wakeup(),
            settings_version=snapshot.settings_version,
            resolved_at=self.clock.now(),
        )
        return Outgoing(CONTACTS_RESOLVED, build_message_key(message.connection, invoice.id), resolved)

    async def _conclude_not_yet(
        self, message: StripeEventReceived, record: InvoiceRecord, reason: str
    ) -> Sequence[Outgoing]:
        """Nothing to tell, unless a person asked, or the invoice was told to wait."""
        if message.cause != "replay" and record.outcome is None:
            get_logger().info("contacts.invoice.not_yet", invoice_id=message.object_id, reason=reason)
            return []
        outcome = InvoiceOutcome(outcome="skipped", reason=reason, decided_at=self.clock.now())
        return await self.outcomes.conclude(message.connection, message.build_wakeup(), outcome)

    async def _conclude_left_alone(
        self, message: StripeEventReceived, record: InvoiceRecord, reason: str
    ) -> Sequence[Outgoing]:
        """Skipped; but with a draft in Business Central, a person must look."""
        document = record.state.document
        if document is None:
            outcome = InvoiceOutcome(outcome="skipped", reason=reason, decided_at=self.clock.now())
            return await self.outcomes.conclude(message.connection, message.build_wakeup(), outcome)
        outcome = InvoiceOutcome(
            outcome="attention",
            document=document,
            reason=f"{reason} Its draft {document.number} in Business Central was not changed: delete or "
            "credit it there.",
            decided_at=self.clock.now(),
        )
        wakeup = message.build_wakeup()
        return await self.outcomes.conclude(message.connection, wakeup, outcome, over_synced=True)

    async def _conclude_gone(self, message: StripeEventReceived, record: InvoiceRecord) -> Sequence[Outgoing]:
        return await self._conclude_left_alone(message, record, "The invoice was deleted in Stripe.")
