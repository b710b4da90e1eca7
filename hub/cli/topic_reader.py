"""Reading and writing topics as they are, for commands: without a consumer group, and without changing a byte."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from hub.broker import MAX_DEAD_BYTES, choose_partition, open_admin
from hub.config import HubConfig
from schemas.errors import ConfigurationError, RetrySoon

_POLL_MS = 500


@dataclass(frozen=True)
class StoredRecord:
    """One record as the broker keeps it."""

    topic: str
    partition: int
    offset: int
    at: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class TopicReader:
    """Reads partitions by offset. Belongs to no group, so nobody's offsets move."""

    consumer: Any

    async def read_stored(self) -> AsyncIterator[StoredRecord]:
        """Yield everything that is stored now, from the beginning, and perhaps some of what comes meanwhile.

        The embedded broker names as end the offset behind the first record of the last batch, so what is fetched with
        the last record counts too.
        """
        begins, ends = await self.fetch_begins(), await self.fetch_ends()
        left = {tp: end for tp, end in ends.items() if end > begins[tp]}
        self.consumer.pause(*(set(self.consumer.assignment()) - set(left)))
        await self.consumer.seek_to_beginning(*left)
        while left:
            for records in (await self.consumer.getmany(*left, timeout_ms=_POLL_MS)).values():
                for record in records:
                    yield _to_stored(record)
            left = {tp: end for tp, end in left.items() if await self.consumer.position(tp) < end}

    async def follow(self) -> AsyncIterator[StoredRecord]:
        """Yield what comes from now on, for ever."""
        await self.consumer.seek_to_end()
        while True:
            for records in (await self.consumer.getmany(timeout_ms=_POLL_MS)).values():
                for record in records:
                    yield _to_stored(record)

    async def count_stored(self) -> int:
        """Count what is stored."""
        begins, ends = await self.fetch_begins(), await self.fetch_ends()
        return sum(end - begins[tp] for tp, end in ends.items())

    async def fetch_begins(self) -> dict[Any, int]:
        """Return the first stored offset of each partition."""
        return dict(await self.consumer.beginning_offsets(list(self.consumer.assignment())))

    async def fetch_ends(self) -> dict[Any, int]:
        """Return the end offset of each partition."""
        return dict(await self.consumer.end_offsets(list(self.consumer.assignment())))


def quiet_kafka() -> None:
    """Let a command say once, in words, that the broker is away; aiokafka would log each refused connection."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


@asynccontextmanager
async def open_reader(config: HubConfig, topics: Sequence[str]) -> AsyncGenerator[TopicReader]:
    """Open a reader over all partitions of the topics.

    Raises:
        ConfigurationError: the broker does not answer, or a topic is missing.
    """
    quiet_kafka()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=config.kafka_bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=MAX_DEAD_BYTES,
        request_timeout_ms=15_000,
    )
    try:
        partitions = await _list_partitions(config, topics)
        await consumer.start()
        consumer.assign(partitions)
        yield TopicReader(consumer)
    except (KafkaError, OSError) as error:
        raise _build_unreachable(config) from error
    finally:
        await consumer.stop()


@asynccontextmanager
async def open_writer(config: HubConfig) -> AsyncGenerator["RawWriter"]:
    """Open a producer that sends bytes as they are.

    Raises:
        ConfigurationError: the broker does not answer.
    """
    quiet_kafka()
    producer = AIOKafkaProducer(
        partitioner=choose_partition,  # pyright: ignore[reportArgumentType] - any callable of this form is taken
        bootstrap_servers=config.kafka_bootstrap,
        acks="all",
        max_request_size=MAX_DEAD_BYTES,
        request_timeout_ms=10_000,
    )
    try:
        await producer.start()
    except (KafkaError, OSError) as error:
        await producer.stop()
        raise _build_unreachable(config) from error
    try:
        yield RawWriter(producer)
    finally:
        await producer.stop()


@dataclass(frozen=True)
class RawWriter:
    """Sends bytes."""

    producer: Any

    async def send(
        self, topic: str, *, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> None:
        """Return once all in-sync replicas have it.

        Raises:
            RetrySoon: they did not say so in time.
        """
        try:
            await self.producer.send_and_wait(topic, value, key=key, headers=list(headers))
        except KafkaError as error:
            raise RetrySoon(
                "The message broker did not take a message.",
                code="broker.publish",
                context={"topic": topic, "why": type(error).__name__},
            ) from error


async def _list_partitions(config: HubConfig, topics: Sequence[str]) -> list[TopicPartition]:
    """Ask for all topics: asking for one that is missing could make it."""
    async with open_admin(config.kafka_bootstrap) as admin:
        present = {entry["topic"]: entry["partitions"] for entry in await admin.describe_topics()}
    if missing := sorted(set(topics) - set(present)):
        raise ConfigurationError(
            f"Topics are missing: {', '.join(missing)}. Run hub topics apply.", code="topics.missing"
        )
    return [TopicPartition(topic, one["partition"]) for topic in topics for one in present[topic]]


def _to_stored(record: Any) -> StoredRecord:
    return StoredRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at=datetime.fromtimestamp(record.timestamp / 1000, tz=UTC),
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )


def _build_unreachable(config: HubConfig) -> ConfigurationError:
    return ConfigurationError(
        f"Kafka does not answer at {config.kafka_bootstrap}. Check HUB_KAFKA_BOOTSTRAP and that the broker runs.",
        code="broker.unreachable",
    )
