"""The waker: publishes to the head topic what has waited long enough, at the rate its connection can take."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.metrics import BLOCKED, WAITING
from hub.stage.ports import Gate, Outgoing, Publisher
from hub.trace import begin_trace
from hub.waiting import RedisWaitingSet, WaitingEntry
from schemas.ids import build_message_key
from schemas.topics import STRIPE_EVENTS
from services.ingest.duty import Duty

_ROLE_LIFE = timedelta(seconds=5)
# A connection of which nothing was woken for so long is not draining.
_LATELY = timedelta(seconds=10)
_LEAST_SHARE = 8


@dataclass
class Waker:
    """Wakes for every connection, one replica at a time by lease."""

    directory: Directory
    waiting: RedisWaitingSet
    publisher: Publisher
    gate: Gate
    redis: Any
    clock: Clock
    interval: timedelta = timedelta(milliseconds=250)
    # Of all connections together, as many as a stage takes in hand: after an outage for all of them, more would stand
    # in line in the topics until they count as lost, be woken again, and be worked on twice.
    under_way: int = 1024
    _duty: Duty = field(init=False)
    _draining: dict[str, float] = field(default_factory=dict[str, float])
    """Connections that something was woken of lately, and when, by the monotonic clock; the longest ago comes first."""

    def __post_init__(self) -> None:
        """Claim the duty under a name of its own."""
        self._duty = Duty("waker", _ROLE_LIFE, self.redis, self.gate)

    async def run(self) -> None:
        """Go round the connections, for ever."""
        await self._duty.go_round(self.directory.list_ids, self._wake, self.interval, self._forget)

    async def _wake(self, connection: str) -> None:
        snapshot = await self.directory.get(connection)
        await self.wake(snapshot)
        WAITING.labels(connection).set(await self.waiting.count(connection))
        BLOCKED.labels(connection).set(len(snapshot.blocks))

    def _forget(self, connection: str) -> None:
        WAITING.remove(connection)
        BLOCKED.remove(connection)

    async def wake(self, snapshot: Snapshot) -> int:
        """Publish what is due for one connection; returns how much that was."""
        connection = snapshot.connection.id
        room = min(self._find_room(snapshot), self._find_share(connection))
        if room == 0:
            return 0
        entries = await self.waiting.wake(connection, self.clock.now(), at_most=room)
        if entries:
            self._draining.pop(connection, None)
            self._draining[connection] = self.clock.monotonic()
        # Together, so that they share batches: one after the other, each answer of the broker would hold up all others.
        endings = await asyncio.gather(*(self._publish(connection, one) for one in entries), return_exceptions=True)
        for failure in endings:
            if failure is not None:
                raise failure
        return len(entries)

    async def _publish(self, connection: str, entry: WaitingEntry) -> None:
        begin_trace()
        message = entry.build_message(connection)
        key = build_message_key(connection, message.object_id)
        await self.publisher.publish(Outgoing(STRIPE_EVENTS, key, message))

    def _find_share(self, connection: str) -> int:
        """How many of a connection may be under way: as many as of each other that drains at the same time."""
        until = self.clock.monotonic() - _LATELY.total_seconds()
        while self._draining and next(iter(self._draining.values())) < until:
            del self._draining[next(iter(self._draining))]
        return max(_LEAST_SHARE, self.under_way // len(self._draining.keys() | {connection}))

    def _find_room(self, snapshot: Snapshot) -> int:
        """Nothing while paused or blocked; one to try when a blocked connection's time has come."""
        if snapshot.connection.paused:
            return 0
        if not snapshot.blocks:
            return self.waiting.in_flight
        now = self.clock.now()
        return 1 if all(state.is_due(now) for state in snapshot.blocks.values()) else 0
