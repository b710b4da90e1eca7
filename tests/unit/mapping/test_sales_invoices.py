from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from mapping.sales_invoices import MappedInvoice, build_sales_invoice, describe_difference
from schemas.errors import Refused
from schemas.invoice_settings import InvoiceSettings, LineTarget
from schemas.money import get_exponent, round_half_up, to_decimal
from schemas.stripe_objects import Invoice, Line
from tests.builders import build_invoice, build_line, load_sample_invoice
from tests.strategies import lines

ACCOUNT = InvoiceSettings(lines=LineTarget(type="Account", number="6110"))
PREFIXED = InvoiceSettings(lines=ACCOUNT.lines, external_document_prefix="PREFIX-")
ITEM = InvoiceSettings(lines=LineTarget(type="Item", number="stripe", tax_code="vat19"))


def map_invoice(invoice: Invoice, settings: InvoiceSettings = ACCOUNT) -> MappedInvoice:
    return build_sales_invoice(invoice, settings, customer_id="c-1")


def booked(number: str, quantity: str, price: str, description: str, **more: Any) -> dict[str, Any]:
    given_first = {
        "lineType": "Account",
        "lineObjectNumber": number,
        "quantity": Decimal(quantity),
        "unitPrice": Decimal(price),
    }
    return given_first | more | {"description": description}


def test_sample_01_several_lines_with_tax_on_top() -> None:
    mapped = map_invoice(load_sample_invoice("01"))

    assert mapped.payload == {
        "externalDocumentNumber": "NLS-0041",
        "invoiceDate": "2026-11-03",
        "postingDate": "2026-11-03",
        "dueDate": "2026-11-17",
        "customerId": "c-1",
        "currencyCode": "EUR",
        "salesInvoiceLines": [
            booked("6110", "3", "950.00", "Beratung „Einführung“ (Tag)"),
            booked("6110", "2", "24.95", "Handbuch, gedruckt"),
            booked("6110", "1", "49.99", "Wartung 11/2026"),
        ],
    }
    assert (mapped.total, mapped.currency, mapped.notes) == (Decimal("3504.38"), "EUR", ())


def test_sample_03_discounts_of_a_line_come_as_one_amount() -> None:
    mapped = map_invoice(load_sample_invoice("03"))

    assert mapped.payload == {
        "externalDocumentNumber": "B7C8CA7D-0007",
        "invoiceDate": "2026-11-03",
        "postingDate": "2026-11-03",
        "customerId": "c-1",
        "currencyCode": "USD",
        "salesInvoiceLines": [
            booked("6110", "1", "33.33", "Seat", discountAmount=Decimal("7.33")),
            booked("6110", "1", "33.33", "Add-on A", discountAmount=Decimal("7.33")),
            booked("6110", "1", "33.34", "Add-on B", discountAmount=Decimal("7.34")),
            booked("6110", "1", "50.00", "Setup fee (not discountable)"),
        ],
    }
    assert mapped.total == Decimal("139.37")


def test_sample_04_yen_have_no_decimals_and_unit_prices_may() -> None:
    mapped = map_invoice(load_sample_invoice("04"))

    assert mapped.payload == {
        "externalDocumentNumber": "NLS-0043",
        "invoiceDate": "2026-11-03",
        "postingDate": "2026-11-03",
        "dueDate": "2026-11-17",
        "customerId": "c-1",
        "currencyCode": "JPY",
        "salesInvoiceLines": [
            booked("6110", "1", "12800", "保守サービス\uff0811月分\uff09"),
            booked("6110", "12345", "0.35", "API呼び出し\uff08従量\uff09"),
        ],
    }
    assert mapped.total == Decimal(18833)


def test_sample_05_dinars_have_three_decimals() -> None:
    mapped = map_invoice(load_sample_invoice("05"))

    assert mapped.payload == {
        "externalDocumentNumber": "NLS-0044",
        "invoiceDate": "2026-11-03",
        "postingDate": "2026-11-03",
        "dueDate": "2026-11-17",
        "customerId": "c-1",
        "currencyCode": "KWD",
        "salesInvoiceLines": [
            booked("6110", "4", "12.500", "Consulting hour"),
            booked("6110", "1", "7.250", "Travel"),
        ],
    }
    assert mapped.total == Decimal("57.250")


def test_sample_17_shipping_is_a_line_of_its_own_without_its_tax() -> None:
    mapped = map_invoice(load_sample_invoice("17"))

    assert mapped.payload["salesInvoiceLines"] == [
        booked("6110", "2", "89.90", "Lampe „Luna“"),
        booked("6110", "1", "12.90", "Shipping"),
    ]
    assert mapped.total == Decimal("229.31")


def test_shipping_that_costs_nothing_is_no_line() -> None:
    mapped = map_invoice(build_invoice(shipping_cost={"amount_total": 0, "amount_tax": 0}))

    assert len(mapped.payload["salesInvoiceLines"]) == 1


def test_sample_20_a_negative_total_is_refused_in_plain_words() -> None:
    with pytest.raises(Refused) as caught:
        map_invoice(load_sample_invoice("20"))

    assert caught.value.code == "invoice.total.negative"
    assert caught.value.message == (
        "Invoice B7C8CA7D-0010 has a negative total, -45.34 USD: it is a credit, and Business Central takes no "
        "invoices below zero."
    )
    assert caught.value.fix == "Enter it by hand as a sales credit memo in Business Central."


def test_sample_20_its_lines_are_one_piece_each_and_a_credit_is_a_negative_piece() -> None:
    invoice = load_sample_invoice("20").model_copy(update={"total": 0})

    assert map_invoice(invoice).payload["salesInvoiceLines"] == [
        booked("6110", "-1", "56.67", "Unused time on Pro plan after 12 Nov 2026"),
        booked("6110", "1", "11.33", "Remaining time on Basic plan after 12 Nov 2026"),
    ]


def test_a_total_of_zero_goes_on() -> None:
    assert map_invoice(build_invoice(lines=[build_line(0, unit="0")])).total == 0


def test_without_its_customer_the_payload_lacks_nothing_else() -> None:
    invoice = load_sample_invoice("01")
    without = build_sales_invoice(invoice, ACCOUNT, customer_id=None)

    assert without.payload | {"customerId": "c-1"} == map_invoice(invoice).payload


def test_keys_of_a_line_come_in_the_order_that_business_central_validates_in() -> None:
    line = build_line(10_000, quantity=2, discount_amounts=[{"amount": 100}])
    (built,) = map_invoice(build_invoice(lines=[line]), ITEM).payload["salesInvoiceLines"]

    assert list(built) == [
        "lineType",
        "lineObjectNumber",
        "quantity",
        "unitPrice",
        "discountAmount",
        "taxCode",
        "description",
    ]
    assert (built["lineType"], built["lineObjectNumber"], built["taxCode"]) == ("Item", "STRIPE", "VAT19")


@pytest.mark.parametrize(
    ("line", "quantity", "price", "description"),
    [
        (build_line(0, quantity=0, unit="500"), "0", "5", "Consulting"),
        (build_line(0, quantity=1, unit="0"), "1", "0", "Consulting"),
        # Tiers: no unit price, so one piece at the amount, and the quantity is told.
        (build_line(1234, quantity=7, unit=""), "1", "12.34", "7 x Consulting"),
        # Packages: the unit price times the quantity is not the amount.
        (build_line(1000, quantity=3, unit="500"), "1", "10", "3 x Consulting"),
        (build_line(1500, quantity=2, quantity_decimal="1.5", unit="1000"), "1.5", "10", "Consulting"),
        # More decimals than Business Central keeps.
        (build_line(100, quantity=3, unit="33.333333"), "1", "1", "3 x Consulting"),
        (build_line(-500, quantity=1, unit="-500"), "-1", "5", "Consulting"),
        (build_line(700, quantity=None, unit=""), "1", "7", "Consulting"),
    ],
)
def test_quantity_and_price(line: Line, quantity: str, price: str, description: str) -> None:
    (built,) = map_invoice(build_invoice(lines=[line], total=max(0, line.amount))).payload["salesInvoiceLines"]

    assert (built["quantity"], built["unitPrice"]) == (Decimal(quantity), Decimal(price))
    assert built["description"] == description


@given(lines())
def test_quantity_times_price_is_always_exactly_the_amount(line: Line) -> None:
    invoice = build_invoice(lines=[line], total=0, currency=line.currency)
    (built,) = map_invoice(invoice).payload["salesInvoiceLines"]
    quantity, price = built["quantity"], built["unitPrice"]

    assert round_half_up(quantity * price, get_exponent(line.currency)) == to_decimal(line.amount, line.currency)
    assert price >= 0
    assert quantity == round_half_up(quantity, 5)
    assert price == round_half_up(price, 5)


def test_long_and_broken_descriptions_are_fitted_and_noted() -> None:
    line = build_line(description="Line one\nline two " + "x" * 100)
    mapped = map_invoice(build_invoice(lines=[line]))
    (built,) = mapped.payload["salesInvoiceLines"]

    assert len(built["description"]) == 100
    assert built["description"].startswith("Line one line two xxx")
    assert mapped.notes == ("The description “Line one line two xxxxxxxxxxxx” was cut to 100 characters.",)


@pytest.mark.parametrize("description", [None, "", " \n "])
def test_a_line_without_description_gets_one(description: str | None) -> None:
    mapped = map_invoice(build_invoice(lines=[build_line(description=description)]))

    assert mapped.payload["salesInvoiceLines"][0]["description"] == "Stripe invoice line"


@pytest.mark.parametrize(
    ("changes", "settings", "code"),
    [
        ({}, InvoiceSettings(), "settings.lines.missing"),
        ({"number": None}, ACCOUNT, "invoice.number.missing"),
        ({"number": "N" * 30}, PREFIXED, "invoice.number.too_long"),
        ({"currency": "xxx"}, ACCOUNT, "invoice.currency.unknown"),
        ({"lines": {"data": []}}, ACCOUNT, "invoice.lines.missing"),
    ],
)
def test_what_can_not_be_booked_is_refused(changes: dict[str, Any], settings: InvoiceSettings, code: str) -> None:
    invoice = Invoice.model_validate(build_invoice().model_dump() | changes)

    with pytest.raises(Refused) as caught:
        map_invoice(invoice, settings)
    assert caught.value.code == code
    assert caught.value.fix


def test_the_external_document_number_is_upper_case_with_its_prefix() -> None:
    settings = ACCOUNT.model_copy(update={"external_document_prefix": "us-", "external_document_number": "id"})

    assert map_invoice(build_invoice(), settings).external_document_number == "US-IN_1"


def test_a_difference_names_both_totals() -> None:
    assert describe_difference(Decimal("119.00"), Decimal("118.99"), "EUR", "HUB-1") == (
        "Invoice HUB-1 is 119.00 EUR in Stripe, but its draft in Business Central came to 118.99 EUR."
    )
