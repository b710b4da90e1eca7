"""What may be left out of a record that Business Central refuses, and what may not."""

from typing import Any

import pytest

from connectors.business_central.refusals import find_code, read_facts
from mapping.bc_fields import Entity, get_field
from mapping.optional_fields import ESSENTIAL, MOST_ROUNDS, leave_out, list_kept
from schemas.errors import Refused
from schemas.field_mappings import FieldMapping

CUSTOMER = {
    "displayName": "Fjell AS",
    "country": "NO",
    "taxRegistrationNumber": "NO 987 654 321 MVA",
    "phoneNumber": "+47 1234",
    "email": "a@fjell.example",
    "addressLine2": "x" * 51,
    "postalCode": "2000",
}
INVOICE = {
    "externalDocumentNumber": "A-1",
    "customerId": "c-1",
    "shipToName": "Lager",
    "shipToCountry": "XX",
    "shipToCity": "Oslo",
    "sellToPostCode": "2000",
    "customerPurchaseOrderReference": "PO 1",
    "salesInvoiceLines": [{"quantity": 1}],
}


UNKNOWN_COUNTRY = (
    "The field {} of table Sales Header contains a value (XX) that cannot be found in the related table "
    "(Country/Region)."
)


def build_refusal(sentence: str, provider_code: str = "Application_DialogException") -> Refused:
    """As the connector makes it of Business Central's answer."""
    return Refused(sentence, code=find_code(provider_code, sentence), context=read_facts(sentence))


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        ("Phone No. must not contain letters in Customer No.=''.", "phoneNumber"),
        ('The email address "a@fjell.example" is not valid.', "email"),
        ("The length of the string is 51, but it must be less than or equal to 50 characters.", "addressLine2"),
        ("The Post Code 2000 is not valid for this country.", "postalCode"),
        ("The following formats are acceptable: DE#########, DE ### ### ###", "taxRegistrationNumber"),
    ],
)
def test_what_a_refusal_is_about_is_left_out_with_a_note(sentence: str, left: str) -> None:
    smaller = leave_out("customers", CUSTOMER, build_refusal(sentence))

    assert smaller is not None
    assert smaller.payload == {name: value for name, value in CUSTOMER.items() if name != left}
    assert CUSTOMER[left] in smaller.note
    assert "left out" in smaller.note


@pytest.mark.parametrize(
    "sentence",
    [
        "Gen. Bus. Posting Group must have a value in Customer: No.=C00010. It cannot be zero or empty.",
        UNKNOWN_COUNTRY.format("Country/Region Code"),
        "You may not enter numbers manually.",
        "Something that an extension says about this customer.",
        "The length of the string is 99, but it must be less than or equal to 50 characters.",
        "Name must have a value in Customer.",
    ],
)
def test_nothing_is_left_out_where_it_is_essential_or_not_said(sentence: str) -> None:
    assert leave_out("customers", CUSTOMER, build_refusal(sentence)) is None


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        (UNKNOWN_COUNTRY.format("Ship-to Country/Region Code"), ["shipToName", "shipToCountry", "shipToCity"]),
        ("Your Reference must not contain letters.", ["customerPurchaseOrderReference"]),
        ("The Post Code 2000 is not valid.", ["sellToPostCode"]),
        ("Ship-to City must have a value in Sales Header.", ["shipToCity"]),
    ],
)  # fmt: skip
def test_a_document_loses_an_address_whose_country_is_refused_or_the_one_field(sentence: str, left: list[str]) -> None:
    smaller = leave_out("salesInvoices", INVOICE, build_refusal(sentence))

    assert smaller is not None
    assert [name for name in INVOICE if name not in smaller.payload] == left


def test_a_tax_number_is_written_as_the_refusal_lists_it_once() -> None:
    """If that is refused as well, it is left out."""
    refusal = build_refusal("The following formats are acceptable: #########MVA")
    first = leave_out("customers", CUSTOMER, refusal)
    assert first is not None
    assert first.payload == CUSTOMER | {"taxRegistrationNumber": "987654321MVA"}
    assert first.note == "The tax number NO 987 654 321 MVA was written as 987654321MVA, as Business Central takes it."

    second = leave_out("customers", first.payload, refusal)
    assert second is not None
    assert "taxRegistrationNumber" not in second.payload


def test_what_the_settings_say_must_arrive_whole_is_never_left_out() -> None:
    kept = list_kept([FieldMapping(field="phoneNumber", template="x", on_invalid="fail")])
    refusal = build_refusal("Phone No. must not contain letters in Customer No.=''.")

    assert leave_out("customers", CUSTOMER, refusal, kept=kept) is None


def test_every_round_makes_less_of_it() -> None:
    payload: dict[str, Any] = dict(CUSTOMER)
    refusal = build_refusal("The following formats are acceptable: #########MVA")
    for _ in range(MOST_ROUNDS):
        smaller = leave_out("customers", payload, refusal)
        if smaller is None:
            break
        payload = smaller.payload
    assert "taxRegistrationNumber" not in payload


@pytest.mark.parametrize("entity", ["customers", "salesInvoices", "salesCreditMemos"])
def test_what_is_essential_exists(entity: Entity) -> None:
    lines = {"salesInvoiceLines", "salesCreditMemoLines"}
    others: tuple[Entity, ...] = ("salesInvoices", "salesCreditMemos")
    for name in ESSENTIAL[entity] - lines:
        assert any(get_field(one, name) for one in (entity, *others)), name
