"""The Kafka broker object and the topics: built from configuration, in one way for all services and commands."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from zlib import crc32

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker

from hub.config import HubConfig
from schemas.errors import ConfigurationError
from schemas.topics import DEAD, TOPICS, Topic

T = TypeVar("T")

# A message is at most this large: Stripe's biggest invoices (250 lines with taxes) stay below 1 MB.
MAX_MESSAGE_BYTES = 4_000_000
# The dead topic takes any of them whole, in base64, with a trace.
MAX_DEAD_BYTES = 6_000_000


def build_broker(config: HubConfig, service: str) -> KafkaBroker:
    """Build the broker: acks=all. Not idempotent, for what that prevents is borne (decision 0011)."""
    return KafkaBroker(
        config.kafka_bootstrap.split(","),
        client_id=f"hub-{service}",
        acks="all",
        partitioner=choose_partition,
        max_request_size=MAX_DEAD_BYTES,
        # aiokafka fills one batch per partition at a time: at its default of 16 kB, senders queue for it.
        max_batch_size=512_000,
        # Longer than a group may take to rebalance (`StagePolicy.rebalance_timeout`): a member whose request to join
        # times out joins again as another one, and the group waits for both. Publishing has a deadline of its own.
        request_timeout_ms=30_000,
        # Topics are declared by `hub topics apply`; one made by accident would have one partition and no retention.
        allow_auto_create_topics=False,
        logger=None,
    )


def choose_partition(key: bytes | None, partitions: Sequence[T], available: Sequence[T]) -> T:
    """Choose the partition of a key: always the same one, whatever brokers are up.

    By CRC-32, for aiokafka's own murmur2 is written in Python and cost a twentieth of a webhook. All who publish to the
    hub's topics do it through here, so that all messages about one invoice meet.
    """
    del available
    return partitions[crc32(key or b"") % len(partitions)]


def get_size_limit(topic: str) -> int:
    """Return how many bytes a message on a topic may have."""
    return MAX_DEAD_BYTES if topic == DEAD.name else MAX_MESSAGE_BYTES


@dataclass(frozen=True)
class TopicProblem:
    """A topic that is not as the registry says."""

    topic: str
    problem: str
    fix: str


@asynccontextmanager
async def open_admin(bootstrap: str) -> AsyncGenerator[Any]:
    """Open an admin client.

    Raises:
        ConfigurationError: the broker cannot be reached.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap.split(","), request_timeout_ms=15_000)
    try:
        await admin.start()
    except (KafkaError, OSError) as error:
        raise ConfigurationError(
            f"Kafka does not answer at {bootstrap}. Check HUB_KAFKA_BOOTSTRAP and that the broker runs.",
            code="broker.unreachable",
        ) from error
    try:
        yield admin
    finally:
        await admin.close()


async def apply_topics(
    bootstrap: str, *, replication: int | None = None, topics: Sequence[Topic] = TOPICS
) -> list[str]:
    """Create what is missing; returns the names created. Existing topics are left as they are (`check_topics` tells).

    Args:
        bootstrap: Kafka brokers.
        replication: Copies of each partition; None takes three, or as many as there are brokers.
        topics: What should be there: the registry, unless a test says otherwise.
    """
    async with open_admin(bootstrap) as admin:
        present = set(await admin.list_topics())
        copies = replication or min(3, len(await _list_brokers(admin)))
        missing = [topic for topic in topics if topic.name not in present]
        if missing:
            await admin.create_topics([build_new_topic(topic, copies) for topic in missing])
        return [topic.name for topic in missing]


async def check_topics(bootstrap: str, topics: Sequence[Topic] = TOPICS) -> list[TopicProblem]:
    """Compare the cluster with the registry."""
    async with open_admin(bootstrap) as admin:
        described = {entry["topic"]: entry for entry in await admin.describe_topics()}
        retentions = await _fetch_retentions(admin, [topic.name for topic in topics if topic.name in described])
    problems: list[TopicProblem] = []
    for topic in topics:
        problems += _compare(topic, described.get(topic.name), retentions.get(topic.name))
    return problems


def build_new_topic(topic: Topic, replication: int) -> NewTopic:
    """Build the order for a topic as the registry says."""
    return NewTopic(
        topic.name,
        topic.partitions,
        replication,
        topic_configs={
            "retention.ms": _retention_ms(topic),
            "max.message.bytes": str(get_size_limit(topic.name)),
        },
    )


def _retention_ms(topic: Topic) -> str:
    return str(int(topic.retention.total_seconds() * 1000))


def _compare(topic: Topic, described: Mapping[str, Any] | None, retention: str | None) -> list[TopicProblem]:
    if described is None:
        return [TopicProblem(topic.name, "is missing", "run hub topics apply")]
    problems: list[TopicProblem] = []
    count = len(described["partitions"])
    if count != topic.partitions:
        fix = (
            "stop all services, recreate the topic or raise its partitions; all stage topics must have the same number"
        )
        problems.append(TopicProblem(topic.name, f"has {count} partitions, not {topic.partitions}", fix))
    # A broker that does not tell its retention (the embedded one) is not blamed for it.
    if retention is not None and retention != _retention_ms(topic):
        fix = f"set retention.ms={_retention_ms(topic)} with kafka-configs"
        problems.append(TopicProblem(topic.name, f"keeps messages for {retention} ms", fix))
    return problems


async def _list_brokers(admin: Any) -> list[Any]:
    return list((await admin.describe_cluster())["brokers"])


async def _fetch_retentions(admin: Any, names: list[str]) -> dict[str, str]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    retentions: dict[str, str] = {}
    for response in await admin.describe_configs(resources):
        for _code, _message, _kind, name, entries in response.resources:
            for entry in entries:
                if entry[0] == "retention.ms" and entry[1] is not None:
                    retentions[name] = entry[1]
    return retentions
