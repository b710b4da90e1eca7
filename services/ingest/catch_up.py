"""Catch-up: read the Events API, so that the hub needs no public address and an outage loses nothing (up to 30 days).

One replica per connection reads, by lease. Each look begins some minutes before the newest event seen, for events
become visible slightly out of order; the replica remembers what it has dealt with for as long. Another that takes over
may publish some of it again, which changes nothing.
"""

import asyncio
import contextlib
import secrets
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
from hub.stage.ports import Closed, Gate
from hub.trace import begin_trace
from schemas.errors import Blocked, HubError
from schemas.messages import StripeEventReceived
from schemas.stripe_objects import Event
from services.ingest.decide import decide_event, is_settled, list_event_types
from services.ingest.head import Head

_OVERLAP = timedelta(minutes=2)
# Stripe keeps events for 30 days; an hour less, so that a look never begins beyond the edge.
_LONGEST_LOOK_BACK = timedelta(days=30) - timedelta(hours=1)
# A long history that is interrupted goes on near where it was.
_SAVED_EVERY = 100
_TOUCHES = frozenset({"stripe"})


@dataclass
class _Seen:
    """The events of one connection that were dealt with, for one ledger: another one may have to hear of them again."""

    life: str
    events: dict[str, int] = field(default_factory=dict[str, int])
    """Ids, and when they were created."""

    def forget(self, before: float) -> None:
        """Drop what no look comes back to."""
        self.events = {event: created for event, created in self.events.items() if created >= before}


@dataclass
class CatchUp:
    """Reads what webhooks may have missed, for every connection."""

    directory: Directory
    ledger: Ledger
    clients: Clients
    head: Head
    gate: Gate
    redis: Any
    clock: Clock
    interval: timedelta
    _token: str = field(default_factory=lambda: secrets.token_hex(16))
    _seen: dict[str, _Seen] = field(default_factory=dict[str, _Seen])

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
        seen = self._recall(snapshot.connection.id, (await self.ledger.load_incarnation()).id)
        since = await self._load_cursor(snapshot, seen)
        stripe: StripeApi = self.clients.stripe(snapshot)
        begin = int((since - _OVERLAP).timestamp())
        published, unsaved, newest = 0, 0, since
        async for event in stripe.list_events(types=list_event_types(snapshot.settings), created_gte=begin):
            published += await self._take(snapshot, event, seen)
            newest = max(newest, datetime.fromtimestamp(event.created, tz=UTC))
            if (unsaved := unsaved + 1) >= _SAVED_EVERY:
                await self._save_cursor(snapshot.connection.id, seen, newest)
                unsaved = 0
        await self._save_cursor(snapshot.connection.id, seen, newest)
        return published

    def _recall(self, connection: str, life: str) -> _Seen:
        """Return what was seen for this ledger: nothing, if the last one was lost with all that waited in it."""
        if connection not in self._seen or self._seen[connection].life != life:
            self._seen[connection] = _Seen(life)
        return self._seen[connection]

    async def _save_cursor(self, connection: str, seen: _Seen, newest: datetime) -> None:
        """Save how far the look has come, and for which ledger: one that was lost meanwhile knows nothing of it."""
        await run(self.redis.set(cursor_key(connection), f"{int(newest.timestamp())} {seen.life}"))
        seen.forget((newest - 2 * _OVERLAP).timestamp())

    async def _load_cursor(self, snapshot: Snapshot, seen: _Seen) -> datetime:
        """Where the last look ended; without one, at the connection's beginning, or as far back as Stripe remembers."""
        oldest = self.clock.now() - _LONGEST_LOOK_BACK
        stored: str = await run(self.redis.get(cursor_key(snapshot.connection.id))) or ""
        seconds, _, life = stored.partition(" ")
        begin = datetime.fromtimestamp(int(seconds), tz=UTC) if life == seen.life else snapshot.connection.go_live
        return max(begin, oldest)

    async def _take(self, snapshot: Snapshot, event: Event, seen: _Seen) -> int:
        if event.id in seen.events:
            return 0
        message = decide_event(event, snapshot, "catch_up", self.clock.now())
        taken = 0
        if isinstance(message, StripeEventReceived) and not await self._is_settled(message, event):
            begin_trace()
            await self.head.publish(message, event)
            taken = 1
        seen.events[event.id] = event.created
        return taken

    async def _is_settled(self, message: StripeEventReceived, event: Event) -> bool:
        return is_settled(event, await self.ledger.load_invoice(message.connection, message.object_id))
