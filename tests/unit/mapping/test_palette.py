import typing
from collections.abc import Iterator
from typing import Any, ForwardRef

import pytest
import stripe

from mapping.palette import PaletteField, Segment, find_problem, list_palette, write_path
from mapping.template_paths import list_references, list_roots
from mapping.templates import TemplateError
from schemas.field_mappings import FieldMapping

ROOTS: dict[str, Any] = {
    "invoice": stripe.Invoice,
    "customer": stripe.Customer,
    "line": stripe.InvoiceLineItem,
    "product": stripe.Product,
    "price": stripe.Price,
}


def list_classes(hint: Any) -> Iterator[Any]:
    """List the classes that a type of the SDK may be: `Optional[List[Tax]]` is Tax."""
    if isinstance(hint, ForwardRef):
        yield getattr(stripe, hint.__forward_arg__, object)
    elif isinstance(hint, str):
        yield getattr(stripe, hint, object)
    elif arguments := typing.get_args(hint):
        for one in arguments:
            yield from list_classes(one)
    elif isinstance(hint, type):
        yield hint


def is_in_sdk(path: str) -> bool:
    root, *names = path.replace("[]", "").split(".")
    owners, is_list = [ROOTS[root]], False
    for name in names:
        if is_list and name == "data":
            continue
        hints = [owner.__annotations__[name] for owner in owners if name in getattr(owner, "__annotations__", {})]
        if not hints:
            return False
        owners = [one for hint in hints for one in list_classes(hint)]
        is_list = any("ListObject" in str(hint) for hint in hints)
    return True


@pytest.mark.parametrize("field", list_palette(), ids=lambda field: field.path)
def test_every_path_is_in_the_pinned_version_of_stripes_api(field: PaletteField) -> None:
    assert is_in_sdk(field.path)


def test_a_path_that_is_not_there_would_be_noticed() -> None:
    assert not is_in_sdk("invoice.paid")
    assert not is_in_sdk("invoice.customer_address.street")


@pytest.mark.parametrize(
    "path",
    [
        ("invoice", "number"),
        ("metadata", "po number"),
        ("customer", "metadata", "vat_id"),
        ("invoice", "parent", "subscription_details", "metadata", "x"),
        ("invoice", "custom_fields", 0, "value"),
        ("invoice", "custom_fields", "first", "value"),
        ("invoice", "custom_fields", None, "value"),
        ("invoice", "custom_fields", "size"),
        ("invoice", "lines", "data", 0, "period", "start"),
        ("customer", "tax_ids", "data", 0, "value"),
        ("customer", "name", "size"),
        ("invoice", None),
        ("invoice", None, "anything"),
        ("price", "recurring", "interval"),
    ],
)
def test_known_paths(path: tuple[Segment, ...]) -> None:
    assert find_problem(path, is_printed=True) == ""


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (("invoice", "nummer"), "there is no invoice.nummer; did you mean invoice.number?"),
        (("invoce", "number"), "there is no invoce.number; did you mean invoice.number?"),
        (("customer", "adress", "city"), "there is no customer.adress.city; did you mean customer.address.city?"),
        (("invoice", "customer", "name"), "invoice.customer is only an id in Stripe; did you mean customer.name?"),
        (("invoice", "custom_fields", "value"), "invoice.custom_fields is a list: name a member"),
        (("invoice", "tax"), "Stripe has no invoice.tax any more; use invoice.total_taxes"),
        (("invoice", "charge", "id"), "Stripe has no invoice.charge any more"),
        (("line", "price", "id"), "Stripe has no line.price any more; use line.pricing.price_details.price, or price"),
        (("invoice", "number", "first"), "there is no invoice.number.first"),
        (("customer", "address"), "customer.address is no single value; name one in it, like customer.address.line1"),
        (
            ("invoice", "metadata"),
            "invoice.metadata is no single value; name one in it, like invoice.metadata.your_key",
        ),
        (("now",), "there is no now"),
    ],
)
def test_unknown_paths_name_the_nearest(path: tuple[Segment, ...], problem: str) -> None:
    assert find_problem(path, is_printed=True).startswith(problem)


def test_groups_may_be_looked_at() -> None:
    assert find_problem(("customer", "address"), is_printed=False) == ""
    assert find_problem(("invoice", "metadata"), is_printed=False) == ""


@pytest.mark.parametrize(
    ("path", "written"),
    [
        (("invoice", "custom_fields", 0, "value"), "invoice.custom_fields[0].value"),
        (("metadata", 'my "key"'), 'metadata["my "key""]'),
        (("line", "taxes", "[]", "amount"), "line.taxes[].amount"),
    ],
)
def test_paths_are_written_as_in_templates(path: tuple[Segment, ...], written: str) -> None:
    assert write_path(path) == written


@pytest.mark.parametrize(
    ("template", "paths"),
    [
        ("{{ invoice.number | append: customer.name }}", "invoice.number customer.name"),
        (
            "{% for f in invoice.custom_fields %}{{ f.nam }}{% endfor %}",
            "invoice.custom_fields invoice.custom_fields[].nam",
        ),
        (
            "{% assign a = invoice.customer_address %}{{ a.city }}",
            "invoice.customer_address invoice.customer_address.city",
        ),
        ("{% assign a = invoice.number | upcase %}{{ a }}{{ a.size }}", "invoice.number"),
        ("{% assign a = invoice %}{% assign a = customer %}{{ a.name }}", "invoice customer"),
        ("{% capture a %}{{ metadata.x }}{% endcapture %}{{ a }}", "metadata.x"),
        (
            "{% for l in invoice.lines.data %}{% for t in l.taxes %}{{ t.a }}{{ forloop }}{% endfor %}{% endfor %}",
            "invoice.lines.data invoice.lines.data[].taxes invoice.lines.data[].taxes[].a",
        ),
        ("{% if customer.name == 'x' %}{{ metadata[invoice.id] }}{% endif %}", "customer.name metadata[] invoice.id"),
        ("{% case invoice.currency %}{% when line.currency %}x{% endcase %}", "invoice.currency line.currency"),
    ],
)
def test_references_are_found_through_variables_and_loops(template: str, paths: str) -> None:
    assert " ".join(write_path(one.path) for one in list_references(template)) == paths


def test_only_what_is_put_out_as_it_is_counts_as_printed() -> None:
    printed = [
        one.is_printed for one in list_references("{{ invoice.a }}{{ invoice.b | size }}{% if invoice.c %}{% endif %}")
    ]

    assert printed == [True, False, False]


def test_roots_tell_what_must_be_gathered() -> None:
    mappings = [
        FieldMapping(field="x", template=text) for text in ("{{ product.name }}", "{{ metadata.a }}{{ line.id }}")
    ]

    assert list_roots(mappings) == {"product", "metadata", "line"}
    assert list_roots([FieldMapping(field="x", template="{{ product")]) == frozenset()


def test_what_can_not_be_parsed_has_no_references() -> None:
    with pytest.raises(TemplateError):
        list_references("{{ a")
