"""A cache in the process: bounded, each value for a while, and asked for once however many want it."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True)
class _Flight(Generic[V]):
    started: float
    task: asyncio.Task[V]


@dataclass
class Kept(Generic[K, V]):
    """Values by key. A failure is told to all who wait for it, and not kept: the next who wants the value asks again.

    Args:
        most: How many values are kept; the one that was asked for longest ago goes first.
        now: Seconds that never go back.
    """

    most: int = 10_000
    now: Callable[[], float] = time.monotonic
    _values: OrderedDict[K, tuple[float, V]] = field(default_factory=OrderedDict[K, tuple[float, V]])
    _flights: dict[K, _Flight[V]] = field(default_factory=dict[K, _Flight[V]])

    async def get(self, key: K, load: Callable[[], Awaitable[V]], *, max_age: float) -> V:
        """Return the value, loaded if there is none of at most this age in seconds, counted from when it was asked for.

        Who is cancelled leaves the others who wait alone.
        """
        while True:
            kept = self._values.get(key)
            if kept is not None and self.now() - kept[0] < max_age:
                self._values.move_to_end(key)
                return kept[1]
            flight = self._flights.get(key)
            if flight is None:
                flight = self._take_off(key, load)
            elif self.now() - flight.started >= max_age:
                # Under way for too long to be fresh: whatever comes of it, look again.
                await asyncio.wait([flight.task])
                continue
            return await asyncio.shield(flight.task)

    def _take_off(self, key: K, load: Callable[[], Awaitable[V]]) -> _Flight[V]:
        started = self.now()
        flight = _Flight(started, asyncio.create_task(self._load(key, load, started)))
        self._flights[key] = flight
        # Those who waited may all be gone when it fails.
        flight.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return flight

    async def _load(self, key: K, load: Callable[[], Awaitable[V]], started: float) -> V:
        try:
            value = await load()
        finally:
            del self._flights[key]
        self._values[key] = (started, value)
        self._values.move_to_end(key)
        while len(self._values) > self.most:
            self._values.popitem(last=False)
        return value
