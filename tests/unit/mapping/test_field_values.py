from decimal import Decimal
from typing import Any

import pytest

from mapping.bc_fields import Entity
from mapping.field_values import Value, add_line, build_context, render_fields
from mapping.templates import render_template
from mapping.text import Notes
from schemas.errors import Refused
from schemas.field_mappings import FieldMapping
from schemas.stripe_objects import Customer, Invoice, Price, Product
from tests.builders import build_invoice, build_line


def render(entity: Entity, context: dict[str, Any], **templates: str) -> dict[str, Value]:
    return render_noting(entity, context, Notes(), templates)


def render_noting(entity: Entity, context: dict[str, Any], notes: Notes, templates: dict[str, str]) -> dict[str, Value]:
    mappings = [FieldMapping(field=field, template=template) for field, template in templates.items()]
    return render_fields(mappings, entity, context, notes, of=" of invoice A-1")


def build_header(**changes: Any) -> dict[str, Any]:
    invoice: Invoice = build_invoice(**changes)
    customer = Customer(id="cus_1", name="Ann", metadata={"vat_id": "de 123", "credit": "1250.50", "my key": "x"})
    return build_context(invoice, customer, time_zone="Europe/Copenhagen")


def test_a_header_is_filled_from_invoice_and_customer() -> None:
    context = build_header(number="A-1", metadata={"po": "PO-17", "salesperson": "jr"}, due_date=1767222000)

    assert render(
        "salesInvoices",
        context,
        customerPurchaseOrderReference="{{ metadata.po }} / {{ invoice.number }}",
        salesperson="{{ metadata.salesperson }}",
        dueDate="{{ invoice.due_date | date }}",
        shipToName="{{ invoice.shipping_details.name }}",
    ) == {
        "customerPurchaseOrderReference": "PO-17 / A-1",
        "salesperson": "JR",
        "dueDate": "2026-01-01",
    }


def test_a_line_sees_its_product_and_price() -> None:
    line = build_line(description="Seats", metadata={"project": "X1"})
    product = Product.model_validate(
        {"id": "prod_1", "name": "Plan", "metadata": {"sku": "S-1"}, "url": "https://x.example"}
    )
    context = add_line(build_header(), line, product, Price(id="price_1", nickname="Yearly"))

    assert render(
        "salesInvoiceLines",
        context,
        description2="{{ product.metadata.sku }} {{ price.nickname }} {{ line.metadata.project }}",
        description="{{ line.description }}: {{ product.url }}",
    ) == {"description2": "S-1 Yearly X1", "description": "Seats: https://x.example"}


def test_templates_see_fields_and_nothing_else() -> None:
    context = build_header(
        metadata={"a": "1"}, custom_fields=[{"name": "PO", "value": "4711"}], new_in_stripe={"x": [1]}
    )

    def see(template: str) -> str:
        return render_template(template, context)

    assert see("{{ invoice.new_in_stripe.x[0] }}{{ invoice.custom_fields.first.value }}") == "14711"
    assert see("{{ invoice.custom_fields | map: 'name' | join }}{{ invoice.custom_fields.size }}") == "PO1"
    assert see("{{ invoice.custom_fields | where: 'name', 'PO' | map: 'value' }}") == "4711"
    assert see("{{ invoice.status_transitions | map: 'finalized_at' | size }}") == "1"
    assert see("{{ invoice.model_dump }}{{ invoice.model_fields }}{{ invoice.__dict__ }}{{ invoice._object }}") == ""
    assert see("{{ invoice.lines.data[0] }}{{ invoice.lines }}{{ customer.address.city }}") == ""
    assert see("{% for pair in invoice.metadata %}{{ pair[0] }}={{ pair[1] }}{% endfor %}") == "a=1"
    assert see("{% if invoice.shipping_details %}yes{% else %}no{% endif %}") == "no"


def test_values_have_the_form_of_their_field() -> None:
    assert render(
        "customers",
        build_header(),
        creditLimit="{{ customer.metadata.credit }}",
        type="company",
        taxRegistrationNumber="{{ customer.metadata.vat_id | upcase | remove: ' ' }}",
        paymentTermsId="{{ '0C4F2C8A-3F2C-4D0F-9A8E-0123456789AB' }}",
        phoneNumber="Tel. +45 12 34",
        postalCode="dk-2100",
    ) == {
        "creditLimit": Decimal("1250.50"),
        "type": "Company",
        "taxRegistrationNumber": "DE123",
        "paymentTermsId": "0c4f2c8a-3f2c-4d0f-9a8e-0123456789ab",
        "phoneNumber": "+45 12 34",
        "postalCode": "DK-2100",
    }


def test_what_is_too_long_is_cut_and_noted() -> None:
    notes = Notes()

    values = render_noting("salesInvoices", build_header(), notes, {"customerPurchaseOrderReference": "x" * 40})

    assert values == {"customerPurchaseOrderReference": "x" * 34 + "…"}
    assert notes.sentences == ["customerPurchaseOrderReference of invoice A-1 was cut to 35 characters."]


@pytest.mark.parametrize(
    ("field", "template", "reason"),
    [
        ("customerPurchaseOrderReference", "x" * 40, "was cut to 35 characters"),
        ("phoneNumber", "call Ann: 12", "lost its letters"),
        ("email", "Ann <ann@example.com>", "is no e-mail address"),
        ("shipToPostCode", "🎅", "characters that a code can't have"),
    ],
)
def test_what_would_lose_something_fails_where_the_mapping_says_so(field: str, template: str, reason: str) -> None:
    mapping = FieldMapping(field=field, template=template, on_invalid="fail")

    with pytest.raises(Refused, match=reason) as caught:
        render_fields([mapping], "salesInvoices", build_header(), Notes(), of=" of invoice A-1")

    assert caught.value.code == "mapping.value.unfit"
    assert caught.value.message.startswith(f"The mapping of {field} of invoice A-1 can't be used: ")
    assert template in caught.value.fix


def test_blanks_and_composed_letters_are_no_failure() -> None:
    mapping = FieldMapping(field="shipToCity", template=" Ko\u0308ln\n ", on_invalid="fail")

    notes = Notes()

    assert render_fields([mapping], "salesInvoices", build_header(), notes) == {"shipToCity": "Köln"}
    assert len(notes.sentences) == 1


@pytest.mark.parametrize(
    ("entity", "field", "template", "reason"),
    [
        ("salesInvoices", "dueDate", "{{ invoice.created }}", "is no date; write it like 2026-03-01"),
        ("salesInvoices", "dueDate", "0001-01-01", "is no date"),
        ("salesInvoices", "paymentTermsId", "30 days", "is no id (GUID)"),
        ("salesInvoices", "salesperson", "x" * 21, "was cut to 20 characters"),
        ("customers", "creditLimit", "1.234,50", "is no number"),
        ("customers", "creditLimit", "NaN", "is no number"),
        ("customers", "creditLimit", "1E-400000000", "is no number"),
        ("customers", "creditLimit", "0E-400000000", "is no number"),
        ("customers", "creditLimit", "0." + "0" * 500 + "1", "is no number"),
        ("customers", "type", "Robot", "is no member"),
        ("salesInvoices", "dueDate", "{{ 'x' | plus: 1 }}", "line 1, column 10: “x” is no number"),
    ],
)
def test_what_can_not_be_cut_fails_always(entity: Entity, field: str, template: str, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        render(entity, build_header(), **{field: template})

    assert reason in caught.value.message


@pytest.mark.parametrize("entity", ["salesInvoices", "salesCreditMemos"])
@pytest.mark.parametrize("field", ["externalDocumentNumber", "customerId", "totalTaxAmount", "customerRef"])
def test_fields_of_the_hub_are_refused_at_run_time_too(entity: Entity, field: str) -> None:
    with pytest.raises(Refused) as caught:
        render(entity, build_header(), **{field: "x"})

    assert caught.value.code == "mapping.field.unusable"


def test_mappings_of_invoices_serve_credit_memos() -> None:
    notes = Notes()

    templates = {"invoiceDate": "2026-03-01", "shipToName": "Ann", "salesperson": "jr"}

    values = render_noting("salesCreditMemos", build_header(), notes, templates)

    assert values == {"creditMemoDate": "2026-03-01", "salesperson": "JR"}
    assert notes.sentences == ["shipToName was left out: credit memos have no such field in Business Central."]
