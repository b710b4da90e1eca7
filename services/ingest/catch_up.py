"""Catch-up: read the Events API, so that the hub needs no public address and an outage loses nothing (up to 30 days).

One replica per connection reads, by lease. Each look begins some minutes before the newest event seen, for events
become visible slightly out of order; what was published already is remembered for as long.
"""

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.stripe.client import StripeApi

from hub.clients import Clients
from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.lease import try_role
from hub.ledger import Ledger
from hub.log import get_logger
from hub.redis import cursor_key, role_lease_key, run, seen_events_key
from hub.stage.ports import Gate, Publisher
from hub.trace import begin_trace
from schemas.errors import Blocked, HubError
from schemas.messages import StripeEventReceived
from schemas.stripe_objects import Event
from services.ingest.decide import CAUGHT_UP, decide_event, is_settled
from services.ingest.webhooks import publish_event

_OVERLAP = timedelta(minutes=5)
# Stripe keeps events for 30 days; an hour less, so that a look never begins beyond the edge.
_LONGEST_LOOK_BACK = timedelta(days=30) - timedelta(hours=1)
_TOUCHES = frozenset({"stripe"})


@dataclass
class CatchUp:
    """Reads what webhooks may have missed, for every connection."""

    directory: Directory
    ledger: Ledger
    clients: Clients
    publisher: Publisher
    gate: Gate
    redis: Any
    clock: Clock
    interval: timedelta
    _token: str = field(default_factory=lambda: secrets.token_hex(16))

    async def run(self) -> None:
        """Look at each connection in turn, for ever."""
        while True:
            for connection in await self.directory.list_ids():
                await self._look_safely(connection)
            await asyncio.sleep(self.interval.total_seconds())

    async def _look_safely(self, connection: str) -> None:
        """One connection's trouble is not the others'."""
        try:
            life = max(self.interval * 3, timedelta(seconds=30))
            if not await try_role(self.redis, role_lease_key(connection, "catch-up"), self._token, life):
                return
            if await self.gate.enter(connection, _TOUCHES) is not None:
                return
            await self.look(await self.directory.get(connection))
            await self.gate.passed(connection, _TOUCHES)
        except Blocked as error:
            await self.gate.block(connection, error)
            get_logger().error("ingest.catch_up.blocked", connection=connection, code=error.code, why=error.message)
        except HubError as error:
            get_logger().warning("ingest.catch_up.retried", connection=connection, code=error.code, why=error.message)

    async def look(self, snapshot: Snapshot) -> int:
        """Publish what is new for one connection; returns how much that was."""
        connection = snapshot.connection.id
        since = await self._load_cursor(snapshot)
        stripe: StripeApi = self.clients.stripe(snapshot)
        published = 0
        newest = since
        async for event in stripe.list_events(
            types=CAUGHT_UP, after=None, created_gte=int((since - _OVERLAP).timestamp())
        ):
            newest = max(newest, datetime.fromtimestamp(event.created, tz=UTC))
            published += await self._take(snapshot, event)
        await run(self.redis.set(cursor_key(connection), int(newest.timestamp())))
        await run(self.redis.zremrangebyscore(seen_events_key(connection), "-inf", (newest - 2 * _OVERLAP).timestamp()))
        return published

    async def _load_cursor(self, snapshot: Snapshot) -> datetime:
        """Where the last look ended; without one, at the connection's beginning, or as far back as Stripe remembers."""
        oldest = self.clock.now() - _LONGEST_LOOK_BACK
        stored = await run(self.redis.get(cursor_key(snapshot.connection.id)))
        begin = datetime.fromtimestamp(int(stored), tz=UTC) if stored else snapshot.connection.go_live
        return max(begin, oldest)

    async def _take(self, snapshot: Snapshot, event: Event) -> int:
        connection = snapshot.connection.id
        if await run(self.redis.zscore(seen_events_key(connection), event.id)) is not None:
            return 0
        message = decide_event(event, snapshot, "catch_up", self.clock.now())
        taken = 0
        if isinstance(message, StripeEventReceived) and not await self._is_settled(message, event):
            begin_trace()
            await publish_event(self.ledger, self.publisher, message, event)
            taken = 1
        await run(self.redis.zadd(seen_events_key(connection), {event.id: event.created}))
        return taken

    async def _is_settled(self, message: StripeEventReceived, event: Event) -> bool:
        return is_settled(event, await self.ledger.load_invoice(message.connection, message.object_id))
