"""Rules applied to a party, and compared with customers of Business Central."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.business_central.models import Customer
from mapping.matching import (
    Seeker,
    Wanted,
    build_wanted,
    choose_among,
    find_contradictions,
    list_index_keys,
)
from mapping.parties import Party, needs_customer, read_customer, read_party
from schemas.customer_settings import IDENTIFYING, CustomerSettings, MatchPair, MatchRule
from schemas.errors import Refused
from schemas.settings import Settings
from schemas.stripe_objects import Address, Shipping, TaxId
from schemas.stripe_objects import Customer as StripeCustomer
from tests.builders import build_customer, build_invoice, build_party, load_sample_invoice
from tests.strategies import TYPED

NAME = MatchPair(stripe="name", bc="displayName")
POSTAL = MatchPair(stripe="address.postal_code", bc="postalCode")


def read_rules(*rules: dict[str, Any]) -> CustomerSettings:
    return CustomerSettings.model_validate({"match": rules})


def apply(party: Party, *rules: dict[str, Any], home: str = "DE") -> tuple[Wanted, ...]:
    return build_wanted(Seeker(party, read_rules(*rules), home))


def contradict(
    party: Party, customer: Customer, wanted: Wanted, *, settings: CustomerSettings | None = None, number: str = ""
) -> tuple[str, ...]:
    return find_contradictions(Seeker(party, settings or CustomerSettings(), "DE", number), customer, wanted)


def test_rules_apply_in_order_and_say_what_they_look_for() -> None:
    party = build_party(phone="+49 30 1234567", address=Address(postal_code="80331", country="DE"))
    wanted = apply(
        party,
        {"stripe": "id", "bc": "number"},
        {"pairs": [{"stripe": "name", "bc": "displayName"}, {"stripe": "address.postal_code", "bc": "postalCode"}]},
        {"stripe": "phone", "bc": "phoneNumber"},
    )

    assert [one.words for one in wanted] == [
        "id = cus_1",
        "name = Acme GmbH and address.postal_code = 80331",
        "phone = +49 30 1234567",
    ]


def test_a_rule_with_a_field_empty_in_stripe_is_left_out() -> None:
    two = {"pairs": [{"stripe": "name", "bc": "displayName"}, {"stripe": "address.postal_code", "bc": "postalCode"}]}
    assert [one.words for one in apply(build_party(), two, {"stripe": "name", "bc": "displayName"})] == [
        "name = Acme GmbH"
    ]


def test_without_any_value_it_says_which_fields_are_missing() -> None:
    with pytest.raises(Refused) as caught:
        build_wanted(Seeker(Party(id="cus_1"), CustomerSettings(), "DE"))
    assert caught.value.code == "contact.match.no_values"
    assert caught.value.message == (
        "The Stripe customer cus_1 can't be matched: Stripe has no email; or tax_id; or name together with "
        "address.postal_code for it."
    )


@pytest.mark.parametrize(
    ("stripe", "bc", "party", "customer"),
    [
        ("email", "email", {"email": "Billing@ACME.example "}, {"email": "x@y.example;billing@acme.example"}),
        (
            "phone",
            "phoneNumber",
            {"phone": "+45 12 34 56 78", "address": Address(country="DK")},
            {"phoneNumber": "12345678", "country": "DK"},
        ),
        ("phone", "phoneNumber", {"phone": "+49 30 1234567"}, {"phoneNumber": "030 / 123 45 67"}),
        (
            "tax_id",
            "taxRegistrationNumber",
            {"tax_ids": (TaxId(type="eu_vat", value="DE123456789"),)},
            {"taxRegistrationNumber": "DE 123 456 789"},
        ),
        (
            "tax_id",
            "taxRegistrationNumber",
            {"tax_ids": (TaxId(type="us_ein", value="1"), TaxId(type="gb_vat", value="GB123456789"))},
            {"taxRegistrationNumber": "123456789", "country": "UK"},
        ),
        ("metadata.debtor", "number", {"metadata": {"debtor": " c0010 "}}, {"number": "C0010"}),
        ("description", "displayName", {"description": "ACME  gmbh"}, {"displayName": "Acme GmbH"}),
        (
            "shipping.phone",
            "phoneNumber",
            {"shipping": Shipping(phone="030 1234567", address=Address(country="DE"))},
            {"phoneNumber": "+49301234567"},
        ),
    ],
)
def test_a_pair_agrees_however_its_sides_are_written(
    stripe: str, bc: str, party: dict[str, Any], customer: dict[str, Any]
) -> None:
    (wanted,) = apply(build_party(**party), {"stripe": stripe, "bc": bc})
    found = build_customer(**customer)

    assert wanted.agrees(found, "DE")
    assert all(keys & list_index_keys(found, "DE") for keys in wanted.list_keys())


@pytest.mark.parametrize(
    ("party", "customer"),
    [
        ({"phone": "+45 12 34 56 78"}, {"phoneNumber": "12345678", "country": "NO"}),
        ({"phone": "12345678", "address": Address(country="DK")}, {"phoneNumber": "12345678"}),
    ],
)
def test_a_telephone_number_of_another_country_does_not_agree(party: dict[str, Any], customer: dict[str, Any]) -> None:
    (wanted,) = apply(build_party(**party), {"stripe": "phone", "bc": "phoneNumber"})
    assert not wanted.agrees(build_customer(**customer), "DE")


def test_all_pairs_of_a_rule_must_agree() -> None:
    two = {"pairs": [{"stripe": "name", "bc": "displayName"}, {"stripe": "address.postal_code", "bc": "postalCode"}]}
    (wanted,) = apply(build_party(address=Address(postal_code="80331")), two)

    assert wanted.agrees(build_customer(postalCode="D-80331"), "DE")
    assert not wanted.agrees(build_customer(postalCode="80332"), "DE")
    assert not wanted.agrees(build_customer(postalCode=""), "DE")


@pytest.mark.parametrize(
    ("ours", "theirs", "agrees"),
    [
        ("Acme", "Acme GmbH", True),
        ("Acme GmbH", "ACME", True),
        ("Acme G.m.b.H.", "Acme GmbH", True),
        ("Acme GmbH", "Acme AG", False),
        ("Acme GmbH", "Acne GmbH", False),
    ],
)
def test_a_legal_form_may_be_optional(ours: str, theirs: str, agrees: bool) -> None:
    rule = {"stripe": "name", "bc": "displayName", "legal_form": "optional"}
    (wanted,) = apply(build_party(name=ours), rule)
    (strict,) = apply(build_party(name=ours), {"stripe": "name", "bc": "displayName"})
    found = build_customer(displayName=theirs)

    assert wanted.agrees(found, "DE") is agrees
    assert all(keys & list_index_keys(found, "DE") for keys in wanted.list_keys()) or not agrees
    assert not strict.agrees(found, "DE")


@given(st.sampled_from(IDENTIFYING), TYPED, st.sampled_from(["", "DE", "DK", "US"]), st.sampled_from(["", "DE", "GB"]))
def test_a_customer_is_found_in_the_index_by_what_it_is_called(field: str, text: str, country: str, home: str) -> None:
    """Whatever was written on one side is found when the other side has the same."""
    party = build_party(metadata={"value": text}, address=Address(country=country or None))
    customer = build_customer(**{"number": "C1", "displayName": "Other", "email": "", field: text, "country": country})
    rule = MatchRule(pairs=(MatchPair.model_validate({"stripe": "metadata.value", "bc": field}),))
    try:
        (wanted,) = build_wanted(Seeker(party, CustomerSettings(match=(rule,)), home))
    except Refused:
        return
    if field != "displayName" or len(text) < 100:
        assert wanted.agrees(customer, home)
        assert all(keys & list_index_keys(customer, home) for keys in wanted.list_keys())


@given(
    st.sampled_from(["displayName", "phoneNumber", "taxRegistrationNumber", "email"]),
    st.text("abAB gmbh.,ag 0123+45-DE", max_size=14),
    st.text("abAB gmbh.,ag 0123+45-DE", max_size=14),
)
def test_agreement_goes_both_ways(field: str, one: str, other: str) -> None:
    form = "optional" if field == "displayName" else "same"
    rule = {"stripe": "metadata.value", "bc": field, "legal_form": form}

    def agrees(ours: str, theirs: str) -> bool:
        try:
            (wanted,) = apply(build_party(metadata={"value": ours}, address=Address(country="DE")), rule)
        except Refused:
            return False
        return wanted.agrees(build_customer(**{"country": "DE", field: theirs}), "DE")

    assert agrees(one, other) == agrees(other, one)


def test_a_long_name_is_found_as_a_new_customer_holds_it() -> None:
    (wanted,) = apply(build_party(name="n" * 120), {"stripe": "name", "bc": "displayName"})
    assert wanted.agrees(build_customer(displayName="n" * 99 + "…"), "DE")


def test_two_writings_of_a_value_have_one_claim_and_two_values_have_two() -> None:
    rule = {"stripe": "email", "bc": "email"}
    (one,), (other,), (third,) = (
        apply(build_party(email=email), rule)
        for email in ("Billing@ACME.example", "billing@acme.example ", "b@x.example")
    )
    assert one.claims == other.claims != third.claims


@pytest.mark.parametrize(
    ("party", "customer", "words"),
    [
        (
            {"tax_ids": (TaxId(type="eu_vat", value="DE1234567"),)},
            {"taxRegistrationNumber": "DE7654321"},
            "its tax number is DE7654321, and DE1234567 in Stripe",
        ),
        ({"address": Address(country="AT")}, {"country": "DE"}, "its country is DE, and AT in Stripe"),
        (
            {"address": Address(postal_code="80331")},
            {"postalCode": "1010"},
            "its postal code is 1010, and 80331 in Stripe",
        ),
    ],
)
def test_what_both_sides_know_must_not_differ(party: dict[str, Any], customer: dict[str, Any], words: str) -> None:
    (wanted,) = apply(build_party(**party), {"stripe": "name", "bc": "displayName"})
    assert contradict(build_party(**party), build_customer(**customer), wanted) == (words,)


@pytest.mark.parametrize(
    ("party", "customer"),
    [
        ({}, {"taxRegistrationNumber": "DE7654321", "country": "DE"}),
        ({"tax_ids": (TaxId(type="eu_vat", value="DE1234567"),)}, {}),
        ({"tax_ids": (TaxId(type="eu_vat", value="DE1234567"),)}, {"taxRegistrationNumber": "1234567"}),
        ({"tax_ids": (TaxId(type="eu_vat", value="ATU1234567"),)}, {"taxRegistrationNumber": "DE7654321"}),
        ({"address": Address(country="GR")}, {"country": "EL"}),
        ({"address": Address(country="GR")}, {"country": "GRIECH"}),
        ({"shipping": Shipping(address=Address(country="FR"))}, {"country": "DE"}),
        ({"address": Address(postal_code="80331")}, {"postalCode": "D-80331"}),
    ],
)
def test_what_only_one_side_knows_is_no_contradiction(party: dict[str, Any], customer: dict[str, Any]) -> None:
    (wanted,) = apply(build_party(**party), {"stripe": "name", "bc": "displayName"})
    assert contradict(build_party(**party), build_customer(**customer), wanted) == ()


def test_a_customer_found_by_its_address_may_have_moved() -> None:
    party = build_party(address=Address(postal_code="80331"))
    (wanted,) = apply(party, {"stripe": "email", "bc": "email"})
    assert contradict(party, build_customer(postalCode="10115"), wanted) == ()


@pytest.mark.parametrize(
    ("ours", "theirs", "differ"),
    [
        ("Acme GmbH", "ACME Deutschland Vertrieb GmbH", True),
        ("Nordlicht GmbH", "Nordlihct GmbH", True),
        ("Acme GmbH", "Acme AG", True),
        ("Acme", "ACME G.m.b.H.", False),
        ("Anna Berg", "Berg, Anna", False),
        ("", "Acme GmbH", False),
        ("Acme Software GmbH", "Nordlicht Software GmbH", True),
        ("Anna Berg", "Acme GmbH", True),
    ],
)
def test_an_address_shared_by_two_names_is_no_proof(ours: str, theirs: str, differ: bool) -> None:
    party, customer = build_party(name=ours), build_customer(displayName=theirs)
    (by_email,) = apply(party, {"stripe": "email", "bc": "email"})
    (by_id,) = apply(party, {"stripe": "id", "bc": "number"})

    assert bool(contradict(party, customer, by_email)) is differ
    assert contradict(party, customer, by_id) == ()
    lax = CustomerSettings(must_not_differ=("tax_id",))
    assert contradict(party, customer, by_email, settings=lax) == ()


def test_a_number_in_stripe_contradicts_a_customer_of_another() -> None:
    (wanted,) = apply(build_party(), {"stripe": "email", "bc": "email"})
    assert contradict(build_party(), build_customer(), wanted, number="c00010") == ()
    assert contradict(build_party(), build_customer(), wanted, number="C9") == (
        "its number is C00010, and C9 in Stripe",
    )


def test_several_are_chosen_among_only_if_settings_say_so() -> None:
    old, new = build_customer(number="C9"), build_customer(number="C10")

    assert choose_among([new], "stop") is new
    assert choose_among([new, old], "stop") is None
    assert choose_among([new, old], "oldest") is old
    assert choose_among([old, new], "first") is new
    assert choose_among([new, build_customer(number="C1", blocked="All")], "oldest") is new


def test_a_number_in_the_metadata_comes_before_all_rules() -> None:
    settings = CustomerSettings(number_key="debtor")
    wanted = build_wanted(Seeker(build_party(), settings, "DE", "c00010"))

    assert [one.words for one in wanted] == [
        "metadata.debtor = c00010",
        "email = billing@acme.example",
    ]
    assert wanted[0].agrees(build_customer(), "DE")
    assert not wanted[0].agrees(build_customer(number="C00011"), "DE")
    assert len(build_wanted(Seeker(Party(id="cus_1"), settings, "DE", "c00010"))) == 1


def test_a_party_is_what_the_invoice_froze_and_only_the_rest_is_the_customers_own() -> None:
    invoice = load_sample_invoice("01")
    customer = StripeCustomer.model_validate(
        {"id": invoice.customer, "email": "new@x.example", "metadata": {"a": "b"}, "business_name": "Biz"}
    )
    party = read_party(invoice, customer)

    assert party.email == invoice.customer_email
    assert (party.metadata, party.business_name, party.country) == ({"a": "b"}, "Biz", "DE")
    assert read_customer(customer).email == "new@x.example"


def test_an_invoice_for_nobody_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        read_party(build_invoice(customer=None))
    assert caught.value.code == "contact.customer.missing"


@pytest.mark.parametrize(
    ("customers", "template", "needed"),
    [
        ({}, "", False),
        ({"match": [{"stripe": "tax_id", "bc": "taxRegistrationNumber"}]}, "", False),
        ({"match": [{"stripe": "metadata.no", "bc": "number"}]}, "", True),
        ({"match": [{"stripe": "description", "bc": "displayName"}]}, "", True),
        ({"number_key": "debtor"}, "", True),
        ({"new": {"number": "metadata.debtor"}}, "", True),
        ({"new": {"number": "{{ customer.metadata.debtor }}"}}, "", True),
        ({"new": {"type": "detect"}}, "", True),
        ({}, "{{ customer.metadata.site }}", True),
        ({}, "{{ invoice.customer_email }}", False),
    ],
)
def test_the_customer_is_fetched_only_if_something_looks_at_it(
    customers: dict[str, Any], template: str, needed: bool
) -> None:
    mapped = [{"field": "website", "template": template}] if template else []
    settings = Settings.model_validate({"customers": customers, "fields": {"customer": mapped}})
    assert needs_customer(settings) is needed


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"match": [{"stripe": "address.city", "bc": "city"}]}, "tell nobody apart"),
        ({"match": [{"stripe": "fax", "bc": "email"}]}, "pattern"),
        ({"match": [{"stripe": "email", "bc": "email", "legal_form": "optional"}]}, "legal_form is of names"),
        ({"match": []}, "at least 1"),
        ({"write_number": True}, "needs the number_key"),
        ({"keep_in_step": ["email", "email"]}, "once"),
        ({"new": {"by_country": {"Germany": {}}}}, "pattern"),
        ({"new": {"defaults": {"country": "UK"}}}, "under by_country"),
    ],
)
def test_settings_that_make_no_sense_are_not_saved(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CustomerSettings.model_validate(settings)


def test_rules_are_written_as_they_are_read() -> None:
    written = {
        "match": [
            {"stripe": "email", "bc": "email", "legal_form": "same"},
            {
                "pairs": [
                    {"stripe": "name", "bc": "displayName", "legal_form": "optional"},
                    {"stripe": "address.postal_code", "bc": "postalCode", "legal_form": "same"},
                ]
            },
        ]
    }
    settings = Settings.model_validate({"customers": written})
    assert settings.model_dump(mode="json")["customers"]["match"] == written["match"]
    assert Settings.model_validate_json(settings.model_dump_json()) == settings
