"""The broker freezes, restarts or refuses: the stage waits, goes on by itself, and loses nothing."""

import asyncio
import random
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaConsumer

from hub.broker import MAX_MESSAGE_BYTES
from hub.stage.publisher import KafkaPublisher
from schemas.errors import Refused, RetrySoon
from schemas.messages import StripeEventReceived
from tests.brokers import Broker
from tests.fakes import FakeHandler, build_received
from tests.pipeline.stage_harness import Place, Raw, build_many, forward_to, read_all, running


async def load_published(place: Place) -> set[str]:
    values = await read_all(place.broker, place.target.name, place.partitions)
    return {StripeEventReceived.model_validate_json(value).object_id for value in values if value}


@pytest.mark.broker
async def test_a_broker_that_freezes_for_a_while_costs_nothing(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique, partitions=2).create()
    await place.produce(*build_many(100))
    published = forward_to(place.target)

    async def work(message: StripeEventReceived) -> object:
        if message.object_id == "in_50":
            broker.pause()
            asyncio.get_running_loop().call_later(3, broker.resume)
        return await published(message)

    handler = FakeHandler(work=work)  # type: ignore[arg-type]
    async with running(place, handler) as rig:
        await rig.wait_handled(100)
        async with asyncio.timeout(30):
            while sum(offset or 0 for offset in (await place.load_committed()).values()) < 100:
                assert rig.stage.seconds_since_poll < 20
        assert rig.stage.failure is None
    assert await load_published(place) == {one.object_id for one in build_many(100)}


@pytest.mark.kafka
@pytest.mark.slow
async def test_a_stage_outlives_a_restart_of_kafka(kafka: Broker, unique: str) -> None:
    place = await Place(kafka, unique).create()
    await place.produce(*build_many(20, "in_before"))
    async with running(place, FakeHandler(work=forward_to(place.target))) as rig:
        await rig.wait_handled(20)
        await asyncio.to_thread(kafka.restart)
        await place.produce(*build_many(20, "in_after"))
        await place.wait_committed({0: 40}, within=60)
        assert rig.stage.failure is None
    assert len(await load_published(place)) == 40


@pytest.mark.broker
async def test_a_publish_without_an_answer_is_said_to_be_worth_another_try(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique).create()
    async with running(place, FakeHandler()) as rig:
        publisher = KafkaPublisher(rig.kafka, deadline=timedelta(seconds=1))
        await publisher.publish_bytes(place.target.name, "con_a/in_1", b"before")

        async def publish_thrice() -> None:
            for _ in range(3):  # the broker may still answer the first while it freezes
                await publisher.publish_bytes(place.target.name, "con_a/in_1", b"during")

        broker.pause()
        try:
            with pytest.raises(RetrySoon) as caught:
                await publish_thrice()
        finally:
            broker.resume()
        assert caught.value.code == "broker.publish"
        await publisher.publish_bytes(place.target.name, "con_a/in_1", b"after")


@pytest.mark.broker
async def test_what_is_too_large_is_refused_and_stops_neither_its_neighbours_nor_what_follows(
    broker: Broker, unique: str
) -> None:
    place = await Place(broker, unique).create()
    async with running(place, FakeHandler()) as rig:
        publisher = KafkaPublisher(rig.kafka)

        async def publish(value: bytes) -> None:
            await publisher.publish_bytes(place.target.name, "con_a/in_1", value)

        await publish(b"first")
        before, large, after = await asyncio.gather(
            publish(b"before"), publish(b"x" * (MAX_MESSAGE_BYTES + 1)), publish(b"after"), return_exceptions=True
        )
        await publish(b"last")
    assert isinstance(large, Refused)
    assert large.code == "broker.message.size"
    assert before is after is None
    assert await read_all(broker, place.target.name, 1) == [b"first", b"before", b"after", b"last"]


@pytest.mark.broker
async def test_what_many_publish_at_once_keeps_its_order_within_each_key(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique, partitions=3).create()
    keys = [f"con_a/in_{number}" for number in range(20)]
    async with running(place, FakeHandler()) as rig:
        publisher = KafkaPublisher(rig.kafka)

        async def publish(key: str) -> None:
            waiting: list[asyncio.Task[None]] = []
            for number in range(30):
                value = f"{key} {number}".encode()
                waiting.append(asyncio.create_task(publisher.publish_bytes(place.target.name, key, value)))
                await asyncio.sleep(0.001 * random.random())
            await asyncio.gather(*waiting)

        await publisher.publish_bytes(place.target.name, "con_a/first", b"first 0")
        await asyncio.gather(*(publish(key) for key in keys))
    arrived = [value.decode().split() for value in await read_all(broker, place.target.name, 3) if value]
    for key in keys:
        assert [int(number) for name, number in arrived if name == key] == list(range(30))


@pytest.mark.broker
async def test_a_publisher_that_is_not_started_or_stopped_says_so(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique).create()
    async with running(place, FakeHandler()) as rig:
        publisher = KafkaPublisher(rig.kafka)
    with pytest.raises(RetrySoon):
        await publisher.publish_bytes(place.target.name, "con_a/in_1", b"late")


@pytest.mark.broker
async def test_the_trace_goes_on_in_the_headers_of_what_is_published(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique).create()
    sent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    value = build_received().model_dump_json().encode()
    await place.produce_raw(Raw(value, b"con_a/in_1", headers=[("traceparent", sent)]))
    async with running(place, FakeHandler(work=forward_to(place.target))):
        await place.wait_committed({0: 1})
    async with AIOKafkaConsumer(
        place.target.name, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest"
    ) as consumer:
        record = await asyncio.wait_for(consumer.getone(), 10)
    headers = dict(record.headers)
    assert headers["traceparent"].startswith(sent[:36])
    assert record.key == b"con_a/in_1"
