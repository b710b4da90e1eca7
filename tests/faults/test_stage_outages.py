"""The broker freezes, restarts or refuses: the stage waits, goes on by itself, and loses nothing."""

import asyncio
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaConsumer

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
async def test_what_is_too_large_for_the_broker_is_refused_and_not_tried_again(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique).create()
    async with running(place, FakeHandler()) as rig:
        with pytest.raises(Refused) as caught:
            await KafkaPublisher(rig.kafka).publish_bytes(place.target.name, "con_a/in_1", b"x" * 7_000_000)
    assert caught.value.code == "broker.message.size"


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
