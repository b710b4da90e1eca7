"""What drafts show of Business Central's rules, and drafts of the other kinds: credit memos, further dimensions."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hub.ledger import CustomerLink
from schemas.errors import Refused, RetryLater, RetrySoon
from schemas.messages import InvoiceResult
from schemas.settings import Settings
from tests.builders import (
    NOW,
    build_customer,
    build_head,
    build_invoice,
    build_line,
    build_match,
    build_rate,
    build_taxes,
)
from tests.service_fakes import World

ROUNDED: dict[str, Any] = {"lines": {"type": "Account", "number": "6110"}, "rounding": {"account": "6910"}}
AREA = "00000000-0000-0000-0000-00000000000a"


def build_settings(**invoices: Any) -> Settings:
    return Settings.model_validate({"invoices": ROUNDED | invoices})


async def settle(world: World, **changes: Any) -> InvoiceResult:
    result = await world.settle(build_head(**changes))
    assert result is not None
    return result


async def test_a_card_with_prices_including_tax_is_learned_from_the_first_draft(world: World) -> None:
    """The API does not tell it beforehand: the draft comes out wrong, is taken back, and made anew on gross prices."""
    await world.open(settings=build_settings())
    world.bc.customers.append(build_customer())
    world.bc.gross_prices = True
    world.bc.vat = ("VAT25", Decimal(25))
    world.stripe.tax_rates["txr_25"] = build_rate("25")
    for number in ("in_1", "in_2"):
        line = build_line(10_000, taxes=build_taxes(2_500))
        world.stripe.put(build_invoice(id=number, number=f"HUB-{number}", lines=[line]))

    first, second = await settle(world), await settle(world, object_id="in_2")

    assert (first.outcome, second.outcome) == ("synced", "synced")
    assert [one.total_amount_including_tax for one in world.bc.invoices] == [Decimal(125), Decimal(125)]
    assert world.bc.created == ["HUB-IN_1", "HUB-IN_1", "HUB-IN_2"]
    assert [error.code for error in world.waits] == ["invoice.rules.learned"]


async def test_what_business_central_adds_otherwise_is_learned_and_told_before_the_next_draft(world: World) -> None:
    await world.open(settings=build_settings())
    world.bc.customers.append(build_customer(taxAreaId=AREA))
    link = CustomerLink(customer=build_match(tax_area=AREA), linked_at=NOW)
    await world.ledger.save_customer_link(world.connection.id, "cus_1", link)
    world.bc.vat = ("VAT25", Decimal(25))
    world.stripe.tax_rates["txr_19"] = build_rate("19")
    for number in ("in_1", "in_2"):
        line = build_line(10_000, taxes=build_taxes(1_900, "19"))
        world.stripe.put(build_invoice(id=number, number=f"HUB-{number}", lines=[line]))

    first, second = await settle(world), await settle(world, object_id="in_2")

    assert [one.error and one.error.code for one in (first, second)] == ["invoice.total.unreachable"] * 2
    # The first draft taught it, and was taken back; for the second nothing was written.
    assert world.bc.created == ["HUB-IN_1"]
    assert world.bc.invoices == []


async def test_a_wrong_draft_is_kept_where_the_settings_say_so(world: World) -> None:
    await world.open(settings=build_settings(wrong_draft="keep"))
    world.bc.customers.append(build_customer())
    world.bc.tax = Decimal(19)
    world.stripe.put(build_invoice())

    result = await settle(world)

    assert result.outcome == "failed"
    assert result.error is not None
    assert "was kept, as the settings say" in result.error.message
    assert len(world.bc.invoices) == 1


async def test_a_negative_total_becomes_one_credit_memo(world: World) -> None:
    await world.open(settings=build_settings())
    world.bc.customers.append(build_customer())
    world.stripe.put(build_invoice(lines=[build_line(-5_667, unit=""), build_line(1_133, unit="")]))

    first = await settle(world)
    again = await settle(world, cause="replay", event_type="hub.replay")

    assert (first.outcome, again.outcome) == ("synced", "synced")
    assert first.document is not None
    assert (first.document.kind, first.document.total) == ("credit_memo", Decimal("45.34"))
    assert list(world.bc.kinds.values()) == ["credit_memo"]


async def test_dimensions_that_the_header_has_no_field_for_are_set_before_it_counts_as_synced(world: World) -> None:
    await world.open(settings=build_settings(header={"dimensions": [{"dimension": "PROJECT", "value": "P-1"}]}))
    world.bc.customers.append(build_customer())
    world.stripe.put(build_invoice())

    result = await settle(world)

    assert result.document is not None
    assert world.bc.dimensions == {result.document.id: {"PROJECT": "P-1"}}


async def test_a_dimension_that_did_not_take_is_told(world: World) -> None:
    await world.open(settings=build_settings(header={"dimensions": [{"dimension": "PROJECT", "value": "P-1"}]}))
    world.bc.customers.append(build_customer())
    world.bc.dimensions_refused = ("PROJECT",)
    world.stripe.put(build_invoice())

    (note,) = (await settle(world)).notes
    assert "another value of PROJECT than was asked for" in note


async def test_a_process_that_dies_before_the_dimensions_sets_them_the_next_time(world: World) -> None:
    await world.open(settings=build_settings(header={"dimensions": [{"dimension": "PROJECT", "value": "P-1"}]}))
    world.bc.customers.append(build_customer())
    world.stripe.put(build_invoice())
    world.bc.fail_next("set_dimensions", RetrySoon("Reset.", code="bc.unreachable"))

    result = await settle(world)

    assert (result.outcome, len(world.bc.created)) == ("synced", 1)
    assert list(world.bc.dimensions.values()) == [{"PROJECT": "P-1"}]


async def test_another_tax_in_the_right_total_is_found_by_the_first_draft(world: World) -> None:
    """Where prices include tax the total tells nothing: 25 % of 25.5 % inside 125.50."""
    await world.open(settings=build_settings())
    world.bc.customers.append(build_customer(taxAreaId=AREA))
    link = CustomerLink(customer=build_match(tax_area=AREA), linked_at=NOW)
    await world.ledger.save_customer_link(world.connection.id, "cus_1", link)
    await world.mapper.learned.save_gross_prices(world.connection.company_key, link.customer.id, gross=True)
    world.bc.gross_prices, world.bc.vat = True, ("VAT25", Decimal(25))
    world.stripe.tax_rates["txr_25.5"] = build_rate("25.5")
    taxes = build_taxes(2_550, "25.5", behavior="inclusive")
    world.stripe.put(build_invoice(lines=[build_line(12_550, taxes=taxes)]))
    result = await settle(world)

    assert (result.outcome, result.code) == ("failed", "invoice.total.unreachable")
    assert "with another tax in it. On line 1 Business Central adds 25 % (VAT25), 25.10 EUR" in result.reason
    assert world.bc.invoices == []

    world.bc.vat = ("VAT255", Decimal("25.5"))
    assert (await settle(world, cause="replay")).outcome == "synced"


async def test_another_tax_that_can_not_be_learned_makes_no_success(world: World) -> None:
    """The VAT group of the customer is not known, so what its lines bring is not remembered."""
    await world.open(settings=build_settings())
    world.bc.customers.append(build_customer())
    world.bc.gross_prices, world.bc.vat = True, ("VAT25", Decimal(25))
    world.stripe.tax_rates["txr_25.5"] = build_rate("25.5")
    taxes = build_taxes(2_550, "25.5", behavior="inclusive")
    world.stripe.put(build_invoice(lines=[build_line(12_550, taxes=taxes)]))
    result = await settle(world)

    assert (result.outcome, result.code) == ("failed", "invoice.tax.different")
    assert "includes 25.50 EUR of tax in Stripe, but its draft in Business Central includes 25.10 EUR" in result.reason
    assert world.bc.invoices == []


async def test_where_stripe_says_nothing_of_tax_prices_that_include_it_are_taken(world: World) -> None:
    await world.open(settings=build_settings())
    world.bc.customers.append(build_customer())
    world.bc.gross_prices, world.bc.vat = True, ("VAT25", Decimal(25))
    world.stripe.put(build_invoice(lines=[build_line(12_500)]))
    result = await settle(world)

    assert result.outcome == "synced", result.reason
    assert [one.total_tax_amount for one in world.bc.invoices] == [Decimal(25)]


async def test_a_country_without_posting_groups_is_learned_on_a_later_round_too(world: World) -> None:
    """The draft of the customer just made had to wait; then it shows that the next like it need not be made."""
    world.stripe.put(build_invoice())
    other: dict[str, Any] = {"customer": "cus_2", "customer_email": "other@beta.example", "customer_name": "Beta GmbH"}
    world.stripe.put(build_invoice(id="in_2", number="HUB-2", **other))
    world.bc.fail_next("create_invoice", RetryLater("Busy.", code="bc.server.unavailable"))
    assert isinstance(await world.bring(build_head()), RetryLater)
    world.bc.fail_next("create_invoice", Refused("None.", code="bc.customer.posting_group"))

    assert (await settle(world, cause="retry")).code == "bc.customer.posting_group"
    second = await settle(world, object_id="in_2")
    assert second.code == "contact.country.unbillable"
    assert second.error is not None
    assert "customers.new.without_country" in second.error.fix
    assert len(world.bc.customers) == 1

    world.clock.move(timedelta(minutes=1))
    tried = await settle(world, object_id="in_2", cause="replay", at=world.clock.now())
    assert tried.outcome == "synced"
    third: dict[str, Any] = {
        "customer": "cus_3",
        "customer_email": "third@gamma.example",
        "customer_name": "Gamma GmbH",
    }
    world.stripe.put(build_invoice(id="in_3", number="HUB-3", **third))
    assert (await settle(world, object_id="in_3")).outcome == "synced"
