"""A cache in the process: bounded, each value for a while, and asked for once however many want it."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass
class Kept(Generic[K, V]):
    """Values by key. What failed is not kept: the next who wants it asks again.

    Args:
        most: How many values are kept; the one that was asked for longest ago goes first.
    """

    most: int = 10_000
    _values: OrderedDict[K, tuple[float, V]] = field(default_factory=OrderedDict[K, tuple[float, V]])
    _locks: WeakValueDictionary[K, asyncio.Lock] = field(default_factory=WeakValueDictionary[K, asyncio.Lock])

    async def get(self, key: K, load: Callable[[], Awaitable[V]], *, max_age: float) -> V:
        """Return the value, loaded if there is none of at most this age in seconds."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            kept = self._values.get(key)
            if kept is not None and time.monotonic() - kept[0] < max_age:
                self._values.move_to_end(key)
                return kept[1]
            value = await load()
            self._values[key] = (time.monotonic(), value)
            self._values.move_to_end(key)
            while len(self._values) > self.most:
                self._values.popitem(last=False)
            return value
