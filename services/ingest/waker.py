"""The waker: publishes to the head topic what has waited long enough, at the rate its connection can take."""

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.lease import try_role
from hub.log import get_logger
from hub.metrics import WAITING
from hub.redis import role_lease_key
from hub.stage.ports import Outgoing, Publisher
from hub.trace import begin_trace
from hub.waiting import RedisWaitingSet, WaitingEntry
from schemas.errors import HubError
from schemas.ids import build_message_key
from schemas.topics import STRIPE_EVENTS

_ROLE_LIFE = timedelta(seconds=5)


@dataclass
class Waker:
    """Wakes for every connection, one replica at a time by lease."""

    directory: Directory
    waiting: RedisWaitingSet
    publisher: Publisher
    redis: Any
    clock: Clock
    interval: timedelta = timedelta(milliseconds=250)
    _token: str = field(default_factory=lambda: secrets.token_hex(16))

    async def run(self) -> None:
        """Go round the connections, for ever."""
        known: set[str] = set()
        while True:
            found = await self.directory.list_ids()
            for removed in known.difference(found):
                WAITING.remove(removed)
            known = set(found)
            for connection in found:
                await self._wake_safely(connection)
            await asyncio.sleep(self.interval.total_seconds())

    async def _wake_safely(self, connection: str) -> None:
        """One connection's trouble is not the others'."""
        try:
            if await try_role(self.redis, role_lease_key(connection, "waker"), self._token, _ROLE_LIFE):
                await self.wake(await self.directory.get(connection))
                WAITING.labels(connection).set(await self.waiting.count(connection))
        except HubError as error:
            get_logger().warning("ingest.waker.retried", connection=connection, code=error.code, why=error.message)
        except Exception as error:  # noqa: BLE001 - a defect that one connection's data bring out must not stop the rest
            get_logger().error("ingest.waker.failed", connection=connection, exc_info=error)

    async def wake(self, snapshot: Snapshot) -> int:
        """Publish what is due for one connection; returns how much that was."""
        connection = snapshot.connection.id
        room = self._find_room(snapshot)
        if room == 0:
            return 0
        entries = await self.waiting.wake(connection, self.clock.now(), at_most=room)
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

    def _find_room(self, snapshot: Snapshot) -> int | None:
        """Nothing while paused or blocked; one to try when a blocked connection's time has come."""
        if snapshot.connection.paused:
            return 0
        if not snapshot.blocks:
            return None
        now = self.clock.now()
        return 1 if all(state.is_due(now) for state in snapshot.blocks.values()) else 0
