"""One draft, never two: Business Central has no idempotency keys, so an invoice moves through states in the ledger.

    none -> intent -> created -> synced -> deleted

Every step may be done twice: each begins by reading the ledger and, where the ledger can't know, by looking into
Business Central. The state is written under the invoice's lease, `intent` right before the request goes out. An
answer that says nothing leaves the invoice in doubt: it is looked for at growing intervals, and created again only
after the doubt window.

No draft is judged by one answer: what an answer does not show as it was asked for is read again, and only that decides
(docs/decisions/0012).
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from connectors.business_central.models import Answer, SalesInvoice
from hub.clock import Clock
from hub.directory import Directory
from hub.document_owners import DocumentOwners, name_owner
from hub.doubt import get_look_interval, get_memory_gap, is_in_doubt
from hub.learned import LearnedFacts
from hub.ledger import InvoiceState
from hub.log import get_logger
from hub.posted import TotalNow, explain_total, needs_lines
from hub.told_draft import build_told_document, read_told_draft
from mapping.answers import describe_differences
from mapping.eligibility import get_issue_time
from mapping.optional_fields import MOST_ROUNDS, leave_out, list_kept
from schemas.errors import HubError, InDoubt, Queued, Refused
from schemas.messages import Attempt, BcDocument, DocumentKind
from services.invoices.decide import (
    Fault,
    build_deleted_refusal,
    build_hidden_block,
    build_learned,
    build_refusal,
    build_strange_answer,
    build_taken_meanwhile,
    choose_ending,
    decide_found,
    describe_change,
    describe_namesakes,
    find_fault,
    is_left_draft,
    is_ours,
    is_posted,
    read_vat_facts,
    to_document,
)
from services.invoices.held import HeldInvoice, Wanted
from services.invoices.judge import (
    ENTITIES,
    bears_number,
    describe_lines,
    find_differences,
    find_owned,
    has_amounts,
    has_other_tax,
    is_for,
    is_older_than,
    is_own_making,
    is_part,
    is_untouched,
    passes_gate,
    reads_right,
)
from services.invoices.mend import DraftMender
from services.invoices.ports import BcInvoices

_LONGEST_ANSWER = 500


@dataclass
class DraftProtocol:
    """Takes one invoice to *synced*, under its lease. Made anew for each message."""

    wanted: Wanted
    held: HeldInvoice
    bc: BcInvoices
    directory: Directory
    learned: LearnedFacts
    clock: Clock
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    """What was written to Business Central, also when an error ends the run."""
    notes: list[str] = field(default_factory=list[str])

    @property
    def _kind(self) -> DocumentKind:
        return self.wanted.mapped.kind

    @property
    def _owners(self) -> DocumentOwners:
        return self.held.ledger.owners(self.wanted.snapshot.connection.company_key)

    @property
    def _owner(self) -> str:
        return name_owner(self.held.connection, self.held.invoice_id)

    async def run(self) -> BcDocument:
        """Return the draft, whose total equals Stripe's.

        Raises:
            Refused: the total differs, the number is taken, the draft was deleted, or Business Central refuses it.
            InDoubt: a draft may have been created.
        """
        document = await self._look()
        is_new = document is None
        if document is None:
            document = await self._create()
            await self._prove_readable(document)
        elif is_left_draft(document):
            await self._note_readable()
        if self.held.state.phase == "synced":
            return await self._keep_synced(document)
        return await self._complete(document, is_new=is_new)

    async def _look(self) -> SalesInvoice | None:
        """By id where ledger or metadata know one, else by our external document number."""
        if (document := self.held.state.document) is not None:
            if (found := await self.bc.fetch_invoice(document.id, kind=document.kind)) is not None:
                return found
            await self._forget_deleted(document)
        elif (found := await self._look_where_stripe_says()) is not None:
            return found
        mapped, customer_id = self.wanted.mapped, self.wanted.customer.id
        candidates = await self._find_by_number()
        if not any(is_ours(one, mapped, customer_id) for one in candidates):
            # Before any of them is called another's.
            again = [await self.bc.fetch_invoice(one.id, kind=self._kind, with_lines=True) for one in candidates]
            candidates = [one for one in again if one is not None]
        return decide_found(
            candidates,
            mapped,
            customer_id,
            is_expected=self.held.state.phase == "intent",
            issued_at=get_issue_time(self.wanted.invoice),
        )

    async def _find_by_number(self) -> list[SalesInvoice]:
        """Find what has our external document number and is not another invoice's, nor a half-made draft of ours."""
        number = self.wanted.mapped.external_document_number
        found = await self.bc.find_invoices(number, kind=self._kind)
        if found:
            company_key = self.wanted.snapshot.connection.company_key
            await self.held.ledger.claim_past(company_key, self.held.connection)
        owned = find_owned(found, await self._owners.find([one.id for one in found]), self._owner)
        if owned and (note := describe_namesakes(owned, number)) not in self.notes:
            self.notes.append(note)
        left = [one for one in found if one not in owned]
        if self.held.state.phase == "intent" or self.held.state.has_remains:
            whole = [await self._read_whole(one) for one in left]
            return [one for one in whole if one is not None]
        return left

    async def _read_whole(self, found: SalesInvoice) -> SalesInvoice | None:
        """Read a draft that our request may have left, with its lines; None if it was half-made, and is gone now.

        Raises:
            InDoubt: it is half-made, and the request may still be at work on it.
        """
        if not (is_left_draft(found) and is_for(found, self.wanted.customer.id)):
            return found
        whole = await self.bc.fetch_invoice(found.id, kind=self._kind, with_lines=True)
        if whole is None or not is_part(whole, self.wanted.mapped, self.wanted.customer.id):
            return whole
        if self.held.state.phase == "intent":
            await self._check_no_doubt()
        return whole if await self._delete(whole, whole.etag) == "changed" else None

    async def _look_where_stripe_says(self) -> SalesInvoice | None:
        """By the id in the invoice's metadata, if the ledger is younger than the invoice and may have been lost.

        Otherwise metadata are not trusted: they are copied with the invoice, or name a draft in another company.
        """
        told = read_told_draft(self.wanted.invoice, self.wanted.snapshot.settings.metadata_prefix)
        if told is None or get_issue_time(self.wanted.invoice) >= (await self.held.ledger.load_incarnation()).born_at:
            return None
        found = await self.bc.fetch_invoice(told.id, kind=self._kind)
        if found is None:
            # With its document, for what is told now takes it out of the metadata. A new draft, if a person asks for
            # one, is no second success.
            gone = build_told_document(self.wanted.invoice, self.wanted.snapshot.settings.metadata_prefix)
            await self.held.save(InvoiceState(phase="deleted", document=gone, synced_at=told.synced_at), proved=False)
            if not self.wanted.recreate:
                raise build_deleted_refusal(told.number)
            return None
        is_anothers = find_owned([found], await self._owners.find([found.id]), self._owner)
        if is_anothers or not told.fits(found, self.wanted.customer.id):
            return None
        if told.synced_at is not None:
            await self.held.save(
                InvoiceState(phase="synced", document=to_document(found, self._kind), synced_at=told.synced_at),
            )
        return found

    async def _forget_deleted(self, document: BcDocument) -> None:
        """A draft that the ledger knows is gone.

        One that was right was deleted by a person, and only a person may ask for another. One that failed the gate was
        to be deleted. Where drafts may be hidden, that it is gone is not known, except of one found gone before.
        """
        if self.held.state.phase != "deleted" and not self.wanted.snapshot.proved:
            raise build_hidden_block(document.number)
        if self.held.state.phase in {"synced", "deleted"} and not self.wanted.recreate:
            await self.held.change(phase="deleted")
            raise build_deleted_refusal(document.number)
        await self.held.forget()

    async def _prove_readable(self, document: SalesInvoice) -> None:
        """Look the first draft of a connection up: Business Central hides rows where a permission is missing.

        Raises:
            Blocked: the draft just made can't be seen, so the next look would miss it and make a second one.
        """
        if self.wanted.snapshot.proved:
            return
        found = await self.bc.find_invoices(self.wanted.mapped.external_document_number, kind=self._kind)
        if all(one.id != document.id for one in found):
            raise build_hidden_block(document.number)
        await self._note_readable()

    async def _note_readable(self) -> None:
        if not self.wanted.snapshot.proved:
            await self.directory.save_proved(self.held.connection)

    async def _create(self) -> SalesInvoice:
        """Request the draft. What Business Central refuses of it and is not essential is left out: a no is clear."""
        for _ in range(MOST_ROUNDS):
            try:
                return await self._request()
            except Refused as error:
                if not self._leave_out(error):
                    raise
        return await self._request()

    def _leave_out(self, refusal: Refused) -> bool:
        """Take what was refused out of what is wanted; False where that can't be, or the request has left a part."""
        mapped = self.wanted.mapped
        kept = list_kept(self.wanted.snapshot.settings.fields.invoice)
        smaller = leave_out(ENTITIES[self._kind], mapped.payload, refusal, kept=kept)
        if smaller is None or self.held.state.has_remains:
            return False
        self.wanted = replace(self.wanted, mapped=replace(mapped, payload=smaller.payload))
        self.notes.append(smaller.note)
        return True

    async def _request(self) -> SalesInvoice:
        await self._check_may_create()
        sent: list[datetime] = []
        began = self.clock.monotonic()

        async def before_send() -> None:
            await self.held.write_intent()
            sent.append(self.clock.now())

        try:
            answer = await self.bc.create_invoice(self.wanted.mapped.payload, kind=self._kind, before_send=before_send)
        except HubError as error:
            if sent:
                self._note_failure(error, sent[-1])
                await self._end_intent(error)
            raise
        self._note_answer(answer, sent[-1])
        took = timedelta(seconds=self.clock.monotonic() - began)
        document, etag = await self._recognise(answer.value, took)
        await self.held.change(phase="created", document=to_document(document, self._kind), etag=etag)
        return document

    async def _recognise(self, answer: SalesInvoice, took: timedelta) -> tuple[SalesInvoice, str | None]:
        """Return the draft that an answer speaks of, and its etag if nobody but our own request has touched it.

        An answer that shows all as it was asked for is believed. Any other may be stale, or another request's.

        Raises:
            InDoubt: it is not this request's answer. Our draft may have been made all the same.
        """
        mapped = self.wanted.mapped
        if reads_right(answer, mapped, self.wanted.customer.id):
            document, etag = answer, answer.etag
        else:
            fresh = await self.bc.fetch_invoice(answer.id, kind=self._kind, with_lines=True)
            if fresh is None and bears_number(answer, mapped.external_document_number):
                # Hidden: where that is not known of the connection yet, it comes out next.
                fresh = None if self.wanted.snapshot.proved else answer
            if fresh is None or not self._is_answer(fresh):
                raise await self._doubt_answer(answer)
            document, etag = fresh, fresh.etag if is_untouched(answer, fresh, mapped, took) else None
        if await self._owners.claim(document.id, self._owner) != self._owner:
            raise await self._doubt_answer(answer)
        return document, etag

    def _is_answer(self, fresh: SalesInvoice) -> bool:
        """Whether a document, read by the id that was answered, is what our request has made.

        It has our number. Or it has our lines and was made just now, and Business Central numbered it otherwise.
        """
        mapped, intent_at = self.wanted.mapped, self.held.state.intent_at
        if bears_number(fresh, mapped.external_document_number):
            return True
        is_new = fresh.last_modified is not None and intent_at is not None and not is_older_than(fresh, intent_at)
        return is_new and is_own_making(fresh, mapped, self.wanted.customer.id)

    async def _doubt_answer(self, answer: SalesInvoice) -> InDoubt:
        await self.held.change(strange_answer=answer.number[:_LONGEST_ANSWER])
        _, now = await self.held.ledger.load_life()
        return self._build_doubt({}, self.held.state.intent_at or now, now)

    async def _check_may_create(self) -> None:
        await self._check_no_doubt()
        if (answered := self.held.state.strange_answer) is not None:
            # Our draft may be there under another number. A second one is made only if a person asks.
            await self.held.forget()
            raise build_strange_answer(self.wanted.mapped.external_document_number, answered)
        life, now = await self.held.ledger.load_life()
        window = self.wanted.snapshot.settings.doubt_window
        if (gap := get_memory_gap(life, get_issue_time(self.wanted.invoice), window, now)) is not None:
            raise Queued(
                "The hub's memory is younger than this invoice; it makes sure that no earlier request is under way.",
                code="ledger.young",
                retry_after=gap,
            )

    async def _check_no_doubt(self) -> None:
        """Make sure that no earlier request of ours may still be under way.

        Raises:
            InDoubt: one may.
        """
        _, now = await self.held.ledger.load_life()
        sent = self.held.state.intent_at
        if sent is not None and is_in_doubt(sent, self.wanted.snapshot.settings.doubt_window, now):
            raise self._build_doubt({}, sent, now)

    async def _end_intent(self, error: HubError) -> None:
        """After a no there is at most a part of a draft. After no answer there may be one, and its slot stays taken."""
        if not isinstance(error, InDoubt):
            await self.held.forget(has_remains=True)
            if isinstance(error, Refused):
                await self._clear_remains()
            return
        await self.held.change(slot=error.context.get("limiter_slot"))
        _, now = await self.held.ledger.load_life()
        raise self._build_doubt(dict(error.context), self.held.state.intent_at or now, now) from error

    async def _clear_remains(self) -> None:
        """Leave nothing behind of a request that was refused."""
        try:
            await self._find_by_number()
            await self.held.forget()
        except HubError as error:
            # What was refused is told. Whoever comes next for this invoice looks first, and clears up then.
            get_logger().info("invoices.remains.unknown", invoice_id=self.held.invoice_id, code=error.code)

    def _build_doubt(self, context: dict[str, str], sent: datetime, now: datetime) -> InDoubt:
        window = self.wanted.snapshot.settings.doubt_window
        return InDoubt(
            "Business Central has not said yet whether it made the draft of invoice "
            f"{self.wanted.mapped.external_document_number}; the hub looks again before it does anything.",
            code="invoice.create.in_doubt",
            context=context,
            retry_after=get_look_interval(window, sent, now),
        )

    async def _keep_synced(self, document: SalesInvoice) -> BcDocument:
        """Synced before, and still there: nothing is changed, whatever has become of the draft since."""
        if (note := describe_change(document, self.wanted.mapped, await self._explain(document))) is not None:
            self.notes.append(note)
        if (kept := to_document(document, self._kind)) != self.held.state.document:
            await self.held.change(document=kept)
        return kept

    async def _explain(self, document: SalesInvoice) -> TotalNow:
        """Say why a synced document comes to what it does, and remember what it shows of posting."""
        mapped, company = self.wanted.mapped, self.wanted.snapshot.connection.company_key
        if needs_lines(document, mapped.total):
            document = await self.bc.fetch_invoice(document.id, kind=self._kind, with_lines=True) or document
        known = await self.learned.load_posting_precision(company, mapped.currency)
        before = self.held.state.document
        now = explain_total(document, mapped.total, mapped.currency, known, before.number if before else "")
        if now.precision not in {None, known}:
            await self.learned.save_posting_precision(company, mapped.currency, now.precision, document.posting_date)
        return now

    async def _complete(self, document: SalesInvoice, *, is_new: bool) -> BcDocument:
        """The equality gate: nothing is synced with another total, or for another customer."""
        mapped = self.wanted.mapped
        if self.held.state.phase in {"none", "intent"}:
            document = await self._take_over(document)
        if not document.lines and (not passes_gate(document, mapped) or has_other_tax(document, mapped)):
            document = await self.bc.fetch_invoice(document.id, kind=self._kind, with_lines=True) or document
        is_news = await self._learn(document)
        if not is_news or (passes_gate(document, mapped) and not has_other_tax(document, mapped)):
            document = await self._mend(document)
        if (fault := find_fault(document, mapped, self.wanted.customer, is_new=is_new)) is not None:
            raise await self._remove_wrong(document, fault, is_news=is_news)
        if mapped.dimensions and not is_posted(document):
            await self._set_dimensions(document)
        if (slot := self.held.state.slot) is not None:
            await self.bc.release_slot(slot)
        synced_at = self.held.state.synced_at
        if synced_at is None and self.held.state.intent_at is not None:
            # Not where somebody else's draft is taken over, or one of a life that the ledger has forgotten.
            synced_at = self.clock.now()
        kept = to_document(document, self._kind)
        await self.held.change(phase="synced", document=kept, synced_at=synced_at, slot=None, strange_answer=None)
        return kept

    async def _set_dimensions(self, document: SalesInvoice) -> None:
        left = await self.bc.set_dimensions(document.id, dict(self.wanted.mapped.dimensions), kind=self._kind)
        if left:
            self.notes.append(
                f"Business Central gave invoice {document.number} another value of {', '.join(left)} than was asked "
                "for; check its dimensions there."
            )

    async def _take_over(self, document: SalesInvoice) -> SalesInvoice:
        """Take a document that a look has found: our own request's, if it was in doubt, else a forgotten one.

        Our own is mended like one that was answered with: it is minutes old. Its etag is not kept, for a person may
        have seen it.
        """
        if await self._owners.claim(document.id, self._owner) != self._owner:
            raise build_taken_meanwhile(document.number)
        was_expected = self.held.state.phase == "intent"
        await self.held.change(phase="created", document=to_document(document, self._kind), etag=None)
        return await self._mend_own(document) if was_expected and is_left_draft(document) else document

    async def _mend(self, document: SalesInvoice) -> SalesInvoice:
        """Mend a draft that is as our own request left it."""
        if document.etag != self.held.state.etag:
            return document
        mended = await self._mend_own(document)
        if mended.etag != document.etag:
            await self.held.change(etag=mended.etag)
        return mended

    async def _mend_own(self, document: SalesInvoice) -> SalesInvoice:
        mended = await DraftMender(self.bc, self.clock, self.wanted.mapped, self.attempts).mend(document)
        what = f"{'Invoice' if self._kind == 'invoice' else 'Credit memo'} {mended.number}"
        if note := describe_differences(what, find_differences(mended, self.wanted.mapped)):
            self.notes.append(note)
        if lines := describe_lines(mended, self.wanted.mapped):
            shown = "; ".join(lines[:3]) + ("; …" if len(lines) > 3 else "")  # noqa: PLR2004 - enough to look at it
            self.notes.append(f"{what} is not quite as it was sent: {shown}. Check it in Business Central.")
        return mended

    async def _learn(self, document: SalesInvoice) -> bool:
        """Remember what the draft shows of Business Central's rules; True if it is news.

        Only from a draft as our own request left it: what people changed since shows what they did.
        """
        company, customer = self.wanted.snapshot.connection.company_key, self.wanted.customer
        if document.etag != self.held.state.etag:
            return False
        is_gross = document.prices_include_tax
        news = await self.learned.save_gross_prices(company, customer.id, gross=is_gross)
        facts = read_vat_facts(self.wanted.mapped, document) if has_amounts(document) else {}
        return await self.learned.save_vat(company, customer.tax_area, facts) or news

    async def _remove_wrong(self, document: SalesInvoice, fault: Fault, *, is_news: bool) -> HubError:
        """Delete a wrong draft, but only as our own request left it: what a person may have touched is kept."""
        etag = self.held.state.etag
        # What has just shown a rule of Business Central's is made anew by it.
        wish = "delete" if is_news else self.wanted.snapshot.settings.invoices.wrong_draft
        wanted = choose_ending(document, wish, etag)
        if wanted != "deleted" or etag is None:
            return build_refusal(fault, document, wanted)
        ending = await self._delete(document, etag)
        if ending != "changed":
            await self.held.forget()
        if is_news and ending == "deleted":
            return build_learned(self.wanted.mapped.external_document_number)
        return build_refusal(fault, document, ending)

    async def _delete(self, document: SalesInvoice, etag: str) -> Literal["deleted", "changed", "gone"]:
        sent = self.clock.now()
        ending = await self.bc.delete_invoice(document.id, etag=etag, kind=self._kind)
        request = f"DELETE {ENTITIES[self._kind]}({document.id})"
        self.attempts.append(Attempt(at=sent, request=request, answer={"ending": ending}))
        return ending

    def _note_answer(self, answer: Answer[SalesInvoice], sent: datetime) -> None:
        body = {key: _shorten(value) for key, value in answer.body.items() if not key.endswith("Lines")}
        self._note(sent, body, status=answer.status, request_id=answer.request_id)

    def _note_failure(self, error: HubError, sent: datetime) -> None:
        status = error.context.get("status", "")
        body = {"code": error.code, "message": error.message, **error.context}
        number = int(status) if status.isdecimal() else None
        self._note(sent, body, status=number, request_id=error.context.get("request_id"))

    def _note(self, sent: datetime, body: dict[str, Any], *, status: int | None, request_id: str | None) -> None:
        payload = self.wanted.mapped.payload
        self.attempts.append(
            Attempt(
                at=sent,
                request=f"POST {ENTITIES[self._kind]}",
                payload=payload,
                status=status,
                answer=body,
                request_id=request_id,
            )
        )


def _shorten(value: Any) -> Any:
    """Keep what is told of an answer short."""
    return f"{value[:_LONGEST_ANSWER]}…" if isinstance(value, str) and len(value) > _LONGEST_ANSWER else value
