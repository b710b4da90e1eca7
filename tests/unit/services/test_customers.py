"""Whose customer it is: the resolver of `contacts`, its claims and doubts."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from hub.ledger import CustomerLink
from schemas.customer_settings import CustomerSettings, MatchPair, MatchRule
from schemas.errors import HubError, InDoubt, Refused, RetryLater, RetrySoon
from schemas.messages import InvoiceResult, StripeEventReceived
from tests.builders import (
    NOW,
    SETTINGS,
    build_connection,
    build_customer,
    build_head,
    build_invoice,
    build_match,
)
from tests.remote_fakes import Died
from tests.service_fakes import World

HEAD = build_head()
BY_NAME = CustomerSettings.model_validate(
    {"match": [{"stripe": "email", "bc": "email"}, {"stripe": "name", "bc": "displayName"}]}
)
HOUR = timedelta(hours=1)


async def bring(world: World, *heads: StripeEventReceived) -> InvoiceResult:
    for head in heads or (HEAD,):
        assert await world.bring(head) is None
    return world.results[-1]


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
    earlier = NOW - timedelta(seconds=2)
    await asyncio.gather(*(world.settle(build_head(f"in_{number}", at=earlier)) for number in range(8)))

    assert world.bc.calls.count("create_customer") == 1
    assert world.bc.calls.count("list_customers") == 1


async def test_several_customers_are_a_question_for_a_person(world: World) -> None:
    world.stripe.put(build_invoice())
    world.bc.customers += [build_customer(id="a", number="C1", city="Bonn"), build_customer(id="b", number="C2")]
    result = await bring(world)

    assert result.error is not None
    assert result.error.message == (
        "Customer 'Acme GmbH' was found twice in Business Central (C1 Acme GmbH, Bonn; C2 Acme GmbH), "
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
    await world.open(
        settings=SETTINGS.model_copy(update={"customers": BY_NAME.model_copy(update={"create_missing": False})})
    )
    world.stripe.put(build_invoice())
    result = await bring(world)

    assert result.error is not None
    assert result.error.code == "contact.not_found"
    assert "(email = billing@acme.example; name = Acme GmbH)" in result.error.message
    assert world.bc.customers == []


async def test_the_first_rule_that_finds_any_decides_whatever_was_created_before(world: World) -> None:
    """A customer created under a name must not take in another of that name, whose address is known."""
    await world.open(settings=SETTINGS.model_copy(update={"customers": BY_NAME}))
    world.stripe.put(build_invoice())
    await bring(world)
    world.bc.customers.append(
        build_customer(id="twin", number="C9", email="twin@acme.example", displayName="ACME GMBH")
    )
    world.clock.move(timedelta(seconds=6))
    world.stripe.put(build_invoice(id="in_2", number="HUB-0002", customer="cus_2", customer_email="twin@acme.example"))
    await bring(world, build_head("in_2"))

    assert world.bc.invoices[-1].customer_id == "twin"


async def test_a_doubt_about_one_customer_is_not_ended_by_another_of_that_name(world: World) -> None:
    await world.open(settings=SETTINGS.model_copy(update={"customers": BY_NAME}))
    world.stripe.put(build_invoice())
    world.bc.commit_late(timedelta(minutes=16))
    assert isinstance(await world.bring(HEAD), InDoubt)
    world.bc.customers.append(build_customer(id="twin", email="twin@acme.example", displayName="Acme Twin"))
    twin: dict[str, Any] = {"customer": "cus_2", "customer_email": "twin@acme.example", "customer_name": "Acme Twin"}
    world.stripe.put(build_invoice(id="in_2", number="HUB-0002", **twin))
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


async def test_a_customer_that_a_killed_process_was_creating_is_waited_for_as_long_as_its_lease(world: World) -> None:
    async def die_on_the_way() -> None:
        world.steps.is_dead = True

    world.stripe.put(build_invoice())
    world.stripe.put(build_invoice(id="in_2", number="HUB-0002", customer="cus_2"))
    world.bc.do_at_next("create_customer", die_on_the_way)
    with pytest.raises(Died):
        await world.bring(HEAD)
    world.steps.revive()
    error = await world.bring(build_head("in_2"))

    assert isinstance(error, RetrySoon)
    assert error.code == "ledger.lease.taken"
    assert error.retry_after is not None
    assert timedelta(seconds=110) < error.retry_after <= timedelta(seconds=121)


async def test_a_refused_customer_leaves_no_doubt(world: World) -> None:
    world.stripe.put(build_invoice())
    world.bc.fail_next("create_customer.sent", Refused("No template.", code="bc.template", fix="Add one."))
    result = await bring(world)
    assert result.error is not None
    assert result.error.text == "No template. Add one."

    assert (await bring(world, build_head(cause="replay"))).outcome == "synced"
    assert len(world.bc.customers) == 1


async def test_a_lease_lost_while_waiting_for_a_slot_does_not_end_anothers_doubt(world: World) -> None:
    await world.open(settings=SETTINGS.model_copy(update={"customers": BY_NAME}))
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


async def test_what_the_index_proposes_is_believed_only_as_it_is_now(world: World) -> None:
    """Deleted and changed since it was read: the first is gone, the second is another's."""
    world.bc.customers += [build_customer(id="gone", number="C1"), build_customer(id="other", number="C2")]
    await world.open(build_connection(dry_run=True))
    world.stripe.put(build_invoice())
    assert "found twice" in (await bring(world)).reason
    world.bc.customers = [build_customer(id="other", number="C2", email="other@x.example")]
    await world.open(build_connection())
    result = await bring(world, build_head(at=NOW + HOUR))

    assert result.outcome == "synced"
    assert world.bc.invoices[-1].customer_id not in {"gone", "other"}


@pytest.mark.parametrize("code", ["bc.customer.blocked", "bc.customer.unknown"])
async def test_a_customer_that_business_central_refuses_is_looked_at_before_the_next_invoice(
    world: World, code: str
) -> None:
    """Without a replay: a blocked one is named, one that is gone is made anew, and one that is well again is taken."""
    world.stripe.put(build_invoice())
    await bring(world)
    known = world.bc.customers[0]
    world.bc.fail_next("create_invoice.sent", Refused("No.", code=code))
    world.stripe.put(build_invoice(id="in_2", number="HUB-2"))
    assert (await bring(world, build_head("in_2"))).outcome == "failed"

    world.bc.customers = [known.model_copy(update={"blocked": "All"})] if code.endswith("blocked") else []
    world.stripe.put(build_invoice(id="in_3", number="HUB-3"))
    third = await bring(world, build_head("in_3"))
    if code.endswith("blocked"):
        assert third.error is not None
        assert third.error.code == "contact.blocked"
        world.bc.customers = [known]
        third = await bring(world, build_head("in_3", at=NOW + HOUR))
    else:
        assert any("is not in Business Central any more" in note for note in third.notes)
    assert third.outcome == "synced"

    world.bc.calls.clear()
    world.stripe.put(build_invoice(id="in_4", number="HUB-4"))
    await bring(world, build_head("in_4"))
    assert "fetch_customer" not in world.bc.calls


async def test_a_persons_choice_made_meanwhile_stands(world: World) -> None:
    world.bc.customers += [build_customer(), build_customer(id="chosen", number="C77", email="x@x.example")]
    world.stripe.put(build_invoice())
    pinned = CustomerLink(customer=build_match(id="chosen", number="C77"), linked_at=NOW, pinned=True)

    async def choose() -> None:
        await world.ledger.save_customer_link(world.connection.id, "cus_1", pinned)

    world.bc.do_at_next("fetch_customers", choose)
    await bring(world)
    assert world.bc.invoices[-1].customer_id == "chosen"
    assert await world.ledger.load_customer_link(world.connection.id, "cus_1") == pinned

    await world.ledger.drop_customer_link(world.connection.id, "cus_1")
    assert await world.ledger.load_customer_link(world.connection.id, "cus_1") == pinned


async def test_a_renamed_customer_is_called_by_its_new_number_after_a_replay(world: World) -> None:
    world.stripe.put(build_invoice())
    await bring(world)
    world.bc.edit_customer(world.bc.customers[0].id, number="C500", displayName="Acme Holding")
    await bring(world, build_head(cause="replay"))
    link = await world.ledger.load_customer_link(world.connection.id, "cus_1")

    assert link is not None
    assert (link.customer.number, link.customer.name) == ("C500", "Acme Holding")


async def test_what_only_the_customer_itself_says_is_asked_of_stripe(world: World) -> None:
    rules = CustomerSettings.model_validate({"match": [{"stripe": "metadata.debtor", "bc": "number"}]})
    await world.open(settings=SETTINGS.model_copy(update={"customers": rules}))
    world.stripe.put(build_invoice())
    world.stripe.put_customer(metadata={"debtor": "c00010"})
    world.bc.customers.append(build_customer())
    world.stripe.fail_next("fetch_customer", RetryLater("Busy.", code="stripe.rate.limited"))
    await world.settle(HEAD)

    assert world.bc.invoices[-1].customer_id == world.bc.customers[0].id


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
    rules = CustomerSettings(match=(MatchRule(pairs=(MatchPair(stripe="id", bc="number"),)),))
    await world.open(settings=SETTINGS.model_copy(update={"customers": rules}))
    world.stripe.put(build_invoice())
    world.bc.fail_next("create_invoice", RetrySoon("Reset.", code="bc.reset"))
    await world.settle(HEAD)
    await world.ledger.drop_customer_link(world.connection.id, "cus_1")
    world.stripe.put(build_invoice(id="in_2", number="HUB-0002"))
    await bring(world, build_head("in_2"))

    assert len(world.bc.customers) == 1


@pytest.mark.parametrize(
    "error",
    [RetryLater("Too many.", code="bc.rate.limited"), RetrySoon("Reset.", code="bc.connection.reset")],
)
@pytest.mark.parametrize("method", ["list_customers", "fetch_customers", "fetch_customer"])
async def test_a_look_that_fails_for_now_finds_the_customer_later(world: World, method: str, error: HubError) -> None:
    world.bc.customers.append(build_customer())
    if method == "fetch_customer":
        link = CustomerLink(customer=build_match(), linked_at=NOW, doubted=True)
        await world.ledger.save_customer_link(world.connection.id, "cus_1", link)
    world.stripe.put(build_invoice())
    world.bc.fail_next(method, error)
    await world.settle(HEAD)

    assert world.waits == [error]
    assert len(world.bc.customers) == 1
    assert world.bc.invoices[-1].customer_id == world.bc.customers[0].id


@pytest.mark.parametrize("method", ["list_customers", "create_customer", "find_invoices", "create_invoice"])
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


async def test_what_a_person_fills_in_on_the_customer_is_found_by_the_replay(world: World) -> None:
    """The invoice froze neither e-mail nor name, and nobody can change that any more."""
    world.stripe.put(build_invoice(customer_name=None, customer_email=None))
    world.stripe.put_customer()
    refused = await bring(world)
    assert refused.error is not None
    assert refused.error.code == "contact.match.no_values"

    world.stripe.put_customer(name="Acme GmbH", email="billing@acme.example")
    result = await bring(world, build_head(cause="replay"))

    assert result.outcome == "synced"
    assert "The invoice has no name, e-mail: taken from the Stripe customer as it is now." in result.notes
    assert [(one.display_name, one.email) for one in world.bc.customers] == [("Acme GmbH", "billing@acme.example")]


async def test_what_was_changed_for_a_new_customer_is_told_although_its_invoice_goes_round_again(world: World) -> None:
    """The customer stands when the draft has to wait: its notes must not be lost with the first round."""
    address = {"line1": "Torstr. 1", "city": "Berlin", "postal_code": "10119", "country": "DE"}
    tax_ids = [{"type": "de_stn", "value": "1234567890"}]
    world.stripe.put(build_invoice(customer_address=address, customer_tax_ids=tax_ids))
    world.bc.fail_next("find_invoices", RetryLater("Busy.", code="bc.server.unavailable"))
    assert isinstance(await world.bring(HEAD), RetryLater)
    assert len(world.bc.customers) == 1

    result = await world.settle(HEAD)

    assert result is not None
    assert any("1234567890" in note for note in result.notes)
    world.stripe.put(build_invoice(id="in_2", number="HUB-0002"))
    later = await bring(world, build_head("in_2"))
    assert not any("1234567890" in note for note in later.notes)


async def test_who_shares_a_mailbox_is_a_question_until_a_person_calls_the_customer_new(world: World) -> None:
    world.bc.customers.append(build_customer(id="other", number="C9", displayName="Acme Invest ApS"))
    world.stripe.put(build_invoice(customer_name="Acme Byg A/S"))
    await bring(world, HEAD)
    error = world.results[-1].error
    assert error is not None
    assert error.code == "contact.contradiction"
    assert "C9" not in (error.fix or "")

    await world.ledger.call_customer_new(world.connection.id, "cus_1")
    assert (await bring(world, build_head(cause="replay"))).outcome == "synced"
    assert [one.display_name for one in world.bc.customers] == ["Acme Invest ApS", "Acme Byg A/S"]


async def test_a_shared_mailbox_gives_way_to_the_rule_that_finds_the_company_itself(world: World) -> None:
    world.bc.customers.append(build_customer(id="other", number="C9", displayName="Acme Invest ApS"))
    itself = {"id": "own", "number": "C8", "displayName": "Acme Byg A/S", "email": "x@y.example", "postalCode": "2000"}
    world.bc.customers.append(build_customer(**itself, country="DK"))
    world.stripe.put(
        build_invoice(customer_name="Acme Byg A/S", customer_address={"postal_code": "2000", "country": "DK"})
    )
    assert (await bring(world, HEAD)).outcome == "synced"
    link = await world.ledger.load_customer_link(world.connection.id, "cus_1")
    assert link is not None
    assert link.customer.number == "C8"
    assert len(world.bc.customers) == 2
