"""Business Central's standard refusals: each with its own code and Microsoft's own text."""

from typing import Any

import pytest

from tests.simulators.business_central.books import PLAIN, Books

DIALOG, FIELD = "Application_DialogException", "Application_FieldValidationException"
NONE, ASSIGN = "You cannot assign numbers", "assign numbers automatically"
ACTIVATE, SETUP = "please activate Default Nos. in No. Series S-INV.", "Sales & Receivables Setup: Primary Key="
DRAFT = {"customerNumber": "10000", "salesInvoiceLines": [PLAIN]}


@pytest.mark.parametrize(
    ("series", "text"),
    [
        (
            {"ending": 102000},
            f"{NONE} greater than S-INV102000 from the number series S-INV. No. assigned: S-INV102001",
        ),
        ({"automatic": False}, f"It is not possible to {ASSIGN}. If you want the program to {ASSIGN}, {ACTIVATE}"),
        ({"named": False}, f"Invoice Nos. must have a value in {SETUP}. It cannot be zero or empty."),
        (
            {"date_order": True, "last_date": "2999-12-31"},
            "You cannot assign new numbers from the number series S-INV on a date before 12/31/99.",
        ),
    ],
)
async def test_a_number_series_may_have_no_number(books: Books, series: dict[str, Any], text: str) -> None:
    await books.seed(series={"S-INV": series})
    status, _, message = await books.refused("POST", "salesInvoices", DRAFT)
    assert (status, message) == (400, text)
    assert not await books.rows("salesInvoices")


async def test_a_draft_needs_a_series_for_the_posted_invoice_too(books: Books) -> None:
    await books.seed(series={"S-INV+": {"named": False}})
    error = await books.refused("POST", "salesInvoices", DRAFT)
    assert error == (400, FIELD, f"Posted Invoice Nos. must have a value in {SETUP}. It cannot be zero or empty.")


async def test_a_number_series_that_starts_later_has_no_number_today(books: Books) -> None:
    await books.seed(series={"S-INV": {"starting_date": "2999-01-01"}})
    message = (await books.refused("POST", "salesInvoices", DRAFT))[2]
    assert message.startswith("You cannot assign new numbers from the number series S-INV on ")


async def test_the_last_number_of_a_series_can_be_drawn(books: Books) -> None:
    await books.seed(series={"CUST": {"ending": 10001}})
    assert (await books.customer())["number"] == "C10001"
    assert "greater than C10001" in (await books.refused("POST", "customers", {"displayName": "X"}))[2]


async def test_a_customer_blocked_for_privacy_gets_no_document(books: Books) -> None:
    change = {"set": "customers", "number": "10000", "changes": {"privacyBlocked": True}}
    await books.control("POST", "record", change)
    text = "You cannot create this type of document when Customer 10000 is blocked for privacy."
    assert await books.refused("POST", "salesInvoices", DRAFT) == (400, DIALOG, text)


async def test_a_customer_blocked_later_gets_nothing_posted(books: Books) -> None:
    draft = await books.invoice(PLAIN)
    await books.control("POST", "record", {"set": "customers", "number": "10000", "changes": {"blocked": "All"}})
    text = "You cannot post this type of document when Customer 10000 is blocked with type All"
    assert await books.refused("POST", f"salesInvoices({draft['id']})/Microsoft.NAV.post") == (400, DIALOG, text)


@pytest.mark.parametrize(
    ("blocked", "text"),
    [
        ({"code": "DEPARTMENT", "blocked": True}, "Dimension DEPARTMENT is blocked."),
        (
            {"code": "DEPARTMENT", "values": [{"code": "SALES", "blocked": True}]},
            "Dimension Value DEPARTMENT - SALES is blocked.",
        ),
    ],
)
async def test_a_blocked_dimension_is_refused_on_a_draft(books: Books, blocked: dict[str, Any], text: str) -> None:
    await books.seed(dimensions=[blocked])
    nested = {"dimensionSetLines": [{"code": "DEPARTMENT", "valueCode": "SALES"}]}
    assert await books.refused("POST", "salesInvoices", DRAFT | nested) == (400, DIALOG, text)
    short = {"customerNumber": "10000", "shortcutDimension1Code": "SALES"}
    assert await books.refused("POST", "salesInvoices", short) == (400, DIALOG, text)
    line = PLAIN | nested
    error = await books.refused("POST", "salesInvoices", {"customerNumber": "10000", "salesInvoiceLines": [line]})
    assert error == (400, DIALOG, text)


async def test_posting_needs_a_general_posting_set_up(books: Books) -> None:
    draft = await books.invoice({"lineType": "Item", "lineObjectNumber": "SVC-100", "quantity": 1})
    await books.seed(setup={"without_general_posting": ["DOMESTIC"]})
    status, code, text = await books.refused("POST", f"salesInvoices({draft['id']})/Microsoft.NAV.post")
    assert (status, code) == (400, "Internal_RecordNotFound")
    assert text.startswith("The General Posting Setup does not exist. Identification fields and values: Gen. Bus. Pos")


async def test_letters_in_a_phone_number_are_refused_in_two_ways(books: Books) -> None:
    error = await books.refused("POST", "customers", {"displayName": "X", "phoneNumber": "+45 ext. 1"})
    assert error == (400, FIELD, "Phone No. must not contain letters in Customer No.=''.")
    error = await books.refused("POST", "salesInvoices", {"customerNumber": "10000", "phoneNumber": "ext. 1"})
    assert error == (400, DIALOG, "You cannot enter letters in this field.")
