"""Who an invoice is for: what it froze, and what its customer says now where it froze nothing."""

from typing import Any

import pytest

from mapping.parties import is_incomplete, read_party
from schemas.stripe_objects import Address, Customer, TaxId
from tests.builders import build_invoice

WHOLE: dict[str, Any] = {
    "customer_name": "Acme GmbH",
    "customer_email": "billing@acme.example",
    "customer_phone": "+49 30 1234",
    "customer_address": {"country": "DE", "city": "Berlin"},
    "customer_tax_ids": [{"type": "eu_vat", "value": "DE123456789"}],
}
LIVE = Customer.model_validate(
    {
        "id": "cus_1",
        "name": "New Name",
        "email": "new@acme.example",
        "phone": "+49 40 1234",
        "address": {"country": "FR", "city": "Lyon"},
        "tax_ids": {"data": [{"type": "eu_vat", "value": "FR12345678901"}]},
    }
)


@pytest.mark.parametrize(
    ("frozen", "name", "live", "words"),
    [
        ({"customer_name": None}, "name", "New Name", "name"),
        ({"customer_email": ""}, "email", "new@acme.example", "e-mail"),
        ({"customer_phone": None}, "phone", "+49 40 1234", "phone"),
        ({"customer_address": None}, "address", Address(country="FR", city="Lyon"), "address"),
        ({"customer_address": {"country": None}}, "address", Address(country="FR", city="Lyon"), "address"),
        ({"customer_tax_ids": []}, "tax_ids", (TaxId(type="eu_vat", value="FR12345678901"),), "tax number"),
        ({"customer_tax_ids": None}, "tax_ids", (TaxId(type="eu_vat", value="FR12345678901"),), "tax number"),
    ],
)  # fmt: skip
def test_what_an_invoice_does_not_say_is_taken_from_its_customer_with_a_note(
    frozen: dict[str, Any], name: str, live: object, words: str
) -> None:
    """The error asks a person to fill it in on the customer: there it is found by the replay."""
    invoice = build_invoice(**(WHOLE | frozen))
    party = read_party(invoice, LIVE)

    assert getattr(party, name) == live
    assert party.note == f"The invoice has no {words}: taken from the Stripe customer as it is now."
    assert is_incomplete(invoice)


def test_what_an_invoice_froze_stands_whatever_its_customer_became() -> None:
    invoice = build_invoice(**WHOLE)
    party = read_party(invoice, LIVE)

    assert (party.name, party.email, party.country) == ("Acme GmbH", "billing@acme.example", "DE")
    assert (party.note, is_incomplete(invoice)) == ("", False)


def test_where_both_say_nothing_there_is_nothing_to_note() -> None:
    invoice = build_invoice(customer_name=None, customer_email=None)

    assert read_party(invoice, Customer(id="cus_1")).note == ""
    assert read_party(invoice).note == ""
