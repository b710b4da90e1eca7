"""What the hub relies on, on each broker: records come back in order, commits last, groups share the partitions.

And that each test finds an empty Redis, and servers that run, whatever the test before did to them.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis

from tests.brokers import Broker, RedisServer

REBALANCE_SECONDS = 30


async def create_topic(broker: Broker, name: str, partitions: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1)])
    finally:
        await admin.close()


async def produce(broker: Broker, topic: str, *values: bytes) -> None:
    """Produce as the hub does."""
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value, key=b"key")


@asynccontextmanager
async def consuming(broker: Broker, topic: str, group: str) -> AsyncGenerator[AIOKafkaConsumer]:
    # The embedded broker lets a group wait for half of this time to form, and nearly twice to take a member in.
    session_timeout_ms = 10_000 if broker.is_kafka else 3_000
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=broker.bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        heartbeat_interval_ms=500,
        session_timeout_ms=session_timeout_ms,
    )
    async with consumer:
        yield consumer


async def take(consumer: AIOKafkaConsumer, count: int) -> list[bytes | None]:
    return [(await consumer.getone()).value for _ in range(count)]


async def wait_for_assignments(*expected: tuple[AIOKafkaConsumer, int]) -> None:
    """Return when each consumer holds as many partitions as said."""
    async with asyncio.timeout(REBALANCE_SECONDS):
        while any(len(consumer.assignment()) != size for consumer, size in expected):
            await asyncio.gather(*(consumer.getmany(timeout_ms=50) for consumer, _ in expected))


@pytest.mark.broker
async def test_records_come_back_in_order(broker: Broker, unique: str) -> None:
    topic = f"order-{unique}"
    await create_topic(broker, topic)
    await produce(broker, topic, b"1", b"2", b"3")

    async with consuming(broker, topic, f"group-{unique}") as consumer:
        assert await take(consumer, 3) == [b"1", b"2", b"3"]


@pytest.mark.broker
async def test_a_group_goes_on_after_the_offset_it_committed(broker: Broker, unique: str) -> None:
    topic, group = f"commit-{unique}", f"group-{unique}"
    await create_topic(broker, topic)
    await produce(broker, topic, b"done", b"not done")
    async with consuming(broker, topic, group) as first:
        assert await take(first, 2) == [b"done", b"not done"]
        await first.commit({TopicPartition(topic, 0): 1})

    async with consuming(broker, topic, group) as second:
        assert await take(second, 1) == [b"not done"]


@pytest.mark.broker
async def test_a_second_member_takes_half_and_gives_it_back(broker: Broker, unique: str) -> None:
    topic, group = f"rebalance-{unique}", f"group-{unique}"
    await create_topic(broker, topic, partitions=4)
    async with consuming(broker, topic, group) as first:
        await wait_for_assignments((first, 4))
        async with consuming(broker, topic, group) as second:
            await wait_for_assignments((first, 2), (second, 2))
            assert not first.assignment() & second.assignment()

        await wait_for_assignments((first, 4))


@pytest.mark.kafka
async def test_kafka_keeps_its_records_over_a_restart(kafka: Broker, unique: str) -> None:
    topic = f"restart-{unique}"
    await create_topic(kafka, topic)
    await produce(kafka, topic, b"before")

    await asyncio.to_thread(kafka.restart)

    async with consuming(kafka, topic, f"group-{unique}") as consumer:
        assert await take(consumer, 1) == [b"before"]


@pytest.mark.broker
async def test_a_paused_broker_answers_again_after_it_resumes(broker: Broker, unique: str) -> None:
    topic = f"pause-{unique}"
    await create_topic(broker, topic)
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        broker.pause()
        sending = asyncio.create_task(producer.send_and_wait(topic, b"patience"))
        done, _ = await asyncio.wait([sending], timeout=0.3)
        assert not done

        broker.resume()
        await sending


@pytest.mark.parametrize("_run", [1, 2])
async def test_each_test_finds_an_empty_redis(redis_url: str, _run: int) -> None:
    async with Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("left", "behind")


async def test_redis_keeps_its_data_over_a_restart(redis_server: RedisServer, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as before:
        await before.set("invoice", "synced")

    await asyncio.to_thread(redis_server.restart)

    async with Redis.from_url(redis_url) as after:
        assert await after.get("invoice") == b"synced"


@pytest.mark.parametrize("disturb", ["kill", "stop", "pause"])
def test_a_test_may_leave_redis_disturbed(redis_server: RedisServer, disturb: str) -> None:
    getattr(redis_server, disturb)()


async def test_the_next_test_finds_redis_running(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        assert await client.ping()
