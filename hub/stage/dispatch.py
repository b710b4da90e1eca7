"""Keyed dispatch: one record at a time within a key, many keys at once, a bounded window, a share per connection."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Window:
    """How much a stage holds in hand.

    `size`: records in all; a full window pauses the partitions, never the poll. `share`: records of one connection;
    what comes above it is put into the waiting set, so that a slow connection's backlog holds nobody else up.
    """

    size: int = 1024
    share: int = 128

    def __post_init__(self) -> None:
        if not 64 <= self.share <= self.size:  # noqa: PLR2004 - design: at least 64 records in hand per connection
            raise ValueError("a connection's share is at least 64 records and at most the window")

    @property
    def low_mark(self) -> int:
        """Partitions resume below this, half the window, so that pausing does not flutter."""
        return self.size // 2


class KeyedDispatcher(Generic[T]):
    """Runs `work(item)` for each item, in order within a key.

    `submit` never blocks and never awaits. `work` must not raise: what it raises is a defect of the runtime, and is
    kept for `failure`.
    """

    def __init__(self, work: Callable[[T], Awaitable[None]], window: Window) -> None:
        self._work = work
        self._window = window
        self._queues: dict[bytes, deque[T]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._shares: Counter[bytes] = Counter()
        self._in_hand = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.failure: BaseException | None = None

    @property
    def in_hand(self) -> int:
        """Items submitted and not finished."""
        return self._in_hand

    @property
    def is_full(self) -> bool:
        """Whether the window is used up."""
        return self._in_hand >= self._window.size

    @property
    def has_room(self) -> bool:
        """Whether enough is finished to take records again."""
        return self._in_hand <= self._window.low_mark

    def is_over_share(self, key: bytes) -> bool:
        """Tell whether the key's connection already holds its share."""
        return self._shares[_owner_of(key)] >= self._window.share

    def submit(self, key: bytes, item: T) -> None:
        """Queue an item behind the others of its key."""
        owner = _owner_of(key)
        self._count(owner, 1)
        queue = self._queues.get(key)
        if queue is not None:
            queue.append(item)
            return
        self._queues[key] = queue = deque((item,))
        task = asyncio.get_running_loop().create_task(self._drain_key(key, owner, queue))
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def drop_queued(self, is_dropped: Callable[[T], bool]) -> None:
        """Forget items that have not been started; the one being worked on in each key goes on."""
        for key, queue in self._queues.items():
            kept = [item for item in list(queue)[1:] if not is_dropped(item)]
            dropped = len(queue) - 1 - len(kept)
            if dropped > 0:
                self._count(_owner_of(key), -dropped)
                running = queue[0]
                queue.clear()
                queue.extend((running, *kept))

    async def wait_idle(self, seconds: float) -> bool:
        """Wait until nothing is in hand; False if that takes longer than `seconds`. Cancels nothing."""
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def cancel(self) -> None:
        """Stop everything at once: only when the process ends."""
        for task in self._tasks:
            task.cancel()

    async def _drain_key(self, key: bytes, owner: bytes, queue: deque[T]) -> None:
        try:
            while queue:
                try:
                    await self._work(queue[0])
                finally:
                    queue.popleft()
                    self._count(owner, -1)
        finally:
            # Nothing awaits between the loop's last look and here, so no item can slip in unseen. After a cancellation
            # what was queued is given up: the process is ending.
            del self._queues[key]
            self._count(owner, -len(queue))

    def _count(self, owner: bytes, change: int) -> None:
        self._in_hand += change
        self._shares[owner] += change
        if not self._shares[owner]:
            del self._shares[owner]
        if self._in_hand:
            self._idle.clear()
        else:
            self._idle.set()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self.failure = failure


def _owner_of(key: bytes) -> bytes:
    """A message key is connection/object; the connection is who has a share."""
    return key.partition(b"/")[0]
