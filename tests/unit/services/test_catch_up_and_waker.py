"""Catch-up and the waker, by hand: on a real ledger, with a fake Events API and a fake broker."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from hub.directory import Snapshot
from hub.ending import end_all
from hub.gate import Answers, ConnectionGate
from hub.ledger import InvoiceOutcome
from hub.stage.ports import Outgoing, Parked
from hub.waiting import RedisWaitingSet
from schemas.connections import BlockedState
from schemas.errors import Blocked, HubError, RetrySoon
from schemas.messages import Cause
from schemas.stripe_objects import Event
from services.ingest.catch_up import CatchUp
from services.ingest.waker import Waker
from tests.builders import NOW, build_connection, build_event, build_head, build_secrets, build_snapshot
from tests.fakes import FakePublisher, wait_until
from tests.service_fakes import World

TOPIC = "stripe.events"


class FakeEvents:
    """An Events API: oldest first, by time; fails as it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.asked: list[int] = []
        self.error: Exception | None = None

    def add(self, type_: str, object_id: str = "in_1", at: datetime = NOW, **more: Any) -> Event:
        event = msgspec.convert(build_event(type_, object_id=object_id, created=at, **more), Event)
        self.events.append(event)
        return event

    def stripe(self, _snapshot: Snapshot) -> "FakeEvents":
        return self

    async def list_events(self, *, types: Sequence[str], created_gte: int) -> AsyncGenerator[Event]:
        self.asked.append(created_gte)
        for event in sorted(self.events, key=lambda one: one.created):
            if event.created >= created_gte and event.type in types:
                yield event
        if self.error is not None:
            raise self.error


@pytest.fixture
def events() -> FakeEvents:
    return FakeEvents()


@pytest.fixture
def publisher() -> FakePublisher:
    return FakePublisher()


@pytest.fixture
def catch_up(world: World, events: FakeEvents, publisher: FakePublisher) -> CatchUp:
    return CatchUp(
        directory=world.directory,
        ledger=world.ledger,
        clients=events,  # pyright: ignore[reportArgumentType]
        head=world.build_head_writer(publisher),
        gate=ConnectionGate(world.directory, world.clock, Answers(), RedisWaitingSet(world.plain_redis)),
        redis=world.plain_redis,
        clock=world.clock,
        interval=timedelta(seconds=30),
    )


async def look(world: World, catch_up: CatchUp) -> int:
    return await catch_up.look(await world.directory.load(world.connection.id))


async def test_what_is_new_is_published_once(
    world: World, catch_up: CatchUp, events: FakeEvents, publisher: FakePublisher
) -> None:
    events.add("invoice.finalized")
    events.add("invoice.paid", at=NOW + timedelta(seconds=1))
    events.add("customer.updated", at=NOW)
    assert [await look(world, catch_up) for _ in range(3)] == [2, 0, 0]

    assert [one.event_type for one in publisher.on(TOPIC)] == ["invoice.finalized", "invoice.paid"]
    assert {one.cause for one in publisher.on(TOPIC)} == {"catch_up"}
    assert events.asked[1] == int((NOW + timedelta(seconds=1) - timedelta(minutes=2)).timestamp())


async def test_an_event_that_becomes_visible_late_is_found(world: World, catch_up: CatchUp, events: FakeEvents) -> None:
    events.add("invoice.finalized")
    await look(world, catch_up)
    events.add("invoice.finalized", "in_2", at=NOW - timedelta(minutes=1))

    assert await look(world, catch_up) == 1


async def test_the_first_look_begins_at_the_go_live_or_thirty_days_back(
    world: World, catch_up: CatchUp, events: FakeEvents
) -> None:
    await look(world, catch_up)
    await world.open(build_connection(go_live=NOW - timedelta(days=2)))
    await look(world, catch_up)

    oldest, second = (datetime.fromtimestamp(at, tz=NOW.tzinfo) for at in events.asked)
    assert NOW - oldest < timedelta(days=30)
    assert second == oldest  # the cursor was saved


async def test_an_interrupted_history_goes_on_where_it_was(
    world: World, catch_up: CatchUp, events: FakeEvents, publisher: FakePublisher
) -> None:
    for number in range(150):
        events.add("invoice.finalized", f"in_{number}", at=NOW + timedelta(seconds=number))
    events.error = RetrySoon("Reset.", code="stripe.connection.failed")
    with pytest.raises(RetrySoon):
        await look(world, catch_up)
    events.error = None
    await look(world, catch_up)

    assert len(publisher.on(TOPIC)) == 150
    assert events.asked[1] > events.asked[0]


async def test_a_removed_connection_that_is_added_again_is_looked_at_from_its_go_live(
    world: World, catch_up: CatchUp, events: FakeEvents, publisher: FakePublisher
) -> None:
    """What waited was forgotten with the connection: its events must come again, however new they are."""
    catch_up.interval = timedelta(milliseconds=1)
    events.add("invoice.finalized")
    running = asyncio.create_task(catch_up.run())
    try:
        await wait_until(lambda: len(publisher.on(TOPIC)) == 1)
        await world.directory.remove(world.connection.id)
        await wait_until(lambda: not catch_up._seen)
        asked = len(events.asked)
        await world.open()
        await wait_until(lambda: len(publisher.on(TOPIC)) == 2)
    finally:
        await end_all([running])
    assert events.asked[0] in events.asked[asked:]


async def test_a_ledger_that_was_lost_gets_all_events_again(
    world: World, catch_up: CatchUp, events: FakeEvents, publisher: FakePublisher
) -> None:
    """What waited in it is known to Stripe's events alone, also to those that this process has seen before."""
    events.add("invoice.finalized")
    events.add("invoice.finalized", "in_2", at=NOW + timedelta(hours=1))
    assert await look(world, catch_up) == 2
    await world.lose_ledger()

    assert [await look(world, catch_up) for _ in range(2)] == [2, 0]


async def test_a_ledger_that_is_lost_during_a_look_gets_all_events_again(
    world: World, catch_up: CatchUp, events: FakeEvents, publisher: FakePublisher
) -> None:
    """The look that was under way must not leave its cursor to the new ledger."""
    events.add("invoice.finalized")
    publish = publisher.publish

    async def publish_and_lose(outgoing: Outgoing) -> None:
        await publish(outgoing)
        await world.lose_ledger()

    publisher.publish = publish_and_lose
    await look(world, catch_up)
    publisher.publish = publish

    assert await look(world, catch_up) == 1


async def test_what_the_broker_did_not_take_is_published_the_next_time(
    world: World, catch_up: CatchUp, events: FakeEvents, publisher: FakePublisher
) -> None:
    events.add("invoice.finalized")
    publisher.fail_next(RetrySoon("Broker down.", code="broker.publish"))
    with pytest.raises(RetrySoon):
        await look(world, catch_up)

    assert await look(world, catch_up) == 1


async def test_a_synced_invoice_is_left_out_and_a_skipped_one_is_not(
    world: World, catch_up: CatchUp, events: FakeEvents
) -> None:
    """A skipped one may have been so before it was sent, and only this event tells."""
    skipped = InvoiceOutcome(outcome="skipped", decided_at=NOW)
    await world.ledger.record_outcome(world.connection.id, build_head().build_wakeup(), skipped)
    events.add("invoice.sent")

    assert await look(world, catch_up) == 1
    assert (await world.ledger.load_invoice(world.connection.id, "in_1")).sent_at == NOW


async def test_what_was_seen_is_forgotten_in_time(world: World, catch_up: CatchUp, events: FakeEvents) -> None:
    for hour in range(5):
        events.add("invoice.finalized", f"in_{hour}", at=NOW + timedelta(hours=hour))
    await look(world, catch_up)

    assert list(catch_up._seen[world.connection.id].events) == [events.events[-1].id]


@pytest.mark.parametrize(
    "error",
    [RuntimeError("a defect"), RetrySoon("x", code="x"), Blocked("Revoked.", code="stripe.credentials.rejected")],
)
async def test_one_connections_trouble_is_not_the_others(
    world: World, catch_up: CatchUp, events: FakeEvents, publisher: FakePublisher, error: Exception
) -> None:
    settings = (await world.directory.load(world.connection.id)).settings
    others = [build_connection(bc_company=f"Company {number}") for number in range(3)]
    for one in others:
        await world.directory.add(one, build_secrets(), settings)
    events.add("invoice.finalized")
    first = min(one.id for one in (*others, world.connection))
    original = catch_up.look

    async def look_or_fail(snapshot: Snapshot) -> int:
        if snapshot.connection.id == first:
            raise error
        return await original(snapshot)

    catch_up.look = look_or_fail  # pyright: ignore[reportAttributeAccessIssue]
    catch_up.interval = timedelta(milliseconds=20)
    running = asyncio.create_task(catch_up.run())
    await wait_until(lambda: len(publisher.on(TOPIC)) == 3)
    await end_all([running])

    assert first not in {one.connection for one in publisher.on(TOPIC)}
    assert bool((await world.directory.load(first)).blocks) is isinstance(error, Blocked)


# ---- the waker ----


@pytest.fixture
def waker(world: World, publisher: FakePublisher) -> Waker:
    return build_waker(world, publisher)


def build_waker(world: World, publisher: FakePublisher) -> Waker:
    waiting = RedisWaitingSet(world.plain_redis)
    gate = ConnectionGate(world.directory, world.clock, Answers(), waiting)
    return Waker(world.directory, waiting, publisher, gate, world.plain_redis, world.clock)


async def park(world: World, waker: Waker, object_id: str = "in_1", due: datetime = NOW, **changes: Any) -> None:
    message = build_head(object_id, connection=world.connection, **changes)
    await waker.waiting.park(Parked(message, due, "x", "x", "contacts", counts_as_attempt=True))


async def wake(world: World, waker: Waker) -> int:
    return await waker.wake(await world.directory.load(world.connection.id))


async def test_what_is_due_is_published_with_its_attempt(world: World, waker: Waker, publisher: FakePublisher) -> None:
    await park(world, waker)
    await park(world, waker, "in_2", NOW + timedelta(minutes=1))
    assert [await wake(world, waker), await wake(world, waker)] == [1, 0]

    (message,) = publisher.on(TOPIC)
    assert (message.object_id, message.cause, message.attempt) == ("in_1", "retry", 1)


@pytest.mark.parametrize(
    ("cause", "comes_as", "history"),
    [("replay", "replay", False), ("backfill", "retry", True), ("sweep", "retry", True), ("webhook", "retry", False)],
)
async def test_a_replay_stays_one_and_history_stays_behind(
    world: World, waker: Waker, publisher: FakePublisher, *, cause: Cause, comes_as: Cause, history: bool
) -> None:
    await park(world, waker, cause=cause, recreate=True)
    await wake(world, waker)

    (message,) = publisher.on(TOPIC)
    assert (message.cause, message.recreate, message.history) == (comes_as, True, history)


async def test_what_the_broker_did_not_take_comes_again(world: World, waker: Waker, publisher: FakePublisher) -> None:
    await park(world, waker)
    publisher.fail_next(RetrySoon("Broker down.", code="broker.publish"))
    with pytest.raises(HubError):
        await wake(world, waker)
    world.clock.move(timedelta(minutes=3))

    assert await wake(world, waker) == 1


class SlowPublisher(FakePublisher):
    """Acknowledges nothing before it has so many messages."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._all_here = asyncio.Barrier(number)

    async def publish(self, outgoing: Outgoing) -> None:
        await super().publish(outgoing)
        await self._all_here.wait()


async def test_what_is_woken_goes_to_the_broker_together_and_in_order(world: World) -> None:
    publisher = SlowPublisher(3)
    waker = build_waker(world, publisher)
    for age in (1, 3, 2):
        await park(world, waker, f"in_{age}", NOW - timedelta(minutes=age))
    async with asyncio.timeout(5):
        assert await wake(world, waker) == 3
    assert [message.object_id for message in publisher.on(TOPIC)] == ["in_3", "in_2", "in_1"]


async def test_one_that_the_broker_does_not_take_leaves_the_others(
    world: World, waker: Waker, publisher: FakePublisher
) -> None:
    await park(world, waker)
    await park(world, waker, "in_2")
    publisher.fail_next(RetrySoon("Too large a batch.", code="broker.publish"))
    with pytest.raises(RetrySoon):
        await wake(world, waker)
    assert len(publisher.on(TOPIC)) == 1


async def test_a_paused_connection_sleeps(world: World, waker: Waker) -> None:
    await park(world, waker)
    await world.directory.set_paused(world.connection.id, paused=True)
    assert await wake(world, waker) == 0

    await world.directory.set_paused(world.connection.id, paused=False)
    assert await wake(world, waker) == 1


async def test_a_blocked_connection_wakes_one_when_its_time_has_come(world: World, waker: Waker) -> None:
    for number in range(3):
        await park(world, waker, f"in_{number}")
    state = BlockedState(code="bc.x", message="x", since=NOW, next_probe_at=NOW + timedelta(seconds=30))
    await world.directory.save_block(world.connection.id, "bc", state)
    assert await wake(world, waker) == 0

    world.clock.move(timedelta(seconds=30))
    assert await wake(world, waker) == 1
    assert await wake(world, waker) == 0


async def test_connections_that_drain_together_share_what_may_be_under_way(
    world: World, waker: Waker, publisher: FakePublisher
) -> None:
    """After an outage for all, what waits in the topics would count as lost before its turn, and be done twice."""
    waker.under_way = 60
    first, second = build_snapshot(bc_company="First"), build_snapshot(bc_company="Second")
    for snapshot in (first, second):
        for number in range(70):
            message = build_head(f"in_{number}", connection=snapshot.connection)
            await waker.waiting.park(Parked(message, NOW, "x", "x", "contacts", counts_as_attempt=False))

    assert await waker.wake(first) == 60
    assert await waker.wake(second) == 30
    for message in publisher.on(TOPIC)[:40]:
        await waker.waiting.settle(message)
    assert await waker.wake(first) == 10

    world.clock.move(timedelta(seconds=11))
    assert await waker.wake(second) == 30
