"""Look-ups waiting at the same time become one request: `externalDocumentNumber eq 'A' or … eq 'B'`.

A batch stays open until its request has a slot, so the longer the queue for slots, the more travel together: in a
backlog, looking costs next to nothing of the limit.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from schemas.errors import Refused

T = TypeVar("T")

TakeValues = Callable[[], tuple[str, ...]]
Ask = Callable[[TakeValues, bool], Awaitable[Mapping[str, T]]]
"""Get ready (slot, token), then take the values and ask for all of them at once. The flag says live."""


@dataclass(frozen=True)
class BatchLimits:
    """How many look-ups travel together."""

    window: timedelta = timedelta(milliseconds=25)
    """Wait this long for others. Short, for a lone invoice waits it out too."""
    values: int = 50
    characters: int = 3_000
    """Of the values alone; percent-encoded with the field's name they stay below about 6,000 of URL."""

    def __post_init__(self) -> None:
        if self.values < 1 or self.characters < 1 or not timedelta(0) <= self.window <= timedelta(milliseconds=50):
            raise ValueError("a batch holds at least one value and stays open for at most 50 ms")


class CoalescedLookups(Generic[T]):
    """Merges concurrent look-ups; each waiter gets what its own value found.

    Values come in normalised. A failed request fails each waiter with the same error, except that a refusal of several
    values makes each ask alone, for one bad value must not fail its neighbours. A waiter that is cancelled leaves the
    others alone.
    """

    def __init__(self, ask: Ask[T], *, limits: BatchLimits | None = None, cost: Callable[[str], int] = len) -> None:
        self._ask = ask
        self._limits = limits or BatchLimits()
        self._cost = cost
        self._waiting: dict[bool, list[tuple[str, asyncio.Future[T]]]] = {True: [], False: []}
        self._open: dict[bool, bool] = {True: False, False: False}
        self._tasks: set[asyncio.Task[None]] = set()

    async def find(self, value: str, *, live: bool) -> T:
        """Return what the value found.

        Raises:
            HubError: the request failed.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting[live].append((value, future))
        self._start(live=live)
        return await future

    def _start(self, *, live: bool) -> None:
        """Open a batch unless one is open. The task is kept, or the loop might drop it."""
        if self._open[live]:
            return
        self._open[live] = True
        task = asyncio.create_task(self._run(live=live))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, *, live: bool) -> None:
        await asyncio.sleep(self._limits.window.total_seconds())
        batch: list[tuple[str, asyncio.Future[T]]] = []

        def take() -> tuple[str, ...]:
            if not batch:
                batch.extend(self._close(live=live))
            return tuple(dict.fromkeys(value for value, _ in batch))

        try:
            found = await self._ask(take, live)
        except BaseException as error:
            take()
            await self._fail(batch, error, live=live)
            if not isinstance(error, Exception):
                raise
        else:
            for value, future in batch:
                if not future.done():
                    future.set_result(found[value])

    def _close(self, *, live: bool) -> list[tuple[str, asyncio.Future[T]]]:
        """Take what fits into one request and open the next batch for the rest."""
        waiting = [waiter for waiter in self._waiting[live] if not waiter[1].done()]
        count, cost = 0, 0
        for value, _ in waiting[: self._limits.values]:
            cost += self._cost(value)
            if count and cost > self._limits.characters:
                break
            count += 1
        self._waiting[live] = waiting[count:]
        self._open[live] = False
        if self._waiting[live]:
            self._start(live=live)
        return waiting[:count]

    async def _fail(self, batch: list[tuple[str, asyncio.Future[T]]], error: BaseException, *, live: bool) -> None:
        alone = isinstance(error, Refused) and len({value for value, _ in batch}) > 1
        for value, future in batch:
            if future.done():
                continue
            if alone:
                await self._ask_alone(value, future, live=live)
            elif isinstance(error, asyncio.CancelledError):
                future.cancel()
            else:
                future.set_exception(error)

    async def _ask_alone(self, value: str, future: asyncio.Future[T], *, live: bool) -> None:
        try:
            found = await self._ask(lambda: (value,), live)
        except Exception as error:  # noqa: BLE001 - goes to the one who waits
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(found[value])
