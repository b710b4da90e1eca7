"""What the set-up of a company does to customers, documents and answers."""

import pytest

from tests.simulators.business_central.books import PLAIN, Books, Json

TEMPLATE = {
    "code": "SHOP",
    "countries": ["*"],
    "genBusPostingGroup": "DOMESTIC",
    "vatBusPostingGroup": "DOMESTIC",
    "customerPostingGroup": "DOMESTIC",
}


async def test_a_seeded_customer_may_have_prices_including_vat(books: Books) -> None:
    customer = {"number": "50000", "displayName": "Shop", "country": "DE", "posting": {"pricesIncludingVat": True}}
    await books.seed(customers=[customer])
    invoice = await books.invoice(PLAIN | {"unitPrice": 125}, customerNumber="50000")
    assert (invoice["pricesIncludeTax"], invoice["totalAmountExcludingTax"]) == (True, 100)
    read = (await books.rows("customers?$filter=number eq '50000'"))[0]
    assert "pricesIncludingVat" not in read
    await books.seed(customers=[{"number": "50000", "posting": {"pricesIncludingVat": False}}])
    assert (await books.invoice(PLAIN, customerNumber="50000"))["pricesIncludeTax"] is False


async def test_a_customer_made_by_a_template_may_have_them_too(books: Books) -> None:
    await books.seed(templates=[TEMPLATE | {"pricesIncludingVat": True}])
    customer = await books.customer()
    invoice = await books.invoice(PLAIN, customerNumber=customer["number"])
    assert (invoice["pricesIncludeTax"], invoice["totalAmountIncludingTax"]) == (True, 100)


async def test_without_a_template_for_its_country_a_customer_can_be_made_but_not_invoiced(books: Books) -> None:
    await books.seed(templates=[TEMPLATE | {"countries": ["DE"]}])
    customer = await books.customer(country="FR")
    error = await books.refused("POST", "salesInvoices", {"customerNumber": customer["number"]})
    assert error[1:] == (
        "Application_FieldValidationException",
        f"Gen. Bus. Posting Group must have a value in Customer: No.={customer['number']}. It cannot be zero or empty.",
    )


async def test_product_groups_with_one_identifier_share_their_rounding(books: Books) -> None:
    """3 x 0.33 at 25 % is 0.25 over one identifier, whichever groups have it, and 0.24 over three."""
    groups = ["A", "B", "C"]
    await books.seed(
        taxGroups=[{"code": code, "displayName": code} for code in groups],
        vat=[{"business": "DOMESTIC", "product": code, "identifier": "VAT25", "percent": 25} for code in groups],
    )
    lines = [PLAIN | {"unitPrice": 0.33, "taxCode": code} for code in groups]
    shared = await books.invoice(*lines)
    assert shared["totalTaxAmount"] == 0.25
    assert {line["taxCode"] for line in shared["salesInvoiceLines"]} == {"VAT25"}
    await books.seed(
        vat=[{"business": "DOMESTIC", "product": code, "identifier": code, "percent": 25} for code in groups]
    )
    assert (await books.invoice(*lines))["totalTaxAmount"] == 0.24


@pytest.mark.parametrize(
    ("line", "header", "code", "words"),
    [
        (PLAIN | {"taxCode": "SPECIAL"}, {}, "Internal_RecordNotFound", "VAT Prod. Posting Group='SPECIAL'"),
        (PLAIN | {"taxCode": "NONE"}, {}, "Internal_InvalidTableRelation", "VAT Product Posting Group"),
        (PLAIN, {"currencyCode": "MXN"}, "Application_FieldValidationException", "Currency Factor must have a value"),
        (PLAIN, {"currencyCode": "XAU"}, "Application_DialogException", '"currencyCode" does not match'),
    ],
)
async def test_what_is_not_set_up_is_refused_by_its_name(
    books: Books, line: Json, header: Json, code: str, words: str
) -> None:
    body = {"customerNumber": "10000"} | header | {"salesInvoiceLines": [line]}
    error = await books.refused("POST", "salesInvoices", body)
    assert error[1] == code
    assert words in error[2]
    assert await books.rows("salesInvoices") == []


async def test_an_item_takes_the_units_it_was_seeded_with(books: Books) -> None:
    await books.seed(items=[{"number": "SVC-100", "units": ["MONTH"]}])
    line = {"lineType": "Item", "lineObjectNumber": "SVC-100", "quantity": 1}
    invoice = await books.invoice(line | {"unitOfMeasureCode": "MONTH"}, line | {"unitOfMeasureCode": "HOUR"})
    assert [row["unitOfMeasureCode"] for row in invoice["salesInvoiceLines"]] == ["MONTH", "HOUR"]
    body = {"customerNumber": "10000", "salesInvoiceLines": [line | {"unitOfMeasureCode": "PCS"}]}
    assert "Item Unit of Measure" in (await books.refused("POST", "salesInvoices", body))[2]


@pytest.mark.parametrize(
    ("mode", "plain", "expanded"), [("asked", False, True), ("always", True, True), ("never", False, False)]
)
async def test_a_post_may_answer_its_lines_or_not(books: Books, mode: str, plain: bool, expanded: bool) -> None:
    """Which of them the real service does is not documented."""
    await books.control("POST", "answers", {"nested": mode})
    body = {"customerNumber": "10000", "salesInvoiceLines": [PLAIN]}
    assert ("salesInvoiceLines" in await books.ok("POST", "salesInvoices", body)) is plain
    answer = await books.ok("POST", "salesInvoices?$expand=salesInvoiceLines", body)
    assert ("salesInvoiceLines" in answer) is expanded
    assert len((await books.read(answer))["salesInvoiceLines"]) == 1


async def test_an_unknown_way_to_answer_is_refused(books: Books) -> None:
    assert (await books.http.post("/_sim/answers", json={"nested": "maybe"})).status_code == 400


async def test_customers_changed_since_a_moment_come_in_pages_and_in_order(books: Books) -> None:
    moment = (await books.customer(displayName="Before"))["lastModifiedDateTime"]
    made: list[str] = []
    for at in range(5):
        await books.control("POST", "clock", {"advance_seconds": 1})
        made.append((await books.customer(displayName=f"C{at}"))["id"])
    await books.control("POST", "clock", {"advance_seconds": 1})
    await books.ok("PATCH", f"customers({made[1]})", {"city": "Bonn"})
    query = f"customers?$filter=lastModifiedDateTime gt {moment}&$orderby=lastModifiedDateTime&$select=id"
    found: list[str] = []
    sizes: list[int] = []
    link = query
    while link:
        answer = await books.ok("GET", link, Prefer="odata.maxpagesize=2")
        found += [row["id"] for row in answer["value"]]
        sizes.append(len(answer["value"]))
        link = answer.get("@odata.nextLink", "").partition("testserver")[2]
    assert found == [made[0], *made[2:], made[1]]
    assert sizes == [2, 2, 1]
