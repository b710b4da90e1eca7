"""The consumer's poll, watched: when it last succeeded, and what FastStream would repeat at full speed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka.errors import ConsumerStoppedError, KafkaError

from hub.clock import Clock
from hub.log import get_logger

# Between two polls that fail for a reason aiokafka does not know.
_PAUSE = 1.0


class Poll:
    """Stands between FastStream's loop and `getmany` of one consumer.

    aiokafka cannot decode a record whose header *name* is not UTF-8, nor step over it within its batch: the poll fails
    until retention or an operator removes it. FastStream begins its loop anew at once and for ever; aiokafka's own idle
    time stands at zero after any error. So the age of the last good poll is kept here, and liveness looks at it.
    """

    def __init__(self, stage: str, clock: Clock) -> None:
        self._stage = stage
        self._clock = clock
        self._consumer: Any = None
        self._getmany: Callable[..., Awaitable[Any]] | None = None
        self._is_failing = False
        self.last_good = clock.monotonic()

    def watch(self, consumer: Any) -> None:
        """Watch this consumer; the same one again changes nothing."""
        if consumer is not self._consumer:
            self._consumer, self._getmany = consumer, consumer.getmany
            consumer.getmany = self._poll
            self.last_good = self._clock.monotonic()

    async def _poll(self, *partitions: Any, **options: Any) -> Any:
        assert self._getmany is not None  # noqa: S101 - set together with the consumer that calls this
        try:
            found = await self._getmany(*partitions, **options)
        except (KafkaError, ConsumerStoppedError):
            raise  # FastStream waits after the first, and ends after the second
        except Exception as error:  # noqa: BLE001 - whatever it is, repeating it at full speed helps nobody
            if not self._is_failing:
                get_logger().error("stage.poll.failed", stage=self._stage, exc_info=error)
            self._is_failing = True
            await asyncio.sleep(_PAUSE)
            return {}
        self._is_failing = False
        self.last_good = self._clock.monotonic()
        return found
