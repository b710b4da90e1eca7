from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from mapping.materials import BookObject, Materials
from mapping.sales_documents import CustomerView, MappedDocument, build_document, describe_difference
from mapping.taxes import VatFact, VatKey
from schemas.errors import Refused
from schemas.field_mappings import FieldMappings
from schemas.money import get_exponent, round_half_up, to_decimal
from schemas.settings import Settings
from schemas.stripe_objects import Invoice, Line, Price, Product
from tests.builders import build_books, build_invoice, build_line, build_materials, build_taxes, load_sample_invoice
from tests.strategies import lines

CUSTOMER = CustomerView(id="c-1")
MATERIALS = build_materials(books=build_books(payment_terms={}))
CODES = [{"percent": "25", "code": "STANDARD"}, {"percent": "7", "code": "REDUCED"}, {"percent": "0", "code": "ZERO"}]


def build_settings(*, time_zone: str = "UTC", **invoices: Any) -> Settings:
    """Build settings as a user writes them: lines on account 6110, cents on 6910."""
    default = {"lines": {"type": "Account", "number": "6110"}, "rounding": {"account": "6910"}}
    return Settings.model_validate({"time_zone": time_zone, "invoices": default | invoices})


def map_invoice(
    invoice: Invoice, materials: Materials = MATERIALS, customer: CustomerView = CUSTOMER, **invoices: Any
) -> MappedDocument:
    return build_document(invoice, build_settings(**invoices), materials, customer)


def map_lines(*drafts: Line, materials: Materials = MATERIALS, **invoices: Any) -> list[dict[str, Any]]:
    """Map an invoice of these lines and return the draft's."""
    return map_invoice(build_invoice(lines=drafts), materials, **invoices).payload["salesInvoiceLines"]


def refuse(invoice: Invoice, materials: Materials = MATERIALS, **invoices: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        map_invoice(invoice, materials, **invoices)
    assert caught.value.fix
    return caught.value


def booked(number: str, quantity: str, price: str, description: str, *, kind: str = "Account", **more: Any) -> Any:
    codes = {key: more.pop(key) for key in ("taxCode", "unitOfMeasureCode") if key in more}
    first = {"lineType": kind, "lineObjectNumber": number} | codes
    return first | {"quantity": Decimal(quantity), "unitPrice": Decimal(price)} | more | {"description": description}


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
    mapped = map_invoice(load_sample_invoice("17"), header={"memo": False})

    assert mapped.payload["salesInvoiceLines"] == [
        booked("6110", "2", "89.90", "Lampe „Luna“"),
        booked("6110", "1", "12.90", "Shipping"),
    ]
    assert mapped.total == Decimal("229.31")


def test_shipping_that_costs_nothing_is_no_line() -> None:
    mapped = map_invoice(build_invoice(shipping_cost={"amount_total": 0, "amount_tax": 0}))

    assert len(mapped.payload["salesInvoiceLines"]) == 1


def test_sample_20_a_negative_total_is_a_credit_memo_the_other_way_round() -> None:
    mapped = map_invoice(load_sample_invoice("20"))

    assert (mapped.kind, mapped.total) == ("credit_memo", Decimal("45.34"))
    assert mapped.payload == {
        "externalDocumentNumber": "B7C8CA7D-0010",
        "customerId": "c-1",
        "currencyCode": "USD",
        "creditMemoDate": "2026-11-03",
        "postingDate": "2026-11-03",
        "salesCreditMemoLines": [
            booked("6110", "1", "56.67", "Unused time on Pro plan after 12 Nov 2026"),
            booked("6110", "-1", "11.33", "Remaining time on Basic plan after 12 Nov 2026"),
        ],
    }


def test_sample_20_a_negative_total_can_be_stopped() -> None:
    error = refuse(load_sample_invoice("20"), negative_total="stop")

    assert error.code == "invoice.total.negative"
    assert error.message == "Invoice B7C8CA7D-0010 has a negative total, -45.34 USD: it is a credit."


def test_a_total_of_zero_goes_on() -> None:
    assert map_invoice(build_invoice(lines=[build_line(0, unit="0")])).total == 0


def test_without_its_customer_the_payload_lacks_nothing_else() -> None:
    invoice = load_sample_invoice("01")
    without = map_invoice(invoice, customer=CustomerView())

    assert without.payload | {"customerId": "c-1"} == map_invoice(invoice).payload


def test_keys_of_a_line_come_in_the_order_that_business_central_validates_in() -> None:
    line = build_line(10_000, quantity=2, discount_amounts=[{"amount": 100}])
    (built,) = map_lines(line, lines={"type": "Item", "number": "svc-100", "tax_code": "standard"})

    # The tax code before the price: on gross prices it would convert it.
    assert list(built) == [
        "lineType",
        "lineObjectNumber",
        "taxCode",
        "unitOfMeasureCode",
        "quantity",
        "unitPrice",
        "discountAmount",
        "description",
    ]
    assert (built["lineType"], built["lineObjectNumber"], built["taxCode"]) == ("Item", "SVC-100", "STANDARD")


@pytest.mark.parametrize(
    ("line", "quantity", "price", "description"),
    [
        (build_line(0, quantity=0, unit="500"), "1", "0", "Consulting"),
        (build_line(0, quantity=1, unit="0"), "1", "0", "Consulting"),
        # Tiers: no unit price, so one piece at the amount, and the quantity is told.
        (build_line(1234, quantity=7, unit=""), "1", "12.34", "7 x Consulting"),
        # Packages: the unit price times the quantity is not the amount, another price is.
        (build_line(1000, quantity=3, unit="500"), "3", "3.33333", "Consulting"),
        (build_line(1500, quantity=2, quantity_decimal="1.5", unit="1000"), "1.5", "10", "Consulting"),
        # More decimals than Business Central keeps: the price that the amount comes to.
        (build_line(100, quantity=3, unit="33.333333"), "3", "0.33333", "Consulting"),
        (build_line(-500, quantity=1, unit="-500"), "-1", "5", "Consulting"),
        (build_line(700, quantity=None, unit=""), "1", "7", "Consulting"),
    ],
)
def test_quantity_and_price(line: Line, quantity: str, price: str, description: str) -> None:
    (built, *_) = map_lines(line, build_line(1_000))

    assert (built["quantity"], built["unitPrice"]) == (Decimal(quantity), Decimal(price))
    assert built["description"] == description


@given(lines())
def test_quantity_times_price_is_always_exactly_the_amount(line: Line) -> None:
    plus = build_line(20_000_000, currency=line.currency)
    invoice = build_invoice(lines=[line, plus], currency=line.currency)
    built = map_invoice(invoice).payload["salesInvoiceLines"][0]
    quantity, price = built["quantity"], built["unitPrice"]

    assert round_half_up(quantity * price, get_exponent(line.currency)) == to_decimal(line.amount, line.currency)
    assert price >= 0
    assert quantity == round_half_up(quantity, 5)
    assert price == round_half_up(price, 5)


def test_a_long_description_goes_on_in_comment_lines() -> None:
    text = " ".join(f"word{number:02}" for number in range(20))
    first, second = map_lines(build_line(description=text))

    assert f"{first['description']} {second['description']}" == text
    assert second == {"lineType": "Comment", "description": second["description"]}


def test_a_long_description_is_cut_and_noted_where_the_settings_say_so() -> None:
    line = build_line(description="Line one\nline two " + "x" * 100)
    mapped = map_invoice(build_invoice(lines=[line]), text={"long_text": "cut"})
    (built,) = mapped.payload["salesInvoiceLines"]

    assert len(built["description"]) == 100
    assert built["description"].startswith("Line one line two xxx")
    assert mapped.notes == ("The description of line 1 was cut to 100 characters.",)


@pytest.mark.parametrize("description", [None, "", " \n "])
def test_a_line_without_description_gets_one(description: str | None) -> None:
    mapped = map_invoice(build_invoice(lines=[build_line(description=description)]))

    assert mapped.payload["salesInvoiceLines"][0]["description"] == "Stripe invoice line"


@pytest.mark.parametrize(
    ("changes", "invoices", "code"),
    [
        ({}, {"lines": None}, "settings.lines.missing"),
        ({"number": None}, {}, "invoice.number.missing"),
        ({"number": "N" * 30}, {"external_document_prefix": "PREFIX-"}, "invoice.number.too_long"),
        ({"currency": "xxx"}, {}, "invoice.currency.missing"),
        ({"currency": "eur", "lines": {"data": []}}, {}, "invoice.lines.missing"),
        ({}, {"lines": {"type": "Account", "number": "9999"}}, "invoice.account.missing"),
        ({}, {"lines": {"type": "Account", "number": "6190"}}, "invoice.account.unusable"),
        ({}, {"lines": {"type": "Item", "number": "SVC-900"}}, "invoice.item.unusable"),
        ({}, {"lines": {"type": "Account", "number": "6110", "tax_code": "VAT99"}}, "invoice.tax_code.missing"),
    ],
)
def test_what_can_not_be_booked_is_refused(changes: dict[str, Any], invoices: dict[str, Any], code: str) -> None:
    invoice = Invoice.model_validate(build_invoice().model_dump() | changes)

    assert refuse(invoice, **invoices).code == code


def test_the_external_document_number_is_upper_case_with_its_prefix() -> None:
    mapped = map_invoice(build_invoice(), external_document_prefix="us-", external_document_number="id")

    assert mapped.external_document_number == "US-IN_1"


def test_a_difference_names_both_totals() -> None:
    assert describe_difference(Decimal("119.00"), Decimal("118.99"), "EUR", "HUB-1") == (
        "Invoice HUB-1 is 119.00 EUR in Stripe, but its draft in Business Central came to 118.99 EUR."
    )


# --- which account or item ---

SOLD = build_line(
    10_000, pricing={"unit_amount_decimal": "10000", "price_details": {"product": "prod_1", "price": "price_1"}}
)
TO_ACCOUNT = {"type": "Account", "number": "6120"}
NAMED = build_materials(
    products={"prod_1": Product(id="prod_1", name="Consulting hour", metadata={"sku": "svc-300"})},
    prices={"price_1": Price(id="price_1", lookup_key="SVC-100")},
)


@pytest.mark.parametrize(
    ("products", "number"),
    [
        ({"table": {"prod_1": TO_ACCOUNT}}, "6120"),
        (
            {
                "table": {
                    "prod_1": {"type": "Account", "number": "6120"},
                    "price_1": {"type": "Item", "number": "SVC-300"},
                }
            },
            "SVC-300",
        ),
        ({"pairs": [{"stripe": "product.metadata.sku", "bc": "item.number"}]}, "SVC-300"),
        ({"pairs": [{"stripe": "price.lookup_key", "bc": "item.number"}]}, "SVC-100"),
        ({"pairs": [{"stripe": "product.name", "bc": "item.displayName"}]}, "SVC-100"),
        (
            {
                "pairs": [
                    {"stripe": "line.metadata.none", "bc": "item.number"},
                    {"stripe": "product.id", "bc": "item.number"},
                    {"stripe": "product.metadata.sku", "bc": "item.number"},
                ]
            },
            "SVC-300",
        ),
        ({"pairs": [{"stripe": "product.id", "bc": "item.number"}]}, "6110"),
        ({}, "6110"),
    ],
)
def test_a_product_finds_its_item_by_table_then_by_pairs_then_by_default(products: Any, number: str) -> None:
    (built,) = map_lines(SOLD, materials=NAMED, products=products)

    assert built["lineObjectNumber"] == number


def test_an_item_brings_its_own_unit_of_measure() -> None:
    (built,) = map_lines(SOLD, products={"table": {"prod_1": {"type": "Item", "number": "SVC-100"}}})

    assert built["unitOfMeasureCode"] == "HOUR"


def test_a_product_that_is_not_found_stops_the_invoice_where_the_settings_say_so() -> None:
    pairs = [{"stripe": "product.id", "bc": "item.number"}]
    error = refuse(build_invoice(lines=[SOLD]), NAMED, products={"pairs": pairs, "missing": "stop"})

    assert error.code == "invoice.product.not_found"
    assert "“Consulting”, was not found in Business Central (product.id = prod_1)" in error.message


def test_a_name_that_several_items_have_stops_the_invoice() -> None:
    twin = BookObject("Item", "i-2", "SVC-101", "Consulting hour")
    materials = build_materials(twin, products=NAMED.products, prices=NAMED.prices)
    pairs = [{"stripe": "product.name", "bc": "item.displayName"}]

    error = refuse(build_invoice(lines=[SOLD]), materials, products={"pairs": pairs})
    assert error.code == "invoice.item.ambiguous"
    assert "SVC-100, SVC-101" in error.message


def test_a_bundle_is_shared_out_to_the_cent() -> None:
    third = {"target": {"type": "Account", "number": "6110"}, "share": "33.4"}
    rest = {"target": {"type": "Account", "number": "6120"}, "share": "66.6"}
    line = SOLD.model_copy(update={"amount": 1_001})
    built = map_lines(line, products={"table": {"prod_1": {"type": "Bundle", "parts": [third, rest]}}})

    assert [(one["lineObjectNumber"], one["unitPrice"]) for one in built] == [
        ("6110", Decimal("3.34")),
        ("6120", Decimal("6.67")),
    ]


def test_a_product_that_is_only_told_must_cost_nothing() -> None:
    products = {"table": {"prod_1": {"type": "Comment"}}}
    free = SOLD.model_copy(update={"amount": 0})

    assert map_lines(free, build_line(), products=products)[0] == {"lineType": "Comment", "description": "Consulting"}
    assert refuse(build_invoice(lines=[SOLD]), products=products).code == "invoice.line.comment_with_amount"


# --- tax ---


def test_each_rate_gets_its_tax_code() -> None:
    built = map_lines(
        build_line(1000, taxes=build_taxes(250)),
        build_line(1000, taxes=build_taxes(70, "7")),
        build_line(1000),
        tax={"rules": CODES},
    )

    assert [one["taxCode"] for one in built] == ["STANDARD", "REDUCED", "ZERO"]


def test_a_reverse_charge_has_its_own_code_and_the_document_bears_its_text() -> None:
    rule = {"reason": "reverse_charge", "code": "STANDARD", "text": "Steuerschuldnerschaft des Leistungsempfängers"}
    mapped = map_invoice(load_sample_invoice("19"), tax={"rules": [rule, *CODES]})
    line, text = mapped.payload["salesInvoiceLines"][:2]

    assert line["taxCode"] == "STANDARD"
    assert text == {"lineType": "Comment", "description": "Steuerschuldnerschaft des Leistungsempfängers"}


def test_inclusive_prices_are_written_net_where_the_card_says_so() -> None:
    line = build_line(5_997, quantity=3, unit="1999", taxes=build_taxes(1_000, "20", behavior="inclusive"))
    built, cent = map_lines(line)

    assert (built["quantity"], built["unitPrice"]) == (3, Decimal("16.65667"))
    assert round_half_up(built["quantity"] * built["unitPrice"], 2) == Decimal("49.97")
    # 20 % of 49.97 is 9.99, and Stripe has 10.00 inside.
    assert (cent["lineObjectNumber"], cent["unitPrice"]) == ("6910", Decimal("0.01"))


def test_exclusive_prices_are_written_gross_where_the_card_says_so() -> None:
    line = build_line(3_000, quantity=3, unit="1000", taxes=build_taxes(750))
    mapped = map_invoice(build_invoice(lines=[line]), customer=CustomerView(id="c-1", prices_include_tax=True))
    (built,) = mapped.payload["salesInvoiceLines"]

    assert (mapped.form, built["quantity"], built["unitPrice"]) == ("gross", 3, Decimal("12.5"))


def test_discounts_on_inclusive_prices_are_scaled_with_them() -> None:
    line = build_line(
        12_500, unit="12500", discount_amounts=[{"amount": 2_500}], taxes=build_taxes(2_000, behavior="inclusive")
    )
    (built,) = map_lines(line)

    assert (built["unitPrice"], built["discountAmount"]) == (Decimal(100), Decimal(20))


def test_a_discount_of_the_whole_amount_leaves_nothing() -> None:
    (built, _) = map_lines(build_line(10_000, discount_amounts=[{"amount": 10_000}]), build_line(100))

    assert (built["unitPrice"], built["discountAmount"]) == (Decimal(100), Decimal(100))


def test_three_lines_whose_vat_is_rounded_together_need_a_cent() -> None:
    lines_ = [build_line(33, taxes=build_taxes(8)) for _ in range(3)]
    mapped = map_invoice(build_invoice(lines=lines_), tax={"rules": CODES, "zero_code": "ZERO"})

    # Stripe: 3 x (0.33 + 0.08) = 1.23. Business Central: 0.99 + 0.25 = 1.24.
    assert (mapped.total, mapped.rounding) == (Decimal("1.23"), Decimal("-0.01"))
    assert mapped.payload["salesInvoiceLines"][-1] == booked("6910", "-1", "0.01", "Rounding", taxCode="ZERO")
    assert mapped.notes == ("A line of -0.01 takes what Stripe and Business Central round differently.",)


def test_codes_that_share_an_identifier_are_rounded_together() -> None:
    other = build_taxes(8, taxability_reason="reduced_rated")
    invoice = build_invoice(lines=[build_line(33, taxes=build_taxes(8)), build_line(33, taxes=other)])
    rules = [{"reason": "reduced_rated", "code": "REDUCED"}, {"percent": "25", "code": "STANDARD"}]
    # Both come to 25 % in Business Central, and are rounded apart or, with one identifier, together.
    learned = {
        VatKey("ta-1", "Account", "6110", code): VatFact(identifier, Decimal(25))
        for code, identifier in (("STANDARD", "VAT25"), ("REDUCED", "VAT25B"))
    }
    together = {key: VatFact("VAT25", fact.percent) for key, fact in learned.items()}

    def round_off(facts: dict[VatKey, VatFact]) -> Decimal:
        view = CustomerView(id="c-1", tax_area="ta-1", learned=facts)
        return map_invoice(invoice, customer=view, tax={"rules": rules}).rounding

    assert (round_off(learned), round_off(together)) == (Decimal(0), Decimal("-0.01"))


def test_rounding_without_an_account_is_refused_before_anything_is_sent() -> None:
    lines_ = [build_line(33, taxes=build_taxes(8)) for _ in range(3)]

    error = refuse(build_invoice(lines=lines_), rounding={})
    assert error.code == "invoice.rounding.no_account"
    assert "differently, by 0.01 EUR" in error.message


def test_rounding_beyond_the_limit_of_the_settings_is_refused() -> None:
    lines_ = [build_line(33, taxes=build_taxes(8)) for _ in range(3)]

    error = refuse(build_invoice(lines=lines_), rounding={"account": "6910", "limit": 0})
    assert error.code == "invoice.rounding.over_limit"
    assert "differently, by 0.01 EUR; the settings allow 0.00 EUR" in error.message
    assert map_invoice(build_invoice(lines=lines_), rounding={"account": "6910", "limit": 1}).rounding


def test_a_rate_that_business_central_computes_otherwise_is_named_with_both_amounts() -> None:
    learned = {VatKey("ta-1", "Account", "6110", ""): VatFact("VAT25", Decimal(25))}
    view = CustomerView(id="c-1", tax_area="ta-1", learned=learned)
    line = build_line(10_000, taxes=build_taxes(1_900, "19"))

    with pytest.raises(Refused) as caught:
        map_invoice(build_invoice(lines=[line]), customer=view)
    assert caught.value.code == "invoice.total.unreachable"
    assert caught.value.message == (
        "Invoice HUB-0001 is 119.00 EUR in Stripe, but its draft in Business Central would come to 125.00 EUR. On "
        "line 1 Business Central adds 25 % (VAT25), 25.00 EUR, where Stripe has 19 %, 19.00 EUR."
    )


def test_tax_as_given_is_posted_on_its_own_account_by_rate() -> None:
    given_ = {"mode": "as_given", "account": "5610", "zero_code": "ZERO"}
    built = map_lines(
        build_line(1_000, taxes=build_taxes(190, "19")),
        build_line(1_070, taxes=build_taxes(70, "7", behavior="inclusive")),
        build_line(500, taxes=build_taxes(95, "19")),
        tax=given_,
    )

    assert built == [
        booked("6110", "1", "10.00", "Consulting", taxCode="ZERO"),
        booked("6110", "1", "10.00", "Consulting", taxCode="ZERO"),
        booked("6110", "1", "5.00", "Consulting", taxCode="ZERO"),
        booked("5610", "1", "2.85", "VAT 19 %", taxCode="ZERO"),
        booked("5610", "1", "0.70", "VAT 7 %", taxCode="ZERO"),
    ]


def test_more_decimals_than_business_central_keeps_are_refused() -> None:
    materials = build_materials(books=build_books(decimals={"EUR": 0}))

    error = refuse(build_invoice(lines=[build_line(1_050)]), materials)
    assert error.code == "invoice.currency.precision"
    assert error.message.startswith("10.50 EUR of line 1 has more decimals than Business Central keeps for EUR (0).")


def test_kronur_have_decimals_in_stripe_alone() -> None:
    line = build_line(50_000, currency="isk")
    (built,) = map_invoice(build_invoice(lines=[line], currency="isk")).payload["salesInvoiceLines"]

    assert built["unitPrice"] == Decimal(500)


# --- header ---


def build_header(invoice: Invoice, materials: Materials = MATERIALS, **header: Any) -> dict[str, Any]:
    payload = map_invoice(invoice, materials, header=header).payload
    return {name: value for name, value in payload.items() if name != "salesInvoiceLines"}


def test_days_are_those_of_the_companys_time_zone() -> None:
    # 23:30 UTC on the 3rd is the 4th in Copenhagen.
    invoice = build_invoice(status_transitions={"finalized_at": 1793748600}, due_date=1793748600 + 14 * 86_400)
    payload = build_document(invoice, build_settings(time_zone="Europe/Copenhagen"), MATERIALS, CUSTOMER).payload

    assert (payload["invoiceDate"], payload["postingDate"], payload["dueDate"]) == (
        "2026-11-04",
        "2026-11-04",
        "2026-11-18",
    )


def test_payment_terms_follow_the_days_until_due() -> None:
    invoice = build_invoice(status_transitions={"finalized_at": 1793707200}, due_date=1793707200 + 14 * 86_400)
    materials = build_materials()

    assert build_header(invoice, materials)["paymentTermsId"] == "pt-14"
    assert "paymentTermsId" not in build_header(invoice, materials, payment_terms="customer")


def test_goods_that_go_elsewhere_keep_their_address_country_first() -> None:
    header = build_header(load_sample_invoice("17"))

    assert {name: value for name, value in header.items() if name.startswith("shipTo")} == {
        "shipToName": "Empfang Lager",
        "shipToCountry": "DE",
        "shipToAddressLine1": "Lagerstraße 12",
        "shipToAddressLine2": "Tor 3",
        "shipToCity": "Hamburg",
        "shipToPostCode": "20357",
    }


def test_the_address_that_the_invoice_was_issued_to_is_kept_where_the_settings_say_so() -> None:
    address = {"line1": "Vej 1", "city": "Aarhus", "country": "dk"}
    mapped = map_invoice(build_invoice(customer_address=address), header={"sell_to_address": "invoice"})

    assert (mapped.payload["sellToAddressLine1"], mapped.payload["sellToCity"]) == ("Vej 1", "Aarhus")
    assert (mapped.payload["sellToCountry"], mapped.notes) == ("DK", ())


def test_an_address_whose_country_is_not_in_business_central_is_left_out() -> None:
    """It would be shown in the customer's country, and its post code may be one of another."""
    address = {"line1": "Vej 1", "city": "Aarhus", "country": "XX", "postal_code": "2000"}
    shipping = {"name": "Depot", "address": address}
    invoice = build_invoice(customer_address=address, shipping_details=shipping | {"address": address | {"city": "B"}})
    mapped = map_invoice(invoice, header={"sell_to_address": "invoice"})

    assert not [name for name in mapped.payload if name.startswith(("sellTo", "shipTo"))]
    assert mapped.notes == (
        "The invoice's address was left out: its country XX is not in Business Central's list.",
        "The address to ship to was left out: its country XX is not in Business Central's list.",
    )


def test_addresses_have_business_centrals_own_codes_of_countries() -> None:
    """The customer's tax number tells Northern Ireland of the customer alone, not of where goods go."""
    names = {"EL": "Greece", "NI": "Northern Ireland", "GB": "Great Britain"}
    materials = build_materials(books=build_books(countries=frozenset(names), country_names=names))
    invoice = build_invoice(
        customer_address={"country": "GB"},
        customer_tax_ids=[{"type": "gb_vat", "value": "XI123456789"}],
        shipping_details={"name": "Depot", "address": {"country": "GB", "city": "Leeds"}},
    )
    header = build_header(invoice, materials, sell_to_address="invoice")
    greek = build_header(build_invoice(customer_address={"country": "GR"}), materials, sell_to_address="invoice")

    assert (header["sellToCountry"], header["shipToCountry"]) == ("NI", "GB")
    assert greek["sellToCountry"] == "EL"


def test_dimensions_come_from_metadata_or_the_settings() -> None:
    rules = [
        {"dimension": "department", "metadata": "dept", "value": "SALES"},
        {"dimension": "customergroup", "metadata": "group"},
        {"dimension": "project", "value": "p-1"},
    ]
    mapped = map_invoice(build_invoice(metadata={"dept": "prod"}), build_materials(), header={"dimensions": rules})

    assert mapped.payload["shortcutDimension1Code"] == "PROD"
    assert "shortcutDimension2Code" not in mapped.payload
    assert mapped.dimensions == (("PROJECT", "P-1"),)


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"dimension": "colour", "value": "RED"}, "invoice.dimension.missing"),
        ({"dimension": "department", "metadata": "dept"}, "invoice.dimension_value.missing"),
    ],
)
def test_a_dimension_that_does_not_exist_is_refused(rule: dict[str, Any], code: str) -> None:
    invoice = build_invoice(metadata={"dept": "nowhere"})

    assert refuse(invoice, build_materials(), header={"dimensions": [rule]}).code == code


def test_memo_custom_fields_and_footer_are_comment_lines() -> None:
    invoice = load_sample_invoice("17").model_copy(update={"description": "Thank you\nfor your order"})
    mapped = map_invoice(invoice, header={"memo": True, "footer": True, "custom_fields": True})

    assert [one["description"] for one in mapped.payload["salesInvoiceLines"] if one["lineType"] == "Comment"] == [
        "Thank you",
        "for your order",
        "Bestellnr.: 4711/ü",
        "Kostenstelle: KST 90",
        "Zahlbar ohne Abzug.",
        "Gerichtsstand Hamburg.",
    ]


@pytest.mark.parametrize(
    ("place", "expected"), [("description", "Consulting (2026-11-01 to 2026-11-30)"), ("shipment_date", "Consulting")]
)
def test_the_time_a_line_is_for_is_told_where_the_settings_say(place: str, expected: str) -> None:
    line = build_line(period={"start": 1793491200, "end": 1796083200})
    (built,) = map_lines(line, text={"period": place})

    assert built["description"] == expected
    assert built.get("shipmentDate") == ("2026-11-30" if place == "shipment_date" else None)


def test_a_hundred_and_fifty_lines_keep_their_order() -> None:
    built = map_lines(*(build_line(100, description=f"Line {number}") for number in range(150)))

    assert [one["description"] for one in built] == [f"Line {number}" for number in range(150)]


def test_every_field_says_where_it_came_from() -> None:
    mapped = map_invoice(load_sample_invoice("01"))

    assert set(mapped.header_sources) == set(mapped.payload) - {"salesInvoiceLines"}
    assert all(set(line.sources) == set(line.fields) for line in mapped.lines)


# --- the user's own mappings ---


def map_fields(drawn: Invoice, materials: Materials = NAMED, **fields: Any) -> MappedDocument:
    settings = build_settings().model_copy(update={"fields": FieldMappings.model_validate(fields)})
    return build_document(drawn, settings, materials, CUSTOMER)


def test_a_mapped_field_of_the_header_comes_over_what_the_hub_would_write() -> None:
    fields = [
        {"field": "customerPurchaseOrderReference", "template": "PO {{ invoice.custom_fields[0].value }}"},
        {"field": "postingDate", "template": "{{ invoice.created | date }}"},
    ]
    mapped = map_fields(load_sample_invoice("17"), invoice=fields)

    assert mapped.payload["customerPurchaseOrderReference"] == "PO 4711/ü"
    assert mapped.header_sources["postingDate"] == "fields.invoice"


def test_mapped_fields_of_a_line_see_the_line_its_product_and_its_price() -> None:
    fields = [
        {"field": "description", "template": "{{ product.name }} ({{ line.metadata.team }})"},
        {"field": "description2", "template": "{{ price.lookup_key }}"},
    ]
    line = SOLD.model_copy(update={"metadata": {"team": "North"}})
    (built,) = map_fields(build_invoice(lines=[line]), line=fields).payload["salesInvoiceLines"]

    assert (built["description"], built["description2"]) == ("Consulting hour (North)", "SVC-100")


def test_a_credit_memo_takes_the_mappings_that_it_has_fields_for() -> None:
    fields = [
        {"field": "customerPurchaseOrderReference", "template": "PO"},
        {"field": "email", "template": "a@b.example"},
    ]
    mapped = map_fields(load_sample_invoice("20"), invoice=fields)

    assert "customerPurchaseOrderReference" not in mapped.payload
    assert mapped.payload["email"] == "a@b.example"
    assert mapped.notes
