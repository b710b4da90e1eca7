"""Catch-up: read the Events API, so that the hub needs no public address and an outage loses nothing (up to 30 days).

One replica per connection reads, by lease. Each look begins some minutes before the newest event seen, for events
become visible slightly out of order; the replica remembers what it has dealt with for as long. Another that takes over
may publish some of it again, which changes nothing.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.stripe.client import StripeApi
from hub.clients import Clients
from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.ledger import Ledger
from hub.redis import cursor_key
from hub.stage.ports import Gate
from hub.trace import begin_trace
from schemas.messages import StripeEventReceived
from schemas.stripe_objects import Event
from services.ingest.decide import decide_event, is_settled, list_event_types
from services.ingest.duty import Duty, load_cursor, save_cursor
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
    _duty: Duty = field(init=False)
    _seen: dict[str, _Seen] = field(default_factory=dict[str, _Seen])

    def __post_init__(self) -> None:
        """Claim the duty under a name of its own."""
        life = max(self.interval * 3, timedelta(seconds=30))
        self._duty = Duty("catch_up", life, self.redis, self.gate, _TOUCHES)

    async def run(self) -> None:
        """Look at all connections again and again."""
        await self._duty.go_round(self.directory.list_ids, self._look_if_open, self.interval, self._forget)

    def _forget(self, connection: str) -> None:
        self._seen.pop(connection, None)

    async def _look_if_open(self, connection: str) -> None:
        await self._duty.pass_gate(connection, self._look)

    async def _look(self, connection: str) -> None:
        await self.look(await self.directory.get(connection))

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
        await save_cursor(self.redis, cursor_key(connection), newest, seen.life)
        seen.forget((newest - 2 * _OVERLAP).timestamp())

    async def _load_cursor(self, snapshot: Snapshot, seen: _Seen) -> datetime:
        """Where the last look ended; without one, at the connection's beginning, or as far back as Stripe remembers."""
        oldest = self.clock.now() - _LONGEST_LOOK_BACK
        begin = await load_cursor(self.redis, cursor_key(snapshot.connection.id), seen.life)
        return max(begin or snapshot.connection.go_live, oldest)

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
