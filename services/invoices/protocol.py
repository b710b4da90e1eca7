"""One draft, never two: Business Central has no idempotency keys, so an invoice moves through states in the ledger.

    none -> intent -> created -> synced

Every step may be done twice: each begins by reading the ledger and, where the ledger can't know, by looking into
Business Central. The state is written under the invoice's lease, `intent` right before the request goes out. An
answer that says nothing leaves the invoice in doubt: it is looked for at growing intervals, and created again only
after the doubt window.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.business_central.models import Answer, SalesInvoice
from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.doubt import get_look_interval, get_memory_gap, is_in_doubt
from hub.lease import Lease
from hub.ledger import InvoiceState, Ledger
from mapping.eligibility import get_issue_time
from mapping.sales_invoices import MappedInvoice
from schemas.errors import HubError, InDoubt, Refused, RetryLater
from schemas.ids import ConnectionId
from schemas.messages import Attempt, BcDocument
from schemas.stripe_objects import Invoice
from services.invoices.decide import (
    build_deleted_refusal,
    build_gate_refusal,
    build_hidden_block,
    decide_found,
    is_ours,
    is_posted,
    passes_gate,
    to_document,
)
from services.invoices.ports import BcInvoices


@dataclass
class DraftProtocol:
    """Takes one invoice to *synced*, under its lease. Made anew for each message."""

    snapshot: Snapshot
    invoice: Invoice
    mapped: MappedInvoice
    customer_id: str
    recreate: bool
    bc: BcInvoices
    ledger: Ledger
    directory: Directory
    clock: Clock
    lease: Lease
    state: InvoiceState
    attempts: list[Attempt] = field(default_factory=list[Attempt])

    async def run(self) -> BcDocument:
        """Return the draft, whose total equals Stripe's.

        Raises:
            Refused: the total differs, the number is taken, the draft was deleted, or Business Central refuses it.
            InDoubt: a draft may have been created.
        """
        document = await self._look()
        if document is None:
            document = await self._create()
        return await self._complete(document)

    async def _look(self) -> SalesInvoice | None:
        """By id where ledger or metadata know one, else by our external document number."""
        if (document := self.state.document) is not None:
            if (found := await self.bc.fetch_invoice(document.id)) is not None:
                return found
            await self._forget_deleted(document)
        elif (told := self.invoice.metadata.get(f"{self.snapshot.settings.metadata_prefix}invoice_id")) is not None:
            # The ledger was lost, or another hub made this one: what Stripe remembers is taken only if it is ours.
            found = await self.bc.fetch_invoice(told)
            if found is not None and is_ours(found, self.mapped, self.customer_id):
                return found
        candidates = await self.bc.find_invoices(self.mapped.external_document_number)
        return decide_found(candidates, self.mapped, self.customer_id, is_expected=self.state.phase == "intent")

    async def _prove_readable(self, document: SalesInvoice) -> None:
        """Look the first draft of a connection up: Business Central hides rows where a permission is missing.

        Raises:
            Blocked: the draft just made can't be seen, so the next look would miss it and make a second one.
        """
        if self.snapshot.proved:
            return
        found = await self.bc.find_invoices(self.mapped.external_document_number)
        if all(one.id != document.id for one in found):
            raise build_hidden_block(document.number)
        await self.directory.save_proved(self._connection)

    async def _forget_deleted(self, document: BcDocument) -> None:
        """A draft that the ledger knows is gone: a person deleted it, and only a person may ask for another."""
        if not self.snapshot.proved:
            raise build_hidden_block(document.number)
        if not self.recreate:
            raise build_deleted_refusal(document.number)
        await self._save(InvoiceState(synced_at=self.state.synced_at))

    async def _create(self) -> SalesInvoice:
        await self._check_may_create()

        async def before_send() -> None:
            await self.lease.renew()
            await self._save(InvoiceState(phase="intent", intent_at=self.clock.now(), synced_at=self.state.synced_at))

        try:
            answer = await self.bc.create_invoice(self.mapped.payload, before_send=before_send)
        except InDoubt as error:
            await self._keep_doubt(error)
            raise
        except HubError as error:
            # Business Central said no, or nothing was sent: there is no draft, and nothing to doubt.
            self._note_attempt(None, error)
            if self.state.phase == "intent":
                await self._save(InvoiceState(synced_at=self.state.synced_at))
            raise
        self._note_attempt(answer, None)
        await self._save_created(answer.value, etag=answer.value.etag)
        await self._prove_readable(answer.value)
        return answer.value

    async def _check_may_create(self) -> None:
        now, window = self.clock.now(), self.snapshot.settings.doubt_window
        sent = self.state.intent_at
        if sent is not None and is_in_doubt(sent, window, now):
            looks = self.state.looks + 1
            await self._save(self.state.model_copy(update={"looks": looks}))
            raise self._build_doubt({}, sent, looks, now)
        life = await self.ledger.load_incarnation()
        if (gap := get_memory_gap(life, get_issue_time(self.invoice), window, now)) is not None:
            raise RetryLater(
                "The hub's memory is younger than this invoice; it makes sure that no earlier request is under way.",
                code="ledger.young",
                retry_after=gap,
            )

    async def _keep_doubt(self, error: InDoubt) -> None:
        """Remember the limiter's slot that stays taken, and come back soon."""
        self._note_attempt(None, error)
        slot = error.context.get("limiter_slot")
        await self._save(self.state.model_copy(update={"slot": slot}))
        now = self.clock.now()
        raise self._build_doubt(dict(error.context), self.state.intent_at or now, 0, now) from error

    def _build_doubt(self, context: dict[str, str], sent: datetime, looks: int, now: datetime) -> InDoubt:
        return InDoubt(
            "Business Central has not said yet whether it made the draft of invoice "
            f"{self.mapped.external_document_number}; "
            "the hub looks again before it does anything.",
            code="invoice.create.in_doubt",
            context=context,
            retry_after=get_look_interval(self.snapshot.settings.doubt_window, looks, sent, now),
        )

    async def _complete(self, document: SalesInvoice) -> BcDocument:
        """The equality gate: nothing is synced with another total."""
        if self.state.phase in {"none", "intent"}:
            await self._save_created(document, etag=None)
        if not passes_gate(document, self.mapped):
            raise await self._remove_wrong(document)
        await self._release_slot()
        kept = to_document(document)
        await self._save(
            self.state.model_copy(
                update={
                    "phase": "synced",
                    "document": kept,
                    "synced_at": self.state.synced_at or self.clock.now(),
                    "slot": None,
                }
            )
        )
        return kept

    async def _remove_wrong(self, document: SalesInvoice) -> Refused:
        """Delete a wrong draft, but only as our own POST left it: what a person touched since is kept."""
        if self.state.etag is None or is_posted(document):
            return build_gate_refusal(document, self.mapped, "changed")
        ending = await self.bc.delete_invoice(document.id, etag=self.state.etag)
        if ending != "changed":
            await self._save(InvoiceState(synced_at=self.state.synced_at))
        return build_gate_refusal(document, self.mapped, ending)

    async def _release_slot(self) -> None:
        if self.state.slot is not None:
            await self.bc.release_slot(self.state.slot)

    async def _save_created(self, document: SalesInvoice, *, etag: str | None) -> None:
        await self._save(
            self.state.model_copy(
                update={
                    "phase": "created",
                    "document": to_document(document),
                    "etag": etag,
                    "customer_id": document.customer_id,
                }
            )
        )

    async def _save(self, state: InvoiceState) -> None:
        await self.ledger.save_state(self.lease, self._connection, self.invoice.id, state)
        self.state = state

    @property
    def _connection(self) -> ConnectionId:
        return self.snapshot.connection.id

    def _note_attempt(self, answer: Answer[SalesInvoice] | None, error: HubError | None) -> None:
        body: dict[str, Any] | None = None
        if answer is not None:
            body = {key: value for key, value in answer.body.items() if key != "salesInvoiceLines"}
        elif error is not None:
            body = {"code": error.code, "message": error.message}
        context = error.context if error is not None else {}
        self.attempts.append(
            Attempt(
                at=self.clock.now(),
                request="POST salesInvoices",
                payload=self.mapped.payload,
                status=answer.status if answer is not None else None,
                answer=body,
                request_id=answer.request_id if answer is not None else context.get("request_id"),
            )
        )
