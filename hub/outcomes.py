"""Outcomes: recorded in the ledger first, then told on `invoices.results`; the same for every stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.clock import Clock
from hub.ledger import InvoiceOutcome, InvoiceRecord, Ledger
from hub.metrics import OUTCOMES
from hub.stage.ports import Failure, Outgoing
from hub.usage import LIMIT_REACHED
from mapping.eligibility import DELETED, Closed, LeftAlone, NotYet
from schemas.ids import ConnectionId, build_message_key
from schemas.messages import Attempt, BcDocument, ErrorDetail, InvoiceResult, StageName, Wakeup
from schemas.topics import INVOICES_RESULTS

# Told by ingest when a person asks for a replay, before it begins; the replay's own result follows.
REPLAY_REQUESTED = "replay.requested"
# A second document of one invoice is left, which a person has to judge.
DOUBLED = "invoice.doubled"


@dataclass(frozen=True)
class Told:
    """What a result says beyond its outcome."""

    attempts: Sequence[Attempt] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Outcomes:
    """Records and tells outcomes for one stage."""

    ledger: Ledger
    clock: Clock
    stage: StageName

    async def conclude(
        self,
        connection: ConnectionId,
        received: Wakeup,
        outcome: InvoiceOutcome,
        told: Told | None = None,
        *,
        over_synced: bool = False,
    ) -> list[Outgoing]:
        """Record the outcome and build the result that tells it.

        A late failure does not replace a success: then what the ledger holds is told again, for whoever asked.
        """
        if not await self.ledger.record_outcome(connection, received, outcome, over_synced=over_synced):
            return await self.repeat(connection, received)
        OUTCOMES.labels(outcome.outcome).inc()
        return [self.tell(connection, received, outcome, told)]

    async def repeat(self, connection: ConnectionId, received: Wakeup) -> list[Outgoing]:
        """Tell again what the ledger holds, if anything."""
        outcome = (await self.ledger.load_invoice(connection, received.object_id)).outcome
        return [] if outcome is None else [self.tell(connection, received, outcome)]

    async def conclude_skipped(
        self, connection: ConnectionId, received: Wakeup, why: NotYet | LeftAlone
    ) -> list[Outgoing]:
        """Conclude an invoice that is not synced, which is no failure.

        Except where it had failed before, and only the plan keeps it from being tried again: it stays failed.
        """
        outcome = InvoiceOutcome(outcome="skipped", reason=why.reason, code=why.code, decided_at=self.clock.now())
        if why.code == LIMIT_REACHED and await self._has_failed(connection, received.object_id):
            error = ErrorDetail(kind="refused", code=why.code, message=why.reason)
            outcome = outcome.model_copy(update={"outcome": "failed", "error": error})
        return await self.conclude(connection, received, outcome)

    async def _has_failed(self, connection: ConnectionId, invoice_id: str) -> bool:
        before = (await self.ledger.load_invoice(connection, invoice_id)).outcome
        return before is not None and before.outcome == "failed"

    async def conclude_closed(
        self, connection: ConnectionId, received: Wakeup, closed: Closed, told: BcDocument | None = None
    ) -> list[Outgoing]:
        """Conclude an invoice that does not stand any more in Stripe: skipped; with a draft, a person must look.

        `told` is the draft that its metadata name, which a lost ledger does not know any more.
        """
        await self.ledger.record_closed(connection, received.object_id, self.clock.now())
        record = await self.ledger.load_invoice(connection, received.object_id)
        outcome = decide_closed(record, closed, self.clock.now(), told)
        return await self.conclude(connection, received, outcome, over_synced=True)

    def tell(
        self, connection: ConnectionId, received: Wakeup, outcome: InvoiceOutcome, told: Told | None = None
    ) -> Outgoing:
        """Build the result of an outcome that the ledger holds already."""
        more = told or Told()
        result = InvoiceResult(
            connection=connection,
            invoice_id=received.object_id,
            outcome=outcome.outcome,
            stage=self.stage,
            received=received,
            document=outcome.document,
            error=outcome.error,
            reason=outcome.reason,
            code=outcome.code,
            attempts=tuple(more.attempts),
            notes=tuple(more.notes),
            dry_run=outcome.dry_run,
            settings_version=outcome.settings_version,
            retry_at=outcome.retry_at,
            decided_at=outcome.decided_at,
        )
        return Outgoing(INVOICES_RESULTS, build_message_key(connection, received.object_id), result)

    async def report(self, connection: ConnectionId, received: Wakeup, failure: Failure) -> list[Outgoing]:
        """Conclude a failure: failed when it is final, pending when the message waits."""
        outcome = InvoiceOutcome(
            outcome="failed" if failure.retry_at is None else "pending",
            error=failure.detail,
            reason=failure.detail.text,
            code=failure.detail.code,
            retry_at=failure.retry_at,
            decided_at=self.clock.now(),
        )
        return await self.conclude(connection, received, outcome, Told(attempts=failure.detail.attempts))


def call_for_loss(document: BcDocument, now: datetime) -> InvoiceOutcome:
    """Say what a person has to do about an invoice that was issued, and written off in Stripe."""
    reason = (
        "The invoice was marked uncollectible in Stripe. It was issued, so its draft "
        f"{document.number} in Business Central stands: post it, and enter the loss of the receivable there."
    )
    return InvoiceOutcome(
        outcome="attention", document=document, reason=reason, code="invoice.uncollectible", decided_at=now
    )


def decide_closed(
    record: InvoiceRecord, closed: Closed, now: datetime, told: BcDocument | None = None
) -> InvoiceOutcome:
    """Say what a closed invoice comes to, by what the ledger knows of its draft, or else the invoice's metadata."""
    state = record.state
    document = state.document if state.phase != "deleted" else None
    if state.phase == "none" and told is not None:
        document = told
        words = (
            f"Its metadata name the draft {told.number} in Business Central, which was not changed. If that is of this "
            "invoice, delete or credit it there."
        )
    elif document is not None:
        words = f"Its draft {document.number} in Business Central was not changed: delete or credit it there."
    elif state.phase == "intent":
        words = (
            "A draft had been asked for, and Business Central has not said whether it made one: look for it there by "
            "the invoice's number, and delete it."
        )
    elif closed == DELETED and record.outcome is not None and record.outcome.outcome != "skipped":
        words = (
            "It had been finalized, and Stripe deletes only drafts: check that the connection's key is of the account "
            "that the invoice is of. If test data were deleted, there is nothing to do."
        )
    else:
        return InvoiceOutcome(outcome="skipped", reason=closed.reason, code=closed.code, decided_at=now)
    return InvoiceOutcome(
        outcome="attention",
        document=document,
        reason=f"{closed.reason} {words}",
        code=closed.code,
        decided_at=now,
    )
