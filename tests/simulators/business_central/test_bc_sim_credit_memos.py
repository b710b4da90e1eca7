"""The life of a credit memo: its own fields and lines, its totals, what it may hold that an invoice may not."""

import pytest

from tests.simulators.business_central.books import ANY, PLAIN, Books, Json

EXPAND = "salesCreditMemos?$expand=salesCreditMemoLines"


async def make(books: Books, *lines: Json, **header: object) -> Json:
    body = {"customerNumber": "10000"} | header | {"salesCreditMemoLines": list(lines)}
    return await books.ok("POST", EXPAND, body)


async def test_header_and_lines_come_in_one_request(books: Books) -> None:
    memo = await make(
        books, PLAIN, PLAIN | {"unitPrice": 0.33}, creditMemoDate="2026-03-02", externalDocumentNumber="x"
    )
    assert (memo["number"], memo["status"], memo["creditMemoDate"]) == ("S-CR1001", "Draft", "2026-03-02")
    assert (memo["externalDocumentNumber"], memo["totalAmountIncludingTax"]) == ("X", 125.41)
    assert [line["sequence"] for line in memo["salesCreditMemoLines"]] == [10000, 20000]


@pytest.mark.parametrize(
    "name", ["shipToName", "shipToCity", "invoiceDate", "customerPurchaseOrderReference", "remainingAmount"]
)
async def test_fields_of_invoices_alone_do_not_exist(books: Books, name: str) -> None:
    error = await books.refused("POST", "salesCreditMemos", {"customerNumber": "10000", name: "2026-03-02"})
    assert error[2] == f"Could not find a property named '{name}' on type 'Microsoft.NAV.salesCreditMemo'."


async def test_lines_of_an_invoice_do_not_fit_into_it(books: Books) -> None:
    body = {"customerNumber": "10000", "salesInvoiceLines": [PLAIN]}
    assert (await books.refused("POST", "salesCreditMemos", body))[0] == 400


async def test_a_refused_line_leaves_nothing_behind(books: Books) -> None:
    body = {"customerNumber": "10000", "salesCreditMemoLines": [PLAIN, PLAIN | {"lineObjectNumber": "9999"}]}
    assert (await books.refused("POST", "salesCreditMemos", body))[2] == "Account does not exist."
    assert await books.rows("salesCreditMemos") == []


async def test_it_is_found_by_number_posted_and_then_kept(books: Books) -> None:
    memo = await make(books, PLAIN, externalDocumentNumber="IN-1")
    found = await books.rows("salesCreditMemos?$filter=externalDocumentNumber eq 'IN-1'")
    assert [row["id"] for row in found] == [memo["id"]]
    path = f"salesCreditMemos({memo['id']})"
    await books.ok("POST", f"{path}/Microsoft.NAV.post")
    posted = await books.ok("GET", path)
    assert (posted["number"], posted["status"], posted["id"]) == ("PS-CR104001", "Open", memo["id"])
    assert "cannot delete posted" in (await books.refused("DELETE", path))[2]
    gone = "The credit memo has been posted and can no longer be modified."
    assert (await books.refused("PATCH", path, {"externalDocumentNumber": "Y"}))[2] == gone


async def test_a_draft_is_deleted_only_as_it_was_read(books: Books) -> None:
    memo = await make(books, PLAIN)
    path = f"salesCreditMemos({memo['id']})"
    await books.ok("PATCH", path, {"externalDocumentNumber": "Y"}, If_Match=memo["@odata.etag"])
    assert (await books.refused("DELETE", path, If_Match=memo["@odata.etag"]))[:2] == (409, "Request_EntityChanged")
    await books.ok("DELETE", path, If_Match=ANY["If-Match"])
    assert (await books.refused("GET", path))[0] == 404


async def test_a_negative_invoice_is_a_draft_that_cannot_be_posted(books: Books) -> None:
    invoice = await books.invoice(PLAIN, PLAIN | {"unitPrice": -150})
    assert invoice["totalAmountIncludingTax"] == -62.5
    error = await books.refused("POST", f"salesInvoices({invoice['id']})/Microsoft.NAV.post")
    assert error[2] == "The total amount for the invoice must be 0 or greater."
    memo = await make(books, PLAIN, PLAIN | {"unitPrice": -150})
    await books.ok("POST", f"salesCreditMemos({memo['id']})/Microsoft.NAV.post")


async def test_an_item_whose_sales_are_blocked_may_be_taken_back(books: Books) -> None:
    line = {"lineType": "Item", "lineObjectNumber": "SVC-950", "quantity": 1, "unitPrice": 10}
    error = await books.refused("POST", "salesInvoices", {"customerNumber": "10000", "salesInvoiceLines": [line]})
    assert error[2].startswith("You cannot sell Item SVC-950 because the Sales Blocked check box")
    assert (await make(books, line))["totalAmountExcludingTax"] == 10


async def test_a_customer_blocked_for_invoices_may_get_one(books: Books) -> None:
    customer = await books.customer(blocked="Invoice")
    assert (await make(books, PLAIN, customerNumber=customer["number"]))["totalTaxAmount"] == 25
    assert "blocked" in (await books.refused("POST", "salesInvoices", {"customerNumber": customer["number"]}))[2]
    everything = await books.customer(blocked="All")
    assert "blocked" in (await books.refused("POST", "salesCreditMemos", {"customerNumber": everything["number"]}))[2]
