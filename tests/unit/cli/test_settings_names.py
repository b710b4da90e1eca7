"""Everything that the settings name is looked up: each place is found, and each wrong one is told with what is near."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from connectors.business_central.models import Account, Item
from hub.cli.settings_lists import list_dropped_rules, list_problems
from hub.cli.settings_names import (
    FIELDS,
    CompanyNames,
    fetch_names,
    find_problems,
    find_taxed,
    list_names,
    list_unlisted,
    tell_lines,
)
from mapping.taxes import VatFact, VatKey
from schemas.customer_settings import CustomerDefaults
from schemas.invoice_settings import BcCode, DimensionRule, LineTarget
from schemas.settings import Settings
from tests.unit.cli.test_line_target import build_account


class FakeCompany:
    """A company's lists, and which were read."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.rows: dict[str, list[dict[str, Any]]] = {
            "taxGroups": _code("MWST0", "MWST7", "MWST19"),
            "taxAreas": _code("INLAND", "EU"),
            "paymentTerms": _code("30 DAYS", "14 DAYS"),
            "paymentMethods": _code("BANK", "CARD"),
            "shipmentMethods": _code("EXW"),
            "unitsOfMeasure": _code("PCS", "HOUR"),
            "currencies": _code("USD"),
            "countriesRegions": _code("DE", "EL", "NI"),
            "dimensions": [{"id": "d-1", "code": "ABTEILUNG", "displayName": "Abteilung"}],
            "dimensionValues": [{"code": "VERTRIEB", "dimensionId": "D-1"}],
            "generalLedgerSetup": [{"localCurrencyCode": "EUR"}],
        }

    async def fetch_accounts(self) -> tuple[Account, ...]:
        self.read.append("accounts")
        return (
            build_account("8400", display_name="Erlöse 19 % USt"),
            build_account("8300", display_name="Erlöse 7 % USt"),
            build_account("4989", display_name="Rundungsdifferenzen"),
            build_account("8000", account_type="Heading"),
            build_account("8001", blocked=True),
            build_account("8002", direct_posting=False),
        )

    async def fetch_items(self) -> tuple[Item, ...]:
        self.read.append("items")
        gone = {"id": "i-2", "number": "OLD", "displayName": "Old desk", "blocked": True}
        return tuple(Item.model_validate(one) for one in ({"id": "i-1", "number": "1896-S"}, gone))

    async def fetch_list(self, entity: str, select: Iterable[str]) -> tuple[dict[str, Any], ...]:
        self.read.append(entity)
        return tuple({name: row[name] for name in select if name in row} for row in self.rows[entity])


def _code(*codes: str) -> list[dict[str, Any]]:
    return [{"id": f"ID-{code}", "code": code, "displayName": f"{code} in words"} for code in codes]


async def check(**values: Any) -> list[str]:
    settings = Settings.model_validate(values)
    return find_problems(settings, await fetch_names(FakeCompany(), list_names(settings)))


def account(number: str) -> dict[str, Any]:
    return {"type": "Account", "number": number}


RIGHT: dict[str, Any] = {
    "customers": {
        "new": {
            "defaults": {"currency": "EUR", "payment_terms": "30 days", "tax_area": "inland", "payment_method": "CARD"},
            "by_country": {"GR": {"country": "EL"}, "US": {"currency": "USD", "shipment_method": "EXW"}},
        }
    },
    "invoices": {
        "lines": {"type": "Account", "number": "8400", "tax_code": "MWST19", "unit": "HOUR"},
        "products": {
            "table": {
                "prod_1": {"type": "Item", "number": "1896-s"},
                "prod_2": {
                    "type": "Bundle",
                    "parts": [
                        {"target": account("8300"), "share": 40},
                        {"target": {"type": "Item", "number": "1896-S"}, "share": 60},
                    ],
                },
                "prod_3": {"type": "Comment"},
            }
        },
        "shipping": account("8400"),
        "tax": {"rules": [{"percent": 7, "code": "MWST7"}], "zero_code": "MWST0"},
        "rounding": {"account": "4989"},
        "header": {"dimensions": [{"dimension": "abteilung", "value": "vertrieb"}]},
    },
    "fields": {
        "customer": [{"field": "paymentTermsId", "template": "id-30 days"}],
        "invoice": [{"field": "shipToCountry", "template": "DE"}],
    },
}


async def test_what_is_there_is_no_problem_and_each_list_is_read_once() -> None:
    company, settings = FakeCompany(), Settings.model_validate(RIGHT)

    names = await fetch_names(company, list_names(settings))

    assert find_problems(settings, names) == []
    assert sorted(company.read) == sorted(set(company.read))
    assert tell_lines(settings, names) == "account 8400 Erlöse 19 % USt"


async def test_what_nothing_names_is_not_read() -> None:
    company = FakeCompany()
    await fetch_names(company, list_names(Settings.model_validate({"invoices": {"lines": account("8400")}})))

    assert company.read == ["accounts"]


def defaults(**values: Any) -> dict[str, Any]:
    return {"customers": {"new": {"defaults": values}}}


def invoices(**values: Any) -> dict[str, Any]:
    return {"invoices": values}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            invoices(tax={"rules": [{"percent": 7, "code": "MWST7"}, {"percent": 16, "code": "MWST16"}]}),
            "number 2.code: Business Central has no VAT product posting group or tax group MWST16. Did you mean MWST19",
        ),
        (
            invoices(rounding={"account": "9999"}),
            "invoices.rounding.account: Business Central has no G/L account 9999.",
        ),
        (invoices(rounding={"account": "8001"}), "the G/L account 8001 Sales is blocked"),
        (invoices(lines=account("8000")), "invoices.lines: the G/L account 8000 Sales is of type Heading, not Posting"),
        (
            invoices(shipping=account("8002")),
            "invoices.shipping: the G/L account 8002 Sales does not allow direct posting",
        ),
        (
            invoices(products={"table": {"prod_abc": account("7777")}}),
            "invoices.products.table.prod_abc: Business Central has no G/L account 7777.",
        ),
        (invoices(lines={"type": "Item", "number": "old"}), "the item OLD Old desk is blocked"),
        (invoices(lines={"type": "Item", "number": "1896"}), "no item 1896. Did you mean 1896-S?"),
        (invoices(lines={**account("8400"), "unit": "STD"}), "no unit of measure STD. There are: HOUR, PCS."),
        (
            invoices(tax={"mode": "as_given", "account": "1", "zero_code": "MWST1"}),
            "invoices.tax.zero_code: Business Central has no VAT product posting group or tax group MWST1.",
        ),
        (
            invoices(lines=account("8400"), tax={"rules": [{"percent": 7, "code": "MWST7", "account": "830"}]}),
            "number 1.account: Business Central has no G/L account 830. Did you mean 8300",
        ),
        (
            invoices(tax={"rules": [{"percent": 7, "code": "MWST7", "accounts": {"8400": "8", "9": "8300"}}]}),
            "number 1.accounts.8400: Business Central has no G/L account 8.",
        ),
        (
            invoices(tax={"rules": [{"percent": 7, "code": "MWST7", "accounts": {"8400": "8", "9": "8300"}}]}),
            "number 1.accounts: Business Central has no G/L account 9.",
        ),
        (invoices(tax={"account": "1"}), "invoices.tax.account: Business Central has no G/L account 1."),
        (
            invoices(header={"dimensions": [{"dimension": "ABTEILUNG", "value": "X"}]}),
            "the dimension ABTEILUNG has no value X in Business Central. There is: VERTRIEB.",
        ),
        (
            invoices(header={"dimensions": [{"dimension": "ABT", "metadata": "dept"}]}),
            "number 1.dimension: Business Central has no dimension ABT. There is: ABTEILUNG.",
        ),
        (defaults(tax_area="NARNIA"), "customers.new.defaults.tax_area: Business Central has no VAT business posting"),
        (defaults(payment_method="GOLD"), "no payment method GOLD. There are: BANK, CARD."),
        (defaults(payment_terms="30 DAY"), "no payment terms 30 DAY. Did you mean 30 DAYS"),
        (defaults(shipment_method="DAP"), "no shipment method DAP. There is: EXW."),
        (defaults(currency="CHF"), "no currency CHF."),
        (
            {"customers": {"new": {"by_country": {"GR": {"country": "GR"}}}}},
            "customers.new.by_country.GR.country: Business Central has no country/region GR.",
        ),
        (
            {"fields": {"customer": [{"field": "paymentTermsId", "template": "60 DAYS"}]}},
            "fields.customer, number 1: paymentTermsId: Business Central has no payment terms with the id 60 DAYS.",
        ),
        (
            {"fields": {"invoice": [{"field": "sellToCountry", "template": "GR"}]}},
            "fields.invoice, number 1: sellToCountry: Business Central has no country/region GR.",
        ),
        (
            invoices(lines=account("8400"), rounding={"account": "8400"}),
            "lines are booked on 8400, too (invoices.lines), so Business Central may add VAT to the cents there.",
        ),
        (defaults(payment_method="BANK IN WORDS"), "Did you mean BANK?"),
    ],
)
async def test_a_name_that_is_not_there_is_told_with_place_and_what_is_near(values: dict[str, Any], told: str) -> None:
    problems = await check(**values)

    assert any(told in one for one in problems), problems


async def test_a_list_that_shows_nothing_may_be_hidden_from_the_app() -> None:
    company, settings = FakeCompany(), Settings.model_validate(invoices(tax={"zero_code": "MWST0"}))
    company.rows["taxGroups"] = []

    (problem,) = find_problems(settings, await fetch_names(company, list_names(settings)))

    assert "It shows none at all: check that the hub's app may read them." in problem


async def test_salespersons_have_no_list_so_they_are_said_not_to_be_looked_up() -> None:
    settings = Settings.model_validate(invoices(header={"salesperson": "ZZ"}))

    assert await check(**invoices(header={"salesperson": "ZZ"})) == []
    assert list_unlisted(settings) == ["invoices.header.salesperson (ZZ)"]


# What stands for itself: a target's number goes by its type, a dimension's value by its dimension.
_APART = {(LineTarget, "number"), (DimensionRule, "value")}


def walk_models(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[tuple[type[BaseModel], str, FieldInfo]]:
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        yield model, name, field
        for inner in find_models(field.annotation):
            yield from walk_models(inner, seen)


def find_models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from find_models(part)


def is_code(field: FieldInfo) -> bool:
    (constraints,) = get_args(BcCode)[1:]
    return constraints in field.metadata or _holds(field.annotation, BcCode)


def _holds(annotation: Any, wanted: Any) -> bool:
    return annotation == wanted or any(_holds(part, wanted) for part in get_args(annotation))


def test_every_code_that_the_settings_can_name_is_looked_up() -> None:
    """A new setting of this type must say what it names."""
    codes = {(model, name) for model, name, field in walk_models(Settings, set()) if is_code(field)}

    assert len(codes) > 10
    assert codes - _APART - FIELDS.keys() == set()
    assert FIELDS.keys() - codes == {(CustomerDefaults, "country")}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"skip": {"currencies": ["EURO"]}}, "skip.currencies: 'EURO' is no currency of Stripe's."),
        ({"skip": {"only_currencies": ["Krone"]}}, "skip.only_currencies: 'Krone' is no currency"),
        ({"skip": {"currencies": ["eur"], "only_currencies": ["EUR"]}}, "skip: EUR stands in currencies and"),
        (
            {"skip": {"billing_reasons": ["subscription-cycle"]}},
            "skip.billing_reasons: 'subscription-cycle' is none of Stripe's. Did you mean subscription_cycle",
        ),
        ({"skip": {"customers": ["billing@acme.example"]}}, "is no id. Give the customer's id in Stripe, cus_"),
        (
            invoices(tax={"rules": [{"code": "A", "country": "UK"}]}),
            "invoices.tax.rules, number 1: country: UK is no ISO code of a country",
        ),
        ({"customers": {"new": {"by_country": {"EL": {"tax_area": "EU"}}}}}, "by_country: EL is no ISO code"),
        ({"customers": {"new": {"without_country": "UK"}}}, "without_country: UK is no ISO code"),
        (invoices(tax={"rules": [{"code": "A", "tax_rate": "19"}]}), "For a percentage, write percent."),
        (invoices(tax={"rules": [{"code": "A", "percent": 1900}]}), "a percentage is between 0 and 100, not 1900."),
        (
            invoices(rounding={"limit": 500}),
            "invoices.rounding.limit counts minor units of the invoice's currency: 500 is 5.00 EUR",
        ),
    ],
)
def test_closed_lists_are_closed_and_limits_that_can_not_hold_are_told(values: dict[str, Any], told: str) -> None:
    problems = list_problems(Settings.model_validate(values))

    assert len(problems) == 1
    assert told in problems[0]


def test_a_rule_that_an_earlier_one_hides_is_told_and_a_more_special_one_before_is_not() -> None:
    zero, special = {"percent": 0, "code": "A"}, {"percent": 0, "reason": "reverse_charge", "code": "B"}

    def check_order(*rules: dict[str, Any]) -> list[str]:
        return list_problems(Settings.model_validate(invoices(tax={"rules": rules})))

    assert check_order(special, zero, {"code": "C"}) == []
    (told,) = check_order(zero, {"percent": "0.0", "reason": "zero_rated", "code": "B"}, {"percent": 7, "code": "C"})
    assert told.startswith("invoices.tax.rules, number 2 is never taken: number 1 fits all that it fits")
    assert "number 3 is never taken: number 2" in check_order(special, {"code": "C"}, zero)[0]


def test_accounts_that_must_bear_no_vat_and_did_are_told_by_what_drafts_have_shown() -> None:
    values = invoices(rounding={"account": "4989"})
    settings = Settings.model_validate(values)
    taxed = {VatKey("a", "Account", "4989", ""): VatFact("MWST19", Decimal(19))}
    free = {VatKey("b", "Account", "4989", ""): VatFact("MWST0", Decimal(0))}
    elsewhere = {VatKey("a", "Account", "8400", ""): VatFact("MWST19", Decimal(19))}

    (told,) = find_taxed(settings, {"INLAND": taxed, "EU": free, "ELSE": elsewhere})

    assert told.startswith("invoices.rounding.account: Business Central added 19 % (MWST19) on the account 4989 for ")
    assert "group INLAND" in told
    with_code = invoices(rounding={"account": "4989"}, tax={"zero_code": "MWST0"})
    assert find_taxed(Settings.model_validate(with_code), {"INLAND": taxed}) == []


def test_a_stored_rule_whose_reason_no_tax_has_is_told() -> None:
    """It was accepted once, never fitted, and an invoice was booked without its legal sentence."""
    rules = [{"reason": None}, {"reason": "reverse-charge"}, {"reason": "zero_rated"}]

    (told,) = list_dropped_rules({"invoices": {"tax": {"rules": rules}}})

    assert told.startswith("invoices.tax.rules, number 2: 'reverse-charge' is no reason of Stripe's")
    assert told.endswith("Did you mean reverse_charge?")
    assert list_dropped_rules({}) == []


def test_what_stripe_and_iso_have_is_no_problem() -> None:
    values = {
        **RIGHT,
        "skip": {"currencies": ["jpy"], "billing_reasons": ["manual"], "customers": ["cus_1"]},
    }
    assert list_problems(Settings.model_validate(values)) == []
    assert list_problems(Settings()) == []


def test_a_company_without_what_is_named_is_told_for_every_place_once() -> None:
    settings = Settings.model_validate(invoices(lines=account("1"), shipping=account("1")))

    assert len(find_problems(settings, CompanyNames({"account": {}}))) == 2
