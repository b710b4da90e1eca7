"""What a replay would do, told without doing it: the same decisions as production, and nothing written."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Protocol

from connectors.business_central.models import SalesInvoice
from hub.clock import Clock
from hub.credits import StripeCreditNotes, call_for_credit, find_credit
from hub.directory import Snapshot
from hub.document_owners import DocumentOwners, name_owner
from hub.doubt import get_memory_gap, is_in_doubt
from hub.gate import DRAFTS_HIDDEN
from hub.ledger import CustomerLink, Incarnation, InvoiceRecord
from hub.mapper import DocumentMapper, Foretold
from hub.materials import StripeCatalog
from hub.outcomes import DOUBLED, call_for_loss, decide_closed
from hub.told_draft import build_told_document, read_told_draft
from hub.usage import Usage
from mapping.customers import NewCustomerPayload
from mapping.eligibility import DELETED, Closed, DueDecision, GoOn, LeftAlone, NotYet, decide_due, get_issue_time
from mapping.materials import ListName
from mapping.sales_documents import MappedDocument
from schemas.errors import Blocked, HubError, Refused
from schemas.messages import BcDocument, CustomerMatch, DocumentKind
from schemas.money import format_amount
from schemas.stripe_objects import Invoice
from services.contacts.claims import Held
from services.contacts.decide import describe_gone, use_customer
from services.contacts.ports import CustomerReader
from services.contacts.search import CustomerSearch, check_linked
from services.ingest.findings import is_sent
from services.invoices.decide import (
    build_deleted_refusal,
    build_gate_refusal,
    build_hidden_block,
    choose_ending,
    decide_found,
    describe_change,
    is_ours,
    to_document,
)
from services.invoices.judge import find_owned, passes_gate

Verdict = Literal["create", "adopt", "unchanged", "skip", "wait", "fail", "attention", "unknown"]
LoadClaims = Callable[[Sequence[str]], Awaitable[Held]]
# What a person's replay tries again, although Business Central has shown the opposite.
_UNLESS = "unless that was mended since"
# A draft that was right and is not seen any more.
_GONE_CODES = frozenset({"invoice.draft.deleted", DRAFTS_HIDDEN})
# What Business Central made of an invoice's VAT: only a draft shows whether it still does.
_PRICE_GUESS = (
    "Unit prices are a guess: Business Central has not yet shown whether this customer's include tax. The total is the "
    "same."
)
_TOTAL_CODES = frozenset(
    {"invoice.tax.different", "invoice.total.different", "invoice.total.unreachable", "invoice.total.unstable"}
)
# Refusals of Business Central whose cause is looked at before.
_LOOKED_AT = frozenset({"bc.customer.blocked", "bc.customer.unknown"})


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

    async def is_customer_new(self, connection: str, stripe_customer: str) -> bool:
        """Tell whether a person has called the Stripe customer new."""
        ...

    async def peek_life(self) -> tuple[Incarnation | None, datetime]:
        """Return the ledger's life, if it has begun, and the time by Redis's own clock."""
        ...

    def owners(self, company_key: str) -> DocumentOwners:
        """Return what is known of whose documents are."""
        ...


@dataclass(frozen=True)
class PlannedInvoice:
    """What would happen to one invoice."""

    invoice_id: str
    verdict: Verdict
    words: str
    number: str = ""
    notes: tuple[str, ...] = ()
    guess: str = ""
    """What is not known of the draft's total, in words."""


@dataclass(frozen=True)
class _Seeking:
    """Who the customer is, as the resolver finds it."""

    customer: CustomerMatch | None
    new: NewCustomerPayload | None = None
    """Who would be created, where nobody was found."""
    notes: tuple[str, ...] = ()
    sent_at: datetime | None = None
    """When the creation of a customer was begun of which no end is known."""


@dataclass(frozen=True)
class _Due:
    """An invoice that is due, as far as it was brought."""

    invoice: Invoice
    record: InvoiceRecord
    foretold: Foretold
    seeking: _Seeking
    guess: str

    @property
    def mapped(self) -> MappedDocument:
        """What would be sent."""
        return self.foretold.mapped

    @property
    def customer(self) -> CustomerMatch | None:
        """For whom; None: a new one would be created."""
        return self.seeking.customer

    def tell(self, verdict: Verdict, words: str, *notes: str, guess: str = "") -> PlannedInvoice:
        """Say what would happen."""
        notes = (*self.seeking.notes, *notes)
        return PlannedInvoice(self.invoice.id, verdict, words, self.invoice.number or "", notes, guess)


@dataclass(frozen=True)
class Preview:
    """What an invoice would become: its customer and its draft, or why not."""

    invoice: Invoice
    due: str
    """Whether it is due, in words; empty where it is."""
    customer: CustomerMatch | None = None
    new: NewCustomerPayload | None = None
    """Who would be created, where nobody was found."""
    notes: tuple[str, ...] = ()
    mapped: MappedDocument | None = None
    refusal: HubError | None = None
    guess: str = ""
    """What is not known of the draft's total, in words."""
    last_failure: str = ""
    """Why it failed last, where only Business Central can say whether that still holds."""
    synced: BcDocument | None = None
    """The draft that it has already: nothing would be written."""

    @property
    def has_no_country(self) -> bool:
        """Whether a customer would be created of whom Business Central may make nothing."""
        return self.new is not None and not self.new.payload.get("country")


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
            return await self._plan_standing(invoice, record)
        except Blocked:
            raise
        except Refused as error:
            unless = f", {_UNLESS}" if error.code == "contact.country.unbillable" else ""
            return PlannedInvoice(invoice_id, "fail", f"would fail{unless}: {error.message} {error.fix}".strip())
        except HubError as error:
            return PlannedInvoice(invoice_id, "unknown", f"can't be told now: {error.message}")

    async def _plan_standing(self, invoice: Invoice, record: InvoiceRecord) -> PlannedInvoice:
        """A late failure does not hide a success: what is synced stays so, unless its draft is not there any more."""
        try:
            return await self._plan_invoice(invoice, record)
        except Refused as error:
            document = record.state.document
            if record.state.phase != "synced" or document is None or error.code in _GONE_CODES:
                raise
            words, note = f"is synced as {document.number}: nothing would change", f"Now it would fail: {error.message}"
            return PlannedInvoice(invoice.id, "unchanged", words, invoice.number or "", (note,))

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
                    return _plan_over_limit(invoice, record, limit)
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
        due = await self._prepare(invoice, record)
        found = await self._look(due)
        if found is None:
            return await self._plan_creation(due)
        planned = _plan_found(due, found, self.snapshot.settings.invoices.wrong_draft)
        if planned.verdict not in {"adopt", "unchanged"}:
            return planned
        if doubles := await self._find_doubles(due, found):
            return due.tell("attention", f"would want attention, unless it can be deleted: {doubles}")
        if (credit := await find_credit(self.stripe, invoice)) is not None:
            called = call_for_credit(credit, to_document(found, due.mapped.kind), self.clock.now())
            return due.tell("attention", f"would want attention: {called.reason}")
        if invoice.status == "uncollectible":
            lost = call_for_loss(to_document(found, due.mapped.kind), self.clock.now())
            return due.tell("attention", f"would want attention: {lost.reason}")
        return planned

    async def _prepare(self, invoice: Invoice, record: InvoiceRecord) -> _Due:
        """Map and find the customer, in the order of production."""
        link = await self.ledger.load_customer_link(self.snapshot.connection.id, invoice.customer or "")
        # The mapping first, as contacts does: what can't be booked is told before anyone is looked for.
        await self._foretell(invoice, link.customer if link else None)
        seeking = await self._find_customer(invoice, link)
        foretold = await self._foretell(invoice, seeking.customer)
        guess = await self._tell_guess(foretold, seeking.customer)
        return _Due(invoice, record, foretold, seeking, guess)

    async def _foretell(self, invoice: Invoice, customer: CustomerMatch | None) -> Foretold:
        return await self.mapper.foretell(self.snapshot, invoice, self.stripe, self.bc, customer, is_fresh=True)

    async def _tell_guess(self, foretold: Foretold, customer: CustomerMatch | None) -> str:
        """Say for whom Business Central has not shown its VAT yet: it goes by the customer's group."""
        if not foretold.is_guess:
            return _PRICE_GUESS if foretold.is_price_guess else ""
        if customer is None:
            return describe_guess("a new customer")
        lists = frozenset[ListName](("tax_areas",))
        areas = (await self.mapper.gatherer.gather_books(self.snapshot, self.bc, lists)).tax_areas
        codes = [code for code, one in areas.items() if one.lower() == customer.tax_area.lower()]
        return describe_guess(f"customers of group {codes[0]}" if codes else "this customer")

    async def preview(self, invoice: Invoice) -> Preview:
        """Show what an invoice would become, whether it is due or not. Nothing is written.

        Raises:
            Blocked: a system refuses altogether.
        """
        record = await self.ledger.load_invoice(self.snapshot.connection.id, invoice.id)
        shown = Preview(invoice, _tell_due(self._decide(invoice, record)))
        if record.state.phase == "synced":
            shown = replace(shown, synced=record.state.document)
        try:
            due = await self._prepare(invoice, record)
        except Blocked:
            raise
        except HubError as error:
            return replace(shown, refusal=error)
        shown = replace(shown, customer=due.customer, new=due.seeking.new, notes=due.seeking.notes)
        if due.foretold.against is not None:
            return replace(shown, refusal=due.foretold.against)
        last = _tell_failed_there(record, is_guess=bool(due.guess))
        return replace(shown, mapped=due.mapped, guess=due.guess, last_failure=last)

    async def _find_customer(self, invoice: Invoice, link: CustomerLink | None) -> _Seeking:
        """Look as the resolver does on a replay; without anybody, say who would be created."""
        if link is not None and (known := await check_linked(link, invoice.customer or "", self.bc)) is not None:
            return _Seeking(use_customer(known, "linked before"))
        gone = (describe_gone(link.customer),) if link else ()
        is_new = await self.ledger.is_customer_new(self.snapshot.connection.id, invoice.customer or "")
        question = await self.search.ask(
            self.snapshot, invoice, self.stripe, self.bc, self.asked_at, is_fresh=True, is_new=is_new
        )
        held = await self.load_claims(question.claims)
        found = await self.search.find(question, held)
        if found is not None:
            note = question.seeker.party.note
            return _Seeking(found.decide(question.seeker), notes=(*gone, *((note,) if note else ())))
        new = await self.search.build_new(question)
        await self.search.check_billable(question, new, self.clock.now(), tries=False)
        return _Seeking(None, new, (*gone, *new.notes), held.find_intent())

    async def _look(self, due: _Due) -> SalesInvoice | None:
        """Look as the one-draft protocol does: by the id that ledger or metadata know, else by number."""
        if (document := due.record.state.document) is not None:
            if (found := await self.bc.fetch_invoice(document.id, kind=document.kind)) is not None:
                return found
            self._check_may_forget(due, document.number)
        elif (found := await self._look_where_stripe_says(due)) is not None:
            return found
        candidates = await self.bc.find_invoices(due.mapped.external_document_number, kind=due.mapped.kind)
        owned = await self._find_owned(due, candidates)
        return decide_found(
            [one for one in candidates if one not in owned],
            due.mapped,
            _get_id(due.customer),
            is_expected=due.record.state.phase == "intent",
            issued_at=get_issue_time(due.invoice),
        )

    async def _find_owned(self, due: _Due, documents: Sequence[SalesInvoice]) -> list[SalesInvoice]:
        """Pick those that are known to be another invoice's."""
        owners = await self.ledger.owners(self.snapshot.connection.company_key).find([one.id for one in documents])
        return find_owned(documents, owners, name_owner(self.snapshot.connection.id, due.invoice.id))

    def _check_may_forget(self, due: _Due, number: str) -> None:
        """A draft that the ledger knows is gone."""
        if due.record.state.phase != "deleted" and not self.snapshot.proved:
            hidden = build_hidden_block(number)
            raise Refused(hidden.message, code=hidden.code)
        if due.record.state.phase in {"synced", "deleted"} and not self.recreate:
            raise build_deleted_refusal(number)

    async def _look_where_stripe_says(self, due: _Due) -> SalesInvoice | None:
        told = read_told_draft(due.invoice, self.snapshot.settings.metadata_prefix)
        life, now = await self.ledger.peek_life()
        if told is None or get_issue_time(due.invoice) >= (life.born_at if life else now):
            return None
        found = await self.bc.fetch_invoice(told.id, kind=due.mapped.kind)
        if found is None and not self.recreate:
            raise build_deleted_refusal(told.number)
        is_own = found is not None and not await self._find_owned(due, [found])
        return found if found is not None and is_own and told.fits(found, _get_id(due.customer)) else None

    async def _find_doubles(self, due: _Due, kept: SalesInvoice) -> str:
        """Name the other documents of an invoice that was found doubled, as long as they are there."""
        outcome = due.record.outcome
        if outcome is None or outcome.code != DOUBLED:
            return ""
        found = await self.bc.find_invoices(due.mapped.external_document_number, kind=due.mapped.kind)
        owned = await self._find_owned(due, found)
        left = [one for one in found if one not in owned and one.id != kept.id]
        others = [one.number for one in left if is_ours(one, due.mapped, _get_id(due.customer))]
        return f"{', '.join(others)} in Business Central is of this invoice, too." if others else ""

    async def _plan_creation(self, due: _Due) -> PlannedInvoice:
        planned = await self._plan_attempt(due)
        if (wait := await self._find_wait(due)) is not None:
            return replace(planned, verdict="wait", words=f"would wait: {wait}; then it {planned.words}")
        return planned

    async def _plan_attempt(self, due: _Due) -> PlannedInvoice:
        """Foretell the attempt to make a draft, by what Business Central has shown of its VAT."""
        if (against := due.foretold.against) is not None:
            words = f"would fail, {_UNLESS}: {against.message} {against.fix}"
            return due.tell("fail", words.strip(), *_recall(due.record))
        if last := _tell_failed_there(due.record, is_guess=bool(due.guess)):
            return due.tell("unknown", f"may fail again: {last}", *due.mapped.notes, guess=due.guess)
        notes = (*due.mapped.notes, *_recall(due.record))
        if (credit := await find_credit(self.stripe, due.invoice)) is not None:
            notes = (*notes, f"Then it would want attention: {credit}")
        elif due.invoice.status == "uncollectible":
            notes = (*notes, "Then it would want attention: it was marked uncollectible in Stripe.")
        return due.tell("create", _tell_creation(due), *notes, guess=due.guess)

    async def _find_wait(self, due: _Due) -> str | None:
        """By Redis's clock, as the services judge doubt."""
        window, state = self.snapshot.settings.doubt_window, due.record.state
        life, now = await self.ledger.peek_life()
        # A draft that was there and is gone ends its own doubt.
        if state.document is None and is_in_doubt(state.intent_at, window, now):
            return "Business Central has not said yet whether it made the draft of an earlier attempt"
        if is_in_doubt(due.seeking.sent_at, window, now):
            return "Business Central has not said yet whether it created the customer"
        born = life.born_at if life else now
        if get_memory_gap(Incarnation(id="", born_at=born), get_issue_time(due.invoice), window, now) is not None:
            return (
                "the hub's memory is younger than this invoice, so it only looks for a draft until "
                f"{born + window:%H:%M} UTC"
            )
        return None


def describe_guess(whom: str) -> str:
    """Say that a total is foretold by an assumption."""
    return f"Business Central's total is a guess: it has not yet shown what VAT it adds for {whom}."


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


def _plan_over_limit(invoice: Invoice, record: InvoiceRecord, limit: LeftAlone) -> PlannedInvoice:
    """What had failed stays failed."""
    if record.outcome is not None and record.outcome.outcome == "failed":
        return PlannedInvoice(invoice.id, "fail", f"would stay failed: {limit.reason}", invoice.number or "")
    return _plan_skipped(invoice, record, limit.reason)


def _plan_found(due: _Due, found: SalesInvoice, wrong_draft: Literal["delete", "keep"]) -> PlannedInvoice:
    document = to_document(found, due.mapped.kind)
    etag = due.record.state.etag
    if due.record.state.phase == "synced":
        changed = describe_change(found, due.mapped)
        notes = (changed,) if changed else ()
        return due.tell("unchanged", f"is synced as {document.number}: nothing would change", *notes)
    if not passes_gate(found, due.mapped):
        can_learn = due.guess and due.customer is not None and due.customer.tax_area
        if can_learn and etag is not None and found.etag == etag:
            # As our own request left it, so it shows what VAT Business Central adds: the hub learns, and begins anew.
            return due.tell("unknown", f"would learn from the draft {document.number} what VAT Business Central adds")
        # That someone changes it meanwhile can't be foreseen.
        refusal = build_gate_refusal(found, due.mapped, choose_ending(found, wrong_draft, etag))
        return due.tell("fail", f"would fail: {refusal.message} {refusal.fix}")
    amount = format_amount(due.mapped.total, due.mapped.currency)
    return due.tell("adopt", f"would take over the draft {document.number} of {amount}, which is there already")


def _tell_failed_there(record: InvoiceRecord, *, is_guess: bool) -> str:
    """Say why it failed last, if only Business Central can say whether that was mended; else empty."""
    error = record.outcome.error if record.outcome is not None and record.outcome.outcome == "failed" else None
    if error is None or error.code in _LOOKED_AT:
        return ""
    is_theirs = error.code.startswith("bc.") or error.code == "invoice.draft.changed"
    return error.text if is_theirs or (is_guess and error.code in _TOTAL_CODES) else ""


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
