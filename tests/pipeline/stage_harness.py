"""A stage on a real broker, with a topic and a group of its own, and its remote side faked."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faststream.kafka import KafkaBroker

from hub.broker import MAX_MESSAGE_BYTES, build_broker, build_new_topic
from hub.clock import SystemClock
from hub.config import load_config
from hub.stage.defects import DefectRun
from hub.stage.ports import Outgoing
from hub.stage.processing import StageIdentity, Surroundings
from hub.stage.publisher import KafkaPublisher
from hub.stage.runtime import Source, Stage, StagePolicy
from schemas.ids import build_message_key
from schemas.messages import DeadMessage, StripeEventReceived
from schemas.topics import DEAD, STRIPE_EVENTS, Topic
from tests.brokers import Broker
from tests.fakes import FakeGate, FakeHandler, FakeWaitingSet, build_received, wait_until

RETRY_WAITS = (timedelta(seconds=5), timedelta(seconds=60))


@dataclass(frozen=True)
class Place:
    """The topics and the group of one test."""

    broker: Broker
    unique: str
    partitions: int = 1

    @property
    def source(self) -> Source:
        return Source(_derive(STRIPE_EVENTS, self.unique), f"group-{self.unique}")

    @property
    def target(self) -> Topic:
        return _derive(STRIPE_EVENTS, f"out-{self.unique}")

    async def create(self) -> "Place":
        size = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        await admin.start()
        try:
            topics = [
                NewTopic(one.name, num_partitions=self.partitions, replication_factor=1, topic_configs=size)
                for one in (self.source.topic, self.target)
            ]
            if DEAD.name not in await admin.list_topics():
                topics.append(build_new_topic(DEAD, 1))
            await admin.create_topics(topics)
        finally:
            await admin.close()
        return self

    async def produce(self, *messages: StripeEventReceived, partition: int | None = None) -> None:
        await self.produce_raw(
            *(
                Raw(
                    one.model_dump_json().encode(),
                    build_message_key(one.connection, one.object_id).encode(),
                    partition=partition,
                )
                for one in messages
            )
        )

    async def produce_raw(self, *raws: "Raw") -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=self.broker.bootstrap, acks="all", linger_ms=5, max_request_size=MAX_MESSAGE_BYTES
        ) as producer:
            sent = [
                await producer.send(
                    self.source.topic.name, one.value, key=one.key, partition=one.partition, headers=list(one.headers)
                )
                for one in raws
            ]
            for future in sent:
                await future

    async def load_committed(self) -> dict[int, int | None]:
        """Return the group's committed offset of each partition."""
        async with AIOKafkaConsumer(
            bootstrap_servers=self.broker.bootstrap, group_id=self.source.group, enable_auto_commit=False
        ) as consumer:
            consumer.assign([TopicPartition(self.source.topic.name, number) for number in range(self.partitions)])
            return {
                number: await consumer.committed(TopicPartition(self.source.topic.name, number))
                for number in range(self.partitions)
            }

    async def wait_committed(self, expected: dict[int, int], within: float = 15.0) -> None:
        """Return once the group's offsets are these."""
        seen: dict[int, int | None] = {}
        try:
            async with asyncio.timeout(within):
                while any(seen.get(number) != offset for number, offset in expected.items()):
                    seen = await self.load_committed()
        except TimeoutError:
            raise TimeoutError(f"committed is {seen}, not {expected}") from None

    async def load_dead(self) -> list[DeadMessage]:
        """Return what the dead topic holds of this test's records."""
        everything = await read_all(self.broker, DEAD.name, DEAD.partitions)
        # The topic is shared by all tests of a broker, and some of them put what can't be read on it.
        ours = self.source.topic.name.encode()
        return [DeadMessage.model_validate_json(value) for value in everything if value and ours in value]


@dataclass(frozen=True)
class Raw:
    """A record as anyone might send it."""

    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: Sequence[tuple[str, bytes]] = ()


def _derive(topic: Topic, suffix: str) -> Topic:
    return Topic(f"{topic.name}-{suffix}", topic.message, topic.key, topic.retention, topic.summary)


async def read_all(broker: Broker, topic: str, partitions: int) -> list[bytes | None]:
    """Read a topic from its beginning to its end of now."""
    async with AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
    ) as consumer:
        assigned = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(assigned)
        ends = await consumer.end_offsets(assigned)
        values: list[bytes | None] = []
        for partition in assigned:
            while await consumer.position(partition) < ends[partition]:
                for records in (await consumer.getmany(partition, timeout_ms=500)).values():
                    values += [record.value for record in records]
        return values


@dataclass
class Rig:
    """A stage that runs, and what is around it."""

    place: Place
    handler: FakeHandler
    policy: StagePolicy
    gate: FakeGate = field(default_factory=FakeGate)
    waiting: FakeWaitingSet = field(default_factory=FakeWaitingSet)
    defects: DefectRun = field(default_factory=lambda: DefectRun("contacts", limit=1000))
    kafka: KafkaBroker = field(init=False)
    stage: Stage[StripeEventReceived] = field(init=False)

    def __post_init__(self) -> None:
        config = load_config(
            {
                "HUB_KAFKA_BOOTSTRAP": self.place.broker.bootstrap,
                "HUB_REDIS_URL": "redis://unused",
                "HUB_SECRET_KEYS": "0123456789abcdef",
            }
        )
        self.kafka = build_broker(config, "test")
        surroundings = Surroundings(
            gate=self.gate,
            waiting=self.waiting,
            publisher=KafkaPublisher(self.kafka),
            clock=SystemClock(),
            retry_waits=RETRY_WAITS,
            defects=self.defects,
        )
        identity = StageIdentity("contacts", frozenset({"stripe", "bc"}))
        self.stage = Stage(identity, self.handler, self.kafka, surroundings, self.policy, source=self.place.source)
        self.stage.attach()

    @property
    def consumer(self) -> AIOKafkaConsumer:
        consumer: Any = self.stage._intake.consumer
        return consumer

    async def start(self) -> None:
        await self.kafka.start()
        await self.stage.start()

    async def stop(self) -> None:
        await self.stage.drain()
        await self.kafka.stop()

    async def wait_handled(self, count: int, within: float = 15.0) -> None:
        handler = self.handler

        def has_handled() -> bool:
            return len(handler.handled) >= count

        await wait_until(has_handled, within)

    async def wait_assigned(self, partitions: int, within: float = 20.0) -> None:
        def is_assigned() -> bool:
            return len(self.stage._intake._partitions) == partitions

        await wait_until(is_assigned, within)


def build_policy(broker: Broker, **changes: Any) -> StagePolicy:
    """Build a policy for tests: the embedded broker lets a group stand still for half of the session time."""
    session = timedelta(seconds=10 if broker.is_kafka else 2)
    defaults: dict[str, Any] = {
        "session_timeout": session,
        "heartbeat": timedelta(milliseconds=200),
        "commit_interval": timedelta(milliseconds=50),
    }
    return StagePolicy(**{**defaults, **changes})


@asynccontextmanager
async def running(place: Place, handler: FakeHandler, **parts: Any) -> AsyncGenerator[Rig]:
    """Run a stage for the length of the block, and drain it after."""
    policy = parts.pop("policy", None) or build_policy(place.broker)
    rig = Rig(place, handler, policy, **parts)
    await rig.start()
    try:
        yield rig
    finally:
        await rig.stop()


def forward_to(target: Topic) -> Callable[[StripeEventReceived], Awaitable[list[Outgoing]]]:
    """Return a handler's work: publish the message again, on `target`."""

    async def forward(message: StripeEventReceived) -> list[Outgoing]:
        return [Outgoing(target, build_message_key(message.connection, message.object_id), message)]

    return forward


def build_many(count: int, prefix: str = "in") -> list[StripeEventReceived]:
    return [build_received(f"{prefix}_{number}") for number in range(count)]
