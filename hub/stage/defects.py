"""A run of unexpected errors stops the stage: one bad deploy must not empty the topic into the dead topic."""

import asyncio

from hub.metrics import PAUSED


class DefectRun:
    """Counts unexpected errors since the last success. At `limit` the stage is tripped and holds what it has.

    While tripped, held messages are tried again one at a time, `pause` seconds apart, doubling up to `longest`. One
    success anywhere ends it: then the few that still fail were bad messages, and go to the dead topic.
    """

    def __init__(self, stage: str, *, limit: int = 5, pause: float = 15.0, longest: float = 600.0) -> None:
        self._gauge = PAUSED.labels(stage, "defects")
        self._limit = limit
        self._first_pause = pause
        self._pause = pause
        self._longest = longest
        self._count = 0
        self._turn = asyncio.Lock()
        self._ended = asyncio.Event()

    @property
    def is_tripped(self) -> bool:
        """Whether the stage holds its messages."""
        return self._count >= self._limit

    def count_failure(self) -> None:
        """One more message met a defect."""
        self._count += 1
        if self.is_tripped:
            self._ended.clear()
            self._gauge.set(1)

    def count_success(self) -> None:
        """A message went through, or met an error that is in the books: the code works."""
        if not self._count:
            return
        self._count = 0
        self._pause = self._first_pause
        self._gauge.set(0)
        self._ended.set()

    async def wait_for_turn(self) -> None:
        """Wait until the run is over, or until this message is the one to be tried."""
        async with self._turn:
            if not self.is_tripped:
                return
            try:
                await asyncio.wait_for(self._ended.wait(), self._pause)
            except TimeoutError:
                self._pause = min(self._pause * 2, self._longest)
