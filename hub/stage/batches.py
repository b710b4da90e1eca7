"""The way out to one partition: messages that come while a batch is under way leave together in the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from aiokafka.errors import MessageSizeTooLargeError

Acknowledgement = asyncio.Future[Exception | None]
"""Ends with None once the broker has acknowledged, else with the reason why it has not.

It belongs to one sender: cancelling it takes nothing from the others, and does not take the message back.
"""
Headers = Sequence[tuple[str, bytes]]


class BatchProducer(Protocol):
    """What is used of `AIOKafkaProducer`."""

    async def partitions_for(self, topic: str) -> set[int]:
        """Return the partitions of a topic."""
        ...

    def create_batch(self) -> Any:
        """Return an empty `BatchBuilder`."""
        ...

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Awaitable[Any]:
        """Queue a batch; what is returned ends when the broker has acknowledged it."""
        ...


class Batch:
    """Messages that are sent, acknowledged and given up together: one request, one deadline."""

    def __init__(self, producer: BatchProducer, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._producer = producer
        self._builder = producer.create_batch()
        self._senders: list[Acknowledgement] = []
        self.has_ended = False
        # A timer, not `asyncio.timeout`, which costs several times as much.
        self._timer = self._loop.call_later(seconds, self.end, TimeoutError())

    @property
    def size(self) -> int:
        """Bytes, as the broker counts them."""
        return self._builder.size()

    def append(self, key: bytes, value: bytes, headers: Headers) -> Acknowledgement | None:
        """Take one more message; None when the batch is full or has ended. An empty one has room for any message."""
        if self._builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            return None
        sender: Acknowledgement = self._loop.create_future()
        self._senders.append(sender)
        return sender

    async def send(self, topic: str, partition: int) -> None:
        """Send it, unless its deadline has passed, and tell its senders how that ended. Raises nothing."""
        if self.has_ended:
            return
        self._builder.close()
        try:
            await (await self._producer.send_batch(self._builder, topic, partition=partition))
        except Exception as error:  # noqa: BLE001 - whatever it is, the senders decide, and the next batch is sent
            self.end(error)
        else:
            self.end(None)

    def end(self, failure: Exception | None) -> None:
        """Tell the senders. Does nothing the second time: what comes after the deadline comes too late."""
        self.has_ended = True
        self._timer.cancel()
        self._builder.close()
        for sender in self._senders:
            if not sender.done():
                sender.set_result(failure)


class PartitionQueue:
    """Sends the batches of one partition, one after the other, so that messages keep their order.

    A batch that is not acknowledged by its deadline is given up, not called back: it may still arrive, and does so
    before the next one. A batch whose deadline passes before its turn is never sent.
    """

    def __init__(self, topic: str, partition: int, *, deadline: float, largest: int) -> None:
        self._topic = topic
        self._partition = partition
        self._deadline = deadline
        self._largest = largest
        self._waiting: deque[Batch] = deque()
        self._task: asyncio.Task[None] | None = None

    def add(self, producer: BatchProducer, key: bytes, value: bytes, headers: Headers) -> Acknowledgement:
        """Put a message into the batch that is sent next, or into one behind it when that is full."""
        sender = self._waiting[-1].append(key, value, headers) if self._waiting else None
        if sender is None:
            sender = self._begin(producer, key, value, headers)
        if self._task is None:
            self._task = asyncio.create_task(self._send_waiting())
        return sender

    def _begin(self, producer: BatchProducer, key: bytes, value: bytes, headers: Headers) -> Acknowledgement:
        while self._waiting and self._waiting[0].has_ended:
            # A broker may be away for hours: what has been given up is not kept until it is back.
            self._waiting.popleft()
        batch = Batch(producer, self._deadline)
        sender = batch.append(key, value, headers)
        if sender is None:
            raise RuntimeError("an empty batch has no room for a message")
        if batch.size > self._largest:
            # Not left to the broker, which would refuse the whole request.
            batch.end(MessageSizeTooLargeError())
        else:
            self._waiting.append(batch)
        return sender

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                await self._waiting.popleft().send(self._topic, self._partition)
        finally:
            self._task = None
