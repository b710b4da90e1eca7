"""Outcomes: recorded in the ledger first, then told on `invoices.results`; the same for every stage."""

from collections.abc import Sequence
from dataclasses import dataclass

from hub.clock import Clock
from hub.ledger import InvoiceOutcome, Ledger
from hub.metrics import OUTCOMES
from hub.stage.ports import Failure, Outgoing
from schemas.ids import ConnectionId, build_message_key
from schemas.messages import Attempt, InvoiceResult, StageName, Wakeup
from schemas.topics import INVOICES_RESULTS


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
        """Record the outcome and build the result that tells it. A late failure does not replace a success."""
        if not await self.ledger.record_outcome(connection, received.object_id, outcome, over_synced=over_synced):
            return []
        OUTCOMES.labels(outcome.outcome).inc()
        return [self.tell(connection, received, outcome, told)]

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
            retry_at=failure.retry_at,
            decided_at=self.clock.now(),
        )
        return await self.conclude(connection, received, outcome)
