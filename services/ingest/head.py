"""The way to the head topic for what comes from Stripe; replays take turns, so that nothing can go round in circles."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from hub.clock import Clock
from hub.ledger import InvoiceOutcome, Ledger
from hub.log import get_logger
from hub.outcomes import REPLAY_REQUESTED, Outcomes
from hub.redis import replays_key, run
from hub.stage.ports import Outgoing, Parked, Publisher
from schemas.ids import build_message_key
from schemas.messages import EVENT_BODY, StripeEventReceived
from schemas.stripe_objects import Event
from schemas.topics import STRIPE_EVENTS
from services.ingest.decide import REPLAYS_PER_HOUR, decide_turn

_CAPPED = "replay.capped"
# Stripe repeats a webhook for three days; so long a request is known to have had its turn.
_REMEMBERED = timedelta(days=3)


class Waiting(Protocol):
    """Keeps what comes later."""

    async def park(self, parked: Parked) -> None:
        """Keep a message until it is due."""
        ...


@dataclass(frozen=True)
class Turns:
    """Which requests for a replay of an invoice had their turn, and when."""

    redis: Any

    async def load(self, connection: str, invoice_id: str) -> Mapping[str, datetime]:
        """Load event ids and when they had, or will have, their turn."""
        found = await run(self.redis.zrange(replays_key(connection, invoice_id), 0, -1, withscores=True))
        return {event: datetime.fromtimestamp(at, tz=UTC) for event, at in found}

    async def note(self, connection: str, invoice_id: str, event_id: str, at: datetime) -> None:
        """Remember that a request had its turn, or will have it at a time."""
        key = replays_key(connection, invoice_id)
        await run(self.redis.zadd(key, {event_id: at.timestamp()}))
        await run(self.redis.zremrangebyscore(key, "-inf", (at - _REMEMBERED).timestamp()))
        await run(self.redis.expire(key, _REMEMBERED))


@dataclass(frozen=True)
class Head:
    """Publishes what Stripe's events ask for: at once, or when its turn has come."""

    ledger: Ledger
    publisher: Publisher
    waiting: Waiting
    turns: Turns
    clock: Clock

    async def publish(self, message: StripeEventReceived, event: Event, body: bytes | None = None) -> None:
        """Publish to the head, with the body where there is one; *sent* is recorded first, for only the event tells it.

        Raises:
            RetrySoon: ledger or broker did not take it.
        """
        if event.type == "invoice.sent":
            await self.ledger.record_sent(message.connection, message.object_id, message.occurred_at)
        if message.cause == "replay":
            await self._replay(message, event.id, body)
        else:
            await self._publish(message, body)

    async def _publish(self, message: StripeEventReceived, body: bytes | None) -> None:
        key = build_message_key(message.connection, message.object_id)
        headers = ((EVENT_BODY, body),) if body is not None else ()
        await self.publisher.publish(Outgoing(STRIPE_EVENTS, key, message, headers))

    async def _replay(self, message: StripeEventReceived, event_id: str, body: bytes | None) -> None:
        """Say that it is under way, then let it begin, then count it: a crash in between repeats what is harmless.

        Said first, for it must not replace the replay's end.
        """
        now = self.clock.now()
        taken = await self.turns.load(message.connection, message.object_id)
        turn = decide_turn(taken, event_id, now)
        if turn is None:
            return
        if turn <= now:
            await self._tell(message, "The replay is under way.", code=REPLAY_REQUESTED)
            await self._publish(message, body)
        else:
            await self._put_off(message, turn)
        if max(taken.values(), default=now) <= now:
            await self.turns.note(message.connection, message.object_id, event_id, turn)

    async def _put_off(self, message: StripeEventReceived, turn: datetime) -> None:
        reason = (
            f"The invoice was replayed {REPLAYS_PER_HOUR} times within an hour. The hub replays it again at "
            f"{turn:%H:%M} UTC. If nobody asked so often, stop the automation that does."
        )
        get_logger().warning("ingest.replay.put_off", object_id=message.object_id, due=turn.isoformat())
        await self._tell(message, reason, code=_CAPPED, retry_at=turn)
        await self.waiting.park(Parked(message, turn, _CAPPED, reason, "ingest", counts_as_attempt=False))

    async def _tell(
        self, message: StripeEventReceived, reason: str, *, code: str, retry_at: datetime | None = None
    ) -> None:
        """Tell that the invoice is pending; one that is synced stays so, and is told again at the replay's end."""
        outcome = InvoiceOutcome(
            outcome="pending", reason=reason, code=code, retry_at=retry_at, decided_at=self.clock.now()
        )
        wakeup = message.build_wakeup()
        if await self.ledger.record_outcome(message.connection, wakeup, outcome):
            told = Outcomes(self.ledger, self.clock, "ingest").tell(message.connection, wakeup, outcome)
            await self.publisher.publish(told)
