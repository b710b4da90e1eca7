"""Stages that hold everything, because what they meet are defects of the hub: told in Redis by the process that holds.

The sign expires, so that a process that was killed leaves none behind. `hub doctor` and alerts read it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hub.redis import run, stopped_key
from schemas.topics import CONSUMED_BY

_LIFE = timedelta(seconds=30)
_ROUND_SECONDS = 5.0


@dataclass(frozen=True)
class StopSign:
    """Puts the sign up while the stage holds."""

    redis: Any
    stage: str
    is_stopped: Callable[[], bool]

    async def run(self) -> None:
        """Look every few seconds, for ever.

        Raises:
            RetrySoon: Redis does not answer.
        """
        while True:
            if self.is_stopped():
                await run(self.redis.set(stopped_key(self.stage), "1", px=_LIFE))
            await asyncio.sleep(_ROUND_SECONDS)


async def list_stopped(redis: Any) -> list[str]:
    """List the stages that hold everything now.

    Raises:
        RetrySoon: Redis does not answer.
    """
    return [stage for stage in CONSUMED_BY if await run(redis.exists(stopped_key(stage)))]


def tell_stopped(stage: str) -> str:
    """Say so in a sentence."""
    return (
        f"The stage {stage} holds everything: the hub fails with messages of several connections in the same way. "
        "See hub dead list and the service's log; go back to the last release."
    )
