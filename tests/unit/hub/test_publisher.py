"""Publishing in batches, on a producer that keeps what it is given until it is told how the broker answered."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from hub.broker import MAX_DEAD_BYTES, MAX_MESSAGE_BYTES
from hub.stage.publisher import KafkaPublisher
from hub.trace import begin_trace, current_header
from schemas.errors import Refused, RetrySoon
from schemas.topics import DEAD, STRIPE_EVENTS

TOPIC = STRIPE_EVENTS.name
BATCH_BYTES = 10_000


class Sent:
    """A batch that was handed over, and what becomes of it."""

    def __init__(self, builder: Any, topic: str, partition: int) -> None:
        data = bytes(builder._build())
        self.size = len(data)
        self.records = [record for batch in iter(MemoryRecords(data).next_batch, None) for record in batch]
        self.topic = topic
        self.partition = partition
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.records]


class FakeProducer:
    """Builds real batches, and acknowledges nothing by itself unless it is `prompt`."""

    def __init__(self, partitions: int = 1, *, prompt: bool = False) -> None:
        self.partitions = partitions
        self.prompt = prompt
        self.sent: list[Sent] = []
        self.errors: list[Exception] = []
        self.knows_topics = asyncio.Event()
        self.knows_topics.set()

    async def partitions_for(self, topic: str) -> set[int]:
        await self.knows_topics.wait()
        return set(range(self.partitions))

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(BATCH_BYTES, 0)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> Awaitable[None]:
        assert batch.closed(), "a batch that is open may change after its records were counted"
        if self.errors:
            raise self.errors.pop(0)
        sent = Sent(batch, topic, partition)
        self.sent.append(sent)
        if self.prompt:
            sent.answer.set_result(None)
        return sent.answer


def build_publisher(producer: FakeProducer) -> KafkaPublisher:
    """Build one as on a FastStream broker that has started."""
    broker: Any = SimpleNamespace(config=SimpleNamespace(producer=SimpleNamespace(_producer=None)))
    broker.config.producer._producer = SimpleNamespace(producer=producer)
    return KafkaPublisher(broker)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def begin(publisher: KafkaPublisher, *values: bytes, key: str = "con_a/in_1") -> list[asyncio.Task[None]]:
    return [asyncio.create_task(publisher.publish_bytes(TOPIC, key, value)) for value in values]


async def test_messages_of_one_turn_leave_together_and_in_order() -> None:
    producer = FakeProducer()
    senders = begin(build_publisher(producer), b"1", b"2", b"3")
    await settle()

    (batch,) = producer.sent
    assert (batch.topic, batch.partition, batch.values) == (TOPIC, 0, [b"1", b"2", b"3"])
    assert not any(sender.done() for sender in senders)
    batch.answer.set_result(None)
    await asyncio.gather(*senders)


async def test_a_message_takes_its_key_its_headers_and_its_trace_along() -> None:
    producer = FakeProducer(prompt=True)
    begin_trace()
    await build_publisher(producer).publish_bytes(TOPIC, "con_a/in_1", b"value", [("stripe-event", b"{}")])

    (record,) = producer.sent[0].records
    assert record.key == b"con_a/in_1"
    assert record.headers == [*current_header(), ("stripe-event", b"{}")]


async def test_what_comes_while_a_batch_is_under_way_leaves_together_after_it() -> None:
    producer = FakeProducer()
    publisher = build_publisher(producer)
    senders = begin(publisher, b"1")
    await settle()
    senders += begin(publisher, b"2")
    await settle()
    senders += begin(publisher, b"3")
    await settle()
    assert [one.values for one in producer.sent] == [[b"1"]]

    producer.sent[0].answer.set_result(None)
    await settle()
    assert [one.values for one in producer.sent] == [[b"1"], [b"2", b"3"]]
    producer.sent[1].answer.set_result(None)
    await asyncio.gather(*senders)


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 2)), max_size=60), st.booleans())
async def test_messages_of_a_key_keep_their_order(steps: list[tuple[str, int]], prompt: bool) -> None:
    producer = FakeProducer(partitions=3, prompt=prompt)
    publisher = build_publisher(producer)
    expected: dict[bytes, list[bytes | None]] = defaultdict(list)
    senders: list[asyncio.Task[None]] = []
    for number, (key, turns) in enumerate(steps):
        value = b"%d" % number
        expected[key.encode()].append(value)
        senders += begin(publisher, value, key=key)
        for _ in range(turns):
            await asyncio.sleep(0)
        for one in producer.sent[::2]:
            if not one.answer.done():
                one.answer.set_result(None)
    while not all(sender.done() for sender in senders):
        for one in producer.sent:
            if not one.answer.done():
                one.answer.set_result(None)
        await asyncio.sleep(0)

    arrived: dict[bytes, list[bytes | None]] = defaultdict(list)
    for batch in producer.sent:
        for record in batch.records:
            assert record.key is not None
            arrived[record.key].append(record.value)
    assert arrived == expected


async def test_a_partition_that_does_not_answer_holds_up_no_other() -> None:
    producer = FakeProducer(partitions=2)
    publisher = build_publisher(producer)
    (stuck,) = begin(publisher, b"stuck", key="con_a/in_1")
    (free,) = begin(publisher, b"free", key="con_a/in_4")
    await settle()
    assert {one.partition for one in producer.sent} == {0, 1}
    next(one for one in producer.sent if one.values == [b"free"]).answer.set_result(None)
    await free

    assert not stuck.done()
    stuck.cancel()


async def test_a_batch_that_fails_fails_all_who_sent_it_and_not_the_next() -> None:
    producer = FakeProducer()
    publisher = build_publisher(producer)
    failing = begin(publisher, b"1", b"2")
    await settle()
    following = begin(publisher, b"3")
    producer.sent[0].answer.set_exception(KafkaConnectionError())
    await settle()
    producer.sent[1].answer.set_result(None)

    errors = await asyncio.gather(*failing, return_exceptions=True)
    assert [type(error) for error in errors] == [RetrySoon, RetrySoon]
    assert errors[0] is not errors[1]
    assert getattr(errors[0], "context", None) == {"topic": TOPIC, "why": "KafkaConnectionError"}
    await asyncio.gather(*following)


async def test_whatever_the_producer_raises_is_told_and_the_next_batch_is_sent() -> None:
    producer = FakeProducer(prompt=True)
    producer.errors = [AssertionError("Unrecognized partition")]
    publisher = build_publisher(producer)
    with pytest.raises(RetrySoon):
        await publisher.publish_bytes(TOPIC, "con_a/in_1", b"1")

    await publisher.publish_bytes(TOPIC, "con_a/in_1", b"2")
    assert [one.values for one in producer.sent] == [[b"2"]]


async def test_what_is_larger_than_the_topic_takes_is_refused_unsent_and_its_neighbours_arrive() -> None:
    producer = FakeProducer(prompt=True)
    first, large, last = begin(build_publisher(producer), b"1", b"x" * MAX_MESSAGE_BYTES, b"2")
    await asyncio.gather(first, last)
    with pytest.raises(Refused) as refused:
        await large

    assert refused.value.code == "broker.message.size"
    assert [value for one in producer.sent for value in one.values] == [b"1", b"2"]


async def test_the_largest_message_is_sent_and_the_dead_topic_takes_a_larger_one() -> None:
    producer = FakeProducer(prompt=True)
    publisher = build_publisher(producer)
    overhead = 90
    await publisher.publish_bytes(TOPIC, "k", b"x" * (MAX_MESSAGE_BYTES - overhead))
    await publisher.publish_bytes(DEAD.name, "k", b"x" * (MAX_DEAD_BYTES - overhead))

    assert MAX_MESSAGE_BYTES - overhead < producer.sent[0].size <= MAX_MESSAGE_BYTES
    assert MAX_MESSAGE_BYTES < producer.sent[1].size <= MAX_DEAD_BYTES


async def test_a_message_larger_than_a_batch_shares_one_with_nobody() -> None:
    """So that whatever the broker says of it is said of it alone."""
    producer = FakeProducer(prompt=True)
    large = b"x" * (BATCH_BYTES + 1)
    await asyncio.gather(*begin(build_publisher(producer), b"1", large, b"2"))

    assert [one.values for one in producer.sent] == [[b"1"], [large], [b"2"]]


async def test_what_the_broker_itself_finds_too_large_is_refused() -> None:
    producer = FakeProducer()
    (sender,) = begin(build_publisher(producer), b"1")
    await settle()
    producer.sent[0].answer.set_exception(MessageSizeTooLargeError())

    with pytest.raises(Refused):
        await sender


async def test_one_sender_who_leaves_takes_nothing_from_the_others() -> None:
    producer = FakeProducer()
    first, leaving, last = begin(build_publisher(producer), b"1", b"2", b"3")
    await settle()
    leaving.cancel()
    await settle()
    assert leaving.cancelled()
    producer.sent[0].answer.set_result(None)

    await asyncio.gather(first, last)


async def test_without_an_answer_all_are_told_at_the_deadline() -> None:
    producer = FakeProducer()
    started = asyncio.get_running_loop().time()
    errors = await asyncio.gather(*begin(build_publisher(producer), b"1", b"2"), return_exceptions=True)

    assert [getattr(error, "context", None) for error in errors] == [{"topic": TOPIC, "why": "TimeoutError"}] * 2
    assert asyncio.get_running_loop().time() - started == pytest.approx(15, abs=0.5)


async def test_what_waited_beyond_its_deadline_is_never_sent_and_what_comes_later_is() -> None:
    producer = FakeProducer()
    publisher = build_publisher(producer)
    given_up = begin(publisher, b"under way")
    await settle()
    given_up += begin(publisher, b"behind it")
    await asyncio.gather(*given_up, return_exceptions=True)
    assert all(isinstance(one.exception(), RetrySoon) for one in given_up)

    (late,) = begin(publisher, b"late")
    await settle()
    producer.sent[0].answer.set_result(None)  # the broker is back: what was given up has arrived after all
    await settle()
    producer.sent[1].answer.set_result(None)
    await late
    assert [one.values for one in producer.sent] == [[b"under way"], [b"late"]]


async def test_while_the_broker_is_away_nothing_piles_up() -> None:
    producer = FakeProducer()
    publisher = build_publisher(producer)
    for _ in range(5):
        await asyncio.gather(*begin(publisher, b"1", b"x" * BATCH_BYTES, b"2"), return_exceptions=True)

    (queue,) = publisher._queues[TOPIC]
    assert len(queue._waiting) <= 3


async def test_a_topic_that_the_broker_does_not_tell_of_is_worth_another_try() -> None:
    producer = FakeProducer(prompt=True)
    producer.knows_topics.clear()
    publisher = build_publisher(producer)
    with pytest.raises(RetrySoon):
        await publisher.publish_bytes(TOPIC, "con_a/in_1", b"1")

    producer.knows_topics.set()
    await publisher.publish_bytes(TOPIC, "con_a/in_1", b"2")
