"""Counting what has died lately."""

from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic

from hub.broker import open_admin
from hub.dead_topic import DeadTopic
from schemas.errors import RetrySoon
from tests.brokers import Broker


@pytest.mark.kafka
async def test_only_what_is_younger_counts(kafka: Broker, unique: str) -> None:
    topic = f"dead-{unique}"
    async with open_admin(kafka.bootstrap) as admin:
        await admin.create_topics([NewTopic(topic, num_partitions=3, replication_factor=1)])
    dead, now = DeadTopic(kafka.bootstrap, topic), datetime.now(UTC)
    assert await dead.count_since(now - timedelta(hours=1)) == 0

    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        for hours in (30, 2, 0, 0):
            at = int((now - timedelta(hours=hours)).timestamp() * 1000)
            await producer.send_and_wait(topic, b"x", partition=hours % 3, timestamp_ms=at)

    assert await dead.count_since(now - timedelta(hours=1)) == 2
    assert await dead.count_since(now - timedelta(hours=3)) == 3


async def test_a_broker_that_is_away_is_asked_again_later() -> None:
    with pytest.raises(RetrySoon, match="Kafka does not answer"):
        await DeadTopic("127.0.0.1:1").count_since(datetime.now(UTC))
