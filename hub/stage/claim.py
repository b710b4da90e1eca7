"""A stage's claim on a record: it may be given up at any time, and then the record is somebody else's to finish."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Claim:
    """Whether a record in hand is still this stage's.

    Giving up cuts pauses short (before another try, before another round), never a call that is under way: a remote
    write that was begun is brought to its end.
    """

    __slots__ = ("_pausing", "lost")

    def __init__(self) -> None:
        self.lost = False
        self._pausing: asyncio.Task[None] | None = None

    def give_up(self) -> None:
        """The offset was let go, or the record waits in the ledger. A second call does nothing."""
        self.lost = True
        if self._pausing is not None:
            self._pausing.cancel()

    async def pause(self, waiting: Coroutine[Any, Any, None]) -> bool:
        """Wait for something that may be cut short; False if the claim is lost."""
        if self.lost:
            waiting.close()
            return False
        self._pausing = asyncio.create_task(waiting)
        try:
            await asyncio.wait({self._pausing})
        finally:
            self._pausing.cancel()
            self._pausing = None
        return not self.lost
