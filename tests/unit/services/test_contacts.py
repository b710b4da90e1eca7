"""Is it due, and who is its customer: `contacts` on fakes and a real ledger."""

import asyncio
from datetime import timedelta

import pytest

from hub.directory import Directory
from hub.ledger import CustomerLink
from schemas.errors import HubError, InDoubt, Refused, RetryLater, RetrySoon
from schemas.messages import InvoiceResult, StripeEventReceived
from schemas.settings import CustomerSettings, InvoiceSettings, MatchPair
from tests.builders import (
    NOW,
    SETTINGS,
    build_connection,
    build_customer,
    build_draft,
    build_head,
    build_invoice,
    build_match,
)
from tests.service_fakes import Died, World

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


@pytest.mark.parametrize(("status", "word"), [("void", "voided"), ("uncollectible", "marked uncollectible")])
async def test_a_closed_invoice_without_draft_is_skipped(world: World, status: str, word: str) -> None:
    world.stripe.put(build_invoice(status=status))
    result = await bring(world)

    assert result.outcome == "skipped"
    assert word in result.reason
    assert world.bc.calls == []


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
    await bring(world, build_head(event_type="invoice.marked_uncollectible"))
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


# ---- whose customer ----


async def test_two_stripe_customers_with_one_address_become_one(world: World) -> None:
    world.stripe.put(build_invoice())
    world.stripe.put(
        build_invoice(id="in_2", number="HUB-0002", customer="cus_2", customer_email="Billing@ACME.example")
    )
    await asyncio.gather(world.settle(HEAD), world.settle(build_head("in_2")))

    assert len(world.bc.customers) == 1
    assert sorted(world.bc.created) == ["HUB-0001", "HUB-0002"]


async def test_two_connections_of_one_company_make_one_customer(world: World) -> None:
    first = world.connection
    second = await world.open(build_connection(stripe_account="acct_2Other"))
    world.stripe.put(build_invoice())
    world.stripe.put(build_invoice(id="in_2", number="OTHER-1", customer="cus_of_other"))
    await asyncio.gather(
        world.settle(build_head(connection=first)), world.settle(build_head("in_2", connection=second))
    )

    assert len(world.bc.customers) == 1
    assert len(world.bc.created) == 2


async def test_many_invoices_of_a_new_customer_ask_once(world: World) -> None:
    for number in range(8):
        world.stripe.put(build_invoice(id=f"in_{number}", number=f"HUB-{number}"))
    await asyncio.gather(*(world.settle(build_head(f"in_{number}")) for number in range(8)))

    assert world.bc.calls.count("create_customer") == 1
    assert world.bc.calls.count("find_customers") == 2


async def test_several_customers_are_a_question_for_a_person(world: World) -> None:
    world.stripe.put(build_invoice())
    world.bc.customers += [build_customer(id="a", number="C1", city="Bonn"), build_customer(id="b", number="C2")]
    result = await bring(world)

    assert result.error is not None
    assert result.error.message == (
        "Customer 'Acme GmbH' was found twice in Business Central (C1 Bonn, C2 Acme GmbH), "
        "by email = billing@acme.example."
    )
    assert world.bc.created == []


async def test_a_blocked_customer_is_a_question_for_a_person(world: World) -> None:
    world.stripe.put(build_invoice())
    world.bc.customers.append(build_customer(blocked="All"))
    result = await bring(world)
    assert result.error is not None
    assert result.error.code == "contact.blocked"

    world.bc.customers[0] = build_customer()
    assert (await bring(world, build_head(cause="replay"))).outcome == "synced"


async def test_a_missing_customer_is_not_created_against_the_settings(world: World) -> None:
    await world.open(settings=SETTINGS.model_copy(update={"customers": CustomerSettings(create_missing=False)}))
    world.stripe.put(build_invoice())
    result = await bring(world)

    assert result.error is not None
    assert result.error.code == "contact.not_found"
    assert "(email = billing@acme.example; name = Acme GmbH)" in result.error.message
    assert world.bc.customers == []


async def test_the_first_rule_that_finds_any_decides_whatever_was_created_before(world: World) -> None:
    """A customer created under a name must not take in another of that name, whose address is known."""
    world.stripe.put(build_invoice())
    await bring(world)
    world.bc.customers.append(
        build_customer(id="twin", number="C9", email="twin@acme.example", displayName="ACME GMBH")
    )
    world.stripe.put(build_invoice(id="in_2", number="HUB-0002", customer="cus_2", customer_email="twin@acme.example"))
    await bring(world, build_head("in_2"))

    assert world.bc.invoices[-1].customer_id == "twin"


async def test_a_doubt_about_one_customer_is_not_ended_by_another_of_that_name(world: World) -> None:
    world.stripe.put(build_invoice())
    world.bc.commit_late(timedelta(minutes=16))
    assert isinstance(await world.bring(HEAD), InDoubt)
    world.bc.customers.append(build_customer(id="twin", email="twin@acme.example", displayName="Twin"))
    world.stripe.put(build_invoice(id="in_2", number="HUB-0002", customer="cus_2", customer_email="twin@acme.example"))
    await bring(world, build_head("in_2"))
    await world.settle(HEAD)

    by_number = {one.external_document_number: one.customer_id for one in world.bc.invoices}
    assert by_number["HUB-0002"] == "twin"
    assert by_number["HUB-0001"] not in {"twin", ""}
    assert len(world.bc.customers) == 2


async def test_a_customer_that_comes_late_is_waited_for(world: World) -> None:
    world.stripe.put(build_invoice())
    world.bc.commit_late(timedelta(minutes=16))
    result = await world.settle(HEAD)

    assert result is not None
    assert result.outcome == "synced"
    assert len(world.bc.customers) == 1
    assert world.bc.released == ["slot-create_customer"]


@pytest.mark.parametrize("other", [False, True])
async def test_after_a_death_on_the_way_the_customer_is_waited_for(world: World, other: bool) -> None:
    """Also by another Stripe customer with the same address."""
    world.stripe.put(build_invoice())
    world.stripe.put(build_invoice(id="in_2", number="HUB-0002", customer="cus_2"))
    world.bc.commit_late(timedelta(minutes=10))

    async def die_on_the_way() -> None:
        world.steps.dies_at = world.steps.taken + 1

    world.bc.do_at_next("create_customer.sent", die_on_the_way)
    with pytest.raises(Died):
        await world.bring(HEAD)
    world.steps.revive()
    await world.expire_leases()
    await world.settle(build_head("in_2") if other else HEAD)
    world.bc.finish_late()

    assert len(world.bc.customers) == 1


async def test_a_refused_customer_leaves_no_doubt(world: World) -> None:
    world.stripe.put(build_invoice())
    world.bc.fail_next("create_customer.sent", Refused("No template.", code="bc.template", fix="Add one."))
    result = await bring(world)
    assert result.error is not None
    assert result.error.text == "No template. Add one."

    assert (await bring(world, build_head(cause="replay"))).outcome == "synced"
    assert len(world.bc.customers) == 1


async def test_a_lease_lost_while_waiting_for_a_slot_does_not_end_anothers_doubt(world: World) -> None:
    world.stripe.put(build_invoice())
    claims: list[dict[str, str]] = []

    async def read_claims() -> dict[str, str]:
        keys = [key async for key in world.plain_redis.scan_iter("*:claim:*")]
        return {key: await world.plain_redis.get(key) for key in keys}

    async def let_another_try() -> None:
        await world.expire_leases()
        world.bc.commit_late(timedelta(minutes=5))
        assert isinstance(await world.bring(HEAD, world.build_contacts()), InDoubt)
        claims.append(await read_claims())

    world.bc.do_at_next("create_customer", let_another_try)
    assert isinstance(await world.bring(HEAD), RetrySoon)

    assert await read_claims() == claims[0]
    assert len(claims[0]) == 2


async def test_a_customer_deleted_in_business_central_is_looked_for_on_a_replay(world: World) -> None:
    world.stripe.put(build_invoice())
    world.stripe.put(build_invoice(id="in_2", number="HUB-0002"))
    await bring(world)
    world.bc.customers.clear()
    world.bc.fail_next("create_invoice.sent", Refused("Unknown customer.", code="bc.customer.unknown"))
    assert (await bring(world, build_head("in_2"))).outcome == "failed"

    assert (await bring(world, build_head("in_2", cause="replay"))).outcome == "synced"
    assert len(world.bc.customers) == 1
    assert world.bc.invoices[-1].customer_id == world.bc.customers[0].id


async def test_a_customer_chosen_by_hand_is_replaced_by_no_rule(world: World) -> None:
    world.stripe.put(build_invoice())
    link = CustomerLink(customer=build_match(id="pinned", number="C77"), linked_at=NOW, pinned=True)
    await world.ledger.save_customer_link(world.connection.id, "cus_1", link)
    result = await bring(world, build_head(cause="replay"))

    assert result.error is not None
    assert result.error.code == "contact.pinned.gone"
    assert "C77" in result.error.message
    assert world.bc.customers == []


async def test_a_customer_who_can_not_be_found_by_what_it_was_made_of_is_still_one(world: World) -> None:
    rules = CustomerSettings(match=(MatchPair(stripe="id", bc="number"),))
    await world.open(settings=SETTINGS.model_copy(update={"customers": rules}))
    world.stripe.put(build_invoice())
    world.bc.fail_next("create_invoice", RetrySoon("Reset.", code="bc.reset"))
    await world.settle(HEAD)
    await world.ledger.drop_customer_link(world.connection.id, "cus_1")
    world.stripe.put(build_invoice(id="in_2", number="HUB-0002"))
    await bring(world, build_head("in_2"))

    assert len(world.bc.customers) == 1


# ---- the ledger lost ----


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


@pytest.mark.parametrize("method", ["find_customers", "create_customer", "find_invoices", "create_invoice"])
@pytest.mark.parametrize(
    "error",
    [
        RetryLater("Too many.", code="bc.rate.limited", retry_after=timedelta(seconds=3)),
        RetrySoon("Reset.", code="bc.connection.reset"),
    ],
)
async def test_what_fails_for_now_comes_round_and_succeeds(world: World, method: str, error: HubError) -> None:
    world.stripe.put(build_invoice())
    world.bc.fail_next(method, error)
    result = await world.settle(HEAD)

    assert world.waits == [error]
    assert result is not None
    assert result.outcome == "synced"
    assert len(world.bc.customers) == len(world.bc.created) == 1
