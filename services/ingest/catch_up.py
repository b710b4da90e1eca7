"""Catch-up: read the Events API, so that the hub needs no public address and an outage loses nothing (up to 30 days).

One replica per connection reads, by lease. Each look begins some minutes before the newest event seen, for events
become visible slightly out of order; the replica remembers what it has dealt with for as long. Another that takes over
may publish some of it again, which changes nothing.
"""

import asyncio
import contextlib
import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.stripe.client import StripeApi
from hub.clients import Clients
from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.ending import end_all
from hub.lease import try_role
from hub.ledger import Ledger
from hub.log import get_logger
from hub.redis import cursor_key, role_lease_key, run
from hub.stage.ports import Closed, Gate, Publisher
from hub.trace import begin_trace
from schemas.errors import Blocked, HubError
from schemas.messages import StripeEventReceived
from schemas.stripe_objects import Event
from services.ingest.decide import decide_event, is_settled, list_event_types
from services.ingest.webhooks import publish_event

_OVERLAP = timedelta(minutes=2)
# Stripe keeps events for 30 days; an hour less, so that a look never begins beyond the edge.
_LONGEST_LOOK_BACK = timedelta(days=30) - timedelta(hours=1)
# A long history that is interrupted goes on near where it was.
_SAVED_EVERY = 100
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
    _seen: defaultdict[str, dict[str, int]] = field(default_factory=lambda: defaultdict[str, dict[str, int]](dict))
    """Per connection: ids of the events dealt with, and when they were created."""

    async def run(self) -> None:
        """Look at all connections again and again, each at its own pace: a long history holds up nobody else."""
        looks: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                for connection in await self._list_safely():
                    if connection not in looks or looks[connection].done():
                        looks[connection] = asyncio.create_task(self._look_safely(connection))
                await asyncio.sleep(self.interval.total_seconds())
        finally:
            await end_all(looks.values())

    async def _list_safely(self) -> Sequence[str]:
        try:
            found = await self.directory.list_ids()
        except HubError as error:
            get_logger().warning("ingest.catch_up.retried", code=error.code, why=error.message)
            return ()
        for removed in set(self._seen).difference(found):
            del self._seen[removed]
        return found

    async def _look_safely(self, connection: str) -> None:
        """One connection's trouble is not the others'."""
        try:
            await self._look_if_ours(connection)
        except Blocked as error:
            await self._block(connection, error)
        except HubError as error:
            get_logger().warning("ingest.catch_up.retried", connection=connection, code=error.code, why=error.message)
        except Exception as error:  # noqa: BLE001 - a defect that one connection's data bring out must not end the loop
            get_logger().error("ingest.catch_up.failed", connection=connection, exc_info=error)

    async def _look_if_ours(self, connection: str) -> None:
        life = max(self.interval * 3, timedelta(seconds=30))
        if not await try_role(self.redis, role_lease_key(connection, "catch-up"), self._token, life):
            return
        if isinstance(admission := await self.gate.enter(connection, _TOUCHES), Closed):
            return
        await self.look(await self.directory.get(connection))
        await self.gate.passed(admission)

    async def _block(self, connection: str, error: Blocked) -> None:
        get_logger().error("ingest.catch_up.blocked", connection=connection, code=error.code, why=error.message)
        with contextlib.suppress(HubError):
            await self.gate.block(connection, error)

    async def look(self, snapshot: Snapshot) -> int:
        """Publish what is new for one connection, oldest first; returns how much that was."""
        since = await self._load_cursor(snapshot)
        stripe: StripeApi = self.clients.stripe(snapshot)
        begin = int((since - _OVERLAP).timestamp())
        published, unsaved, newest = 0, 0, since
        async for event in stripe.list_events(types=list_event_types(snapshot.settings), created_gte=begin):
            published += await self._take(snapshot, event)
            newest = max(newest, datetime.fromtimestamp(event.created, tz=UTC))
            if (unsaved := unsaved + 1) >= _SAVED_EVERY:
                await self._save_cursor(snapshot.connection.id, newest)
                unsaved = 0
        await self._save_cursor(snapshot.connection.id, newest)
        return published

    async def _save_cursor(self, connection: str, newest: datetime) -> None:
        await run(self.redis.set(cursor_key(connection), int(newest.timestamp())))
        oldest = (newest - 2 * _OVERLAP).timestamp()
        kept = {event: created for event, created in self._seen[connection].items() if created >= oldest}
        self._seen[connection] = kept

    async def _load_cursor(self, snapshot: Snapshot) -> datetime:
        """Where the last look ended; without one, at the connection's beginning, or as far back as Stripe remembers."""
        oldest = self.clock.now() - _LONGEST_LOOK_BACK
        stored = await run(self.redis.get(cursor_key(snapshot.connection.id)))
        begin = datetime.fromtimestamp(int(stored), tz=UTC) if stored else snapshot.connection.go_live
        return max(begin, oldest)

    async def _take(self, snapshot: Snapshot, event: Event) -> int:
        seen = self._seen[snapshot.connection.id]
        if event.id in seen:
            return 0
        message = decide_event(event, snapshot, "catch_up", self.clock.now())
        taken = 0
        if isinstance(message, StripeEventReceived) and not await self._is_settled(message, event):
            begin_trace()
            await publish_event(self.ledger, self.publisher, message, event)
            taken = 1
        seen[event.id] = event.created
        return taken

    async def _is_settled(self, message: StripeEventReceived, event: Event) -> bool:
        return is_settled(event, await self.ledger.load_invoice(message.connection, message.object_id))
