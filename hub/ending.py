"""Ending tasks for good: one cancellation is not always enough."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

_PATIENCE_SECONDS = 0.5


async def end_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until all have ended; what they raise is dropped.

    On Python 3.11 `asyncio.wait_for`, which libraries use (`hub/redis.py` makes up for it in redis-py), swallows a
    cancellation that comes when its own work has just ended. The task goes on as if nothing had been asked of it, so it
    is asked again.
    A cancellation of the caller meanwhile is what it is at already.
    """
    asked = list(tasks)
    while pending := {task for task in asked if not task.done()}:
        for task in pending:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait(pending, timeout=_PATIENCE_SECONDS)
    await asyncio.gather(*asked, return_exceptions=True)
