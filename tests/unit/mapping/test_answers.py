"""What was asked for, held against what Business Central made of it."""

from decimal import Decimal
from typing import Any

import pytest

from mapping.answers import build_mend, compare_answer, describe_differences, name_field
from mapping.bc_fields import Entity

LILLESTROM = {
    "displayName": "Fjell AS",
    "country": "NO",
    "taxRegistrationNumber": "NO 987 654 321 MVA",
    "addressLine1": "Storgata 1",
    "city": "Lillestrøm",
    "postalCode": "2000",
}
FREDERIKSBERG = LILLESTROM | {"country": "DK", "city": "Frederiksberg"}


def test_what_a_foreign_post_code_changed_is_mended_without_it() -> None:
    """A Danish company's list has 2000 for Frederiksberg: country and city go back, and the code would undo it."""
    differences = compare_answer("customers", LILLESTROM, FREDERIKSBERG)

    assert [(one.name, one.made, one.verdict) for one in differences] == [
        ("country", "DK", "mend"),
        ("city", "Frederiksberg", "mend"),
    ]
    assert list(build_mend(LILLESTROM, differences).items()) == [("country", "NO"), ("city", "Lillestrøm")]


def test_a_country_that_comes_back_takes_the_city_along() -> None:
    """The change of country clears the city, also where the city was right."""
    differences = compare_answer("customers", LILLESTROM, LILLESTROM | {"country": "DK"})

    assert build_mend(LILLESTROM, differences) == {"country": "NO", "city": "Lillestrøm"}


def test_a_post_code_that_is_gone_is_told_and_not_sent_again() -> None:
    differences = compare_answer("customers", LILLESTROM, LILLESTROM | {"postalCode": ""})

    assert build_mend(LILLESTROM, differences) == {}
    assert describe_differences("Customer C00010", differences) == (
        "Customer C00010 is not quite as in Stripe: the postal code 2000 was left out. Business Central changed it by "
        "its own rules; check it there."
    )


@pytest.mark.parametrize(
    ("entity", "name", "asked", "made"),
    [
        ("customers", "displayName", "Fjell AS", "Another AS"),
        ("customers", "number", "C00010", "C00011"),
        ("salesInvoices", "customerId", "a-1", "a-2"),
        ("salesInvoices", "externalDocumentNumber", "A-1", "A-2"),
        ("salesInvoices", "currencyCode", "EUR", "DKK"),
        ("salesCreditMemos", "currencyCode", "EUR", "DKK"),
        ("salesInvoiceLines", "unitPrice", Decimal("1.00"), Decimal("2.00")),
        ("salesInvoiceLines", "quantity", 1, 0),
    ],
)
def test_who_is_billed_and_how_much_is_no_detail(entity: Entity, name: str, asked: Any, made: Any) -> None:
    (difference,) = compare_answer(entity, {name: asked}, {name: made})

    assert difference.verdict == "fail"
    assert build_mend({name: asked}, [difference]) == {}


@pytest.mark.parametrize(
    ("name", "asked", "made"),
    [
        ("taxRegistrationNumber", "de123456789", "DE123456789"),
        ("paymentTermsId", "ABC-1", "abc-1"),
        ("postalCode", "1012ab", "1012 AB"),
        ("city", "Kobenhavn K.", "KOBENHAVN K"),
        ("country", "dk", "DK"),
        ("type", "Company", "company"),
        ("addressLine1", "Storgata 1 ", "Storgata 1"),
        ("taxLiable", True, True),
    ],
)
def test_another_writing_is_no_difference(name: str, asked: Any, made: Any) -> None:
    assert compare_answer("customers", {name: asked}, {name: made}) == ()


def test_what_an_answer_does_not_show_is_not_compared() -> None:
    asked = {"customerId": "a", "salesInvoiceLines": [{"quantity": 1}]}

    assert compare_answer("salesInvoices", asked, {"id": "x", "salesInvoiceLines": []}) == ()


def test_each_address_of_a_document_is_mended_for_itself() -> None:
    asked = {"sellToCountry": "NO", "sellToCity": "Oslo", "shipToCountry": "NO", "shipToCity": "Lillestrøm"}

    differences = compare_answer("salesInvoices", asked, asked | {"shipToCountry": "DK", "shipToCity": "Frederiksberg"})

    assert build_mend(asked, differences) == {"shipToCountry": "NO", "shipToCity": "Lillestrøm"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sellToPostCode", "sell-to post code"),
        ("addressLine2", "address line 2"),
        ("taxRegistrationNumber", "tax number"),
    ],
)
def test_fields_are_named_as_people_do(name: str, words: str) -> None:
    assert name_field(name) == words


def test_a_reference_is_not_told_by_its_id() -> None:
    differences = compare_answer("customers", {"paymentTermsId": "a"}, {"paymentTermsId": "b"})

    assert differences[0].words == "it has another value than asked for in payment terms"
    assert build_mend({"paymentTermsId": "a"}, differences) == {"paymentTermsId": "a"}
