import pytest

from tests.simulators.business_central.books import PLAIN, Books, Json

ITEM = {"lineType": "Item", "lineObjectNumber": "SVC-100", "quantity": 1}
ZERO = "00000000-0000-0000-0000-000000000000"


async def only_line(books: Books, line: Json, **header: str) -> Json:
    return (await books.invoice(line, **header))["salesInvoiceLines"][0]


async def refused_line(books: Books, line: Json) -> tuple[int, str, str]:
    return await books.refused("POST", "salesInvoices", {"customerNumber": "10000", "salesInvoiceLines": [line]})


async def test_a_line_with_only_a_description_is_a_comment(books: Books) -> None:
    line = await only_line(books, {"description": "Order ref."})
    assert (line["lineType"], line["description"], line["amountIncludingTax"]) == ("Comment", "Order ref.", 0)


async def test_the_item_overwrites_what_stood_before_it(books: Books) -> None:
    line = await only_line(
        books, {"lineType": "Item", "description": "Mine", "unitPrice": 7, "lineObjectNumber": "SVC-100"}
    )
    assert (line["description"], line["unitPrice"], line["unitOfMeasureCode"]) == ("Consulting hour", 120, "HOUR")
    line = await only_line(books, ITEM | {"unitPrice": 7, "description": "Mine"})
    assert (line["description"], line["unitPrice"]) == ("Mine", 7)


async def test_a_zero_price_placed_before_the_item_is_lost(books: Books) -> None:
    line = await only_line(books, {"unitPrice": 0} | ITEM)
    assert line["unitPrice"] == 120
    assert (await only_line(books, ITEM | {"unitPrice": 0}))["unitPrice"] == 0


async def test_quantity_before_the_item_survives_it(books: Books) -> None:
    line = await only_line(books, {"lineType": "Item", "quantity": 3, "lineObjectNumber": "SVC-100"})
    assert (line["quantity"], line["netAmount"]) == (3, 360)


async def test_quantity_after_the_discount_takes_it_back(books: Books) -> None:
    kept = await only_line(books, ITEM | {"unitPrice": 100, "discountPercent": 10})
    assert (kept["discountAmount"], kept["netAmount"]) == (10, 90)
    head = {"lineType": "Item", "lineObjectNumber": "SVC-100"}
    lost = await only_line(books, head | {"unitPrice": 100, "discountPercent": 10, "quantity": 2})
    assert (lost["discountPercent"], lost["netAmount"]) == (0, 200)


async def test_discount_amount_and_percent_recompute_each_other(books: Books) -> None:
    line = await only_line(books, ITEM | {"unitPrice": 100, "discountAmount": 25})
    assert line["discountPercent"] == 25
    assert (await refused_line(books, ITEM | {"discountPercent": 101}))[2].endswith("between 0 and 100.")
    assert "positive" in (await refused_line(books, ITEM | {"discountAmount": -1}))[2]


async def test_the_object_number_is_looked_up_by_the_type_so_far(books: Books) -> None:
    error = await refused_line(books, {"lineObjectNumber": "SVC-100", "lineType": "Item"})
    assert error[1] == "Internal_InvalidTableRelation"
    assert "Standard Text" in error[2]
    assert (await refused_line(books, {"lineType": "Account", "lineObjectNumber": "1"}))[2] == "Account does not exist."


async def test_an_id_switches_the_type(books: Books) -> None:
    account = (await books.rows("accounts?$filter=number eq '6110'"))[0]["id"]
    item = (await books.rows("items?$filter=number eq 'SVC-100'"))[0]["id"]
    line = await only_line(books, {"accountId": account, "quantity": 1, "unitPrice": 5})
    assert (line["lineType"], line["lineObjectNumber"], line["itemId"]) == ("Account", "6110", ZERO)
    changed = await books.ok("PATCH", f"salesInvoiceLines({line['id']})", {"itemId": item})
    assert (changed["lineType"], changed["lineObjectNumber"], changed["accountId"]) == ("Item", "SVC-100", ZERO)
    assert "Specify only one" in (await refused_line(books, {"itemId": item, "accountId": account}))[2]


async def test_a_new_type_blanks_the_object(books: Books) -> None:
    line = await only_line(books, ITEM)
    changed = await books.ok("PATCH", f"salesInvoiceLines({line['id']})", {"lineType": "Account"})
    assert (changed["lineObjectNumber"], changed["itemId"], changed["description"]) == ("", ZERO, "")


async def test_the_object_number_cannot_change_once_set(books: Books) -> None:
    line = await only_line(books, ITEM)
    error = await books.refused("PATCH", f"salesInvoiceLines({line['id']})", {"lineObjectNumber": "SVC-200"})
    assert error[2] == 'The value for "lineObjectNumber" cannot be modified.'


@pytest.mark.parametrize(
    ("number", "words"), [("6100", "Account Type"), ("2310", "Direct Posting"), ("6190", "Blocked")]
)
async def test_accounts_must_be_open_for_direct_posting(books: Books, number: str, words: str) -> None:
    error = await refused_line(books, PLAIN | {"lineObjectNumber": number})
    assert error[1] == "Application_FieldValidationException"
    assert error[2].startswith(f"{words} must be equal to")


async def test_blocked_items_and_items_without_posting_groups_are_refused(books: Books) -> None:
    assert (await refused_line(books, ITEM | {"lineObjectNumber": "SVC-900"}))[
        1
    ] == "Application_FieldValidationException"
    await books.seed(
        items=[
            {"number": "NOSALE", "displayName": "x", "type": "Service", "salesBlocked": True},
            {"number": "NOGROUP", "displayName": "x", "type": "Service", "generalProductPostingGroupCode": ""},
        ]
    )
    assert "Sales Blocked" in (await refused_line(books, ITEM | {"lineObjectNumber": "NOSALE"}))[2]
    assert "Gen. Prod. Posting Group" in (await refused_line(books, ITEM | {"lineObjectNumber": "NOGROUP"}))[2]


async def test_the_unit_must_be_one_of_the_items_units(books: Books) -> None:
    assert (await refused_line(books, ITEM | {"unitOfMeasureCode": "PCS"}))[1] == "Internal_InvalidTableRelation"
    line = await only_line(books, ITEM | {"lineObjectNumber": "SVC-200", "unitOfMeasureCode": "pcs"})
    assert line["unitOfMeasureCode"] == "PCS"


async def test_tax_code_is_written_as_product_group_and_read_as_identifier(books: Books) -> None:
    line = await only_line(books, PLAIN | {"taxCode": "REDUCED"})
    assert (line["taxCode"], line["taxPercent"], line["netTaxAmount"]) == ("VAT7", 7, 7)
    assert (await refused_line(books, PLAIN | {"taxCode": "VAT7"}))[1] == "Internal_InvalidTableRelation"


async def test_computed_line_properties_are_refused(books: Books) -> None:
    for name in ("netAmount", "taxPercent", "amountIncludingTax", "id"):
        assert (await refused_line(books, PLAIN | {name: 1}))[2] == f"Control '{name}' is read-only."


async def test_a_description_over_100_characters_is_refused(books: Books) -> None:
    assert (await refused_line(books, {"description": "x" * 101}))[1] == "Application_StringExceededLength"


async def test_sequence_steps_by_ten_thousand_and_never_changes(books: Books) -> None:
    invoice = await books.invoice(PLAIN, PLAIN | {"sequence": 15000}, PLAIN)
    lines = invoice["salesInvoiceLines"]
    assert [line["sequence"] for line in lines] == [10000, 15000, 25000]
    path = f"salesInvoices({invoice['id']})/salesInvoiceLines"
    assert "already exists" in (await books.refused("POST", path, PLAIN | {"sequence": 15000}))[2]
    error = await books.refused("PATCH", f"salesInvoiceLines({lines[0]['id']})", {"sequence": 1})
    assert error[2].startswith('The value for "sequence" cannot be modified.')
    error = await books.refused("PATCH", f"salesInvoiceLines({lines[0]['id']})", {"documentId": lines[0]["id"]})
    assert error[2] == 'The value for "documentId" cannot be modified.'


async def test_lines_are_reached_by_parent_by_document_filter_or_by_id(books: Books) -> None:
    invoice = await books.invoice(PLAIN, PLAIN)
    await books.invoice(PLAIN)
    error = await books.refused("GET", "salesInvoiceLines")
    assert error[2] == "You must specify an Id or a Document Id to get the lines."
    assert (await books.refused("GET", "salesInvoiceLines?$filter=sequence eq 10000"))[2] == error[2]
    first = invoice["salesInvoiceLines"][0]["id"]
    assert len(await books.rows(f"salesInvoices({invoice['id']})/salesInvoiceLines")) == 2
    assert len(await books.rows(f"salesInvoiceLines?$filter=documentId eq {invoice['id']}")) == 2
    only = await books.rows(f"salesInvoiceLines?$filter=documentId eq {invoice['id']} and sequence gt 10000")
    assert [line["sequence"] for line in only] == [20000]
    assert (await books.rows(f"salesInvoiceLines?$filter=id eq {first}"))[0]["id"] == first
    assert (await books.ok("GET", f"salesInvoiceLines({first})"))["documentId"] == invoice["id"]


async def test_a_line_is_added_at_top_level_with_its_document(books: Books) -> None:
    invoice = await books.invoice()
    line = await books.ok("POST", "salesInvoiceLines", {"documentId": invoice["id"]} | PLAIN)
    assert line["documentId"] == invoice["id"]
    assert "Document Id" in (await books.refused("POST", "salesInvoiceLines", PLAIN))[2]


async def test_deleting_a_line_leaves_the_vat_of_the_others(books: Books) -> None:
    cent_lines = [PLAIN | {"unitPrice": 0.33}] * 3
    invoice = await books.invoice(*cent_lines)
    assert [line["netTaxAmount"] for line in invoice["salesInvoiceLines"]] == [0.08, 0.09, 0.08]
    await books.ok("DELETE", f"salesInvoiceLines({invoice['salesInvoiceLines'][0]['id']})")
    after = await books.read(invoice)
    assert [line["netTaxAmount"] for line in after["salesInvoiceLines"]] == [0.09, 0.08]
    assert after["totalTaxAmount"] == 0.17


async def test_three_times_33_cents_make_25_cents_of_vat(books: Books) -> None:
    invoice = await books.invoice(*[PLAIN | {"unitPrice": 0.33}] * 3)
    assert (invoice["totalAmountExcludingTax"], invoice["totalTaxAmount"]) == (0.99, 0.25)


async def test_decimals_travel_exactly(books: Books) -> None:
    line = await only_line(books, PLAIN | {"quantity": 3, "unitPrice": 33.33333})
    assert (line["unitPrice"], line["netAmount"], line["netTaxAmount"]) == (33.33333, 100, 25)
