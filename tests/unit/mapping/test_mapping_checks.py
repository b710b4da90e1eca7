import pytest

from mapping.mapping_checks import check_templates
from mapping.samples import load_samples
from schemas.field_mappings import FieldMapping, FieldMappings
from schemas.money import get_exponent
from schemas.settings import Settings


def check(section: str, *mappings: tuple[str, str]) -> list[str]:
    made = [{"field": field, "template": template} for field, template in mappings]
    return list(check_templates(Settings.model_validate({"fields": {section: made}})))


@pytest.mark.parametrize(
    ("section", "field", "template"),
    [
        ("customer", "taxRegistrationNumber", "{{ customer.metadata.vat_id | upcase }}"),
        ("customer", "displayName", "{{ customer.name | default: invoice.customer_email }}"),
        ("customer", "type", "{% if customer.tax_ids.data.size > 0 %}Company{% else %}Person{% endif %}"),
        ("invoice", "customerPurchaseOrderReference", "{{ metadata['PO number'] }}"),
        ("invoice", "shipToContact", "{{ invoice.custom_fields | where: 'name', 'PO' | map: 'value' | first }}"),
        ("invoice", "dueDate", "{{ invoice.due_date | date }}"),
        ("invoice", "shipToName", "{{ invoice.shipping_details.name }}"),
        ("line", "description2", "{{ product.metadata.sku }} {{ line.period.start | date: '%d.%m.%y' }}"),
        ("line", "shipmentDate", "{{ line.period.end | date }}"),
    ],
)
def test_good_mappings_pass(section: str, field: str, template: str) -> None:
    assert check(section, (field, template)) == []


@pytest.mark.parametrize(
    ("section", "field", "template", "problem"),
    [
        (
            "invoice",
            "shipToNam",
            "x",
            ": Business Central's salesInvoices have no field shipToNam; did you mean shipTo",
        ),
        ("line", "unitPrice", "1", ": unitPrice can't be mapped: it decides the amount, which is Stripe's to the"),
        ("invoice", "shipToName", "a\n{{ b", ", line 2, column 1: expected '}}', found end of file."),
        ("invoice", "shipToName", "{{ metadata.x | up }}", ", line 1, column 17: there is no filter up; did you mean "),
        ("invoice", "shipToName", "\n{{ invoice.nr }}", ", line 2, column 4: there is no invoice.nr; did you mean "),
        ("invoice", "shipToName", "{{ line.id }}", ", line 1, column 4: line is known in mappings of lines only; "),
        (
            "customer",
            "city",
            "{{ customer.address }}",
            ", line 1, column 4: customer.address is no single value; name ",
        ),
    ],
)
def test_problems_name_mapping_place_and_fix(section: str, field: str, template: str, problem: str) -> None:
    others = {"customer": "state", "invoice": "salesperson", "line": "description"}
    (found,) = check(section, (others[section], "JR"), (field, template))

    assert found.startswith(f"fields.{section}, mapping 2 ({field}){problem}")


@pytest.mark.parametrize(
    ("section", "field", "template", "problem"),
    [
        ("invoice", "dueDate", "{{ invoice.id }}", "is no date; write it like 2026-03-01, with the filter date."),
        (
            "invoice",
            "shipToName",
            "{{ invoice.customer_name | money }}",
            "line 1, column 28: “Acme, Inc.” is no number.",
        ),
        ("customer", "type", "robot", "“robot” is no member of the field."),
        (
            "line",
            "description2",
            "{% for i in (1..9999) %}x{% endfor %}",
            "line 1, column 4: it loops more than 1,000 ",
        ),
    ],
)
def test_what_fails_on_a_sample_is_not_saved(section: str, field: str, template: str, problem: str) -> None:
    (found,) = check(section, (field, template))

    assert found.startswith(f"fields.{section}, mapping 1 ({field}), tried on the sample discounts_usd: ")
    assert problem in found


def test_a_text_that_is_too_long_in_a_sample_may_be_saved() -> None:
    mapping = FieldMapping(field="customerPurchaseOrderReference", template="{{ invoice.id }}" * 3, on_invalid="fail")

    assert check_templates(Settings(fields=FieldMappings(invoice=(mapping,)))) == ()


def test_all_problems_are_told_at_once() -> None:
    fields = FieldMappings(
        customer=(FieldMapping(field="number", template="x"),),
        invoice=(FieldMapping(field="shipToName", template="{{ a.b }} {{ c.d }}"),),
    )

    assert len(check_templates(Settings(fields=fields))) == 3


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("series", ""),
        ("metadata.erp_number", ""),
        ("{{ customer.metadata.erp_number | default: customer.id }}", ""),
        ("C{{ customer.nr }}", "customers.new.number, line 1, column 5: there is no customer.nr; did you mean "),
        ("{{ customer.id", "customers.new.number, line 1, column 1: expected '}}', found end of file."),
        (
            "{{ customer.name | plus: 1 }}",
            "customers.new.number, tried on the sample discounts_usd: line 1, column 20: “",
        ),
    ],
)
def test_the_template_of_customer_numbers_is_checked_too(number: str, problem: str) -> None:
    found = check_templates(Settings.model_validate({"customers": {"new": {"number": number}}}))

    assert "".join(found)[: len(problem)] == problem
    assert bool(found) is bool(problem)


def test_samples_are_varied() -> None:
    samples = load_samples()
    invoices = [sample.invoice for sample in samples]
    lines = [line for invoice in invoices for line in invoice.lines.data]

    assert len(samples) == 8
    assert {get_exponent(invoice.currency) for invoice in invoices} == {0, 2, 3}
    assert any(invoice.total < 0 for invoice in invoices)
    assert any(invoice.shipping_cost for invoice in invoices)
    assert any(invoice.custom_fields for invoice in invoices)
    assert any(invoice.customer_email is None for invoice in invoices)
    assert any(line.discount_amounts for line in lines)
    assert any(line.description is None for line in lines)
    assert len({invoice.id for invoice in invoices}) == len(invoices)
    for sample in samples:
        details = [line.pricing.price_details for line in sample.invoice.lines.data if line.pricing]
        assert {one.product for one in details if one} <= sample.products.keys()
        assert {one.price for one in details if one} <= sample.prices.keys()
        assert sample.customer.id == sample.invoice.customer
