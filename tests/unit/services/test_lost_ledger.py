"""The ledger is lost and begins anew: drafts are looked for and adopted, not made again."""

from datetime import timedelta

from schemas.errors import RetryLater
from schemas.messages import InvoiceResult, StripeEventReceived
from tests.builders import (
    NOW,
    build_customer,
    build_draft,
    build_head,
    build_invoice,
)
from tests.service_fakes import World

HEAD = build_head()
HOUR = timedelta(hours=1)


async def bring(world: World, *heads: StripeEventReceived) -> InvoiceResult:
    for head in heads or (HEAD,):
        assert await world.bring(head) is None
    return world.results[-1]


async def test_after_a_loss_an_older_invoice_is_only_looked_for_until_the_doubt_window_ends(world: World) -> None:
    world.stripe.put(build_invoice())
    world.bc.customers.append(build_customer())
    world.clock.move(HOUR)
    await world.lose_ledger()
    error = await world.bring(HEAD)

    assert isinstance(error, RetryLater)
    assert (error.code, error.retry_after) == ("ledger.young", timedelta(minutes=20))
    assert world.bc.created == []
    result = await world.settle(HEAD)
    assert result is not None
    assert result.outcome == "synced"


async def test_after_a_loss_an_invoice_issued_since_is_created_at_once(world: World) -> None:
    world.clock.move(HOUR)
    await world.lose_ledger()
    world.stripe.put(build_invoice(at=world.clock.now()))

    assert (await bring(world)).outcome == "synced"


async def test_after_a_loss_the_draft_is_adopted(world: World) -> None:
    world.stripe.put(build_invoice())
    first = await bring(world)
    for with_metadata in (True, False):
        world.clock.move(HOUR)
        if not with_metadata:
            world.stripe.change("in_1", metadata={})
        await world.lose_ledger()
        result = await bring(world)

        assert (result.outcome, result.document) == ("synced", first.document)
        assert len(world.bc.created) == len(world.bc.customers) == 1


async def test_after_a_loss_the_first_success_is_read_from_stripe(world: World) -> None:
    world.stripe.put(build_invoice())
    await bring(world)
    world.bc.edit_invoice(
        world.bc.invoices[0].id, total_amount_including_tax=build_draft("90").total_amount_including_tax
    )
    world.clock.move(HOUR)
    await world.lose_ledger()
    result = await bring(world)

    assert result.outcome == "synced"
    assert "its total is 90.00 EUR now" in result.notes[0]
    assert (await world.ledger.load_invoice(world.connection.id, "in_1")).state.synced_at == NOW


async def test_after_a_loss_a_draft_that_a_person_deleted_is_not_made_again_unasked(world: World) -> None:
    world.stripe.put(build_invoice())
    await bring(world)
    world.bc.delete_by_hand(world.bc.invoices[0].id)
    world.clock.move(HOUR)
    await world.lose_ledger()
    result = await bring(world)
    assert result.error is not None
    assert result.error.code == "invoice.draft.deleted"

    world.clock.move(HOUR)
    assert (await bring(world, build_head(cause="replay", recreate=True))).outcome == "synced"
    assert len(world.bc.invoices) == 1


async def test_metadata_copied_from_another_invoice_are_not_believed(world: World) -> None:
    world.stripe.put(build_invoice())
    await bring(world)
    copied = world.stripe.invoices["in_1"].metadata
    world.stripe.put(build_invoice(id="in_2", number="HUB-0002", metadata=copied))
    result = await bring(world, build_head("in_2"))

    assert result.outcome == "synced"
    assert sorted(world.bc.created) == ["HUB-0001", "HUB-0002"]
