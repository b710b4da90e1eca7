"""A stage on each broker: nothing is lost, whatever lies between the good messages."""

import asyncio

import pytest

from schemas.messages import StripeEventReceived
from tests.brokers import Broker
from tests.fakes import FakeHandler, build_received, wait_until
from tests.pipeline.stage_harness import Place, Raw, build_many, forward_to, read_all, running

pytestmark = pytest.mark.broker


async def test_every_message_is_handled_published_and_committed(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique, partitions=3).create()
    await place.produce(*build_many(60))
    handler = FakeHandler(work=forward_to(place.target))

    async with running(place, handler) as rig:
        await rig.wait_handled(60)

    published = [
        StripeEventReceived.model_validate_json(value).object_id
        for value in await read_all(broker, place.target.name, 3)
        if value
    ]
    assert sorted(published) == sorted(one.object_id for one in build_many(60))
    committed = await place.load_committed()
    assert sum(offset or 0 for offset in committed.values()) == 60


async def test_what_cannot_be_read_loses_no_neighbour(broker: Broker, unique: str) -> None:
    """FastStream's own batch decoding drops a whole batch for one bad body or header."""
    place = await Place(broker, unique).create()
    good = [Raw(one.model_dump_json().encode(), b"con_a/" + one.object_id.encode()) for one in build_many(4)]
    elsewhere = build_received("in_elsewhere")
    bad = [
        Raw(b"{not json", b"con_a/in_bad", headers=[("content-type", b"application/json")]),
        Raw(None, b"con_a/in_empty"),
        Raw(b"\xff\xfe", None, headers=[("traceparent", b"\xff\xfe"), ("", b"")]),
        Raw(elsewhere.model_dump_json().encode(), b"con_b/in_elsewhere"),
        Raw(elsewhere.model_dump_json().encode().replace(b'"version":1', b'"version":2'), b"con_a/in_elsewhere"),
    ]
    await place.produce_raw(good[0], bad[0], bad[1], good[1], bad[2], good[2], bad[3], bad[4], good[3])

    handler = FakeHandler()
    async with running(place, handler) as rig:
        await place.wait_committed({0: 9})
        assert rig.handler.handled == [one.object_id for one in build_many(4)]

    dead = await place.load_dead()
    assert sorted((one.offset, one.code) for one in dead) == [
        (1, "message.invalid"),
        (2, "message.empty"),
        (4, "message.invalid"),
        (6, "message.key"),
        (7, "message.invalid"),
    ]


async def test_a_message_of_the_largest_size_goes_through(broker: Broker, unique: str) -> None:
    """aiokafka skips what is larger than one fetch, without a word."""
    place = await Place(broker, unique).create()
    large = build_received("in_large", event_id="e" * 3_900_000)
    await place.produce(build_received("in_before"), large, build_received("in_after"))

    handler = FakeHandler()
    async with running(place, handler):
        await place.wait_committed({0: 3})

    assert handler.handled == ["in_before", "in_large", "in_after"]


async def test_the_largest_poison_goes_to_the_dead_topic(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique).create()
    await place.produce_raw(Raw(b"x" * 3_900_000, b"con_a/in_large"))

    async with running(place, FakeHandler()):
        await place.wait_committed({0: 1})

    assert [one.code for one in await place.load_dead()] == ["message.invalid"]


async def test_one_slow_connection_holds_nobody_up(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique).create()
    release = asyncio.Event()

    async def work(message: StripeEventReceived) -> list[object]:
        if message.connection == "con_slow":
            await release.wait()
        return []

    slow = [build_received(f"in_{number}", "con_slow") for number in range(300)]
    quick = [build_received(f"in_quick_{number}", "con_quick") for number in range(50)]
    await place.produce(*slow, *quick)
    handler = FakeHandler(work=work)  # type: ignore[arg-type]
    async with running(place, handler) as rig:

        def quick_ones_are_done() -> bool:
            return sum(one.startswith("in_quick") for one in handler.handled) == 50

        await wait_until(quick_ones_are_done)
        share = rig.policy.window.share
        assert len(rig.waiting.parked) == 300 - share
        assert {parked.code for parked in rig.waiting.parked} == {"stage.share"}
        release.set()
        await place.wait_committed({0: 350})
