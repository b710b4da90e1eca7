import pytest

from mapping.field_values import build_context, render_fields
from mapping.sheet import put_countries_first
from mapping.text import Notes
from schemas.field_mappings import FieldMapping
from tests.builders import build_invoice


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        ("displayName city postalCode country", "displayName country city postalCode"),
        ("customerId shipToCity shipToName shipToCountry", "customerId shipToCountry shipToCity shipToName"),
        ("sellToCity shipToState shipToCountry", "sellToCity shipToCountry shipToState"),
        ("taxRegistrationNumber email country", "country taxRegistrationNumber email"),
        ("billToPostCode billToCountry", "billToCountry billToPostCode"),
        ("customerId shipToCity currencyCode", "customerId shipToCity currencyCode"),
        ("shipToCountry customerId", "shipToCountry customerId"),
    ],
)  # fmt: skip
def test_a_country_comes_before_what_its_change_would_clear(given: str, ordered: str) -> None:
    """Business Central may validate in this order: a country clears city, state and post code, and judges a number."""
    fields = dict.fromkeys(given.split(), "x")

    assert " ".join(put_countries_first(fields)) == ordered
    assert put_countries_first(fields) == fields


def test_mappings_come_in_their_own_order() -> None:
    mappings = [FieldMapping(field=name, template="x") for name in ("shipToName", "salesperson", "shipToCity")]

    values = render_fields(mappings, "salesInvoices", build_context(build_invoice()), Notes())

    assert list(values) == ["shipToName", "salesperson", "shipToCity"]
