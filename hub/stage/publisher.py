"""Publishing on the broker's producer, with trace context; done means acknowledged by all in-sync replicas."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from faststream.exceptions import FastStreamException
from faststream.kafka import KafkaBroker

from hub.stage.ports import Outgoing
from hub.trace import current_header
from schemas.errors import Refused, RetrySoon


class KafkaPublisher:
    """Publishes to the topics of the registry. The broker was built with acks=all (`hub/broker.py`).

    It uses the aiokafka producer that the FastStream broker has started: the broker's own `publish` builds a command,
    a correlation id and headers that nobody reads, which costs as much again as the sending.
    """

    def __init__(self, broker: KafkaBroker, *, deadline: timedelta = timedelta(seconds=15)) -> None:
        self._broker = broker
        self._deadline = deadline.total_seconds()

    async def publish(self, outgoing: Outgoing) -> None:
        """Return once acknowledged.

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
        try:
            acknowledged = await self._producer.send(
                topic, value, key=key.encode(), headers=[*current_header(), *headers]
            )
            await _within(self._deadline, acknowledged)
        except MessageSizeTooLargeError as error:
            raise Refused(
                "This is too large for the hub's message broker.",
                code="broker.message.size",
                fix="Split the invoice in Stripe.",
                context={"topic": topic, "bytes": str(len(value))},
            ) from error
        except (KafkaError, TimeoutError, FastStreamException) as error:
            raise RetrySoon(
                "The message broker did not take a message.",
                code="broker.publish",
                context={"topic": topic, "why": type(error).__name__},
            ) from error

    @property
    def _producer(self) -> AIOKafkaProducer:
        """The running producer; FastStreamException before the broker has started and after it has stopped."""
        wrapper: Any = self._broker.config.producer
        return wrapper._producer.producer  # noqa: SLF001 - FastStream is pinned below 0.8


async def _within(seconds: float, acknowledged: "asyncio.Future[Any]") -> None:
    """Wait for an acknowledgement, not longer than this.

    A timer that ends the future, not `asyncio.timeout`, which costs six times as much: a message would spend more on
    its deadline than on its own bytes. The producer leaves alone a future that has ended.

    Raises:
        TimeoutError: it did not come.
    """
    timer = asyncio.get_running_loop().call_later(seconds, _expire, acknowledged)
    try:
        await acknowledged
    finally:
        timer.cancel()


def _expire(acknowledged: "asyncio.Future[Any]") -> None:
    if not acknowledged.done():
        acknowledged.set_exception(TimeoutError())
