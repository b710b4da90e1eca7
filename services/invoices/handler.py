"""Invoices: map the resolved invoice, take it through the one-draft protocol, tell how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from hub.clock import Clock
from hub.credits import CREDIT_EVENTS, call_for_credit, find_credit
from hub.directory import Directory, Snapshot
from hub.document_owners import name_owner
from hub.ledger import InvoiceOutcome, InvoiceRecord, Ledger
from hub.mapper import DocumentMapper
from hub.outcomes import DOUBLED, Outcomes, Told, call_for_loss
from hub.stage.ports import Failure, Outgoing
from hub.usage import Usage
from mapping.eligibility import STANDING, Closed
from mapping.sales_documents import MappedDocument
from schemas.errors import HubError, Queued
from schemas.messages import SWEPT, SWEPT_DOUBLED, BcDocument, ContactResolved, CustomerMatch, Wakeup
from schemas.money import format_amount
from schemas.stripe_objects import Invoice
from services.invoices.doubles import DoubleRemover, call_for_doubles
from services.invoices.held import HeldInvoice, Wanted
from services.invoices.ports import Remotes
from services.invoices.protocol import DraftProtocol

# Finalized invoices hardly change, but one can be voided while its message waits in a backlog.
_FRESH = timedelta(minutes=2)
_NO_POSTING_GROUPS = "bc.customer.posting_group"
_CUSTOMER_REFUSED = frozenset({"bc.customer.blocked", "bc.customer.unknown"})
_CLOSED = Closed("The invoice was voided or deleted in Stripe.", code="invoice.closed.meanwhile")


@dataclass(frozen=True)
class InvoicesHandler:
    """Handles resolved contacts."""

    directory: Directory
    ledger: Ledger
    remotes: Remotes
    mapper: DocumentMapper
    outcomes: Outcomes
    usage: Usage
    clock: Clock

    async def handle(self, message: ContactResolved) -> Sequence[Outgoing]:
        """Make sure of the one draft, and return the result. All of it under the invoice's lease."""
        received = message.received
        snapshot = await self.directory.get(
            message.connection, is_fresh=received.cause == "replay", settings_version=received.settings_version
        )
        async with self.ledger.hold_invoice(message.connection, message.invoice.id) as lease:
            record = await self.ledger.load_invoice(message.connection, message.invoice.id)
            if record.is_told_synced and not _is_asked(message.received):
                return await self.outcomes.repeat(message.connection, message.received)
            invoice = await self._refresh(snapshot, message, record)
            if invoice is None or invoice.status not in STANDING:
                return await self.outcomes.conclude_closed(message.connection, message.received, _CLOSED)
            mapped = await self._map(snapshot, message, invoice)
            if snapshot.connection.dry_run:
                return await self._conclude_dry_run(message, snapshot, mapped)
            if (limit := await self.usage.find_limit(snapshot.connection, record, self.clock.now())) is not None:
                return await self.outcomes.conclude_skipped(message.connection, message.received, limit)
            wanted = Wanted(
                snapshot,
                invoice,
                mapped,
                _require_customer(message),
                message.received.recreate,
                seeks_doubles=_seeks_doubles(message.received, record),
            )
            held = HeldInvoice(self.ledger, lease, message.connection, invoice.id, record.state)
            return await self._draft(message, wanted, held)

    async def report(self, message: ContactResolved, failure: Failure) -> Sequence[Outgoing]:
        """Tell a failure."""
        return await self.outcomes.report(message.connection, message.received, failure)

    async def _refresh(self, snapshot: Snapshot, message: ContactResolved, record: InvoiceRecord) -> Invoice | None:
        """Return the invoice as it is now: the message's, while it is young, whole and nothing was heard of a closing.

        One that comes from the future was resolved by another clock, which says nothing about its age.
        """
        is_young = record.closed_at is None and abs(self.clock.now() - message.resolved_at) < _FRESH
        if is_young and not message.invoice.lines.has_more:
            return message.invoice
        return await self.remotes.stripe(snapshot).fetch_invoice(message.invoice.id)

    async def _map(self, snapshot: Snapshot, message: ContactResolved, invoice: Invoice) -> MappedDocument:
        stripe = self.remotes.stripe(snapshot)
        bc = self.remotes.business_central(snapshot, live=not message.received.history)
        is_fresh = message.received.cause == "replay"
        return await self.mapper.map(snapshot, invoice, stripe, bc, message.customer, is_fresh=is_fresh)

    async def _draft(self, message: ContactResolved, wanted: Wanted, held: HeldInvoice) -> Sequence[Outgoing]:
        bc = self.remotes.business_central(wanted.snapshot, live=not message.received.history)
        protocol = DraftProtocol(wanted, held, bc, self.directory, self.mapper.learned, self.clock)
        try:
            document = await protocol.run()
        except HubError as error:
            error.evidence = tuple(protocol.attempts)
            if error.code == _NO_POSTING_GROUPS:
                await self._learn_billable(wanted, is_billable=False)
            if error.code in _CUSTOMER_REFUSED:
                # The next invoice of this customer looks at it first, and says so or looks for another.
                await self.ledger.doubt_customer_link(message.connection, message.invoice.customer or "")
            raise
        await self._learn_billable(wanted, is_billable=True)
        owners = self.ledger.owners(wanted.snapshot.connection.company_key)
        owner = name_owner(message.connection, message.invoice.id)
        doubles = DoubleRemover(bc, self.clock, owners, owner, wanted.mapped, wanted.customer.id, protocol.attempts)
        if wanted.seeks_doubles:
            await doubles.remove(document.id)
        notes = (*message.notes, *_list_notes(wanted.mapped, document), *protocol.notes)
        return await self._conclude(message, wanted, document, Told(protocol.attempts, notes), doubles.left)

    async def _learn_billable(self, wanted: Wanted, *, is_billable: bool) -> None:
        """Remember whether a customer just created got posting groups: the next like it is created only then."""
        company, template_by = wanted.snapshot.connection.company_key, wanted.customer.template_by
        if not template_by:
            return
        if is_billable:
            await self.mapper.learned.drop_unbillable(company, template_by)
        else:
            await self.mapper.learned.save_unbillable(company, template_by, self.clock.now())

    async def _conclude(
        self, message: ContactResolved, wanted: Wanted, document: BcDocument, told: Told, doubles: Sequence[str]
    ) -> Sequence[Outgoing]:
        """Synced; unless the invoice was closed in Stripe while its draft was made or credited, or a double is left."""
        record = await self.ledger.load_invoice(message.connection, message.invoice.id)
        if record.closed_at is not None and await self._is_closed(wanted):
            return await self.outcomes.conclude_closed(message.connection, message.received, _CLOSED)
        outcome = InvoiceOutcome(
            outcome="synced",
            document=document,
            settings_version=wanted.snapshot.settings_version,
            decided_at=self.clock.now(),
        )
        if doubles:
            outcome = call_for_doubles(outcome, document.number, doubles)
        elif credit := await find_credit(self.remotes.stripe(wanted.snapshot), wanted.invoice):
            outcome = call_for_credit(credit, document, self.clock.now())
        elif wanted.invoice.status == "uncollectible":
            outcome = call_for_loss(document, self.clock.now())
        elif (notice := wanted.mapped.notice) and document.total == wanted.mapped.total:
            outcome = outcome.model_copy(update={"reason": notice.text, "code": notice.code})
        return await self.outcomes.conclude(message.connection, message.received, outcome, told, over_synced=True)

    async def _is_closed(self, wanted: Wanted) -> bool:
        invoice = await self.remotes.stripe(wanted.snapshot).fetch_invoice(wanted.invoice.id)
        return invoice is None or invoice.status not in STANDING

    async def _conclude_dry_run(
        self, message: ContactResolved, snapshot: Snapshot, mapped: MappedDocument
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
            code="invoice.dry_run",
            settings_version=snapshot.settings_version,
            dry_run=True,
            decided_at=self.clock.now(),
        )
        told = Told(notes=(*message.notes, *mapped.notes))
        return await self.outcomes.conclude(message.connection, message.received, outcome, told)


def _list_notes(mapped: MappedDocument, document: BcDocument) -> list[str]:
    """List what was noted; what posting will round is no news once it has."""
    if mapped.notice is None or document.total == mapped.total:
        return list(mapped.notes)
    return [note for note in mapped.notes if note != mapped.notice.text]


def _is_asked(received: Wakeup) -> bool:
    """Whether a synced invoice is looked at all the same: a person asks, a credit, a loss, or a sweep's find."""
    is_lessened = received.event_type in CREDIT_EVENTS or received.event_type == "invoice.marked_uncollectible"
    return received.cause == "replay" or is_lessened or received.event_type.startswith(SWEPT)


def _seeks_doubles(received: Wakeup, record: InvoiceRecord) -> bool:
    """Whether a second document may be there; once found, until it is gone."""
    was_doubled = record.outcome is not None and record.outcome.code == DOUBLED
    return received.event_type == SWEPT_DOUBLED or was_doubled


def _require_customer(message: ContactResolved) -> CustomerMatch:
    """Return the customer to draft for.

    Raises:
        RetryLater: resolved in a dry run that has ended since; once round again, and it is created.
    """
    if message.customer is not None:
        return message.customer
    raise Queued(
        "The dry run has ended; the invoice goes round once more, to create its customer.",
        code="contact.not_created",
        retry_after=timedelta(seconds=1),
    )
