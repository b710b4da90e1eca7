"""What a replay would do, told without doing it: the same decisions as production, and nothing written."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from connectors.business_central.models import SalesInvoice
from hub.clock import Clock
from hub.credits import StripeCreditNotes, call_for_credit, find_credit
from hub.directory import Snapshot
from hub.doubt import get_memory_gap, is_in_doubt
from hub.ledger import CustomerLink, Incarnation, InvoiceRecord
from hub.mapper import DocumentMapper
from hub.materials import StripeCatalog
from hub.outcomes import call_for_loss, decide_closed
from hub.told_draft import build_told_document, read_told_draft
from hub.usage import Usage
from mapping.customers import NewCustomerPayload
from mapping.eligibility import DELETED, Closed, DueDecision, GoOn, LeftAlone, NotYet, decide_due, get_issue_time
from mapping.sales_documents import MappedDocument
from schemas.errors import Blocked, HubError, Refused
from schemas.messages import BcDocument, CustomerMatch, DocumentKind
from schemas.money import format_amount
from schemas.stripe_objects import Invoice
from services.contacts.claims import Held
from services.contacts.decide import use_customer
from services.contacts.ports import CustomerReader
from services.contacts.search import CustomerSearch, check_linked
from services.ingest.findings import is_sent
from services.invoices.decide import (
    Ending,
    build_deleted_refusal,
    build_gate_refusal,
    build_hidden_block,
    decide_found,
    describe_change,
    is_posted,
    passes_gate,
    to_document,
)

Verdict = Literal["create", "adopt", "unchanged", "skip", "wait", "fail", "attention", "unknown"]
LoadClaims = Callable[[Sequence[str]], Awaitable[Held]]
LoadLife = Callable[[], Awaitable[Incarnation]]
"""Reads the ledger's life without beginning one: the ledger's own method would write."""


class StripeInvoices(StripeCatalog, StripeCreditNotes, Protocol):
    """Reads invoices."""

    async def fetch_invoice(self, invoice_id: str) -> Invoice | None:
        """Return the invoice with all its lines, or None if it does not exist (any more)."""
        ...


class BcReader(CustomerReader, Protocol):
    """Looks into Business Central."""

    async def find_invoices(self, external_document_number: str, *, kind: DocumentKind) -> tuple[SalesInvoice, ...]:
        """Return all documents with this external document number."""
        ...

    async def fetch_invoice(self, id: str, *, kind: DocumentKind) -> SalesInvoice | None:  # noqa: A002
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
class _Due:
    """An invoice that is due, as far as it was brought."""

    invoice: Invoice
    record: InvoiceRecord
    mapped: MappedDocument
    customer: CustomerMatch | None
    """None: a new one would be created."""
    notes: tuple[str, ...] = field(default=())

    def tell(self, verdict: Verdict, words: str, *notes: str) -> PlannedInvoice:
        """Say what would happen."""
        return PlannedInvoice(self.invoice.id, verdict, words, self.invoice.number or "", (*self.notes, *notes))


@dataclass(frozen=True)
class Preview:
    """What an invoice would become: its customer and its draft, or why not."""

    invoice: Invoice
    due: str
    """Whether it is due, in words; empty where it is."""
    customer: CustomerMatch | None = None
    new: NewCustomerPayload | None = None
    """Who would be created, where nobody was found."""
    mapped: MappedDocument | None = None
    refusal: HubError | None = None


@dataclass(frozen=True)
class ReplayPlanner:
    """Plans for one connection."""

    snapshot: Snapshot
    stripe: StripeInvoices
    bc: BcReader
    ledger: LedgerReader
    mapper: DocumentMapper
    search: CustomerSearch
    usage: Usage
    load_claims: LoadClaims
    load_life: LoadLife
    clock: Clock
    asked_at: datetime
    """Customers who were in Business Central then are found."""
    recreate: bool = False
    is_backfill: bool = False
    """What is older than the go-live date is not left alone for that."""

    async def plan(self, invoice_id: str) -> PlannedInvoice:
        """Tell what would happen.

        Raises:
            Blocked: a system refuses altogether, so that nothing can be told about any invoice.
        """
        try:
            record = await self.ledger.load_invoice(self.snapshot.connection.id, invoice_id)
            invoice = await self.stripe.fetch_invoice(invoice_id)
            if invoice is None:
                return self._plan_closed(invoice_id, record, DELETED)
            return await self._plan_invoice(invoice, record)
        except Blocked:
            raise
        except Refused as error:
            return PlannedInvoice(invoice_id, "fail", f"would fail: {error.message} {error.fix}".strip())
        except HubError as error:
            return PlannedInvoice(invoice_id, "unknown", f"can't be told now: {error.message}")

    def _decide(self, invoice: Invoice, record: InvoiceRecord) -> DueDecision:
        return decide_due(
            invoice,
            self.snapshot.settings,
            was_sent=record.sent_at is not None or (self.is_backfill and is_sent(invoice, record, self.clock.now())),
            go_live=self.snapshot.connection.go_live,
            is_backfilled=self.is_backfill or record.backfilled_at is not None,
        )

    async def _plan_invoice(self, invoice: Invoice, record: InvoiceRecord) -> PlannedInvoice:
        decision = self._decide(invoice, record)
        match decision:
            case NotYet(reason) | LeftAlone(reason):
                return _plan_skipped(invoice, record, reason)
            case Closed():
                told = build_told_document(invoice, self.snapshot.settings.metadata_prefix)
                return self._plan_closed(invoice.id, record, decision, told, invoice.number or "")
            case GoOn():
                limit = await self.usage.find_limit(self.snapshot.connection, record, self.clock.now())
                if limit is not None:
                    return _plan_skipped(invoice, record, limit.reason)
                return await self._plan_due(invoice, record)

    def _plan_closed(
        self,
        invoice_id: str,
        record: InvoiceRecord,
        closed: Closed,
        told: BcDocument | None = None,
        number: str = "",
    ) -> PlannedInvoice:
        outcome = decide_closed(record, closed, self.clock.now(), told)
        if outcome.outcome == "attention":
            return PlannedInvoice(invoice_id, "attention", f"would want attention: {outcome.reason}", number)
        return PlannedInvoice(invoice_id, "skip", f"would be skipped: {outcome.reason}", number)

    async def _plan_due(self, invoice: Invoice, record: InvoiceRecord) -> PlannedInvoice:
        link = await self.ledger.load_customer_link(self.snapshot.connection.id, invoice.customer or "")
        await self._map(invoice, link.customer if link else None)
        customer, new = await self._find_customer(invoice)
        mapped = await self._map(invoice, customer)
        due = _Due(invoice, record, mapped, customer, new.notes if new else ())
        found = await self._look(due)
        if found is None:
            return await self._plan_creation(due)
        planned = _plan_found(due, found)
        if planned.verdict != "fail" and (credit := await find_credit(self.stripe, invoice)) is not None:
            called = call_for_credit(credit, to_document(found, mapped.kind), self.clock.now())
            return due.tell("attention", f"would want attention: {called.reason}")
        if planned.verdict != "fail" and invoice.status == "uncollectible":
            lost = call_for_loss(to_document(found, mapped.kind), self.clock.now())
            return due.tell("attention", f"would want attention: {lost.reason}")
        return planned

    async def _map(self, invoice: Invoice, customer: CustomerMatch | None) -> MappedDocument:
        return await self.mapper.map(self.snapshot, invoice, self.stripe, self.bc, customer, is_fresh=True)

    async def preview(self, invoice: Invoice) -> Preview:
        """Show what an invoice would become, whether it is due or not. Nothing is written.

        Raises:
            Blocked: a system refuses altogether.
        """
        record = await self.ledger.load_invoice(self.snapshot.connection.id, invoice.id)
        due = _tell_due(self._decide(invoice, record))
        customer: CustomerMatch | None = None
        new: NewCustomerPayload | None = None
        try:
            # The mapping first, as contacts does: what can't be booked is told before anyone is looked for.
            link = await self.ledger.load_customer_link(self.snapshot.connection.id, invoice.customer or "")
            await self._map(invoice, link.customer if link else None)
            customer, new = await self._find_customer(invoice)
            return Preview(invoice, due, customer, new, await self._map(invoice, customer))
        except Blocked:
            raise
        except HubError as error:
            return Preview(invoice, due, customer, new, refusal=error)

    async def _find_customer(self, invoice: Invoice) -> tuple[CustomerMatch | None, NewCustomerPayload | None]:
        """Look as the resolver does on a replay; without anybody, return who would be created."""
        link = await self.ledger.load_customer_link(self.snapshot.connection.id, invoice.customer or "")
        if link is not None and (known := await check_linked(link, invoice.customer or "", self.bc)) is not None:
            return use_customer(known, "linked before"), None
        question = await self.search.ask(self.snapshot, invoice, self.stripe, self.bc, self.asked_at, is_fresh=True)
        found = await self.search.find(question, await self.load_claims(question.claims))
        if found is not None:
            return found.decide(question.seeker), None
        return None, await self.search.build_new(question)

    async def _look(self, due: _Due) -> SalesInvoice | None:
        """Look as the one-draft protocol does: by the id that ledger or metadata know, else by number."""
        if (document := due.record.state.document) is not None:
            if (found := await self.bc.fetch_invoice(document.id, kind=document.kind)) is not None:
                return found
            self._check_may_forget(due, document.number)
        elif (found := await self._look_where_stripe_says(due)) is not None:
            return found
        candidates = await self.bc.find_invoices(due.mapped.external_document_number, kind=due.mapped.kind)
        is_expected = due.record.state.phase == "intent"
        return decide_found(candidates, due.mapped, _get_id(due.customer), is_expected=is_expected)

    def _check_may_forget(self, due: _Due, number: str) -> None:
        """A draft that the ledger knows is gone."""
        if due.record.state.phase != "deleted" and not self.snapshot.proved:
            hidden = build_hidden_block(number)
            raise Refused(hidden.message, code=hidden.code)
        if due.record.state.phase in {"synced", "deleted"} and not self.recreate:
            raise build_deleted_refusal(number)

    async def _look_where_stripe_says(self, due: _Due) -> SalesInvoice | None:
        told = read_told_draft(due.invoice, self.snapshot.settings.metadata_prefix)
        if told is None or get_issue_time(due.invoice) >= (await self.load_life()).born_at:
            return None
        found = await self.bc.fetch_invoice(told.id, kind=due.mapped.kind)
        if found is None and not self.recreate:
            raise build_deleted_refusal(told.number)
        return found if found is not None and told.fits(found, _get_id(due.customer)) else None

    async def _plan_creation(self, due: _Due) -> PlannedInvoice:
        creates = _tell_creation(due)
        if (wait := await self._find_wait(due)) is not None:
            return due.tell("wait", f"would wait: {wait}; then it {creates}", *_recall(due.record))
        return due.tell("create", creates, *due.mapped.notes, *_recall(due.record))

    async def _find_wait(self, due: _Due) -> str | None:
        now, window, state = self.clock.now(), self.snapshot.settings.doubt_window, due.record.state
        # A draft that was there and is gone ends its own doubt.
        if state.document is None and is_in_doubt(state.intent_at, window, now):
            return "Business Central has not said yet whether it made the draft of an earlier attempt"
        life = await self.load_life()
        if get_memory_gap(life, get_issue_time(due.invoice), window, now) is not None:
            until = life.born_at + window
            return (
                f"the hub's memory is younger than this invoice, so it only looks for a draft until {until:%H:%M} UTC"
            )
        return None


def _tell_due(decision: DueDecision) -> str:
    match decision:
        case GoOn():
            return ""
        case NotYet(reason) | LeftAlone(reason):
            return reason
        case Closed():
            return decision.reason


def count_verdicts(planned: Sequence[PlannedInvoice]) -> dict[Verdict, int]:
    """Count by verdict, in order of appearance."""
    counts: dict[Verdict, int] = {}
    for one in planned:
        counts[one.verdict] = counts.get(one.verdict, 0) + 1
    return counts


def _plan_skipped(invoice: Invoice, record: InvoiceRecord, reason: str) -> PlannedInvoice:
    """A success stays what it is, whatever rules say today."""
    document = record.state.document
    if record.state.phase == "synced" and document is not None:
        words = f"is synced as {document.number}: nothing would change. {reason}"
        return PlannedInvoice(invoice.id, "unchanged", words, invoice.number or "")
    return PlannedInvoice(invoice.id, "skip", f"would be skipped: {reason}", invoice.number or "")


def _plan_found(due: _Due, found: SalesInvoice) -> PlannedInvoice:
    document = to_document(found, due.mapped.kind)
    if due.record.state.phase == "synced":
        changed = describe_change(found, due.mapped)
        notes = (changed,) if changed else ()
        return due.tell("unchanged", f"is synced as {document.number}: nothing would change", *notes)
    if not passes_gate(found, due.mapped):
        refusal = build_gate_refusal(found, due.mapped, _foresee_ending(due, found))
        return due.tell("fail", f"would fail: {refusal.message} {refusal.fix}")
    amount = format_amount(due.mapped.total, due.mapped.currency)
    return due.tell("adopt", f"would take over the draft {document.number} of {amount}, which is there already")


def _foresee_ending(due: _Due, found: SalesInvoice) -> Ending:
    """Foresee what would become of a wrong draft; that someone changes it meanwhile can't be foreseen."""
    if is_posted(found):
        return "posted"
    return "unsure" if due.record.state.etag is None else "deleted"


def _recall(record: InvoiceRecord) -> tuple[str, ...]:
    """Only Business Central can say what a draft comes to: how it ended last is the best warning there is."""
    outcome = record.outcome
    if outcome is None or outcome.outcome != "failed" or outcome.error is None:
        return ()
    return (f"Last time it failed: {outcome.error.text}",)


def _tell_creation(due: _Due) -> str:
    amount = format_amount(due.mapped.total, due.mapped.currency)
    whom = f"customer {due.customer.number} {due.customer.name}".strip() if due.customer else "a new customer"
    return f"would create a draft of {amount} for {whom}"


def _get_id(customer: CustomerMatch | None) -> str:
    """A customer that does not exist yet owns no document."""
    return customer.id if customer else ""
