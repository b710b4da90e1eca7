from typing import Any

import pytest

from mapping.customers import build_customer, build_match_values
from schemas.errors import Refused
from schemas.settings import CustomerSettings, MatchPair
from tests.builders import build_invoice, load_sample_invoice


def test_match_values_follow_the_rules_in_order() -> None:
    rules = CustomerSettings(
        match=(
            MatchPair(stripe="id", bc="number"),
            MatchPair(stripe="phone", bc="phoneNumber"),
            MatchPair(stripe="email", bc="email"),
        )
    )
    values = build_match_values(build_invoice(customer_phone="+49 30 12 ext 3"), rules)

    assert [(value.pair.bc, value.value) for value in values] == [
        ("number", "cus_1"),
        ("phoneNumber", "+49 30 12 3"),
        ("email", "billing@acme.example"),
    ]


def test_a_rule_without_a_value_is_left_out() -> None:
    values = build_match_values(build_invoice(customer_email=" ", customer_name="Acme"), CustomerSettings())

    assert [value.words for value in values] == ["name = Acme"]


def test_two_writings_of_a_value_are_claimed_as_one() -> None:
    first = build_match_values(build_invoice(customer_email="Billing@ACME.example "), CustomerSettings())
    second = build_match_values(build_invoice(customer_email="billing@acme.example"), CustomerSettings())

    assert first[0].claim == second[0].claim


def test_what_is_looked_for_is_what_a_new_customer_would_hold() -> None:
    """Otherwise the hub would not find the customer it has created, and would create it again."""
    invoice = build_invoice(customer_name="Very  long\nname " + "x" * 120)
    payload, _ = build_customer(invoice)

    assert payload["displayName"] in {value.value for value in build_match_values(invoice, CustomerSettings())}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"customer": None}, "contact.customer.missing"),
        ({"customer_name": None, "customer_email": None}, "contact.match.no_values"),
        ({"customer_name": " \n", "customer_email": ""}, "contact.match.no_values"),
    ],
)
def test_what_can_not_be_matched_is_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused) as caught:
        build_match_values(build_invoice(**changes), CustomerSettings())
    assert caught.value.code == code
    assert caught.value.fix


def test_a_new_customer_has_what_stripe_knows() -> None:
    payload, notes = build_customer(load_sample_invoice("01"))

    assert payload == {
        "displayName": "Müller & Söhne „Möbel“ GmbH",
        "email": "rechnung@mueller-soehne.example",
        "phoneNumber": "+49 89 5550100",
        "addressLine1": "Fährgasse 7",
        "addressLine2": "2. OG, links",
        "city": "München",
        "country": "DE",
        "postalCode": "80331",
    }
    assert notes == ()


def test_a_new_customer_without_name_is_called_by_its_email() -> None:
    payload, _ = build_customer(build_invoice(customer_name=" \t"))

    assert payload["displayName"] == "billing@acme.example"


def test_a_new_customer_needs_a_name() -> None:
    with pytest.raises(Refused, match="neither name nor e-mail"):
        build_customer(build_invoice(customer_name=None, customer_email=" "))


def test_what_is_too_long_is_cut_or_left_out_and_told() -> None:
    invoice = build_invoice(
        customer_name="n" * 120,
        customer_email="e" * 80 + "@acme.example",
        customer_phone="12345 call Bob 678",
        customer_address={"line1": "Main Street\nBack yard", "city": "c" * 31, "country": "DE"},
    )
    payload, notes = build_customer(invoice)

    assert payload == {
        "displayName": "n" * 99 + "…",
        "phoneNumber": "12345 678",
        "addressLine1": "Main Street Back yard",
        "city": "c" * 29 + "…",
        "country": "DE",
    }
    assert notes == (
        "The customer's name was cut to 100 characters.",
        "The e-mail address is longer than 80 characters and was left out.",
        "Letters were taken out of the phone number.",
        "The address was tidied: line breaks, control characters or extra blanks were taken out.",
        "The city was cut to 30 characters.",
    )


def test_a_phone_number_of_letters_alone_is_left_out() -> None:
    payload, notes = build_customer(build_invoice(customer_phone="none"))

    assert "phoneNumber" not in payload
    assert notes == ("Letters were taken out of the phone number.",)
