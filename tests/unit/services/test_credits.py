"""An invoice that was credited in Stripe calls for a person: the hub books no credit notes."""

import pytest

from schemas.errors import Blocked, RetryLater
from schemas.messages import InvoiceResult
from tests.builders import build_head, build_invoice
from tests.service_fakes import World


async def hear(world: World, event_type: str = "credit_note.created") -> InvoiceResult:
    result = await world.settle(build_head(event_type=event_type, at=world.clock.now()))
    assert result is not None
    return result


async def test_a_credit_after_the_draft_calls_for_attention_and_changes_nothing_in_business_central(
    world: World,
) -> None:
    world.stripe.put(build_invoice())
    await world.settle(build_head())
    before = repr(world.bc.invoices)
    world.stripe.credit("CN-1", 2_550)
    result = await hear(world)

    assert (result.outcome, result.code) == ("attention", "invoice.credited")
    assert repr(world.bc.invoices) == before
    told = world.stripe.invoices["in_1"].metadata
    assert told["bc_status"] == "attention"
    assert told["bc_error"].startswith("Credit note CN-1 over 25.50 EUR was issued in Stripe.")
    assert "credit the invoice once it is posted" in told["bc_error"]
    assert told["bc_invoice"] in told["bc_error"]


async def test_further_credit_notes_are_told_too_and_a_repeat_is_written_once(world: World) -> None:
    world.stripe.put(build_invoice())
    await world.settle(build_head())
    world.stripe.credit("CN-1", 1_000)
    await hear(world)
    world.stripe.credit("CN-2", 500)
    await hear(world)
    writes = len(world.stripe.writes)
    await hear(world)

    assert (
        world.stripe.invoices["in_1"].metadata["bc_error"].startswith("Credit notes CN-1, CN-2 over 15.00 EUR in all")
    )
    assert len(world.stripe.writes) == writes


async def test_a_credit_note_that_is_voided_makes_it_synced_again(world: World) -> None:
    world.stripe.put(build_invoice())
    await world.settle(build_head())
    world.stripe.credit("CN-1", 1_000)
    await hear(world)
    world.stripe.credit("CN-1", -1_000)

    assert (await hear(world, "credit_note.voided")).outcome == "synced"
    assert "bc_error" not in world.stripe.invoices["in_1"].metadata


async def test_a_credit_before_the_draft_is_told_with_it(world: World) -> None:
    """It does not matter which of the two comes first."""
    world.stripe.put(build_invoice())
    world.stripe.credit("CN-1", 1_000)
    result = await world.settle(build_head())

    assert result is not None
    assert result.outcome == "attention"
    assert len(world.bc.created) == 1


async def test_without_the_permission_the_amount_is_told(world: World) -> None:
    world.stripe.put(build_invoice())
    await world.settle(build_head())
    world.stripe.credit("CN-1", 1_000)
    world.stripe.fail_next("list_credit_notes", Blocked("No.", code="stripe.credentials.forbidden"))

    assert (await hear(world)).reason.startswith("10.00 EUR of the invoice were credited in Stripe.")


@pytest.mark.parametrize("error", [Blocked("Key.", code="stripe.key.revoked"), RetryLater("Slow.", code="stripe.slow")])
async def test_a_credit_waits_while_stripe_does_not_answer(world: World, error: Blocked | RetryLater) -> None:
    world.stripe.put(build_invoice())
    await world.settle(build_head())
    world.stripe.credit("CN-1", 1_000)
    world.stripe.fail_next("list_credit_notes", error)

    assert (await hear(world)).outcome == "attention"
    assert [one.code for one in world.waits] == [error.code]
