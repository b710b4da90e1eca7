"""The sweep, by hand: on a real ledger, with fakes of Stripe's list, of Business Central and of the broker."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from hub.gate import Answers, ConnectionGate
from hub.ledger import InvoiceRecord
from hub.stage.ports import Parked
from hub.waiting import RedisWaitingSet
from schemas.errors import RetrySoon
from schemas.messages import StripeEventReceived
from services.ingest.history import History
from services.ingest.sweep import Sweep
from services.ingest.sweeper import Announcer
from tests.builders import NOW, build_connection, build_head, build_invoice
from tests.remote_fakes import FakeListing
from tests.service_fakes import World

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def clients(world: World) -> FakeListing:
    return FakeListing(world.stripe, world.bc)


@pytest.fixture
def sweep(world: World, clients: FakeListing) -> Sweep:
    waiting = RedisWaitingSet(world.plain_redis)
    return Sweep(
        directory=world.directory,
        ledger=world.ledger,
        clients=clients,  # pyright: ignore[reportArgumentType]
        waiting=waiting,
        announcer=Announcer(world.ledger, History(waiting), world.clock),
        gate=ConnectionGate(world.directory, world.clock, Answers(), waiting),
        redis=world.plain_redis,
        clock=world.clock,
        interval=DAY,
    )


async def run(world: World, sweep: Sweep) -> None:
    if await sweep._duty.keep(world.connection.id):
        await sweep._sweep_if_due(world.connection.id)


async def find(world: World) -> dict[str, str]:
    """What was brought to the waiting set, and why."""
    entries = await RedisWaitingSet(world.plain_redis).list_entries(world.connection.id)
    assert all(one.wakeup.cause == "sweep" and one.wakeup.history for one in entries)
    return {one.wakeup.object_id: one.wakeup.event_type for one in entries}


async def take(world: World) -> list[StripeEventReceived]:
    """Wake what was brought."""
    waiting = RedisWaitingSet(world.plain_redis)
    woken = await waiting.wake(world.connection.id, world.clock.now())
    return [one.build_message(world.connection.id) for one in woken]


async def load(world: World, invoice_id: str = "in_1") -> InvoiceRecord:
    return await world.ledger.load_invoice(world.connection.id, invoice_id)


async def sync(world: World, invoice_id: str, at: datetime) -> None:
    world.stripe.put(build_invoice(id=invoice_id, number=invoice_id.upper(), at=at))
    await world.settle(build_head(invoice_id, connection=world.connection))


async def test_what_no_event_told_of_is_found_once(world: World, sweep: Sweep) -> None:
    await sync(world, "in_known", NOW - HOUR)
    world.stripe.put(build_invoice(id="in_lost", number="LOST", at=NOW - HOUR))
    world.stripe.put(build_invoice(id="in_young", number="YOUNG", at=NOW - timedelta(minutes=5)))
    await run(world, sweep)
    assert await find(world) == {"in_lost": "hub.sweep.missing"}

    (message,) = await take(world)
    result = await world.settle(message)
    assert result is not None
    assert result.outcome == "synced"
    world.clock.move(DAY)
    await run(world, sweep)
    assert await find(world) == {"in_young": "hub.sweep.missing"}


async def test_a_deleted_draft_is_told_and_not_made_again(world: World, sweep: Sweep) -> None:
    await sync(world, "in_1", NOW - HOUR)
    world.bc.delete_by_hand(world.bc.invoices[0].id)
    await run(world, sweep)
    (message,) = await take(world)
    result = await world.settle(message)

    assert message.event_type == "hub.sweep.deleted"
    assert result is not None
    assert (result.outcome, result.code) == ("failed", "invoice.draft.deleted")
    assert world.bc.invoices == []
    assert world.stripe.invoices["in_1"].metadata["bc_status"] == "failed"


async def test_a_write_off_that_no_event_told_of_calls_a_person(world: World, sweep: Sweep) -> None:
    await sync(world, "in_1", NOW - HOUR)
    world.stripe.change("in_1", status="void")
    await run(world, sweep)
    (message,) = await take(world)
    result = await world.settle(message)

    assert result is not None
    assert (result.outcome, result.code) == ("attention", "invoice.closed.voided")


async def test_a_write_off_is_found_by_what_stripe_says_when_the_ledger_was_lost(world: World, sweep: Sweep) -> None:
    await sync(world, "in_1", NOW - HOUR)
    number = world.bc.invoices[0].number
    await world.lose_ledger()
    world.stripe.change("in_1", status="void")
    world.clock.move(HOUR)
    await run(world, sweep)
    (message,) = await take(world)
    result = await world.settle(message)

    assert result is not None
    assert (result.outcome, result.code) == ("attention", "invoice.closed.voided")
    assert f"Its metadata name the draft {number}" in result.reason
    assert world.stripe.invoices["in_1"].metadata["bc_invoice"] == number
    await run(world, sweep)
    assert await find(world) == {}


async def test_invoices_beyond_one_batch_are_all_compared(world: World, sweep: Sweep) -> None:
    for number in range(450):
        world.stripe.put(build_invoice(id=f"in_{number}", number=f"HUB-{number}", at=NOW - HOUR))
    await run(world, sweep)

    assert len(await find(world)) == 450


async def test_the_next_sweep_is_due_after_its_time_and_looks_some_days_back(
    world: World, sweep: Sweep, clients: FakeListing
) -> None:
    await world.open(build_connection(go_live=NOW - 2 * HOUR))
    await run(world, sweep)
    world.clock.move(DAY - timedelta(seconds=1))
    await run(world, sweep)
    assert clients.windows[-1][1] == NOW

    world.clock.move(timedelta(seconds=1))
    await run(world, sweep)
    begins = [begin for begin, _ in clients.windows]
    assert NOW - 3 * DAY in begins
    assert clients.windows[-1][1] == NOW + DAY


async def test_an_interrupted_sweep_goes_on_at_its_day(world: World, sweep: Sweep, clients: FakeListing) -> None:
    clients.fail_after(1)
    with pytest.raises(RetrySoon):
        await run(world, sweep)
    clients.fail_after(None)
    done = clients.windows[0][1]
    clients.windows.clear()
    await run(world, sweep)

    assert clients.windows[0][0] == done - 3 * DAY


async def test_an_outage_longer_than_stripes_events_is_covered(world: World, sweep: Sweep) -> None:
    await run(world, sweep)
    world.stripe.put(build_invoice(at=NOW + DAY, collection_method="send_invoice"))
    world.clock.move(45 * DAY)
    await run(world, sweep)

    assert await find(world) == {"in_1": "hub.sweep.missing"}
    assert (await load(world)).sent_at == NOW + DAY


async def test_a_lost_ledger_is_filled_again_from_the_go_live(world: World, sweep: Sweep) -> None:
    """No draft is made twice: each is looked for, found by its number or by what Stripe says, and taken over."""
    for number in range(3):
        await sync(world, f"in_{number}", NOW - 50 * DAY)
    await run(world, sweep)
    assert await find(world) == {}
    await world.lose_ledger()
    world.clock.move(HOUR)
    await run(world, sweep)

    messages = await take(world)
    for message in messages:
        await world.settle(message)
    assert len(messages) == len(world.bc.invoices) == 3
    assert [(await load(world, f"in_{number}")).state.phase for number in range(3)] == ["synced"] * 3


async def test_what_waits_is_left_to_its_round(world: World, sweep: Sweep) -> None:
    world.stripe.put(build_invoice(at=NOW - HOUR))
    waiting = RedisWaitingSet(world.plain_redis)
    message = build_head(connection=world.connection)
    await waiting.park(Parked(message, NOW + HOUR, "bc.busy", "Busy.", "invoices", counts_as_attempt=True))
    await run(world, sweep)

    (entry,) = await waiting.list_entries(world.connection.id)
    assert entry.code == "bc.busy"


async def test_a_paused_connection_is_not_swept(world: World, sweep: Sweep, clients: FakeListing) -> None:
    await world.directory.set_paused(world.connection.id, paused=True)
    await run(world, sweep)

    assert clients.windows == []


async def test_another_replica_leaves_the_sweep_to_whom_it_is(world: World, sweep: Sweep, clients: FakeListing) -> None:
    await replace(sweep._duty, token="another replica").keep(world.connection.id)
    await run(world, sweep)

    assert clients.windows == []
