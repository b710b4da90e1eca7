"""Stripe says what the ledger says: the metadata writer on fakes and a real ledger."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from hub.ledger import InvoiceOutcome
from hub.stage.ports import Failure, describe
from schemas.errors import Refused, RetryLater
from schemas.messages import SWEPT_UNTOLD, Cause, InvoiceResult, MetadataUpdated, Outcome
from tests.builders import NOW, build_connection, build_head, build_invoice
from tests.service_fakes import World


def build_result(world: World, outcome: Outcome = "failed", *, cause: Cause = "webhook", **more: Any) -> InvoiceResult:
    head = build_head(cause=cause, connection=world.connection)
    return InvoiceResult(
        connection=world.connection.id,
        invoice_id="in_1",
        outcome=outcome,
        stage="invoices",
        received=head.build_wakeup(),
        decided_at=NOW,
        **more,
    )


async def record(world: World, outcome: Outcome, reason: str = "") -> None:
    told = InvoiceOutcome(outcome=outcome, reason=reason, decided_at=NOW)
    await world.ledger.record_outcome(world.connection.id, build_head().build_wakeup(), told, over_synced=True)


async def handle(world: World, message: InvoiceResult) -> list[MetadataUpdated]:
    told = [one.message for one in await world.metadata.handle(message)]
    assert all(isinstance(one, MetadataUpdated) for one in told)
    return told  # pyright: ignore[reportReturnType]


async def test_the_ledgers_outcome_is_written_not_the_messages(world: World) -> None:
    world.stripe.put(build_invoice())
    await record(world, "skipped", "Voided.")
    (updated,) = await handle(world, build_result(world, "failed", reason="late news"))

    assert updated.written["bc_status"] == "skipped"
    assert world.stripe.invoices["in_1"].metadata == {"bc_status": "skipped", "bc_error": "Voided."}


async def test_a_second_time_nothing_is_written(world: World) -> None:
    world.stripe.put(build_invoice())
    await record(world, "skipped")
    await handle(world, build_result(world))
    (updated,) = await handle(world, build_result(world))

    assert (updated.written, updated.reason) == ({}, "Stripe says so already.")
    assert len(world.stripe.writes) == 1


async def test_what_a_sweep_misses_in_stripe_is_written_again(world: World) -> None:
    """The hub remembers its write; Stripe, read by the sweep, does not have it."""
    world.stripe.put(build_invoice())
    await record(world, "skipped", "Voided.")
    await handle(world, build_result(world))
    world.stripe.put(build_invoice())
    head = build_head(cause="sweep", event_type=SWEPT_UNTOLD, connection=world.connection)
    await handle(world, build_result(world).model_copy(update={"received": head.build_wakeup()}))

    assert world.stripe.invoices["in_1"].metadata == {"bc_status": "skipped", "bc_error": "Voided."}
    assert len(world.stripe.writes) == 2


async def test_only_changes_are_written(world: World) -> None:
    world.stripe.put(build_invoice())
    await record(world, "failed", "One.")
    await handle(world, build_result(world))
    await record(world, "failed", "Two.")
    (updated,) = await handle(world, build_result(world))

    assert updated.written == {"bc_error": "Two."}


async def test_the_merchants_own_metadata_stay(world: World) -> None:
    world.stripe.put(build_invoice(metadata={"order": "77", "bc_error": "old"}))
    await record(world, "synced")
    await handle(world, build_result(world, "synced"))

    assert world.stripe.invoices["in_1"].metadata == {"order": "77", "bc_status": "synced"}


async def test_a_replay_writes_everything_and_clears_the_request(world: World) -> None:
    world.stripe.put(build_invoice())
    await record(world, "skipped", "Not yet.")
    await handle(world, build_result(world))
    # A person has tidied up, and asks.
    world.stripe.change("in_1", metadata={"bc_replay": "please"})
    await handle(world, build_result(world, cause="replay"))

    assert world.stripe.invoices["in_1"].metadata == {"bc_status": "skipped", "bc_error": "Not yet."}


async def test_a_replay_that_waits_keeps_the_request(world: World) -> None:
    world.stripe.put(build_invoice(metadata={"bc_replay": "please"}))
    await record(world, "pending", "Later.")
    await handle(world, build_result(world, cause="replay"))

    assert world.stripe.invoices["in_1"].metadata["bc_replay"] == "please"


async def test_a_lost_ledger_that_waits_leaves_what_stripe_says_of_the_draft(world: World) -> None:
    """After a loss, an outage had *pending* written over what usage and the draft are found again by."""
    said = {"bc_invoice": "S-INV1", "bc_invoice_id": "guid", "bc_synced_at": "2026-11-01T09:00:00Z"}
    world.stripe.put(build_invoice(metadata={"bc_status": "synced", **said}))
    await record(world, "pending", "Later.")
    await handle(world, build_result(world, "pending"))

    assert world.stripe.invoices["in_1"].metadata == {"bc_status": "pending", "bc_error": "Later.", **said}


async def test_a_write_that_covered_up_a_newer_one_is_put_right(world: World) -> None:
    """Two replicas at once: the old one's write comes last, and would stand for ever."""
    world.stripe.put(build_invoice())
    await record(world, "pending")

    async def let_another_write() -> None:
        await record(world, "synced")
        await handle(world, build_result(world, "synced"))

    world.stripe.do_at_next("update_invoice_metadata", let_another_write)
    told = await handle(world, build_result(world, "pending"))

    assert [one.outcome for one in told] == ["pending", "synced"]
    assert world.stripe.invoices["in_1"].metadata["bc_status"] == "synced"


async def test_an_invoice_that_is_gone_is_no_failure(world: World) -> None:
    await record(world, "skipped")
    (updated,) = await handle(world, build_result(world))

    assert updated.reason == "The invoice does not exist in Stripe any more."


async def test_after_a_loss_of_the_ledger_the_message_is_what_is_known(world: World) -> None:
    world.stripe.put(build_invoice())
    await handle(world, build_result(world, "failed", reason="Because."))

    assert world.stripe.invoices["in_1"].metadata == {"bc_status": "failed", "bc_error": "Because."}


async def test_a_dry_run_writes_nothing_to_stripe(world: World) -> None:
    await world.open(build_connection(dry_run=True))
    world.stripe.put(build_invoice())
    (updated,) = await handle(world, build_result(world))

    assert updated.reason == "Dry run: nothing is written to Stripe."
    assert world.stripe.writes == []


async def test_what_stripe_refuses_for_good_is_told_on_the_topic(world: World) -> None:
    refused = Refused("There is no room.", code="stripe.metadata.too_many_keys", fix="Delete some.")
    final, waiting = Failure(describe(refused)), Failure(describe(refused), NOW)
    (outgoing,) = await world.metadata.report(build_result(world), final)

    assert isinstance(outgoing.message, MetadataUpdated)
    assert outgoing.message.reason == "There is no room. Delete some."
    assert await world.metadata.report(build_result(world), waiting) == []


async def test_an_invoice_without_room_is_known_as_untold_until_it_is_told(world: World) -> None:
    own = {f"own_{at}": "x" for at in range(50)}
    world.stripe.put(build_invoice(metadata=own))
    await world.settle(build_head())
    assert await world.ledger.load_untold(world.connection.id) == {"in_1": "There is no room. Delete some."}
    assert world.stripe.invoices["in_1"].metadata == own

    world.stripe.change("in_1", metadata={"own_1": "x"})
    await world.settle(build_head(cause="replay"))
    assert world.stripe.invoices["in_1"].metadata["bc_status"] == "synced"
    assert await world.ledger.load_untold(world.connection.id) == {}


async def test_where_little_room_is_left_the_status_is_true_all_the_same(world: World) -> None:
    """48 keys of the merchant's: *failed* had room, and would have stood for ever after the success."""
    own = {f"own_{at}": "x" for at in range(48)}
    world.stripe.put(build_invoice(metadata=own))
    await record(world, "failed", "No account.")
    await handle(world, build_result(world))
    assert world.stripe.invoices["in_1"].metadata == {**own, "bc_status": "failed", "bc_error": "No account."}

    await world.settle(build_head())
    said = world.stripe.invoices["in_1"].metadata
    assert said.items() >= {**own, "bc_status": "synced"}.items()
    assert said["bc_error"].startswith(f"The draft is {world.bc.invoices[0].number}. ")
    assert said["bc_error"].endswith("then replay.")
    assert "in_1" in await world.ledger.load_untold(world.connection.id)
    writes = len(world.stripe.writes)
    await handle(world, build_result(world, "synced"))
    assert len(world.stripe.writes) == writes

    world.stripe.change("in_1", metadata={**said, "own_1": "", "own_2": "", "bc_replay": "now"})
    await world.settle(build_head(cause="replay"))
    said = world.stripe.invoices["in_1"].metadata
    assert said["bc_invoice"] == world.bc.invoices[0].number
    assert not {"bc_error", "bc_replay"} & said.keys()
    assert await world.ledger.load_untold(world.connection.id) == {}


async def test_a_draft_that_needs_a_person_is_told_in_the_room_that_its_number_had(world: World) -> None:
    own = {f"own_{at}": "x" for at in range(46)}
    world.stripe.put(build_invoice(metadata=own))
    await world.settle(build_head())
    assert len(world.stripe.invoices["in_1"].metadata) == 50
    world.stripe.change("in_1", status="void")
    await world.settle(build_head(event_type="invoice.voided"))

    said = world.stripe.invoices["in_1"].metadata
    assert said["bc_status"] == "attention"
    assert world.bc.invoices[0].number in said["bc_error"]
    assert own.items() <= said.items()


async def test_what_comes_round_again_by_itself_is_not_untold(world: World) -> None:
    later = Failure(describe(RetryLater("Slow.", code="stripe.rate.limited")), NOW)
    await world.metadata.report(build_result(world), later)

    assert await world.ledger.load_untold(world.connection.id) == {}


async def test_an_untold_invoice_that_is_gone_has_nothing_to_be_told(world: World) -> None:
    await world.ledger.record_untold(world.connection.id, "in_1", "There is no room.")
    await record(world, "skipped")
    await handle(world, build_result(world))

    assert await world.ledger.load_untold(world.connection.id) == {}


async def test_a_rate_limit_of_stripe_comes_round_without_a_request_to_business_central(world: World) -> None:
    world.stripe.put(build_invoice())
    limited = RetryLater("Slow.", code="stripe.rate.limited", retry_after=timedelta(seconds=1))
    world.stripe.fail_next("update_invoice_metadata", limited)
    await world.bring(build_head())
    world.bc.calls.clear()
    await world.settle(build_head(cause="retry"))

    assert world.bc.calls == []
    assert world.stripe.invoices["in_1"].metadata["bc_status"] == "synced"


def read_delays() -> tuple[float, float]:
    """How many changes were told, and after how many seconds in all."""
    names = "hub_metadata_delay_seconds_count", "hub_metadata_delay_seconds_sum"
    count, total = (REGISTRY.get_sample_value(name) or 0 for name in names)
    return count, total


async def test_it_is_measured_how_long_after_the_ledger_stripe_says_so(world: World) -> None:
    """What was told before and is told again, for a replay or a sweep, was not late."""
    world.stripe.put(build_invoice())
    count, total = read_delays()
    await record(world, "skipped", "Voided.")
    world.clock.move(timedelta(seconds=2))
    await handle(world, build_result(world))
    assert read_delays() == (count + 1, pytest.approx(total + 2))

    world.clock.move(timedelta(hours=1))
    await handle(world, build_result(world))
    await handle(world, build_result(world, cause="replay"))
    assert read_delays() == (count + 1, pytest.approx(total + 2))
    assert len(world.stripe.writes) == 2


async def test_a_clock_behind_makes_no_negative_delay(world: World) -> None:
    world.stripe.put(build_invoice())
    count, total = read_delays()
    await record(world, "skipped")
    world.own_clock.ahead = -timedelta(minutes=1)
    await handle(world, build_result(world))

    assert read_delays() == (count + 1, pytest.approx(total))


async def test_two_writers_at_once_agree(world: World) -> None:
    world.stripe.put(build_invoice())
    await record(world, "synced")
    await asyncio.gather(*(handle(world, build_result(world)) for _ in range(4)))

    assert world.stripe.invoices["in_1"].metadata == {"bc_status": "synced"}


async def test_a_success_is_told_with_its_note_and_the_note_goes_when_it_does_not_hold(world: World) -> None:
    world.stripe.put(build_invoice())
    await record(world, "synced", "When it is posted, Business Central rounds it to 19.95 CHF.")
    await handle(world, build_result(world, "synced"))
    told = world.stripe.invoices["in_1"].metadata
    assert (told["bc_status"], told["bc_note"]) == (
        "synced",
        "When it is posted, Business Central rounds it to 19.95 CHF.",
    )
    assert "bc_error" not in told

    await record(world, "synced")
    (updated,) = await handle(world, build_result(world, "synced"))
    assert updated.written == {"bc_note": ""}
    assert "bc_note" not in world.stripe.invoices["in_1"].metadata
