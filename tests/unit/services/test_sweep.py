"""The sweep, by hand: on a real ledger, with fakes of Stripe's list, of Business Central and of the broker."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from hub.directory import Snapshot
from hub.gate import Answers, ConnectionGate
from hub.ledger import InvoiceRecord
from hub.stage.ports import Parked
from hub.waiting import RedisWaitingSet
from schemas.errors import RetrySoon
from schemas.messages import StripeEventReceived
from schemas.stripe_objects import Invoice
from services.ingest.sweep import Sweep
from services.ingest.sweeper import Announcer
from tests.builders import NOW, build_connection, build_head, build_invoice
from tests.fakes import FakePublisher
from tests.remote_fakes import FakeBc, FakeStripe
from tests.service_fakes import World

TOPIC = "stripe.events"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class FakeClients:
    """Gives the world's remote systems; Stripe lists by the creation of drafts, newest first."""

    def __init__(self, stripe: FakeStripe, bc: FakeBc) -> None:
        self.fake = stripe
        self.bc = bc
        self.windows: list[tuple[datetime, datetime]] = []
        self.error: Exception | None = None

    def stripe(self, _snapshot: Snapshot) -> "FakeClients":
        return self

    def business_central(self, _snapshot: Snapshot, *, live: bool) -> FakeBc:
        assert not live
        return self.bc

    async def list_invoices(self, *, created_gte: int, created_lt: int) -> AsyncGenerator[Invoice]:
        begin, end = (datetime.fromtimestamp(at, tz=NOW.tzinfo) for at in (created_gte, created_lt))
        self.windows.append((begin, end))
        if self.error is not None and len(self.windows) > 1:
            raise self.error
        for invoice in sorted(self.fake.invoices.values(), key=lambda one: -one.created):
            if created_gte <= invoice.created < created_lt:
                yield invoice


@pytest.fixture
def clients(world: World) -> FakeClients:
    return FakeClients(world.stripe, world.bc)


@pytest.fixture
def publisher() -> FakePublisher:
    return FakePublisher()


@pytest.fixture
def sweep(world: World, clients: FakeClients, publisher: FakePublisher) -> Sweep:
    waiting = RedisWaitingSet(world.plain_redis)
    return Sweep(
        directory=world.directory,
        ledger=world.ledger,
        clients=clients,  # pyright: ignore[reportArgumentType]
        waiting=waiting,
        announcer=Announcer(world.ledger, publisher, world.clock),
        gate=ConnectionGate(world.directory, world.clock, Answers(), waiting),
        redis=world.plain_redis,
        clock=world.clock,
        interval=DAY,
    )


async def run(world: World, sweep: Sweep) -> None:
    if await sweep._duty.keep(world.connection.id):
        await sweep._sweep_if_due(world.connection.id)


def find(publisher: FakePublisher) -> dict[str, str]:
    messages: list[StripeEventReceived] = publisher.on(TOPIC)
    assert all(one.cause == "sweep" and one.history for one in messages)
    return {one.object_id: one.event_type for one in messages}


async def load(world: World, invoice_id: str = "in_1") -> InvoiceRecord:
    return await world.ledger.load_invoice(world.connection.id, invoice_id)


async def sync(world: World, invoice_id: str, at: datetime) -> None:
    world.stripe.put(build_invoice(id=invoice_id, number=invoice_id.upper(), at=at))
    await world.settle(build_head(invoice_id, connection=world.connection))


async def test_what_no_event_told_of_is_found_once(world: World, sweep: Sweep, publisher: FakePublisher) -> None:
    await sync(world, "in_known", NOW - HOUR)
    world.stripe.put(build_invoice(id="in_lost", number="LOST", at=NOW - HOUR))
    world.stripe.put(build_invoice(id="in_young", number="YOUNG", at=NOW - timedelta(minutes=5)))
    await run(world, sweep)
    assert find(publisher) == {"in_lost": "hub.sweep.missing"}

    (message,) = publisher.on(TOPIC)
    result = await world.settle(message)
    assert result is not None
    assert result.outcome == "synced"
    world.clock.move(DAY)
    publisher.published.clear()
    await run(world, sweep)
    assert find(publisher) == {"in_young": "hub.sweep.missing"}


async def test_a_deleted_draft_is_told_and_not_made_again(world: World, sweep: Sweep, publisher: FakePublisher) -> None:
    await sync(world, "in_1", NOW - HOUR)
    world.bc.delete_by_hand(world.bc.invoices[0].id)
    await run(world, sweep)
    (message,) = publisher.on(TOPIC)
    result = await world.settle(message)

    assert message.event_type == "hub.sweep.deleted"
    assert result is not None
    assert (result.outcome, result.code) == ("failed", "invoice.draft.deleted")
    assert world.bc.invoices == []
    assert world.stripe.invoices["in_1"].metadata["bc_status"] == "failed"


async def test_a_write_off_that_no_event_told_of_calls_a_person(
    world: World, sweep: Sweep, publisher: FakePublisher
) -> None:
    await sync(world, "in_1", NOW - HOUR)
    world.stripe.change("in_1", status="void")
    await run(world, sweep)
    (message,) = publisher.on(TOPIC)
    result = await world.settle(message)

    assert result is not None
    assert (result.outcome, result.code) == ("attention", "invoice.closed.voided")


async def test_invoices_beyond_one_batch_are_all_compared(world: World, sweep: Sweep, publisher: FakePublisher) -> None:
    for number in range(450):
        world.stripe.put(build_invoice(id=f"in_{number}", number=f"HUB-{number}", at=NOW - HOUR))
    await run(world, sweep)

    assert len(find(publisher)) == 450


async def test_the_next_sweep_is_due_after_its_time_and_looks_some_days_back(
    world: World, sweep: Sweep, clients: FakeClients
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


async def test_an_interrupted_sweep_goes_on_at_its_day(world: World, sweep: Sweep, clients: FakeClients) -> None:
    clients.error = RetrySoon("Reset.", code="stripe.connection.failed")
    with pytest.raises(RetrySoon):
        await run(world, sweep)
    clients.error = None
    done = clients.windows[0][1]
    clients.windows.clear()
    await run(world, sweep)

    assert clients.windows[0][0] == done - 3 * DAY


async def test_an_outage_longer_than_stripes_events_is_covered(
    world: World, sweep: Sweep, publisher: FakePublisher
) -> None:
    await run(world, sweep)
    world.stripe.put(build_invoice(at=NOW + DAY, collection_method="send_invoice"))
    world.clock.move(45 * DAY)
    await run(world, sweep)

    assert find(publisher) == {"in_1": "hub.sweep.missing"}
    assert (await load(world)).sent_at == NOW + DAY


async def test_a_lost_ledger_is_filled_again_from_the_go_live(
    world: World, sweep: Sweep, publisher: FakePublisher
) -> None:
    """No draft is made twice: each is looked for, found by its number or by what Stripe says, and taken over."""
    for number in range(3):
        await sync(world, f"in_{number}", NOW - 50 * DAY)
    await run(world, sweep)
    assert find(publisher) == {}
    await world.lose_ledger()
    world.clock.move(HOUR)
    await run(world, sweep)

    for message in publisher.on(TOPIC):
        await world.settle(message)
    assert len(publisher.on(TOPIC)) == len(world.bc.invoices) == 3
    assert [(await load(world, f"in_{number}")).state.phase for number in range(3)] == ["synced"] * 3


async def test_what_waits_is_left_to_its_round(world: World, sweep: Sweep, publisher: FakePublisher) -> None:
    world.stripe.put(build_invoice(at=NOW - HOUR))
    waiting = RedisWaitingSet(world.plain_redis)
    message = build_head(connection=world.connection)
    await waiting.park(Parked(message, NOW + HOUR, "bc.busy", "Busy.", "invoices", counts_as_attempt=True))
    await run(world, sweep)

    assert find(publisher) == {}


async def test_a_paused_connection_is_not_swept(world: World, sweep: Sweep, clients: FakeClients) -> None:
    await world.directory.set_paused(world.connection.id, paused=True)
    await run(world, sweep)

    assert clients.windows == []


async def test_another_replica_leaves_the_sweep_to_whom_it_is(world: World, sweep: Sweep, clients: FakeClients) -> None:
    await replace(sweep._duty, token="another replica").keep(world.connection.id)
    await run(world, sweep)

    assert clients.windows == []
