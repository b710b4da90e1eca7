"""Replays that are asked for in Stripe: told at once, once for each request, and never in circles."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from hub.ledger import InvoiceOutcome, InvoiceState
from hub.waiting import RedisWaitingSet
from schemas.errors import RetrySoon
from schemas.messages import InvoiceResult, StripeEventReceived
from services.ingest.decide import REPLAYS_PER_HOUR, decide_event, decide_turn
from tests.builders import NOW, build_draft, build_event, build_head, build_invoice, read_event
from tests.fakes import FakePublisher
from tests.service_fakes import World

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def at_minutes(*minutes: int) -> dict[str, datetime]:
    return {f"evt_{index}": NOW + minute * MINUTE for index, minute in enumerate(minutes)}


FULL = range(-REPLAYS_PER_HOUR, 0)


@pytest.mark.parametrize(
    ("taken", "event_id", "turn"),
    [
        ({}, "evt_new", NOW),
        (at_minutes(-1), "evt_0", None),
        (at_minutes(-200), "evt_0", None),
        (at_minutes(*FULL[1:]), "evt_new", NOW),
        (at_minutes(*FULL), "evt_new", NOW + HOUR - REPLAYS_PER_HOUR * MINUTE),
        (at_minutes(-61, *FULL[1:]), "evt_new", NOW),
        (at_minutes(*FULL, 50), "evt_new", NOW + 50 * MINUTE),
        (at_minutes(*FULL, 50), "evt_10", None),
    ],
)
def test_a_request_has_one_turn_and_an_hour_so_many(
    taken: dict[str, datetime], event_id: str, turn: datetime | None
) -> None:
    assert decide_turn(taken, event_id, NOW) == turn


async def ask(world: World, publisher: FakePublisher, number: int, cause: Any = "webhook") -> None:
    """Let Stripe tell that a person set the replay key, by webhook or in the Events API."""
    body = build_event(
        "invoice.updated",
        metadata={"bc_replay": str(number)},
        previous={"metadata": {"bc_replay": None}},
        created=world.clock.now(),
        id=f"evt_{number}",
    )
    event = read_event(body)
    snapshot = await world.directory.load(world.connection.id)
    message = decide_event(event, snapshot, cause, world.clock.now())
    assert isinstance(message, StripeEventReceived)
    await world.build_head_writer(publisher).publish(message, event)


async def carry(world: World, publisher: FakePublisher) -> None:
    """Take what was published through the services, results first, as they came."""
    for outgoing in publisher.published:
        if isinstance(outgoing.message, InvoiceResult):
            await world.metadata.handle(outgoing.message)
        elif isinstance(outgoing.message, StripeEventReceived):
            await world.settle(outgoing.message)
    publisher.published.clear()


async def fail(world: World) -> None:
    """Let the invoice have failed."""
    world.stripe.put(build_invoice(metadata={"bc_status": "failed"}))
    told = InvoiceOutcome(outcome="failed", reason="No account.", decided_at=NOW)
    await world.ledger.record_outcome(world.connection.id, build_head().build_wakeup(), told)


async def test_a_replay_shows_pending_then_its_end_with_the_key_cleared_in_the_same_write(world: World) -> None:
    publisher = FakePublisher()
    await fail(world)
    world.stripe.change("in_1", metadata={"bc_status": "failed", "bc_replay": "1"})
    await ask(world, publisher, 1)
    await carry(world, publisher)

    begun, ended = world.stripe.writes
    assert (begun["bc_status"], begun["bc_error"]) == ("pending", "The replay is under way.")
    assert "bc_replay" not in begun
    assert (ended["bc_status"], ended["bc_error"], ended["bc_replay"]) == ("synced", "", "")


async def test_webhook_and_poll_of_one_request_make_one_replay(world: World) -> None:
    publisher = FakePublisher()
    await fail(world)
    await ask(world, publisher, 1)
    await carry(world, publisher)
    await ask(world, publisher, 1, "catch_up")

    assert publisher.published == []


async def test_a_request_that_was_not_published_has_its_turn_when_it_comes_again(world: World) -> None:
    publisher = FakePublisher()
    await fail(world)
    publisher.fail_next(RetrySoon("Broker down.", code="broker.publish"))
    with pytest.raises(RetrySoon):
        await ask(world, publisher, 1)
    await ask(world, publisher, 1)

    assert len(publisher.on("stripe.events")) == 1


async def test_an_end_that_was_quicker_than_its_announcement_is_written_once(world: World) -> None:
    publisher = FakePublisher()
    await fail(world)
    await ask(world, publisher, 1)
    announcement, head = (one.message for one in publisher.published)
    assert isinstance(announcement, InvoiceResult)
    assert isinstance(head, StripeEventReceived)
    await world.settle(head)
    writes = len(world.stripe.writes)
    await world.metadata.handle(announcement)

    assert len(world.stripe.writes) == writes
    assert world.stripe.invoices["in_1"].metadata["bc_status"] == "synced"


async def test_a_synced_invoice_stays_synced_while_it_is_replayed(world: World) -> None:
    publisher = FakePublisher()
    world.stripe.put(build_invoice())
    await world.settle(build_head())
    world.stripe.writes.clear()
    drafts, told = len(world.bc.created), world.stripe.invoices["in_1"].metadata
    world.stripe.change("in_1", metadata={**told, "bc_replay": "1"})
    await ask(world, publisher, 1)
    await carry(world, publisher)

    (answer,) = world.stripe.writes
    assert (answer["bc_status"], answer["bc_invoice"], answer["bc_replay"]) == ("synced", told["bc_invoice"], "")
    assert world.stripe.invoices["in_1"].metadata == told
    assert len(world.bc.created) == drafts


async def test_an_automation_that_asks_at_each_failure_is_slowed_down_and_told_so(world: World) -> None:
    publisher, began = FakePublisher(), world.clock.now()
    world.bc.add_invoice(build_draft("55.00", customerId="another"))
    await fail(world)
    replays = 0
    for number in range(3 * REPLAYS_PER_HOUR):
        world.clock.move(timedelta(seconds=20))
        await ask(world, publisher, number)
        replays += len(publisher.on("stripe.events"))
        await carry(world, publisher)

    assert replays == REPLAYS_PER_HOUR
    (waiting,) = await RedisWaitingSet(world.plain_redis).list_entries(world.connection.id)
    assert (waiting.code, waiting.wakeup.cause) == ("replay.capped", "replay")
    assert began + HOUR <= waiting.due < began + HOUR + MINUTE
    told = world.stripe.invoices["in_1"].metadata
    assert told["bc_status"] == "pending"
    assert f"replays it again at {waiting.due:%H:%M} UTC" in told["bc_error"]


async def test_the_announcement_does_not_touch_what_the_ledger_knows_of_a_draft(world: World) -> None:
    await fail(world)
    await ask(world, FakePublisher(), 1)
    record = await world.ledger.load_invoice(world.connection.id, "in_1")

    assert record.state == InvoiceState()
    assert record.outcome is not None
    assert record.outcome.code == "replay.requested"
