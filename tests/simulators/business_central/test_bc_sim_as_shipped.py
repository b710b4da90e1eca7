"""A company with Microsoft's own set-up: what posts, rounds, is given away and is refused there."""

from typing import Any

import pytest

from simulators.business_central.default_seed import TENANT
from tests.simulators.business_central.books import PLAIN, Books


class Shipped:
    """The API of a company as Microsoft ships it for a country."""

    def __init__(self, books: Books, key: str) -> None:
        self.books = books
        self.root = f"/v2.0/{TENANT}/sandbox/api/v2.0/companies({key})"

    async def ok(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return await self.books.ok(method, f"{self.root}/{path}", body)

    async def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str, str]:
        return await self.books.refused(method, f"{self.root}/{path}", body)

    async def by_code(self, set_name: str) -> dict[str, dict[str, Any]]:
        return {row["code"]: row for row in (await self.ok("GET", set_name))["value"]}

    async def post(self, *lines: dict[str, Any], **header: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Make and post an invoice; returns it before and after."""
        body = {"customerNumber": "10000"} | header | {"salesInvoiceLines": list(lines)}
        draft = await self.ok("POST", "salesInvoices", body)
        path = f"salesInvoices({draft['id']})"
        await self.ok("POST", f"{path}/Microsoft.NAV.post")
        return draft, await self.ok("GET", f"{path}?$expand=salesInvoiceLines")


async def open_company(books: Books, country: str, **sections: Any) -> Shipped:
    company = {"name": f"Shipped {country}", "as_shipped": country} | sections
    made = await books.control("POST", "seed", {"companies": [company]})
    return Shipped(books, made["companies"][0]["id"])


@pytest.mark.parametrize(
    ("country", "currency", "price", "posted"),
    [
        ("CH", "CHF", 15.94, 19.95),
        ("CH", "CHF", 15.96, 19.95),
        ("CH", "EUR", 15.94, 19.93),
        ("DK", "DKK", 15.94, 19.93),
        ("DK", "CHF", 15.94, 19.93),
        ("DK", "AED", 15.94, 20),
        ("DK", "HUF", 15.94, 20),
        ("DE", "KES", 15.94, 20),
        ("DE", "KES", 15.2, 19),
    ],
)
async def test_posting_rounds_the_total_to_the_currency_s_invoice_precision(
    books: Books, country: str, currency: str, price: float, posted: float
) -> None:
    company = await open_company(books, country)
    draft, booked = await company.post(PLAIN | {"unitPrice": price}, currencyCode=currency)
    assert draft["totalAmountIncludingTax"] == pytest.approx(price * 1.25, abs=0.006)
    assert (booked["totalAmountIncludingTax"], booked["remainingAmount"]) == (posted, posted)
    difference = round(posted - draft["totalAmountIncludingTax"], 2)
    extra = [(line["lineObjectNumber"], line["netAmountIncludingTax"]) for line in booked["salesInvoiceLines"][1:]]
    assert extra == ([("6910", difference)] if difference else [])


async def test_the_precision_is_in_the_api_for_foreign_currencies_only(books: Books) -> None:
    company = await open_company(books, "CH")
    currencies = await company.by_code("currencies")
    assert "CHF" not in currencies
    assert {code: currencies[code]["amountRoundingPrecision"] for code in ("AED", "HUF", "TND", "USD")} == {
        "AED": 0.25,
        "HUF": 1,
        "TND": 0.01,
        "USD": 0.01,
    }
    assert (currencies["TND"]["amountDecimalPlaces"], currencies["JPY"]["amountDecimalPlaces"]) == ("3:3", "2:2")


async def test_invoice_rounding_needs_its_set_up(books: Books) -> None:
    company = await open_company(books, "DK", setup={"invoice_rounding": True})
    draft = await company.ok(
        "POST", "salesInvoices",
        {"customerNumber": "10000", "currencyCode": "AED", "salesInvoiceLines": [PLAIN | {"unitPrice": 15.94}]},
    )  # fmt: skip
    error = await company.refused("POST", f"salesInvoices({draft['id']})/Microsoft.NAV.post")
    assert error[1] == "Application_FieldValidationException"
    assert error[2].startswith("Invoice Rounding Account must have a value in Customer Posting Group: Code=DOMESTIC.")
    await company.ok("PATCH", f"currencies({(await company.by_code('currencies'))['AED']['id']})",
                     {"amountRoundingPrecision": 0})  # fmt: skip
    draft = await company.ok("POST", "salesInvoices", {"customerNumber": "10000", "currencyCode": "AED",
                                                       "salesInvoiceLines": [PLAIN]})  # fmt: skip
    error = await company.refused("POST", f"salesInvoices({draft['id']})/Microsoft.NAV.post")
    assert error[2].startswith("Invoice Rounding Precision must have a value in Currency: Code=AED.")


async def test_without_the_switch_nothing_is_rounded(books: Books) -> None:
    draft = await books.invoice(PLAIN | {"unitPrice": 15.94}, currencyCode="CHF")
    posted = await books.control("POST", "document", {"id": draft["id"], "action": "post"})
    assert (posted["totalAmountIncludingTax"], posted["status"]) == (19.93, "Open")


async def test_payment_terms_may_grant_a_cash_discount(books: Books) -> None:
    company = await open_company(books, "DK")
    terms = await company.by_code("paymentTerms")
    shown = ("dueDateCalculation", "discountDateCalculation", "discountPercent")
    assert [terms["1M(8D)"][name] for name in shown] == ["1M", "8D", 2]
    assert [terms["30 DAYS"][name] for name in shown] == ["30D", "", 0]
    made = [
        await company.ok("POST", "salesInvoices", {"customerNumber": "10000"} | given)
        for given in ({}, {"paymentTermsId": terms["1M(8D)"]["id"]})
    ]
    dump = {row["id"]: row for row in (await books.control("GET", "dump/Shipped%20DK"))["salesInvoices"]}
    assert [dump[row["id"]]["_paymentDiscountPercent"] for row in made] == [0, 2]


async def test_countries_are_microsoft_s_and_templates_are_for_some_of_them(books: Books) -> None:
    company = await open_company(books, "DK")
    countries = await company.by_code("countriesRegions")
    assert (countries["NI"]["displayName"], countries["EL"]["displayName"]) == ("Northern Ireland", "Greece")
    assert not {"GR", "XK", "XI"} & countries.keys()
    for country, billed in (("EL", True), ("NI", True), ("BR", False), ("", False)):
        customer = await company.ok("POST", "customers", {"displayName": "X", "country": country})
        answer = await books.call("POST", f"{company.root}/salesInvoices", {"customerId": customer["id"]})
        assert answer.is_success is billed, country


async def test_the_local_currency_can_be_another(books: Books) -> None:
    company = await open_company(books, "DK", currency="CHF")
    _, booked = await company.post(PLAIN | {"unitPrice": 15.94})
    assert (booked["currencyCode"], booked["totalAmountIncludingTax"]) == ("CHF", 19.95)
    codes = await company.by_code("currencies")
    assert ("DKK" in codes, "CHF" in codes) == (True, False)


async def test_a_swiss_post_code_brings_a_blank_country(books: Books) -> None:
    company = await open_company(books, "CH")
    body = {"displayName": "X", "country": "CH", "city": "Zurich", "postalCode": "8000"}
    customer = await company.ok("POST", "customers", body)
    assert (customer["country"], customer["city"], customer["state"]) == ("", "Zürich", "ZH")
    path = f"customers({customer['id']})"
    assert (await company.ok("PATCH", path, {"country": "CH"}))["city"] == "Zürich"


async def test_the_whole_danish_list_is_there(books: Books) -> None:
    company = await open_company(books, "DK")
    for code, city in (("2000", "Frederiksberg"), ("8000", "Arhus C"), ("9990", "Skagen")):
        customer = await company.ok("POST", "customers", {"displayName": "X", "country": "NO", "postalCode": code})
        assert (customer["country"], customer["city"]) == ("DK", city)


async def test_the_built_in_company_has_formats_post_codes_and_rounding_too(books: Books) -> None:
    error = await books.refused("POST", "customers", {"displayName": "X", "taxRegistrationNumber": "SE556677889901"})
    assert error[2] == "The following formats are acceptable: DE#########, #########"
    customer = await books.customer(country="NO", postalCode="20097")
    assert (customer["country"], customer["city"]) == ("DE", "Hamburg")
    draft = await books.invoice(PLAIN | {"unitPrice": 100.3}, currencyCode="HUF")
    assert draft["totalAmountIncludingTax"] == pytest.approx(125.38)
    assert (await books.post(draft))["totalAmountIncludingTax"] == 125
    terms = {row["code"]: row["discountPercent"] for row in await books.rows("paymentTerms")}
    assert (terms["1M(8D)"], terms["30 DAYS"]) == (2, 0)
