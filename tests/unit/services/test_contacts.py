"""Is it due, and who is its customer: `contacts` on fakes and a real ledger."""

from datetime import timedelta

import pytest

from hub.directory import Directory
from schemas.errors import InDoubt
from schemas.invoice_settings import InvoiceSettings
from schemas.messages import InvoiceResult, StripeEventReceived
from tests.builders import (
    NOW,
    SETTINGS,
    build_connection,
    build_customer,
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


async def test_a_new_customer_is_created_and_linked(world: World) -> None:
    world.stripe.put(build_invoice())
    world.stripe.put(build_invoice(id="in_2", number="HUB-0002"))
    await bring(world, HEAD)
    world.bc.calls.clear()
    result = await bring(world, build_head("in_2"))

    assert result.outcome == "synced"
    assert world.bc.calls == ["find_invoices", "create_invoice"]
    assert [one.display_name for one in world.bc.customers] == ["Acme GmbH"]


async def test_a_duplicate_of_a_synced_invoice_asks_nobody(world: World) -> None:
    world.stripe.put(build_invoice())
    await bring(world)
    world.bc.calls.clear()
    world.stripe.calls.clear()
    result = await bring(world, HEAD)

    assert result.outcome == "synced"
    assert world.bc.calls == world.stripe.calls == []


async def test_a_replay_is_mapped_by_the_version_of_the_settings_that_is_asked_for(world: World) -> None:
    other = SETTINGS.invoices.model_copy(update={"external_document_prefix": "X-"})
    await world.directory.save_settings(world.connection.id, SETTINGS.model_copy(update={"invoices": other}))
    for invoice_id, number in (("in_1", "HUB-0001"), ("in_2", "HUB-0002")):
        world.stripe.put(build_invoice(id=invoice_id, number=number))

    first = await bring(world, build_head(cause="replay", settings_version=1))
    newest = await bring(world, build_head("in_2", cause="replay"))

    assert [one.settings_version for one in (first, newest)] == [1, 2]
    assert [one.external_document_number for one in world.bc.invoices] == ["HUB-0001", "X-HUB-0002"]


async def test_a_settings_version_that_never_was_fails_the_invoice_with_what_to_do(world: World) -> None:
    world.stripe.put(build_invoice())
    result = await bring(world, build_head(cause="replay", settings_version=7))

    assert (result.outcome, result.code) == ("failed", "settings.version.unknown")
    assert "no settings version 7" in result.reason


@pytest.mark.parametrize(("history", "priority"), [(False, "live"), (True, "history")])
async def test_history_leaves_room_to_live_traffic_in_every_stage(world: World, history: bool, priority: str) -> None:
    world.stripe.put(build_invoice())
    await bring(world, build_head(cause="retry", history=history))

    assert set(world.remotes.priorities) == {priority}


async def test_what_has_waited_is_looked_at_even_if_it_is_synced(world: World) -> None:
    """A closing that waited may have been replaced by an earlier event of the same invoice."""
    world.stripe.put(build_invoice())
    await bring(world)
    world.stripe.change("in_1", status="void")

    assert (await bring(world, build_head(cause="retry"))).outcome == "attention"


async def test_an_invoice_not_due_yet_is_left_without_an_outcome(world: World) -> None:
    await world.open(settings=SETTINGS.model_copy(update={"triggers": ("paid",)}))
    world.stripe.put(build_invoice())
    assert await world.bring(HEAD) is None
    assert world.results == []

    world.stripe.change("in_1", status="paid")
    assert (await bring(world, build_head(event_type="invoice.paid"))).outcome == "synced"


async def test_a_replay_of_an_invoice_not_due_yet_is_answered(world: World) -> None:
    await world.open(settings=SETTINGS.model_copy(update={"triggers": ("sent",)}))
    world.stripe.put(build_invoice(metadata={"bc_replay": "now"}))
    result = await bring(world, build_head(cause="replay"))

    assert (result.outcome, result.reason) == ("skipped", "The draft is made when the invoice is sent; it is not yet.")
    assert "bc_replay" not in world.stripe.invoices["in_1"].metadata

    await world.ledger.record_sent(world.connection.id, "in_1", NOW)
    assert (await bring(world, build_head(event_type="invoice.sent"))).outcome == "synced"


async def test_a_voided_invoice_without_draft_is_skipped(world: World) -> None:
    world.stripe.put(build_invoice(status="void"))
    result = await bring(world)

    assert (result.outcome, result.reason) == ("skipped", "The invoice was voided in Stripe.")
    assert world.bc.calls == []


async def test_an_invoice_that_was_written_off_is_drafted_and_its_loss_called_for(world: World) -> None:
    world.stripe.put(build_invoice(status="uncollectible"))
    result = await bring(world)

    assert (result.outcome, result.code) == ("attention", "invoice.uncollectible")
    assert [one.external_document_number for one in world.bc.invoices] == ["HUB-0001"]
    assert f"its draft {world.bc.invoices[0].number} in Business Central stands" in result.reason


async def test_a_closed_invoice_with_draft_needs_attention_and_its_draft_is_not_touched(world: World) -> None:
    world.stripe.put(build_invoice())
    await bring(world)
    world.stripe.change("in_1", status="void")
    voided = build_head(event_type="invoice.voided")
    result = await bring(world, voided, voided)

    assert result.outcome == "attention"
    assert result.document is not None
    assert "delete or credit it there" in result.reason
    assert len(world.bc.invoices) == 1
    assert world.stripe.invoices["in_1"].metadata["bc_status"] == "attention"


async def test_an_invoice_written_off_and_paid_after_all_is_synced_again(world: World) -> None:
    world.stripe.put(build_invoice())
    await bring(world)
    world.stripe.change("in_1", status="uncollectible")
    lost = await bring(world, build_head(event_type="invoice.marked_uncollectible"))
    assert (lost.outcome, lost.code) == ("attention", "invoice.uncollectible")
    assert "enter the loss" in world.stripe.invoices["in_1"].metadata["bc_error"]
    world.stripe.change("in_1", status="paid")
    result = await bring(world, build_head(event_type="invoice.paid"))

    assert result.outcome == "synced"
    assert len(world.bc.created) == 1


async def test_an_invoice_voided_while_a_request_is_in_doubt_needs_attention(world: World) -> None:
    world.bc.customers.append(build_customer())
    world.stripe.put(build_invoice())
    world.bc.commit_late(timedelta(minutes=10))
    assert isinstance(await world.bring(HEAD), InDoubt)
    world.stripe.change("in_1", status="void")
    result = await bring(world, build_head(event_type="invoice.voided"))

    assert result.outcome == "attention"
    assert "Business Central has not said whether it made one" in result.reason


async def test_an_exemption_set_after_the_success_changes_nothing(world: World) -> None:
    world.stripe.put(build_invoice())
    first = await bring(world)
    world.stripe.change("in_1", metadata={"bc_skip": "1", "bc_replay": "again"})
    result = await bring(world, build_head(cause="replay"))

    assert (result.outcome, result.document) == ("synced", first.document)
    assert "bc_replay" not in world.stripe.invoices["in_1"].metadata


async def test_a_replay_sees_settings_that_were_saved_just_before_in_another_process(world: World) -> None:
    await world.open(settings=SETTINGS.model_copy(update={"invoices": InvoiceSettings()}))
    world.stripe.put(build_invoice())
    assert (await bring(world)).outcome == "failed"

    await Directory(world.plain_redis, world.directory.box).save_settings(world.connection.id, SETTINGS)
    assert (await bring(world, build_head(cause="replay"))).outcome == "synced"


async def test_a_deleted_invoice_is_skipped(world: World) -> None:
    assert (await bring(world, build_head(event_type="invoice.deleted"))).reason == "The invoice was deleted in Stripe."


async def test_events_of_customers_are_left_alone(world: World) -> None:
    assert await world.bring(build_head("cus_1", event_type="customer.updated")) is None
    assert world.results == []


async def test_no_customer_is_created_for_an_invoice_that_can_not_be_booked(world: World) -> None:
    world.stripe.put(build_invoice(number=None))
    result = await bring(world)

    assert result.error is not None
    assert result.error.code == "invoice.number.missing"
    assert world.bc.calls == []


async def test_a_dry_run_writes_nothing_anywhere(world: World) -> None:
    await world.open(build_connection(dry_run=True))
    world.stripe.put(build_invoice())
    result = await bring(world)

    assert (result.outcome, result.dry_run) == ("skipped", True)
    assert result.reason == "Dry run: a draft HUB-0001 of 100.00 EUR for a new customer would be created."
    assert world.bc.customers == world.bc.invoices == world.stripe.writes == []
    assert world.updates[-1].reason == "Dry run: nothing is written to Stripe."


async def test_a_dry_run_names_the_customer_it_found(world: World) -> None:
    await world.open(build_connection(dry_run=True))
    world.stripe.put(build_invoice())
    world.bc.customers.append(build_customer())

    assert "for customer C00010 Acme GmbH (email = billing@acme.example)" in (await bring(world)).reason


async def test_a_replay_after_a_dry_run_makes_customer_and_draft(world: World) -> None:
    await world.open(build_connection(dry_run=True))
    world.stripe.put(build_invoice())
    await bring(world)
    await world.open(build_connection())
    result = await world.settle(build_head(cause="replay", at=NOW + HOUR))

    assert result is not None
    assert result.outcome == "synced"
    assert len(world.bc.customers) == len(world.bc.created) == 1
