"""Dimensions of documents: those a customer or item brings, those a request adds, and what posting demands."""

from typing import Any

import pytest

from tests.simulators.business_central.books import PLAIN, Books, Json

ITEM = {"lineType": "Item", "lineObjectNumber": "SVC-100", "quantity": 1}
EXISTS = "The dimension set line already exists."


def by_default(value: str, rule: str = "", dimension: str = "DEPARTMENT") -> list[Json]:
    return [{"dimension": dimension, "value": value, "rule": rule}]


async def seed_customer(books: Books, *defaults: Json, **more: Any) -> None:
    customer = {"number": "10000", "defaultDimensions": list(defaults), **more}
    await books.seed(customers=[customer])


async def read_set(books: Books, path: str) -> dict[str, str]:
    return {row["code"]: row["valueCode"] for row in await books.rows(f"{path}/dimensionSetLines")}


async def test_a_document_takes_the_default_dimensions_of_its_customer(books: Books) -> None:
    await books.seed(dimensions=[{"code": "AREA", "displayName": "Area", "values": [{"code": "30"}]}])
    await seed_customer(books, *by_default("SALES"), *by_default("30", dimension="AREA"))
    invoice = await books.invoice(PLAIN)
    assert (invoice["shortcutDimension1Code"], invoice["shortcutDimension2Code"]) == ("SALES", "")
    assert await read_set(books, f"salesInvoices({invoice['id']})") == {"DEPARTMENT": "SALES", "AREA": "30"}


async def test_a_shortcut_dimension_takes_the_place_of_the_default(books: Books) -> None:
    await seed_customer(books, *by_default("SALES"))
    invoice = await books.invoice(PLAIN, shortcutDimension1Code="PROD")
    assert await read_set(books, f"salesInvoices({invoice['id']})") == {"DEPARTMENT": "PROD"}


async def test_a_nested_dimension_that_the_customer_has_already_is_refused(books: Books) -> None:
    await seed_customer(books, *by_default("SALES"))
    body = {"customerNumber": "10000", "dimensionSetLines": [{"code": "DEPARTMENT", "valueCode": "PROD"}]}
    assert (await books.refused("POST", "salesInvoices", body))[2].startswith(EXISTS)
    invoice = await books.invoice(PLAIN)
    path = f"salesInvoices({invoice['id']})/dimensionSetLines"
    key = (await books.rows(path))[0]["id"]
    assert (await books.ok("PATCH", f"{path}({key})", {"valueCode": "PROD"}))["valueCode"] == "PROD"
    assert (await books.read(invoice))["shortcutDimension1Code"] == "PROD"


async def test_lines_take_the_dimensions_that_the_header_has_when_they_are_made(books: Books) -> None:
    added = {"dimensionSetLines": [{"code": "CUSTOMERGROUP", "valueCode": "LARGE"}]}
    lines = {"salesInvoiceLines": [PLAIN]}
    head = {"customerNumber": "10000", "shortcutDimension1Code": "SALES"}
    after = await books.ok("POST", "salesInvoices?$expand=salesInvoiceLines", head | lines | added)
    before = await books.ok("POST", "salesInvoices?$expand=salesInvoiceLines", head | added | lines)

    async def line_set(invoice: Json) -> dict[str, str]:
        return await read_set(books, f"salesInvoiceLines({invoice['salesInvoiceLines'][0]['id']})")

    assert await line_set(after) == {"DEPARTMENT": "SALES"}
    assert await line_set(before) == {"DEPARTMENT": "SALES", "CUSTOMERGROUP": "LARGE"}
    assert await read_set(books, f"salesInvoices({after['id']})") == await line_set(before)


async def test_an_items_own_default_dimension_wins_on_its_line(books: Books) -> None:
    await seed_customer(books, *by_default("SALES"))
    await books.seed(items=[{"number": "SVC-100", "defaultDimensions": by_default("PROD")}])
    invoice = await books.invoice(ITEM, PLAIN)
    sets = [await read_set(books, f"salesInvoiceLines({line['id']})") for line in invoice["salesInvoiceLines"]]
    assert sets == [{"DEPARTMENT": "PROD"}, {"DEPARTMENT": "SALES"}]


@pytest.mark.parametrize(
    ("defaults", "sent", "error"),
    [
        (by_default("", "Code Mandatory"), "", "Select a Dimension Value Code for the Dimension Code DEPARTMENT"),
        (by_default("", "Code Mandatory"), "SALES", None),
        (by_default("SALES", "Same Code"), "", None),
        (by_default("SALES", "Same Code"), "PROD", "must be SALES for Dimension Code DEPARTMENT for Customer 10000"),
        (by_default("", "No Code"), "SALES", "must be blank"),
        (by_default("", "No Code"), "", None),
    ],
)
async def test_rules_of_value_posting_are_kept_when_a_document_is_posted(
    books: Books, defaults: list[Json], sent: str, error: str | None
) -> None:
    await seed_customer(books, *defaults)
    invoice = await books.invoice(PLAIN, **({"shortcutDimension1Code": sent} if sent else {}))
    path = f"salesInvoices({invoice['id']})/Microsoft.NAV.post"
    if error is None:
        await books.ok("POST", path)
    else:
        assert error in (await books.refused("POST", path))[2]


async def test_an_account_may_demand_a_dimension_of_its_lines(books: Books) -> None:
    await books.seed(accounts=[{"number": "6110", "defaultDimensions": by_default("", "Code Mandatory")}])
    invoice = await books.invoice(PLAIN)
    error = await books.refused("POST", f"salesInvoices({invoice['id']})/Microsoft.NAV.post")
    assert error[2].endswith("for G/L Account 6110.")


@pytest.mark.parametrize(
    "wrong",
    [{"dimension": "NONE"}, {"dimension": "DEPARTMENT", "value": "X"}, {"dimension": "DEPARTMENT", "rule": "Maybe"}],
)
async def test_a_seed_of_unknown_dimensions_is_refused(books: Books, wrong: Json) -> None:
    company = {"name": "CRONUS International Ltd.", "items": [{"number": "SVC-100", "defaultDimensions": [wrong]}]}
    answer = await books.http.post("/_sim/seed", json={"companies": [company]})
    assert answer.status_code == 400
