"""What a replay would do, told without doing it: the same decisions as production, and nothing written anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from connectors.business_central.client import CustomerField
from connectors.business_central.models import Customer, SalesInvoice
from hub.clock import Clock
from hub.directory import Snapshot
from hub.doubt import is_in_doubt
from hub.ledger import CustomerLink, InvoiceRecord
from mapping.customers import build_customer, build_match_values
from mapping.eligibility import GoOn, LeftAlone, NotYet, decide_due
from mapping.sales_invoices import MappedInvoice, build_sales_invoice
from schemas.errors import Blocked, HubError, Refused
from schemas.messages import CustomerMatch
from schemas.money import format_amount
from schemas.stripe_objects import Invoice
from services.contacts.decide import decide_match
from services.invoices.decide import (
    build_deleted_refusal,
    build_gate_refusal,
    decide_found,
    is_ours,
    passes_gate,
    to_document,
)

Verdict = Literal["create", "adopt", "unchanged", "skip", "wait", "fail", "attention", "unknown"]


class StripeInvoices(Protocol):
    """Reads invoices."""

    async def fetch_invoice(self, invoice_id: str) -> Invoice | None:
        """Return the invoice with all its lines, or None if it does not exist (any more)."""
        ...


class BcReader(Protocol):
    """Looks into Business Central."""

    async def find_customers(
        self, field: CustomerField, value: str, *, top: int = 10, live: bool = True
    ) -> tuple[Customer, ...]:
        """Return the customers whose field equals the value."""
        ...

    async def find_invoices(self, external_document_number: str, *, live: bool = True) -> tuple[SalesInvoice, ...]:
        """Return all invoices with this external document number."""
        ...

    async def fetch_invoice(self, id: str, *, with_lines: bool = False, live: bool = True) -> SalesInvoice | None:  # noqa: A002
        """Return the invoice, or None if it does not exist (any more)."""
        ...


class LedgerReader(Protocol):
    """Reads what is known."""

    async def load_invoice(self, connection: str, invoice_id: str) -> InvoiceRecord:
        """Load what is known of an invoice."""
        ...

    async def load_customer_link(self, connection: str, stripe_customer: str) -> CustomerLink | None:
        """Return the linked BC customer."""
        ...


@dataclass(frozen=True)
class PlannedInvoice:
    """What would happen to one invoice."""

    invoice_id: str
    verdict: Verdict
    words: str
    number: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReplayPlanner:
    """Plans for one connection."""

    snapshot: Snapshot
    stripe: StripeInvoices
    bc: BcReader
    ledger: LedgerReader
    clock: Clock
    recreate: bool = False

    async def plan(self, invoice_id: str) -> PlannedInvoice:
        """Tell what would happen.

        Raises:
            Blocked: a system refuses altogether, so that nothing can be told about any invoice.
        """
        try:
            record = await self.ledger.load_invoice(self.snapshot.connection.id, invoice_id)
            invoice = await self.stripe.fetch_invoice(invoice_id)
            if invoice is None:
                return _plan_left_alone(invoice_id, record, "The invoice does not exist in Stripe.")
            return await self._plan_invoice(invoice, record)
        except Blocked:
            raise
        except Refused as error:
            return PlannedInvoice(invoice_id, "fail", f"would fail: {error.message} {error.fix}".strip())
        except HubError as error:
            return PlannedInvoice(invoice_id, "unknown", f"can't be told now: {error.message}")

    async def _plan_invoice(self, invoice: Invoice, record: InvoiceRecord) -> PlannedInvoice:
        decision = decide_due(
            invoice,
            triggers=self.snapshot.settings.triggers,
            was_sent=record.sent_at is not None,
            go_live=self.snapshot.connection.go_live,
            metadata_prefix=self.snapshot.settings.metadata_prefix,
        )
        match decision:
            case NotYet(reason):
                return PlannedInvoice(invoice.id, "skip", f"would be skipped: {reason}", invoice.number or "")
            case LeftAlone(reason):
                return _plan_left_alone(invoice.id, record, reason, invoice.number or "")
            case GoOn():
                return await self._plan_due(invoice, record)

    async def _plan_due(self, invoice: Invoice, record: InvoiceRecord) -> PlannedInvoice:
        build_sales_invoice(invoice, self.snapshot.settings.invoices, customer_id=None)
        customer = await self._find_customer(invoice)
        customer_id = customer.id if customer else None
        mapped = build_sales_invoice(invoice, self.snapshot.settings.invoices, customer_id=customer_id)
        found = await self._look(invoice, record, mapped, customer_id or "")
        if found is not None:
            return _plan_found(invoice, record, mapped, found)
        return self._plan_creation(invoice, record, mapped, customer)

    async def _find_customer(self, invoice: Invoice) -> CustomerMatch | None:
        """Look as the resolver does, by link, then by the rules in order; None when one would be created."""
        settings = self.snapshot.settings.customers
        values = build_match_values(invoice, settings)
        link = await self.ledger.load_customer_link(self.snapshot.connection.id, invoice.customer or "")
        if link is not None:
            return link.customer
        for value in values:
            if found := await self.bc.find_customers(value.pair.bc, value.value, live=False):
                return decide_match(found, value.words, invoice)
        if not settings.create_missing:
            tried = "; ".join(value.words for value in values)
            raise Refused(
                f"No customer in Business Central matches ({tried}), and missing ones are not created.",
                code="contact.not_found",
            )
        build_customer(invoice)
        return None

    async def _look(
        self, invoice: Invoice, record: InvoiceRecord, mapped: MappedInvoice, customer_id: str
    ) -> SalesInvoice | None:
        """Look as the one-draft protocol does: by the id that ledger or metadata know, else by number."""
        if (document := record.state.document) is not None:
            if (found := await self.bc.fetch_invoice(document.id, live=False)) is not None:
                return found
            if not self.recreate:
                raise build_deleted_refusal(document.number)
        elif told := invoice.metadata.get(f"{self.snapshot.settings.metadata_prefix}invoice_id"):
            found = await self.bc.fetch_invoice(told, live=False)
            if found is not None and is_ours(found, mapped, customer_id):
                return found
        candidates = await self.bc.find_invoices(mapped.external_document_number, live=False)
        return decide_found(candidates, mapped, customer_id, is_expected=record.state.phase == "intent")

    def _plan_creation(
        self, invoice: Invoice, record: InvoiceRecord, mapped: MappedInvoice, customer: CustomerMatch | None
    ) -> PlannedInvoice:
        number = invoice.number or ""
        if is_in_doubt(record.state.intent_at, self.snapshot.settings.doubt_window, self.clock.now()):
            words = "would wait: Business Central has not said yet whether it made the draft of an earlier attempt"
            return PlannedInvoice(invoice.id, "wait", words, number)
        amount = format_amount(mapped.total, mapped.currency)
        whom = f"customer {customer.number} {customer.name}".strip() if customer else "a new customer"
        words = f"would create a draft of {amount} for {whom}"
        return PlannedInvoice(invoice.id, "create", words, number, mapped.notes)


def count_verdicts(planned: Sequence[PlannedInvoice]) -> dict[Verdict, int]:
    """Count by verdict, in order of appearance."""
    counts: dict[Verdict, int] = {}
    for one in planned:
        counts[one.verdict] = counts.get(one.verdict, 0) + 1
    return counts


def _plan_left_alone(invoice_id: str, record: InvoiceRecord, reason: str, number: str = "") -> PlannedInvoice:
    document = record.state.document
    if document is None:
        return PlannedInvoice(invoice_id, "skip", f"would be skipped: {reason}", number)
    words = f"would want attention: {reason} Its draft {document.number} in Business Central would not be changed"
    return PlannedInvoice(invoice_id, "attention", words, number)


def _plan_found(invoice: Invoice, record: InvoiceRecord, mapped: MappedInvoice, found: SalesInvoice) -> PlannedInvoice:
    number = invoice.number or ""
    if not passes_gate(found, mapped):
        ending = "changed" if record.state.etag is None else "deleted"
        refusal = build_gate_refusal(found, mapped, ending)
        return PlannedInvoice(invoice.id, "fail", f"would fail: {refusal.message} {refusal.fix}", number)
    document = to_document(found)
    if record.state.phase == "synced":
        return PlannedInvoice(invoice.id, "unchanged", f"is synced as {document.number}: nothing would change", number)
    amount = format_amount(mapped.total, mapped.currency)
    words = f"would take over the draft {document.number} of {amount}, which is there already"
    return PlannedInvoice(invoice.id, "adopt", words, number)
