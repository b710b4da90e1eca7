"""What is past comes to the head topic through the waiting set: behind live traffic, at the pace of its connection."""

from dataclasses import dataclass
from datetime import datetime

from hub.stage.ports import Parked
from hub.waiting import RedisWaitingSet
from schemas.ids import ConnectionId
from schemas.messages import Cause, StripeEventReceived


@dataclass(frozen=True)
class Look:
    """Why an invoice is to be looked at, though no event says so."""

    cause: Cause
    event_type: str
    asked_at: datetime
    reason: str
    """For whoever reads what waits."""


@dataclass(frozen=True)
class History:
    """Has invoices looked at."""

    waiting: RedisWaitingSet

    async def bring(self, connection: ConnectionId, invoice_id: str, look: Look, due: datetime) -> None:
        """Let an invoice come to the head topic when its turn is; of what is due, the earliest comes first.

        Raises:
            RetrySoon: the ledger did not take it.
        """
        message = StripeEventReceived(
            connection=connection,
            cause=look.cause,
            object_id=invoice_id,
            event_type=look.event_type,
            occurred_at=look.asked_at,
            history=True,
        )
        parked = Parked(
            message=message,
            due=due,
            code="history.queued",
            reason=look.reason,
            stage="ingest",
            counts_as_attempt=False,
        )
        await self.waiting.park(parked)
