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
        """Partitions resume at this, half the window, so that pausing does not flutter."""
        return self.size // 2


@dataclass(slots=True, eq=False)
class _Line(Generic[T]):
    """What stands in line under one key; the first is being worked on."""

    owner: bytes
    items: deque[T]


class KeyedDispatcher(Generic[T]):
    """Runs `work(item)` for each item, in order within a key.

    `submit` never blocks and never awaits. `work` must not raise: what it raises is a defect of the runtime, and is
    kept for `failure`.
    """

    def __init__(self, work: Callable[[T], Awaitable[None]], share: int) -> None:
        self._work = work
        self._share = share
        self._lines: dict[bytes, _Line[T]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._shares: Counter[bytes] = Counter()
        self._in_hand = 0
        self._ending = False
        self.failure: BaseException | None = None

    @property
    def in_hand(self) -> int:
        """Items submitted and not finished."""
        return self._in_hand

    def submit(self, key: bytes, item: T) -> bool:
        """Queue an item behind the others of its key; False, and nothing done, if its connection has its share."""
        # A message key is connection/object; the connection is who has a share.
        owner = key.partition(b"/")[0]
        if self._shares[owner] >= self._share:
            return False
        self._count(owner, 1)
        line = self._lines.get(key)
        if line is not None:
            line.items.append(item)
            return True
        self._lines[key] = line = _Line(owner, deque((item,)))
        task = asyncio.get_running_loop().create_task(self._work_off(key, line))
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return True

    def drop_queued(self, is_dropped: Callable[[T], bool]) -> list[T]:
        """Forget items that have not been started, and return them; the one being worked on in each key goes on."""
        dropped: list[T] = []
        for line in self._lines.values():
            running = line.items.popleft()
            kept: deque[T] = deque((running,))
            for item in line.items:
                (dropped if is_dropped(item) else kept).append(item)
            self._count(line.owner, len(kept) - len(line.items) - 1)
            line.items = kept
        return dropped

    def cancel(self) -> None:
        """Stop everything at once: only when the process ends."""
        self._ending = True
        for task in self._tasks:
            task.cancel()

    async def _work_off(self, key: bytes, line: _Line[T]) -> None:
        try:
            while line.items:
                try:
                    await self._work(line.items[0])
                finally:
                    line.items.popleft()
                    self._count(line.owner, -1)
        finally:
            # Nothing awaits between the loop's last look and here, so no item can slip in unseen. After a failure or a
            # cancellation what was queued is given up: the process is ending.
            del self._lines[key]
            self._count(line.owner, -len(line.items))

    def _count(self, owner: bytes, change: int) -> None:
        self._in_hand += change
        held = self._shares[owner] + change
        if held:
            self._shares[owner] = held
        else:
            del self._shares[owner]

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._ending:
            return
        self.failure = asyncio.CancelledError() if task.cancelled() else task.exception() or self.failure
