"""Publishing on the broker's producer, with trace context; done means acknowledged by all in-sync replicas."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from faststream.exceptions import FastStreamException
from faststream.kafka import KafkaBroker

from hub.broker import choose_partition, get_size_limit
from hub.stage.batches import BatchProducer, PartitionQueue
from hub.stage.ports import Outgoing
from hub.trace import current_header
from schemas.errors import HubError, Refused, RetrySoon


class KafkaPublisher:
    """Publishes to the topics of the registry. The broker was built with acks=all (`hub/broker.py`).

    It uses the aiokafka producer that the FastStream broker has started: the broker's own `publish` builds a command,
    a correlation id and headers that nobody reads, which costs as much again as the sending. And it hands over batches:
    a message sent alone costs three times as much.
    """

    def __init__(self, broker: KafkaBroker, *, deadline: timedelta = timedelta(seconds=15)) -> None:
        self._broker = broker
        self._deadline = deadline.total_seconds()
        self._queues: dict[str, Sequence[PartitionQueue]] = {}

    async def publish(self, outgoing: Outgoing) -> None:
        """Return once acknowledged.

        Messages with the same key arrive in the order of the calls, as soon as the topic's first one has arrived.

        Raises:
            RetrySoon: not acknowledged within the deadline. It may still arrive: consumers bear duplicates.
            Refused: it is larger than the topic takes.
        """
        value = outgoing.message.model_dump_json().encode()
        await self.publish_bytes(outgoing.topic.name, outgoing.key, value, outgoing.headers)

    async def publish_bytes(
        self, topic: str, key: str, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Publish a value that is serialized already; otherwise as `publish`."""
        key_bytes = key.encode()
        try:
            producer = self._producer
            queues = self._queues.get(topic) or await self._open_queues(producer, topic)
            queue = choose_partition(key_bytes, queues, queues)
            failure = await queue.add(producer, key_bytes, value, [*current_header(), *headers])
        except (KafkaError, TimeoutError, FastStreamException) as error:
            failure = error
        if failure is not None:
            raise _translate(failure, topic, len(value)) from failure

    async def _open_queues(self, producer: BatchProducer, topic: str) -> Sequence[PartitionQueue]:
        """Ask for the partitions once: their number changes only while all services are stopped (`check_topics`)."""
        async with asyncio.timeout(self._deadline):
            partitions = sorted(await producer.partitions_for(topic))
        opened = [
            PartitionQueue(topic, partition, deadline=self._deadline, largest=get_size_limit(topic))
            for partition in partitions
        ]
        # Another message may have asked at the same time: there is one queue for a partition.
        return self._queues.setdefault(topic, opened)

    @property
    def _producer(self) -> BatchProducer:
        """The running producer; FastStreamException before the broker has started and after it has stopped."""
        wrapper: Any = self._broker.config.producer
        return wrapper._producer.producer  # noqa: SLF001 - FastStream is pinned below 0.8


def _translate(failure: Exception, topic: str, size: int) -> HubError:
    """Turn what went wrong into what the caller must do."""
    if isinstance(failure, MessageSizeTooLargeError):
        return Refused(
            "This is too large for the hub's message broker.",
            code="broker.message.size",
            fix="Split the invoice in Stripe.",
            context={"topic": topic, "bytes": str(size)},
        )
    return RetrySoon(
        "The message broker did not take a message.",
        code="broker.publish",
        context={"topic": topic, "why": type(failure).__name__},
    )
