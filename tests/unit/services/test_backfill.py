"""Backfill, by hand: on a real ledger, with fakes of Stripe's list and of Business Central."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from hub.backfill import Backfill, Backfills
from hub.ending import end_all
from hub.gate import Answers, ConnectionGate
from hub.ledger import InvoiceOutcome
from hub.stage.ports import Parked
from hub.waiting import RedisWaitingSet
from mapping.eligibility import LONGEST_DRAFT
from schemas.errors import RetrySoon
from schemas.messages import Outcome
from services.ingest.backfill import BackfillDuty
from tests.builders import NOW, SETTINGS, build_connection, build_head, build_invoice
from tests.remote_fakes import FakeListing
from tests.service_fakes import World

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BEGIN = NOW - 30 * DAY
"""Of the period: the go-live date is its end."""


@pytest.fixture
def clients(world: World) -> FakeListing:
    return FakeListing(world.stripe, world.bc)


@pytest.fixture
async def duty(world: World, clients: FakeListing) -> BackfillDuty:
    await world.open(build_connection(go_live=NOW))
    return build_duty(world, clients)


def build_duty(world: World, clients: FakeListing, most_waiting: int = 1000) -> BackfillDuty:
    waiting = RedisWaitingSet(world.plain_redis)
    return BackfillDuty(
        directory=world.directory,
        ledger=world.ledger,
        clients=clients,  # pyright: ignore[reportArgumentType]
        waiting=waiting,
        gate=ConnectionGate(world.directory, world.clock, Answers(), waiting),
        redis=world.plain_redis,
        clock=world.clock,
        interval=timedelta(milliseconds=1),
        most_waiting=most_waiting,
    )


async def ask(world: World, begin: datetime = BEGIN, end: datetime = NOW) -> None:
    asked = Backfill(begin=begin, end=end, asked_at=world.clock.now(), reached=begin - LONGEST_DRAFT)
    assert await Backfills(world.plain_redis).place(world.connection.id, asked) is None


async def run(world: World, duty: BackfillDuty) -> Backfill:
    """Let it go on; returns how far it has come."""
    await duty.go_on(world.connection.id)
    return await load(world)


async def load(world: World) -> Backfill:
    found = await Backfills(world.plain_redis).load(world.connection.id)
    assert found is not None
    return found


async def list_waiting(world: World) -> list[str]:
    entries = await RedisWaitingSet(world.plain_redis).list_entries(world.connection.id)
    assert all(one.wakeup.cause == "backfill" and one.wakeup.history for one in entries)
    return [one.wakeup.object_id for one in entries]


async def drain(world: World) -> int:
    """Bring round what waits, as the waker does; returns how much that was."""
    woken = await RedisWaitingSet(world.plain_redis, 1000).wake(world.connection.id, world.clock.now())
    for entry in woken:
        await world.settle(entry.build_message(world.connection.id))
    return len(woken)


def put(world: World, invoice_id: str, at: datetime, **changes: Any) -> None:
    world.stripe.put(build_invoice(id=invoice_id, number=invoice_id.upper(), at=at, **changes))


async def test_what_the_go_live_date_leaves_alone_is_drafted_oldest_first(world: World, duty: BackfillDuty) -> None:
    put(world, "in_before", BEGIN - HOUR)
    put(world, "in_new", NOW - HOUR)
    put(world, "in_old", BEGIN + HOUR)
    put(world, "in_draft", NOW - HOUR, status="draft")
    put(world, "in_after", NOW + HOUR)
    result = await world.settle(build_head("in_old", connection=world.connection))
    assert result is not None
    assert result.code == "invoice.left_alone.go_live"
    await ask(world)
    ended = await run(world, duty)

    assert await list_waiting(world) == ["in_old", "in_new"]
    assert (ended.looked, ended.sent_round, ended.ended_at) == (2, 2, NOW)
    await drain(world)
    assert sorted(one.external_document_number for one in world.bc.invoices) == ["IN_NEW", "IN_OLD"]
    assert world.stripe.invoices["in_old"].metadata["bc_status"] == "synced"


async def test_its_invoices_stay_due_in_every_later_round(world: World, duty: BackfillDuty) -> None:
    """A replay of one that failed, and the sweep, know that a person asked for it."""
    put(world, "in_old", BEGIN + HOUR)
    await ask(world)
    await run(world, duty)
    await RedisWaitingSet(world.plain_redis).wake(world.connection.id, world.clock.now())
    result = await world.settle(build_head("in_old", connection=world.connection, cause="replay"))

    assert result is not None
    assert result.outcome == "synced"


async def test_an_interrupted_one_goes_on_at_its_day_and_does_nothing_twice(
    world: World, clients: FakeListing, duty: BackfillDuty
) -> None:
    for number in range(40):
        put(world, f"in_{number:02}", BEGIN + number * HOUR)
    duty.most_waiting = 30
    await ask(world)
    first = asyncio.create_task(duty.go_on(world.connection.id))
    while await duty.waiting.count(world.connection.id) < 30:
        await world.plain_redis.ping()
    await end_all([first])
    half = await load(world)
    assert (half.looked, half.ended_at) == (24, None)
    brought = await drain(world)
    assert brought == 30
    duty.most_waiting = 1000
    clients.windows.clear()
    ended = await run(world, duty)

    assert clients.windows[0][0] == half.reached
    assert (ended.looked, ended.sent_round) == (40, 40)
    assert await drain(world) == 10
    assert len(world.bc.invoices) == 40


async def test_what_stripe_does_not_answer_is_asked_again(
    world: World, clients: FakeListing, duty: BackfillDuty
) -> None:
    put(world, "in_1", BEGIN + HOUR)
    await ask(world)
    clients.fail_after(50)
    with pytest.raises(RetrySoon):
        await run(world, duty)
    clients.fail_after(None)
    clients.windows.clear()
    await run(world, duty)

    assert clients.windows[0][0] == BEGIN - LONGEST_DRAFT + 50 * DAY
    assert await list_waiting(world) == ["in_1"]


async def test_no_more_wait_at_once_than_there_is_room_for(world: World, clients: FakeListing) -> None:
    await world.open(build_connection(go_live=NOW))
    for number in range(25):
        put(world, f"in_{number}", NOW - HOUR)
    duty = build_duty(world, clients, most_waiting=10)
    counts: list[int] = []

    async def drain_when_full() -> None:
        while (await load(world)).ended_at is None:
            counts.append(await duty.waiting.count(world.connection.id))
            if counts[-1] >= 10:
                await drain(world)

    await ask(world)
    await asyncio.gather(duty.go_on(world.connection.id), drain_when_full())
    await drain(world)

    assert max(counts) == 10
    assert len(world.bc.invoices) == 25


async def test_it_can_be_stopped_while_it_waits_for_room(world: World, clients: FakeListing) -> None:
    await world.open(build_connection(go_live=NOW))
    for number in range(5):
        put(world, f"in_{number}", NOW - HOUR)
    duty = build_duty(world, clients, most_waiting=2)
    await ask(world)

    async def stop_when_full() -> None:
        while await duty.waiting.count(world.connection.id) < 2:
            pass
        assert await Backfills(world.plain_redis).stop(world.connection.id) is not None

    await asyncio.gather(duty.go_on(world.connection.id), stop_when_full())

    assert len(await list_waiting(world)) == 2
    assert await Backfills(world.plain_redis).load(world.connection.id) is None


async def test_one_is_under_way_at_a_time_and_the_next_begins_when_it_has_ended(
    world: World, duty: BackfillDuty
) -> None:
    await ask(world)
    second = Backfill(begin=BEGIN - DAY, end=BEGIN, asked_at=NOW, reached=BEGIN - DAY)
    before = await Backfills(world.plain_redis).place(world.connection.id, second)
    assert before is not None
    assert before.begin == BEGIN
    await run(world, duty)

    assert await Backfills(world.plain_redis).place(world.connection.id, second) is None
    assert (await load(world)).begin == second.begin


@pytest.mark.parametrize(
    ("outcome", "dry_run", "goes_round"),
    [
        ("synced", False, False),
        ("failed", False, False),
        ("attention", False, False),
        ("skipped", False, True),
        ("synced", True, True),
    ],
)
async def test_what_has_come_to_an_end_is_left_out(
    world: World, duty: BackfillDuty, *, outcome: Outcome, dry_run: bool, goes_round: bool
) -> None:
    """What a dry run told of has not been made."""
    put(world, "in_1", BEGIN + HOUR)
    told = InvoiceOutcome(outcome=outcome, dry_run=dry_run, decided_at=NOW)
    await world.ledger.record_outcome(world.connection.id, build_head().build_wakeup(), told)
    await ask(world)
    await run(world, duty)

    assert bool(await list_waiting(world)) is goes_round


async def test_what_waits_already_keeps_its_place(world: World, duty: BackfillDuty) -> None:
    put(world, "in_1", BEGIN + HOUR)
    message = build_head(connection=world.connection, cause="backfill")
    later = Parked(message, NOW + HOUR, "bc.busy", "Busy.", "invoices", counts_as_attempt=True)
    await duty.waiting.park(later)
    await ask(world)
    ended = await run(world, duty)

    assert (ended.looked, ended.sent_round) == (1, 0)
    (entry,) = await duty.waiting.list_entries(world.connection.id)
    assert entry.code == "bc.busy"


async def test_one_that_stripe_sent_long_ago_counts_as_sent(world: World, clients: FakeListing) -> None:
    """Events tell of a sending for 30 days only."""
    begin = NOW - 90 * DAY
    await world.open(build_connection(go_live=NOW), SETTINGS.model_copy(update={"triggers": ("sent",)}))
    put(world, "in_sent", begin + HOUR, collection_method="send_invoice")
    put(world, "in_charged", begin + HOUR, collection_method="charge_automatically")
    await ask(world, begin)
    await run(world, build_duty(world, clients))

    assert await list_waiting(world) == ["in_sent"]
    await drain(world)
    assert len(world.bc.invoices) == 1


async def test_it_goes_on_by_itself(world: World, duty: BackfillDuty) -> None:
    put(world, "in_1", BEGIN + HOUR)
    await ask(world)
    running = asyncio.create_task(duty.run())
    while (await load(world)).ended_at is None:
        await world.plain_redis.ping()
    await end_all([running])

    assert await list_waiting(world) == ["in_1"]


async def test_what_another_replica_is_at_is_left_to_it(world: World, duty: BackfillDuty, clients: FakeListing) -> None:
    put(world, "in_1", BEGIN + HOUR)
    await ask(world)
    await replace(duty._duty, token="another replica").keep(world.connection.id)
    await duty._duty.attempt(world.connection.id, duty.go_on)

    assert clients.windows == []
