"""The ledger's records and fences, on a real Redis."""

from datetime import timedelta
from typing import Any

import pytest

from hub.ledger import InvoiceOutcome, InvoiceRecord, InvoiceState, Phase
from hub.outcomes import Outcomes
from hub.redis import failed_key
from hub.stage.ports import Parked
from hub.waiting import RedisWaitingSet
from schemas.errors import RetrySoon
from schemas.messages import Outcome, StripeEventReceived
from tests.builders import NOW, build_head
from tests.service_fakes import World

HEAD = build_head()
LATER = build_head(event_type="invoice.voided", at=NOW + timedelta(seconds=1))


async def record(world: World, outcome: Outcome, head: StripeEventReceived = HEAD, **more: Any) -> bool:
    told = InvoiceOutcome(outcome=outcome, decided_at=NOW)
    return await world.ledger.record_outcome(head.connection, head.build_wakeup(), told, **more)


async def save_phase(world: World, phase: Phase) -> None:
    async with world.ledger.hold_invoice(HEAD.connection, "in_1") as lease:
        await world.ledger.save_state(lease, HEAD.connection, "in_1", InvoiceState(phase=phase))


async def load(world: World) -> InvoiceRecord:
    return await world.ledger.load_invoice(HEAD.connection, "in_1")


async def test_what_is_written_is_read(world: World) -> None:
    assert await load(world) == InvoiceRecord()
    await save_phase(world, "created")
    await record(world, "pending")
    await world.ledger.record_sent(HEAD.connection, "in_1", NOW)
    await world.ledger.record_closed(HEAD.connection, "in_1", NOW)
    await world.ledger.record_metadata(HEAD.connection, "in_1", {"bc_status": "pending"})
    found = await load(world)

    assert found == InvoiceRecord(
        state=InvoiceState(phase="created"),
        outcome=InvoiceOutcome(outcome="pending", decided_at=NOW),
        sent_at=NOW,
        closed_at=NOW,
        metadata={"bc_status": "pending"},
    )
    await world.ledger.record_closed(HEAD.connection, "in_1", None)
    assert (await load(world)).closed_at is None


async def test_the_first_sending_is_kept(world: World) -> None:
    await world.ledger.record_sent(HEAD.connection, "in_1", NOW)
    await world.ledger.record_sent(HEAD.connection, "in_1", NOW + timedelta(days=1))

    assert (await load(world)).sent_at == NOW


async def test_a_taken_lease_is_waited_for_as_long_as_it_can_still_live(world: World) -> None:
    """A killed process leaves its lease behind: nobody can work on the invoice before it has ended."""
    async with world.ledger.hold_invoice(HEAD.connection, "in_1") as lease:
        await world.plain_redis.pexpire(lease.key, 40_000)
        with pytest.raises(RetrySoon) as caught:
            async with world.ledger.hold_invoice(HEAD.connection, "in_1"):
                pass

    assert caught.value.code == "ledger.lease.taken"
    assert caught.value.retry_after is not None
    assert timedelta(seconds=35) < caught.value.retry_after <= timedelta(seconds=41)


async def test_a_holder_whose_lease_has_ended_can_not_write(world: World) -> None:
    async with world.ledger.hold_invoice(HEAD.connection, "in_1") as lease:
        await world.expire_leases()
        with pytest.raises(RetrySoon, match="longer than its lease"):
            await world.ledger.save_state(lease, HEAD.connection, "in_1", InvoiceState(phase="intent"))
    assert await load(world) == InvoiceRecord()


@pytest.mark.parametrize("late", ["failed", "pending", "skipped", "attention"])
async def test_a_synced_invoice_keeps_its_outcome(world: World, late: Outcome) -> None:
    await save_phase(world, "synced")
    assert await record(world, "synced")
    assert not await record(world, late)

    assert (await load(world)).is_told_synced
    assert await world.ledger.list_failed(HEAD.connection) == []


async def test_what_is_said_about_the_very_draft_replaces_a_success(world: World) -> None:
    await save_phase(world, "synced")
    await record(world, "synced")
    assert await record(world, "attention", over_synced=True)

    found = (await load(world)).outcome
    assert found is not None
    assert found.outcome == "attention"


async def test_failed_invoices_are_listed_until_they_are_not(world: World) -> None:
    await record(world, "failed")
    assert await world.ledger.list_failed(HEAD.connection) == ["in_1"]

    await record(world, "pending")
    assert await world.ledger.list_failed(HEAD.connection) == []
    assert await world.plain_redis.exists(failed_key(HEAD.connection)) == 0


async def test_an_end_ends_what_waited_for_it(world: World) -> None:
    waiting = RedisWaitingSet(world.plain_redis)
    await waiting.park(Parked(HEAD, NOW, "x", "x", "contacts", counts_as_attempt=True))
    await record(world, "pending")
    assert await waiting.count(HEAD.connection) == 1

    await record(world, "synced")
    assert await waiting.count(HEAD.connection) == 0


async def test_an_end_does_not_end_what_waits_for_a_later_event(world: World) -> None:
    """The voiding waits while the draft of the finalization is made: it must still be looked at."""
    waiting = RedisWaitingSet(world.plain_redis)
    await waiting.park(Parked(LATER, NOW, "x", "x", "contacts", counts_as_attempt=False))
    await record(world, "synced")

    (entry,) = await waiting.list_entries(HEAD.connection)
    assert entry.wakeup.event_type == "invoice.voided"


async def test_a_refused_outcome_tells_what_stands(world: World) -> None:
    outcomes = Outcomes(world.ledger, world.clock, "invoices")
    await save_phase(world, "synced")
    await record(world, "synced")
    late = InvoiceOutcome(outcome="failed", decided_at=NOW)
    (told,) = await outcomes.conclude(HEAD.connection, LATER.build_wakeup(), late)

    assert told.message.model_dump()["outcome"] == "synced"
    assert told.message.model_dump()["received"]["event_type"] == "invoice.voided"


async def test_a_new_ledger_begins_a_life_once(redis_url: str) -> None:
    world = World(redis_url)
    first = await world.ledger.load_incarnation()

    assert await world.ledger.load_incarnation() == first
    await world.plain_redis.flushdb()
    assert (await world.ledger.load_incarnation()).id != first.id
    await world.close()
