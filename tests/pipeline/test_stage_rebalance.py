"""Stages that share a topic, get and lose partitions, with work in hand."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest

from hub.stage.defects import DefectRun
from hub.stage.dispatch import Window
from hub.stage.ports import Outgoing
from schemas.errors import RetryLater, RetrySoon
from schemas.messages import StripeEventReceived
from tests.brokers import Broker
from tests.fakes import FakeHandler, build_received, wait_until
from tests.pipeline.stage_harness import Place, Rig, build_many, build_policy, running

pytestmark = pytest.mark.broker


class Remote:
    """A remote write that lasts until it is let go; notes what began and what ended, and what ran side by side."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.cancelled = 0
        self.at_once: dict[str, int] = defaultdict(int)
        self.most_at_once = 0

    async def write(self, message: StripeEventReceived) -> list[Outgoing]:
        name = message.object_id
        self.begun.append(name)
        self.at_once[name] += 1
        self.most_at_once = max(self.most_at_once, self.at_once[name])
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.at_once[name] -= 1
        self.ended.append(name)
        return []


def count_begun(remote: Remote, at_least: int) -> Callable[[], bool]:
    def has_begun() -> bool:
        return len(remote.begun) >= at_least

    return has_begun


async def test_two_consumers_share_the_partitions_by_range(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique, partitions=4).create()
    first, second = FakeHandler(), FakeHandler()
    async with running(place, first) as one:
        await one.wait_assigned(4)
        async with running(place, second) as two:
            await one.wait_assigned(2)
            await two.wait_assigned(2)
            shares = [sorted(tp.partition for tp in rig.consumer.assignment()) for rig in (one, two)]
            assert sorted(shares) == [[0, 1], [2, 3]]
            await place.produce(*build_many(40))

            def all_are_handled() -> bool:
                return len(first.handled) + len(second.handled) == 40

            await wait_until(all_are_handled)
        await one.wait_assigned(4)
    assert sorted(first.handled + second.handled) == sorted(one.object_id for one in build_many(40))


async def test_a_revoke_with_work_in_flight_cancels_nothing_and_keeps_the_order(broker: Broker, unique: str) -> None:
    """The write outlasts the drain: it goes on, its offset comes again, and its second run waits for the first."""
    place = await Place(broker, unique).create()
    await place.produce(*(build_received("in_1", event_id=f"evt_{number}") for number in range(3)))
    remote = Remote()
    handler = FakeHandler(work=remote.write)
    policy = build_policy(broker, revoke_drain=timedelta(milliseconds=300))
    async with running(place, handler, policy=policy) as one:
        await wait_until(count_begun(remote, 1))
        # A second member joins and the group rebalances; the one partition stays here or comes back when it leaves.
        async with running(place, FakeHandler(work=remote.write), policy=policy) as two:

            def both_have_a_place() -> bool:
                return len(one.consumer.assignment()) + len(two.consumer.assignment()) == 1 and two.stage.is_assigned

            await wait_until(both_have_a_place)
            assert remote.cancelled == 0
            remote.release.set()
            await place.wait_committed({0: 3})
    assert remote.cancelled == 0
    assert len(remote.ended) == len(remote.begun) >= 3


async def test_redelivered_work_waits_for_its_first_run_in_the_same_process(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique).create()
    await place.produce(build_received("in_1"))
    remote = Remote()
    policy = build_policy(broker, revoke_drain=timedelta(milliseconds=100))
    async with running(place, FakeHandler(work=remote.write), policy=policy) as rig:
        await wait_until(count_begun(remote, 1))
        await _rejoin(rig)

        def is_taken_again() -> bool:
            return rig.stage._dispatcher.in_hand == 2

        await wait_until(is_taken_again)
        assert remote.begun == ["in_1"]
        assert await place.load_committed() == {0: None}
        remote.release.set()
        await place.wait_committed({0: 1})
    assert remote.ended == ["in_1", "in_1"]
    assert remote.most_at_once == 1


async def _rejoin(rig: Rig) -> None:
    """Have the member rejoin its group: a rebalance, with the same partitions after it."""
    subscription, coordinator = rig.consumer._subscription.subscription, cast("Any", rig.consumer._coordinator)
    before = subscription.assignment
    coordinator.request_rejoin()

    def has_rejoined() -> bool:
        return subscription.assignment is not before and not rig.stage._intake._not_taken

    await wait_until(has_rejoined)


async def test_work_that_ends_within_the_drain_is_committed_by_the_revoke(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique).create()
    await place.produce(*build_many(5))
    remote = Remote()
    policy = build_policy(broker, commit_interval=timedelta(hours=1))
    async with running(place, FakeHandler(work=remote.write), policy=policy) as rig:
        await wait_until(count_begun(remote, 5))
        rejoining = asyncio.create_task(_rejoin(rig))

        def is_being_revoked() -> bool:
            return bool(rig.stage._intake._not_taken)

        await wait_until(is_being_revoked)
        remote.release.set()
        await rejoining
        await place.wait_committed({0: 5})
    assert len(remote.begun) == 5


async def test_a_full_window_pauses_and_the_pause_outlives_a_rebalance(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique).create()
    messages = [build_received(f"in_{number}", f"con_{number % 10}") for number in range(200)]
    await place.produce(*messages)
    remote = Remote()
    policy = build_policy(broker, window=Window(64, 64), max_records=32, revoke_drain=timedelta(milliseconds=100))
    async with running(place, FakeHandler(work=remote.write), policy=policy) as rig:

        def is_paused() -> bool:
            return rig.consumer.paused() == rig.consumer.assignment() != set()

        await wait_until(is_paused)
        assert len(remote.begun) <= 64 + 32
        await _rejoin(rig)
        await wait_until(is_paused)
        assert rig.stage._dispatcher.in_hand <= 64 + 32
        remote.release.set()
        await place.wait_committed({0: 200})
        assert not rig.consumer.paused()


async def test_a_record_held_too_long_waits_in_the_ledger_and_frees_those_behind_it(
    broker: Broker, unique: str
) -> None:
    place = await Place(broker, unique).create()
    remote = Remote()

    async def work(message: StripeEventReceived) -> list[Outgoing]:
        return await remote.write(message) if message.object_id == "in_slow" else []

    slow = [build_received("in_slow", event_id=f"evt_{number}") for number in range(2)]
    await place.produce(*slow, *build_many(3))
    policy = build_policy(broker, hold=timedelta(milliseconds=300))
    async with running(place, FakeHandler(work=work), policy=policy) as rig:
        await place.wait_committed({0: 5})
        assert [parked.code for parked in rig.waiting.parked] == ["stage.slow"] * 2
        assert remote.begun == ["in_slow"]
        assert remote.cancelled == 0
        remote.release.set()

        def is_idle() -> bool:
            return rig.stage._dispatcher.in_hand == 0

        await wait_until(is_idle)
    assert remote.begun == ["in_slow"]


async def test_defects_of_several_connections_hold_the_stage_until_a_success(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique).create()
    broken = True

    async def work(_message: StripeEventReceived) -> list[Outgoing]:
        if broken:
            raise KeyError("a bad deploy")
        return []

    await place.produce(*[build_received(f"in_{number}", f"con_{number % 5}") for number in range(30)])
    defects = DefectRun("contacts", limit=3, pause=0.1, longest=0.1)
    async with running(place, FakeHandler(work=work), defects=defects):

        def is_held() -> bool:
            return defects.is_tripped

        await wait_until(is_held)
        await place.produce(*build_many(5, "in_later"))
        # One may have stood between its last try and the judgement.
        assert len(await place.load_dead()) in {2, 3}
        broken = False
        await place.wait_committed({0: 35})
        assert not defects.is_tripped
    assert len(await place.load_dead()) <= 3


async def test_one_that_goes_through_frees_a_stage_that_several_bad_connections_hold(
    broker: Broker, unique: str
) -> None:
    """Three customers with a bad template are no reason to keep a fourth waiting."""
    place = await Place(broker, unique).create()

    async def work(message: StripeEventReceived) -> list[Outgoing]:
        if message.connection != "con_good":
            raise KeyError("its template")
        return []

    await place.produce(*[build_received(f"in_{number}", f"con_{number % 3}") for number in range(30)])
    defects, handler = DefectRun("contacts", pause=60), FakeHandler(work=work)
    async with running(place, handler, defects=defects) as rig:

        def is_held() -> bool:
            return defects.is_tripped

        await wait_until(is_held)
        await place.produce(build_received("in_good", "con_good"))
        await place.wait_committed({0: 31})
    assert "in_good" in handler.handled
    dead = len(await place.load_dead())
    assert dead + len(rig.waiting.parked) == 30
    assert dead <= 12


async def test_defects_of_one_connection_leave_the_others_alone(broker: Broker, unique: str) -> None:
    """A template that crashes is enough: five invoices of one customer held the stage for all."""
    place = await Place(broker, unique).create()

    async def work(message: StripeEventReceived) -> list[Outgoing]:
        if message.connection == "con_bad":
            raise KeyError("its template")
        return []

    mixed = [build_received(f"in_{number}", "con_bad" if number % 2 else "con_good") for number in range(40)]
    await place.produce(*mixed)
    handler, defects = FakeHandler(work=work), DefectRun("contacts")
    async with running(place, handler, defects=defects) as rig:
        await place.wait_committed({0: 40})
        assert not rig.consumer.paused()
    assert {f"in_{number}" for number in range(0, 40, 2)} <= set(handler.handled)
    # Of the bad connection's twenty, a few are dead, and the others wait until it is repaired.
    dead = len(await place.load_dead())
    assert dead <= 4
    assert len(rig.waiting.parked) == 20 - dead
    assert {one.code for one in rig.waiting.parked} == {"connection.held"}


async def test_a_drain_leaves_nothing_begun_unfinished_and_queued_work_to_the_next(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique).create()
    await place.produce(*(build_received("in_1", event_id=f"evt_{number}") for number in range(4)))
    remote = Remote()
    async with running(place, FakeHandler(work=remote.write)) as rig:
        await wait_until(count_begun(remote, 1))
        draining = asyncio.create_task(rig.stage.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        remote.release.set()
        await draining
    assert remote.ended == ["in_1"]
    assert await place.load_committed() == {0: 1}
    rest = FakeHandler()
    async with running(place, rest):
        await place.wait_committed({0: 4})
    assert len(rest.handled) == 3


async def test_a_ledger_that_is_away_while_parking_keeps_the_offset(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique).create()
    handler = FakeHandler()
    handler.fail_next(RetryLater("Busy.", code="bc.busy"))
    await place.produce(build_received("in_1"), build_received("in_2"))
    async with running(place, handler) as rig:
        rig.waiting.fail_next(*[RetrySoon("Away.", code="ledger.unavailable")] * 3)
        await rig.wait_handled(2)
        assert (await place.load_committed())[0] is None
        await place.wait_committed({0: 2})
        assert [parked.code for parked in rig.waiting.parked] == ["bc.busy"]
