import pytest

from tests.simulators.business_central.books import PLAIN, Books

ZERO = "00000000-0000-0000-0000-000000000000"


async def test_a_customer_is_needed(books: Books) -> None:
    error = await books.refused("POST", "salesInvoices", {"externalDocumentNumber": "A"})
    assert error[1:] == ("Application_DialogException", 'A "customerNumber" or a "customerId" must be provided.')


async def test_customer_id_and_number_must_name_the_same_customer(books: Books) -> None:
    rows = {row["number"]: row["id"] for row in await books.rows("customers")}
    body = {"customerId": rows["10000"], "customerNumber": "20000"}
    assert "do not match" in (await books.refused("POST", "salesInvoices", body))[2]
    assert (await books.ok("POST", "salesInvoices", body | {"customerNumber": "10000"}))["customerNumber"] == "10000"
    assert "cannot be found" in (await books.refused("POST", "salesInvoices", {"customerNumber": "99999"}))[2]


async def test_a_blocked_customer_gets_no_draft(books: Books) -> None:
    error = await books.refused("POST", "salesInvoices", {"customerNumber": "40000"})
    assert "is blocked with type All" in error[2]


@pytest.mark.parametrize("name", ["number", "status", "totalAmountIncludingTax", "customerName", "pricesIncludeTax"])
async def test_computed_header_properties_are_refused(books: Books, name: str) -> None:
    error = await books.refused("POST", "salesInvoices", {"customerNumber": "10000", name: "x"})
    assert error == (400, "BadRequest", f"Control '{name}' is read-only.")


async def test_a_draft_takes_its_defaults_from_the_customer(books: Books) -> None:
    invoice = await books.invoice()
    assert invoice["sellToCity"] == invoice["billToCity"] == "Berlin"
    assert invoice["status"] == "Draft"
    assert invoice["number"].startswith("S-INV")
    assert invoice["currencyCode"] == "EUR"


async def test_external_document_number_is_upper_cased_and_never_unique(books: Books) -> None:
    first = await books.invoice(externalDocumentNumber="web-1")
    second = await books.invoice(externalDocumentNumber="WEB-1")
    assert first["externalDocumentNumber"] == "WEB-1"
    assert first["id"] != second["id"]
    assert len(await books.rows("salesInvoices?$filter=externalDocumentNumber eq 'web-1'")) == 2


async def test_a_deep_insert_is_all_or_nothing(books: Books) -> None:
    lines = [PLAIN, {"lineType": "Item", "lineObjectNumber": "NOPE"}]
    body = {"customerNumber": "10000", "salesInvoiceLines": lines}
    assert (await books.refused("POST", "salesInvoices", body))[2] == "Item does not exist."
    assert await books.rows("salesInvoices") == []
    assert (await books.control("GET", "state"))["writes"] == 0


async def test_lines_come_back_only_when_they_are_asked_for(books: Books) -> None:
    body = {"customerNumber": "10000", "salesInvoiceLines": [PLAIN]}
    assert "salesInvoiceLines" not in await books.ok("POST", "salesInvoices", body)
    invoice = await books.invoice(PLAIN)
    assert invoice["salesInvoiceLines"][0]["netAmount"] == 100


async def test_a_header_discount_cannot_come_with_the_lines_but_after_them(books: Books) -> None:
    item = {"lineType": "Item", "lineObjectNumber": "SVC-100", "quantity": 1, "unitPrice": 100}
    body = {"customerNumber": "10000", "discountAmount": 10, "salesInvoiceLines": [item]}
    assert (await books.refused("POST", "salesInvoices", body))[2].startswith("Cannot apply an invoice discount")
    invoice = await books.invoice(item)
    changed = await books.ok("PATCH", f"salesInvoices({invoice['id']})", {"discountAmount": 10})
    amounts = ("discountAmount", "totalAmountExcludingTax", "totalTaxAmount", "totalAmountIncludingTax")
    assert [changed[name] for name in amounts] == [10, 90, 22.5, 112.5]
    line = (await books.read(invoice))["salesInvoiceLines"][0]
    assert (line["amountExcludingTax"], line["invoiceDiscountAllocation"], line["netAmount"]) == (100, 10, 90)


async def test_account_lines_take_no_header_discount(books: Books) -> None:
    invoice = await books.invoice(PLAIN)
    error = await books.refused("PATCH", f"salesInvoices({invoice['id']})", {"discountAmount": 1})
    assert error[2].startswith("Cannot apply an invoice discount")


async def test_a_header_discount_is_spread_anew_when_lines_change(books: Books) -> None:
    item = {"lineType": "Item", "lineObjectNumber": "SVC-100", "quantity": 1, "unitPrice": 100}
    invoice = await books.invoice(item)
    await books.ok("PATCH", f"salesInvoices({invoice['id']})", {"discountAmount": 10})
    await books.ok("POST", f"salesInvoices({invoice['id']})/salesInvoiceLines", item)
    lines = (await books.read(invoice))["salesInvoiceLines"]
    assert [line["invoiceDiscountAllocation"] for line in lines] == [5, 5]


async def test_sent_dates_win_over_payment_terms_on_post(books: Books) -> None:
    dates = {"dueDate": "2026-03-05", "invoiceDate": "2026-03-02", "postingDate": "2026-03-31"}
    invoice = await books.ok("POST", "salesInvoices", {**dates, "customerNumber": "10000"})
    assert {name: invoice[name] for name in dates} == dates


async def test_due_date_follows_the_terms_unless_sent(books: Books) -> None:
    invoice = await books.invoice(invoiceDate="2026-03-02")
    assert invoice["dueDate"] == "2026-04-01"
    changed = await books.ok("PATCH", f"salesInvoices({invoice['id']})", {"invoiceDate": "2026-03-10"})
    assert changed["dueDate"] == "2026-04-09"
    body = {"invoiceDate": "2026-03-11", "dueDate": "2026-03-12"}
    assert (await books.ok("PATCH", f"salesInvoices({invoice['id']})", body))["dueDate"] == "2026-03-12"
    terms = (await books.rows("paymentTerms?$filter=code eq 'CM'"))[0]
    body = {"paymentTermsId": terms["id"]}
    assert (await books.ok("PATCH", f"salesInvoices({invoice['id']})", body))["dueDate"] == "2026-03-31"


async def test_fields_before_the_customer_are_overwritten_by_it(books: Books) -> None:
    body = {"currencyCode": "SEK", "customerNumber": "30000"}
    assert (await books.ok("POST", "salesInvoices", body))["currencyCode"] == "USD"
    body = {"customerNumber": "30000", "currencyCode": "SEK"}
    assert (await books.ok("POST", "salesInvoices", body))["currencyCode"] == "SEK"


async def test_a_document_can_be_put_into_local_currency_in_three_ways(books: Books) -> None:
    for sent in ({"currencyCode": ""}, {"currencyCode": "EUR"}, {"currencyId": ZERO}):
        invoice = await books.ok("POST", "salesInvoices", {"customerNumber": "30000"} | sent)
        assert (invoice["currencyCode"], invoice["currencyId"]) == ("EUR", ZERO)


async def test_a_currency_without_a_rate_fails_on_its_lines(books: Books) -> None:
    await books.seed(currencies=[{"code": "BRL", "amountDecimalPlaces": "2:2"}])
    await books.invoice(currencyCode="BRL")
    body = {"customerNumber": "10000", "currencyCode": "BRL", "salesInvoiceLines": [PLAIN]}
    assert "Currency Factor" in (await books.refused("POST", "salesInvoices", body))[2]


async def test_another_currency_makes_the_lines_anew(books: Books) -> None:
    item = {"lineType": "Item", "lineObjectNumber": "SVC-100", "quantity": 2, "unitPrice": 1}
    invoice = await books.invoice(item, PLAIN)
    await books.ok("PATCH", f"salesInvoices({invoice['id']})", {"currencyCode": "USD"})
    lines = (await books.read(invoice))["salesInvoiceLines"]
    assert [line["unitPrice"] for line in lines] == [130.2, 0]
    assert {line["id"] for line in lines}.isdisjoint(line["id"] for line in invoice["salesInvoiceLines"])


async def test_unknown_currency_is_refused(books: Books) -> None:
    error = await books.refused("POST", "salesInvoices", {"customerNumber": "10000", "currencyCode": "ZZZ"})
    assert error[2] == 'The "currencyCode" does not match to a Currency.'


async def test_dispute_and_promised_date_belong_to_posted_invoices(books: Books) -> None:
    invoice = await books.invoice(PLAIN)
    path = f"salesInvoices({invoice['id']})"
    assert (await books.refused("PATCH", path, {"promisedPayDate": "2026-05-01"}))[
        1
    ] == "Application_FieldValidationException"
    await books.post(invoice)
    assert (await books.ok("PATCH", path, {"promisedPayDate": "2026-05-01"}))["promisedPayDate"] == "2026-05-01"


async def test_line_writes_change_etag_totals_and_time_of_the_header(books: Books) -> None:
    invoice = await books.invoice(PLAIN)
    await books.control("POST", "clock", {"advance_seconds": 5})
    line = await books.ok("POST", f"salesInvoices({invoice['id']})/salesInvoiceLines", PLAIN)
    after = await books.read(invoice)
    assert after["@odata.etag"] != invoice["@odata.etag"]
    assert after["totalAmountIncludingTax"] == 250
    assert after["lastModifiedDateTime"] > invoice["lastModifiedDateTime"]
    assert after["salesInvoiceLines"][0]["@odata.etag"] == invoice["salesInvoiceLines"][0]["@odata.etag"]
    assert line["sequence"] == 20000


async def test_deleting_a_draft_removes_header_and_lines(books: Books) -> None:
    invoice = await books.invoice(PLAIN)
    line = invoice["salesInvoiceLines"][0]
    answer = await books.call("DELETE", f"salesInvoices({invoice['id']})", If_Match="*")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await books.refused("GET", f"salesInvoices({invoice['id']})"))[0] == 404
    assert (await books.refused("GET", f"salesInvoiceLines({line['id']})"))[0] == 404


async def test_prices_include_tax_when_the_customer_says_so(books: Books) -> None:
    shop = {"number": "50000", "displayName": "Shop", "country": "DE", "posting": {"pricesIncludingVat": True}}
    await books.seed(customers=[shop])
    invoice = await books.invoice(PLAIN, customerNumber="50000")
    assert invoice["pricesIncludeTax"] is True
    assert invoice["discountAppliedBeforeTax"] is False
    assert (invoice["totalAmountExcludingTax"], invoice["totalAmountIncludingTax"]) == (80, 100)


async def test_a_missing_vat_combination_is_an_error(books: Books) -> None:
    await books.seed(taxGroups=[{"code": "ODD", "displayName": "Odd"}])
    body = {"customerNumber": "10000", "salesInvoiceLines": [PLAIN | {"taxCode": "ODD"}]}
    error = await books.refused("POST", "salesInvoices", body)
    assert error[1] == "Internal_RecordNotFound"
    assert "VAT Bus. Posting Group='DOMESTIC',VAT Prod. Posting Group='ODD'" in error[2]


async def test_exports_carry_no_vat(books: Books) -> None:
    invoice = await books.invoice(PLAIN, customerNumber="30000")
    assert (invoice["totalTaxAmount"], invoice["currencyCode"]) == (0, "USD")


@pytest.mark.parametrize(("currency", "total"), [("JPY", 131), ("USD", 130.7), ("KWD", 130.695)])
async def test_totals_have_the_decimals_of_the_currency(books: Books, currency: str, total: float) -> None:
    invoice = await books.invoice(PLAIN | {"unitPrice": 104.556}, currencyCode=currency)
    assert invoice["totalAmountIncludingTax"] == total


async def test_header_and_line_dimensions_live_below_their_parent(books: Books) -> None:
    invoice = await books.invoice(PLAIN)
    path = f"salesInvoices({invoice['id']})/dimensionSetLines"
    made = await books.ok("POST", path, {"code": "DEPARTMENT", "valueCode": "SALES"})
    assert (made["valueDisplayName"], made["parentType"]) == ("Sales", "Sales_x0020_Invoice")
    again = await books.refused("POST", path, {"code": "DEPARTMENT", "valueCode": "PROD"})
    assert again[2].startswith("The dimension set line already exists.")
    changed = await books.ok("PATCH", f"{path}({made['id']})", {"valueCode": "PROD"})
    assert changed["valueCode"] == "PROD"
    line = invoice["salesInvoiceLines"][0]
    below = f"salesInvoiceLines({line['id']})/dimensionSetLines"
    assert (await books.ok("POST", below, {"code": "CUSTOMERGROUP", "valueCode": "LARGE"}))["parentId"] == line["id"]
    assert len(await books.rows(below)) == 1
    assert "parent first" in (await books.refused("GET", "dimensionSetLines"))[2]
    await books.ok("DELETE", f"{path}({made['id']})")
    assert await books.rows(path) == []


async def test_the_pdf_is_an_object_with_a_link(books: Books) -> None:
    invoice = await books.invoice(PLAIN)
    shown = await books.ok("GET", f"salesInvoices({invoice['id']})/pdfDocument")
    content = await books.call("GET", shown["pdfDocumentContent@odata.mediaReadLink"].removeprefix("http://testserver"))
    assert content.content.startswith(b"%PDF")


async def test_attachment_content_is_a_second_patch_answered_with_nothing(books: Books) -> None:
    invoice = await books.invoice(PLAIN)
    body = {"parentId": invoice["id"], "parentType": "Sales_x0020_Invoice", "fileName": "a.pdf"}
    made = await books.ok("POST", "attachments", body)
    assert "attachmentContent" not in made
    path = made["attachmentContent@odata.mediaReadLink"].removeprefix("http://testserver")
    headers = dict((await books.call("GET", "items?$top=1")).request.headers)
    sent = {"authorization": headers["authorization"], "if-match": "*", "content-type": "application/octet-stream"}
    answer = await books.http.patch(path, content=b"bytes", headers=sent)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await books.call("GET", path)).content == b"bytes"
    refused = await books.refused("POST", "attachments", body | {"parentType": "Customer"})
    assert "documentAttachments" in refused[2]


async def test_credit_memos_work_like_invoices(books: Books) -> None:
    body = {"customerNumber": "10000", "creditMemoDate": "2026-03-02", "salesCreditMemoLines": [PLAIN]}
    memo = await books.ok("POST", "salesCreditMemos?$expand=salesCreditMemoLines", body)
    assert (memo["status"], memo["totalAmountIncludingTax"]) == ("Draft", 125)
    assert memo["salesCreditMemoLines"][0]["lineObjectNumber"] == "6110"
    lines = await books.rows(f"salesCreditMemoLines?$filter=documentId eq {memo['id']}")
    assert len(lines) == 1
    await books.ok("POST", f"salesCreditMemos({memo['id']})/Microsoft.NAV.post")
    assert (await books.ok("GET", f"salesCreditMemos({memo['id']})"))["number"].startswith("PS-CR")
