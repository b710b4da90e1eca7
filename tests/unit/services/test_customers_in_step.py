"""Changes of Stripe customers are carried over to the fields that the settings name, and to nothing a person wrote."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from schemas.customer_settings import CustomerSettings
from schemas.errors import HubError, InDoubt, Refused, RetryLater, RetrySoon
from schemas.messages import StripeEventReceived
from schemas.settings import Settings
from tests.builders import NOW, SETTINGS, build_connection, build_customer, build_head, build_invoice
from tests.remote_fakes import Died
from tests.service_fakes import World

KEPT = ("displayName", "email", "phoneNumber", "country", "city", "postalCode", "taxRegistrationNumber")
IN_STEP = SETTINGS.model_copy(update={"customers": CustomerSettings(keep_in_step=KEPT)})
ADDRESS = {"line1": "Street 1", "city": "Bonn", "postal_code": "53111", "country": "DE"}


def build_change(minutes: int = 1, **changes: Any) -> StripeEventReceived:
    at = NOW + timedelta(minutes=minutes)
    return build_head("cus_1", event_type="customer.updated", at=at, **changes)


async def begin(world: World, settings: Settings = IN_STEP, **customer: Any) -> None:
    """Let the hub create the customer of an invoice."""
    await world.open(settings=settings)
    fields: dict[str, Any] = {"name": "Acme GmbH", "email": "billing@acme.example", "address": ADDRESS} | customer
    world.stripe.put_customer(**fields)
    world.stripe.put(build_invoice(customer_address=fields["address"], customer_phone=fields.get("phone")))
    assert await world.bring(build_head()) is None
    assert len(world.bc.customers) == 1
    world.bc.calls.clear()
    # The post code of a new customer follows in a write of its own.
    world.bc.patches.clear()


async def differences(world: World) -> tuple[str, ...]:
    sync = await world.syncs.load(world.connection.id, "cus_1")
    assert sync is not None
    return sync.differences


async def test_a_change_in_stripe_is_carried_over_and_only_what_has_changed(world: World) -> None:
    await begin(world)
    world.stripe.put_customer(email="new@acme.example", phone="+49 30 123456")
    assert await world.bring(build_change()) is None

    assert world.bc.patches == [{"email": "new@acme.example", "phoneNumber": "+49 30 123456"}]
    assert await differences(world) == ()


async def test_a_change_that_is_there_already_writes_nothing(world: World) -> None:
    await begin(world, phone="+49 30 123456")
    world.bc.edit_customer(world.bc.customers[0].id, phoneNumber="030 / 123456")
    assert await world.bring(build_change()) is None

    assert world.bc.calls == ["fetch_customer"]
    assert world.bc.patches == []


async def test_off_by_default_nothing_is_even_looked_at(world: World) -> None:
    await begin(world, SETTINGS)
    world.stripe.put_customer(email="new@acme.example")
    assert await world.bring(build_change()) is None
    assert world.bc.calls == []


async def test_a_field_that_is_not_named_stays(world: World) -> None:
    await begin(world, SETTINGS.model_copy(update={"customers": CustomerSettings(keep_in_step=("email",))}))
    world.stripe.put_customer(name="New Name", email="new@acme.example")
    await world.bring(build_change())
    assert world.bc.patches == [{"email": "new@acme.example"}]


async def test_what_a_person_changed_is_reported_and_left_alone(world: World) -> None:
    await begin(world)
    world.bc.edit_customer(world.bc.customers[0].id, email="by-hand@acme.example")
    world.stripe.put_customer(email="new@acme.example", name="Acme AG")
    await world.bring(build_change())

    assert world.bc.patches == [{"displayName": "Acme AG"}]
    assert world.bc.customers[0].email == "by-hand@acme.example"
    assert await differences(world) == ("email",)

    # The person writes what Stripe says: from then on it follows again.
    world.bc.edit_customer(world.bc.customers[0].id, email="new@acme.example")
    await world.bring(build_change(2))
    world.stripe.put_customer(email="newer@acme.example")
    await world.bring(build_change(3))
    assert world.bc.patches[1:] == [{"email": "newer@acme.example"}]
    assert await differences(world) == ()


async def test_what_a_person_emptied_stays_empty(world: World) -> None:
    await begin(world)
    world.bc.edit_customer(world.bc.customers[0].id, email="")
    world.stripe.put_customer(email="new@acme.example")
    await world.bring(build_change())

    assert world.bc.patches == []
    assert await differences(world) == ("email",)


async def test_what_is_emptied_in_stripe_is_emptied_but_the_name(world: World) -> None:
    await begin(world, phone="+49 30 123456")
    world.stripe.put_customer(name="", email="other@acme.example", phone=None)
    await world.bring(build_change())
    assert world.bc.patches == [{"displayName": "other@acme.example", "email": "other@acme.example", "phoneNumber": ""}]


async def test_a_new_country_takes_along_what_it_would_clear(world: World) -> None:
    await begin(world)
    world.bc.edit_customer(world.bc.customers[0].id, state="NRW")
    world.stripe.put_customer(address=ADDRESS | {"country": "FR"})
    await world.bring(build_change())

    assert world.bc.patches == [{"country": "FR", "city": "Bonn", "postalCode": "53111", "state": "NRW"}]


async def test_of_a_customer_that_was_found_what_was_the_same_follows(world: World) -> None:
    """The rest was written by somebody else, who knows why."""
    await world.open(settings=IN_STEP)
    world.bc.customers.append(build_customer(displayName="Acme", phoneNumber="", country="DE", city="Köln"))
    world.stripe.put_customer(name="Acme GmbH", email="billing@acme.example", address=ADDRESS)
    world.stripe.put(build_invoice(customer_address=ADDRESS))
    await world.bring(build_head())
    world.stripe.put_customer(name="Acme AG", email="new@acme.example", phone="+49 30 123456")
    await world.bring(build_change())

    assert world.bc.patches == [{"email": "new@acme.example", "phoneNumber": "+49 30 123456", "postalCode": "53111"}]
    assert await differences(world) == ("displayName", "city")


async def test_somebody_else_writing_at_the_same_time_is_seen(world: World) -> None:
    await begin(world)
    world.stripe.put_customer(email="new@acme.example")

    async def edit_meanwhile() -> None:
        world.bc.edit_customer(world.bc.customers[0].id, phoneNumber="1", email="by-hand@acme.example")

    world.bc.do_at_next("update_customer", edit_meanwhile)
    assert await world.bring(build_change()) is None

    assert world.bc.customers[0].email == "by-hand@acme.example"
    assert world.bc.calls == ["fetch_customer", "update_customer", "fetch_customer"]
    assert await differences(world) == ("email", "phoneNumber")


async def test_an_event_that_a_later_look_has_covered_asks_nobody(world: World) -> None:
    await begin(world)
    late, early = build_change(5), build_change(4)
    await world.bring(late)
    world.bc.calls.clear()
    # The post code of a new customer follows in a write of its own.
    world.bc.patches.clear()
    world.stripe.calls.clear()
    await world.bring(late)
    await world.bring(early)

    assert world.bc.calls == world.stripe.calls == []


async def test_a_customer_without_link_is_left_alone(world: World) -> None:
    await world.open(settings=IN_STEP)
    world.stripe.put_customer(name="Nobody")
    assert await world.bring(build_change()) is None
    assert world.bc.calls == world.stripe.calls == []


async def test_a_deleted_customer_keeps_its_link_and_it_is_said(world: World) -> None:
    await begin(world)
    del world.stripe.customers["cus_1"]
    await world.bring(build_head("cus_1", event_type="customer.deleted"))

    sync = await world.syncs.load(world.connection.id, "cus_1")
    assert sync is not None
    assert sync.deleted_at == NOW
    assert sync.needs_eyes
    assert await world.ledger.load_customer_link(world.connection.id, "cus_1") is not None
    assert world.bc.calls == []


async def test_a_customer_gone_from_business_central_is_looked_for_at_the_next_invoice(world: World) -> None:
    await begin(world)
    world.bc.customers.clear()
    world.stripe.put_customer(email="new@acme.example")
    await world.bring(build_change())

    link = await world.ledger.load_customer_link(world.connection.id, "cus_1")
    assert link is not None
    assert link.doubted


@pytest.mark.parametrize(
    "error",
    [
        RetryLater("Busy.", code="bc.busy"),
        RetrySoon("Reset.", code="bc.reset"),
        InDoubt("No answer.", code="bc.customer.in_doubt"),
    ],
)
@pytest.mark.parametrize("method", ["fetch_customer", "update_customer"])
async def test_what_fails_for_now_comes_round(world: World, method: str, error: HubError) -> None:
    await begin(world)
    world.stripe.put_customer(email="new@acme.example")
    world.bc.fail_next(method, error)
    assert await world.bring(build_change()) is error
    assert await world.bring(build_change(cause="retry")) is None

    assert world.bc.patches == [{"email": "new@acme.example"}]


async def test_a_change_in_doubt_that_was_made_is_not_made_again(world: World) -> None:
    await begin(world)
    world.stripe.put_customer(email="new@acme.example")
    doubt = InDoubt("No answer.", code="bc.customer.in_doubt")
    world.bc.fail_next("update_customer", doubt, "after")
    assert await world.bring(build_change()) is doubt
    assert await world.bring(build_change(cause="retry")) is None
    world.stripe.put_customer(email="newer@acme.example")
    assert await world.bring(build_change(2)) is None

    assert world.bc.patches == [{"email": "new@acme.example"}, {"email": "newer@acme.example"}]


async def test_what_business_central_refuses_is_kept_for_who_looks(world: World) -> None:
    await begin(world)
    world.stripe.put_customer(address=ADDRESS | {"country": "NO"})
    await world.bring(build_change())
    sync = await world.syncs.load(world.connection.id, "cus_1")
    assert sync is not None
    assert sync.problem is not None
    assert sync.problem.code == "contact.country.unknown"

    world.stripe.put_customer(address=ADDRESS | {"country": "DK"})
    world.bc.fail_next("update_customer", Refused("No.", code="bc.rule.violated"))
    await world.bring(build_change(2))
    sync = await world.syncs.load(world.connection.id, "cus_1")
    assert sync is not None
    assert sync.problem is not None
    assert sync.problem.code == "bc.rule.violated"

    await world.bring(build_change(3))
    assert world.bc.customers[0].country == "DK"
    sync = await world.syncs.load(world.connection.id, "cus_1")
    assert sync is not None
    assert not sync.needs_eyes


async def test_a_mapped_field_follows_its_template_unless_it_needs_an_invoice(world: World) -> None:
    fields = {
        "customer": [
            {"field": "displayName", "template": "{{ customer.name | upcase }}"},
            {"field": "phoneNumber", "template": "{{ invoice.customer_phone }}"},
        ]
    }
    settings = Settings.model_validate(IN_STEP.model_dump() | {"fields": fields})
    await begin(world, settings)
    world.stripe.put_customer(name="New Name", phone="+49 30 123456")
    await world.bring(build_change())

    assert world.bc.patches == [{"displayName": "NEW NAME"}]


async def test_a_dry_run_writes_nothing(world: World) -> None:
    await begin(world)
    await world.open(build_connection(dry_run=True), IN_STEP)
    world.stripe.put_customer(email="new@acme.example")
    await world.bring(build_change())
    assert world.bc.patches == []


async def test_a_death_at_any_step_leaves_it_to_be_done(world: World) -> None:
    await begin(world)
    before = world.steps.taken
    world.stripe.put_customer(email="new0@acme.example")
    await world.bring(build_change())
    steps = world.steps.taken - before
    assert steps > 10
    for number in range(1, steps + 1):
        world.stripe.put_customer(email=f"new{number}@acme.example")
        change = build_change(number + 1)
        world.steps.dies_at = world.steps.taken + number
        await die(world, change)
        await world.expire_leases()
        assert await world.bring(change) is None
        assert world.bc.customers[0].email == f"new{number}@acme.example"
    assert await differences(world) == ()


async def die(world: World, change: StripeEventReceived) -> None:
    with suppress(Died):
        await world.bring(change)
    world.steps.revive()


async def test_country_and_tax_number_change_together_over_an_empty_number(world: World) -> None:
    """Business Central checks the old number by the new country, or the new number by the old one (BC facts 20)."""
    german = {"data": [{"type": "eu_vat", "value": "DE123456789"}]}
    await begin(world)
    world.stripe.put_customer(tax_ids=german)
    await world.bring(build_change(1))
    world.bc.patches.clear()
    french = {"data": [{"type": "eu_vat", "value": "FR12345678901"}]}
    world.stripe.put_customer(tax_ids=french, address=ADDRESS | {"country": "FR"})
    await world.bring(build_change(2))

    assert world.bc.patches[0] == {"taxRegistrationNumber": ""}
    assert next(iter(world.bc.patches[1])) == "country"
    (customer,) = world.bc.customers
    assert (customer.country, customer.tax_registration_number, customer.city) == ("FR", "FR12345678901", "Bonn")
    assert await differences(world) == ()


async def test_a_death_at_any_step_between_two_countries_leaves_no_empty_number(world: World) -> None:
    await begin(world)
    minutes = 0
    for step in range(1, 40):
        for country, number in (("DE", "DE123456789"), ("FR", "FR12345678901")):
            world.stripe.put_customer(
                tax_ids={"data": [{"type": "eu_vat", "value": number}]}, address=ADDRESS | {"country": country}
            )
            minutes += 1
            world.steps.dies_at = world.steps.taken + step if country == "FR" else None
            with suppress(Died):
                await world.bring(build_change(minutes))
            world.steps.revive()
            await world.expire_leases()
            await world.bring(build_change(minutes, cause="retry"))
            (customer,) = world.bc.customers
            found = (customer.country, customer.tax_registration_number)
            assert found == (country, number), f"died at step {step}"
            assert await differences(world) == ()


async def test_what_business_central_refuses_of_a_change_costs_that_field_alone(world: World) -> None:
    await begin(world)
    world.stripe.put_customer(phone="+49 30 123456", email="new@acme.example")
    world.bc.fail_next("update_customer", Refused("No.", code="bc.phone.format", fix="Then replay."))
    await world.bring(build_change())

    (customer,) = world.bc.customers
    assert (customer.email, customer.phone_number) == ("new@acme.example", "")


async def test_what_stripe_has_in_an_unfit_form_empties_nothing(world: World) -> None:
    """The number that is there may be the same in a form that only this company takes."""
    await begin(world, tax_ids={"data": [{"type": "eu_vat", "value": "DE123456789"}]})
    french = {"data": [{"type": "eu_vat", "value": "FRAB123456789"}]}
    world.stripe.put_customer(email="no address", tax_ids=french, name="Acme AG")
    await world.bring(build_change())

    assert world.bc.patches == [{"displayName": "Acme AG"}]
    assert await differences(world) == ()
