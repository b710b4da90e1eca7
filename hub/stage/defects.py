"""Runs of unexpected errors: a bad connection or a bad deploy must not empty the topic into the dead topic.

A run is judged by connection: what makes one customer's invoices crash (a template, a damaged record) holds no other's.
Only where several connections fail alike, and nothing succeeds, is it the hub itself.
"""

import asyncio
from collections import Counter
from typing import Literal

from hub.metrics import PAUSED

Verdict = Literal["single", "connection", "stage"]
"""What a defect is part of: nothing, a run of its connection, or one of the whole stage."""

_SEVERAL = 3
_MOST_OF_ONE = 2


class DefectRun:
    """Counts unexpected errors since the last success, of each connection and of all.

    At `limit` in a row a connection is to be held. At `limit` in a row of at least three connections, of one code, the
    stage is tripped: it holds what it has. While tripped, held messages are tried again one at a time, `pause` seconds
    apart, doubling up to `longest`. One success anywhere ends it: then what still fails is its connection's fault.
    """

    def __init__(self, stage: str, *, limit: int = 5, pause: float = 15.0, longest: float = 600.0) -> None:
        self._gauge = PAUSED.labels(stage, "defects")
        self._limit = limit
        self._first_pause = pause
        self._pause = pause
        self._longest = longest
        self._in_a_row: Counter[str] = Counter()
        self._alike: dict[str, Counter[str]] = {}
        self._turn = asyncio.Lock()
        self._ended = asyncio.Event()
        self.is_tripped = False
        """Whether the stage holds its messages."""

    @property
    def held(self) -> list[str]:
        """The connections whose last messages all failed, as far as this process knows."""
        return sorted(one for one, count in self._in_a_row.items() if count >= self._limit)

    def count_failure(self, connection: str, code: str) -> Verdict:
        """One more message of a connection met a defect; say what it is part of."""
        self._in_a_row[connection] += 1
        alike = self._alike.setdefault(code, Counter())
        # One connection's many failures say little about the others.
        alike[connection] = min(alike[connection] + 1, _MOST_OF_ONE)
        if self._in_a_row[connection] >= self._limit:
            return "connection"
        if len(alike) >= _SEVERAL and alike.total() >= self._limit:
            self._trip()
        return "stage" if self.is_tripped else "single"

    def count_success(self, connection: str) -> None:
        """A message went through, or met an error that is in the books: the code works, and for this connection."""
        if self.is_tripped:
            # It was not the release: then each of them is to be held by itself, at its next failure.
            for one in {one for alike in self._alike.values() for one in alike}:
                self._in_a_row[one] = max(self._in_a_row[one], self._limit - 1)
        self._in_a_row.pop(connection, None)
        self._alike.clear()
        if not self.is_tripped:
            return
        self.is_tripped = False
        self._pause = self._first_pause
        self._gauge.set(0)
        self._ended.set()

    async def wait_for_turn(self) -> None:
        """Wait until the stage's run is over, or until this message is the one to be tried."""
        async with self._turn:
            if not self.is_tripped:
                return
            try:
                await asyncio.wait_for(self._ended.wait(), self._pause)
            except TimeoutError:
                self._pause = min(self._pause * 2, self._longest)

    def _trip(self) -> None:
        self.is_tripped = True
        self._ended.clear()
        self._gauge.set(1)
