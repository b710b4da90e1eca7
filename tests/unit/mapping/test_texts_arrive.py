"""Whatever people type in Stripe arrives in Business Central unharmed, or with a note; it never makes a 400."""

import string
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from connectors.business_central.exact_json import build_json
from connectors.business_central.odata import build_equals_any, build_url
from mapping.customers import build_new_customer
from mapping.field_values import build_context, render_fields
from mapping.parties import read_party
from mapping.sales_documents import CustomerView, MappedDocument, build_document
from mapping.text import Notes, fit_code, fit_text, tidy
from schemas.settings import Settings
from schemas.stripe_objects import Customer, Invoice
from simulators.business_central.entities import ENTITIES
from simulators.business_central.odata_filter import parse_filter
from simulators.business_central.values import read_body
from tests.builders import build_books, build_invoice, build_line, build_materials
from tests.strategies import TYPED

CUSTOMER = CustomerView(id="0c4f2c8a-3f2c-4d0f-9a8e-0123456789ab")
HEADER = {"memo": True, "footer": True, "custom_fields": True, "sell_to_address": "invoice"}
MAPPED: dict[str, Any] = {
    "invoice": [
        {"field": "customerPurchaseOrderReference", "template": "{{ metadata.po }}"},
        {"field": "shipToContact", "template": "{{ customer.name }} / {{ metadata.po | upcase }}"},
        {"field": "phoneNumber", "template": "{{ invoice.customer_phone }}"},
        {"field": "email", "template": "{{ invoice.customer_email }}"},
        {"field": "sellToPostCode", "template": "{{ metadata.po }}"},
    ],
    "line": [{"field": "description2", "template": "{{ line.description }}"}],
}
LONG_TEXTS = st.sampled_from(["comments", "cut"])


@st.composite
def invoices(draw: st.DrawFn) -> Invoice:
    address = {part: draw(st.none() | TYPED) for part in ("line1", "line2", "city", "postal_code", "state")}
    lines = [build_line(description=draw(st.none() | TYPED)) for _ in range(draw(st.integers(1, 3)))]
    return build_invoice(
        lines=lines,
        customer_name=draw(TYPED),
        customer_email=draw(TYPED),
        customer_phone=draw(TYPED),
        customer_address=address,
        shipping_details={"name": draw(TYPED), "address": {**address, "line1": draw(TYPED)}},
        description=draw(TYPED),
        footer=draw(TYPED),
        custom_fields=[{"name": draw(TYPED), "value": draw(TYPED)}],
        metadata={"po": draw(TYPED)},
    )


def map_invoice(invoice: Invoice, long_text: str = "comments") -> MappedDocument:
    header = {"lines": {"type": "Account", "number": "6110"}, "header": HEADER, "text": {"long_text": long_text}}
    settings = Settings.model_validate({"invoices": header, "fields": MAPPED})
    customer = Customer(id="cus_1", name=invoice.customer_name)
    materials = build_materials(books=build_books(payment_terms={}), customer=customer)
    return build_document(invoice, settings, materials, CUSTOMER)


def accept(payload: dict[str, Any]) -> None:
    """Let the simulator read a payload, as its own checks have it, after it went over the wire."""
    build_json(payload).encode()
    read_body(ENTITIES["salesInvoices"], payload, frozenset({"salesInvoiceLines"}))
    for line in payload["salesInvoiceLines"]:
        read_body(ENTITIES["salesInvoiceLines"], line)


@given(invoices(), LONG_TEXTS)
def test_no_text_of_an_invoice_is_refused(invoice: Invoice, long_text: str) -> None:
    accept(map_invoice(invoice, long_text).payload)


@given(invoices())
def test_descriptions_memo_and_footer_arrive_whole(invoice: Invoice) -> None:
    payload = map_invoice(invoice).payload
    arrived = "".join(line["description"] for line in payload["salesInvoiceLines"]).replace(" ", "")

    for text in (*(line.description for line in invoice.lines.data), invoice.description, invoice.footer):
        assert tidy(text or "").replace(" ", "") in arrived


@given(TYPED)
def test_a_reference_arrives_unharmed_or_with_a_note(text: str) -> None:
    mapped = map_invoice(build_invoice(metadata={"po": text}))

    arrived = mapped.payload.get("customerPurchaseOrderReference", "")
    assert (
        arrived == text
        or any(note.startswith("customerPurchaseOrderReference") for note in mapped.notes)
        or not tidy(text)
    )


@given(invoices())
def test_no_text_of_a_new_customer_is_refused(invoice: Invoice) -> None:
    named = invoice.model_copy(update={"customer_name": f"A{invoice.customer_name}"})

    made = build_new_customer(read_party(named), Settings(), build_books(), named)

    build_json(made.payload).encode()
    read_body(ENTITIES["customers"], made.payload)
    for field, text in (("email", invoice.customer_email), ("phoneNumber", invoice.customer_phone)):
        assert made.payload.get(field, "") == text or made.notes


TEMPLATES = {
    "displayName": "{{ customer.name }}",
    "email": "{{ customer.email }}",
    "phoneNumber": "{{ customer.phone }}",
    "postalCode": "{{ customer.address.postal_code }}",
    "website": "{{ customer.description }}",
    "taxRegistrationNumber": "{{ customer.tax_ids.data[0].value }}",
}


@given(st.lists(TYPED, min_size=5, max_size=5))
def test_no_text_of_a_mapped_customer_is_refused(texts: list[str]) -> None:
    name, email, phone, postal_code, other = texts
    customer = Customer.model_validate(
        {
            "id": "cus_1",
            "name": name,
            "email": email,
            "phone": phone,
            "description": other,
            "address": {"postal_code": postal_code},
            "tax_ids": {"data": [{"type": "eu_vat", "value": other}]},
        }
    )
    mappings = Settings.model_validate(
        {"fields": {"customer": [{"field": field, "template": text} for field, text in TEMPLATES.items()]}}
    ).fields.customer

    payload = render_fields(mappings, "customers", build_context(customer=customer), Notes())

    build_json(payload).encode()
    read_body(ENTITIES["customers"], payload)


def find(field: str, wanted: str, records: list[str]) -> list[str]:
    """Ask as the hub does for records whose field has a value, and let the simulator read the question."""
    url = build_url("http://bc", "customers", filter=build_equals_any(field, [wanted]))
    question = URL(url, encoded=True).query["$filter"]
    node = parse_filter(question, ENTITIES["customers"])
    return [record for record in records if node.test({field: record})]


@pytest.mark.parametrize("sign", string.printable)
def test_every_printable_sign_can_be_looked_for(sign: str) -> None:
    name = f"A{sign}B{sign * 2}'{sign}"

    assert find("displayName", name, [name, "other"]) == [name]


@given(TYPED)
def test_a_customer_is_found_by_the_name_that_it_was_given(text: str) -> None:
    name = fit_text(text, 100, "The name", Notes())

    assert find("displayName", name, [name, name + "x"]) in ([name], [name, name + "x"] if "*" in name else [name])


@given(TYPED)
def test_a_customer_is_found_by_its_number(text: str) -> None:
    number = fit_code(text, 20, "The number", Notes())

    assert number in find("number", number, [number])


@given(TYPED)
def test_what_is_kept_of_a_name_reads_the_same(text: str) -> None:
    """Letters and digits arrive in their order, marks apart; only an end may be missing."""
    notes = Notes()
    arrived = fit_text(text, 100, "The name", notes)

    def spell(value: str) -> str:
        return "".join(char for char in unicodedata.normalize("NFD", value) if char.isalnum())

    assert spell(text).startswith(spell(arrived.removesuffix("…")))
    assert spell(arrived) == spell(text) or notes.losses
