"""How many messages have gone to the dead topic lately, asked of the broker: for alerts."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import RetrySoon
from schemas.topics import DEAD

_DEADLINE = timedelta(seconds=15)


@dataclass(frozen=True)
class DeadTopic:
    """The dead topic of one cluster."""

    bootstrap: str
    name: str = DEAD.name

    async def count_since(self, since: datetime) -> int:
        """Count the messages that are younger than this; the embedded broker, which keeps nothing for long, counts all.

        Raises:
            RetrySoon: the broker does not answer.
        """
        try:
            async with asyncio.timeout(_DEADLINE.total_seconds()):
                return await self._count(since)
        except (KafkaError, OSError, TimeoutError) as error:
            raise RetrySoon("Kafka does not answer.", code="broker.unreachable") from error

    async def _count(self, since: datetime) -> int:
        # Belongs to no group, so nobody's offsets move.
        consumer: Any = AIOKafkaConsumer(self.name, bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        try:
            await consumer.start()
            partitions = [TopicPartition(self.name, one) for one in consumer.partitions_for_topic(self.name) or ()]
            begins = await consumer.offsets_for_times(dict.fromkeys(partitions, int(since.timestamp() * 1000)))
            ends = await consumer.end_offsets(partitions)
        finally:
            await consumer.stop()
        return sum(ends[tp] - begin.offset for tp, begin in begins.items() if begin is not None)
