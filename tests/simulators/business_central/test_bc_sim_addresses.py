"""Tax numbers and post codes: checked and completed in the order of the fields, as the base application does."""

from typing import Any

import pytest

from simulators.business_central.microsoft_tables import VAT_FORMATS
from tests.simulators.business_central.books import Books

DANISH = {"DK": "2000=Frederiksberg; 1500-1799=København V", "SE": "2000=Skåne|Skåne län; 3000=Alpha; 3000=Beta"}


@pytest.fixture
async def danish(books: Books) -> Books:
    await books.seed(information={"country": "DK"}, vatFormats=VAT_FORMATS, postCodes=DANISH)
    return books


async def test_a_tax_number_is_checked_against_the_country_that_is_there_so_far(danish: Books) -> None:
    body = {"displayName": "X", "taxRegistrationNumber": "DE123456789", "country": "DE"}
    error = await danish.refused("POST", "customers", body)
    assert error == (400, "Application_DialogException", "The following formats are acceptable: DK########, ########")
    assert (await danish.customer(country="DE", taxRegistrationNumber="de123456789"))["taxRegistrationNumber"] == (
        "DE123456789"
    )
    await danish.control("POST", "answers", {"order": "page"})
    assert (await danish.ok("POST", "customers", body))["country"] == "DE"


@pytest.mark.parametrize(
    ("country", "number", "fits"),
    [
        ("NO", "987654321MVA", False),
        ("NO", "NO 987 654 321 MVA", True),
        ("NO", "987654321", True),
        ("GB", "XI123456789", False),
        ("GB", "GB980780684", True),
        ("FR", "FRAB123456789", False),
        ("FR", "FR12123456789", True),
        ("NL", "NL123456789B12", True),
        ("ES", "ESB12345678", True),
        ("SG", "12-3456789-X", True),
        ("US", "anything", True),
    ],
)
async def test_the_standard_formats_decide(danish: Books, country: str, number: str, fits: bool) -> None:
    answer = await danish.call(
        "POST", "customers", {"displayName": "X", "country": country, "taxRegistrationNumber": number}
    )
    assert answer.is_success is fits, answer.text


async def test_a_long_list_of_formats_ends_in_dots(danish: Books) -> None:
    await danish.seed(vatFormats={"ES": "; ".join(f"ES{number:016}" for number in range(18))})
    error = await danish.refused(
        "POST", "customers", {"displayName": "X", "country": "ES", "taxRegistrationNumber": "Y"}
    )
    assert error[2].endswith("...")
    assert len(error[2]) < 300


async def test_a_change_of_number_or_country_names_the_customer(danish: Books) -> None:
    customer = await danish.customer(country="DE", taxRegistrationNumber="DE123456789")
    path = f"customers({customer['id']})"
    error = await danish.refused("PATCH", path, {"taxRegistrationNumber": "DE1"})
    assert error[2] == (
        f"The entered VAT Registration number for Customer {customer['number']} is not in agreement with the format "
        "specified for Country/Region Code DE.\\The following formats are acceptable: DE#########, #########"
    )
    assert "Country/Region Code FR" in (await danish.refused("PATCH", path, {"country": "FR"}))[2]
    changed = await danish.ok("PATCH", path, {"taxRegistrationNumber": "", "country": "FR"})
    assert (changed["taxRegistrationNumber"], changed["country"]) == ("", "FR")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"country": "NO", "city": "Lillestrøm", "postalCode": "2000"}, ("DK", "Frederiksberg", "")),
        ({"country": "NO", "postalCode": "2000", "city": "Lillestrøm"}, ("DK", "Lillestrøm", "")),
        ({"postalCode": "2000", "country": "NO", "city": "Lillestrøm"}, ("NO", "Lillestrøm", "")),
        ({"country": "SE", "postalCode": "2000"}, ("SE", "Skåne", "Skåne län")),
        ({"country": "SE", "city": "beta", "postalCode": "3000"}, ("SE", "Beta", "")),
        ({"country": "SE", "city": "Gamma", "postalCode": "3000"}, ("SE", "Alpha", "")),
        ({"country": "NO", "city": "Oslo", "postalCode": "0150"}, ("NO", "Oslo", "")),
        ({"country": "NO", "postalCode": "150*"}, ("DK", "København V", "")),
    ],
)
async def test_a_post_code_of_any_country_brings_city_county_and_country(
    danish: Books, sent: dict[str, str], kept: tuple[str, str, str]
) -> None:
    customer = await danish.ok("POST", "customers", {"displayName": "X"} | sent)
    assert (customer["country"], customer["city"], customer["state"]) == kept


async def test_by_page_the_city_comes_first_and_the_post_code_last(danish: Books) -> None:
    await danish.control("POST", "answers", {"order": "page"})
    customer = await danish.customer(postalCode="2000", city="Lillestrøm", country="NO")
    assert (customer["country"], customer["city"], customer["postalCode"]) == ("DK", "Frederiksberg", "2000")


async def test_the_template_is_chosen_by_the_country_that_the_post_code_brought(danish: Books) -> None:
    groups = {"genBusPostingGroup": "DOMESTIC", "vatBusPostingGroup": "DOMESTIC", "customerPostingGroup": "DOMESTIC"}
    await danish.seed(templates=[{"code": "DK", "countries": ["DK"], **groups}])
    moved = await danish.customer(country="NO", postalCode="2000")
    assert (await danish.ok("POST", "salesInvoices", {"customerId": moved["id"]}))["status"] == "Draft"
    for lost in (await danish.customer(country="NO"), await danish.customer(country="")):
        error = await danish.refused("POST", "salesInvoices", {"customerId": lost["id"]})
        key = f"Customer: No.={lost['number']}"
        text = f"Gen. Bus. Posting Group must have a value in {key}. It cannot be zero or empty."
        assert error == (400, "Application_FieldValidationException", text)


async def _invoice(books: Books, **header: Any) -> dict[str, Any]:
    return await books.ok("POST", "salesInvoices", {"customerNumber": "10000"} | header)


async def test_a_document_s_post_code_is_completed_too_and_ship_to_follows_sell_to(danish: Books) -> None:
    made = await _invoice(danish, sellToCountry="NO", sellToCity="Lillestrøm", sellToPostCode="2000")
    assert (made["sellToCountry"], made["sellToCity"]) == ("DK", "Frederiksberg")
    assert (made["billToCountry"], made["billToCity"]) == ("DK", "Frederiksberg")
    assert (made["shipToCountry"], made["shipToCity"]) == ("DK", "Frederiksberg")
    other = await _invoice(danish, shipToCountry="NO", shipToPostCode="2000", sellToCity="Bonn")
    assert (other["shipToCountry"], other["shipToCity"], other["sellToCity"]) == ("DK", "Frederiksberg", "Bonn")


async def test_a_document_s_country_empties_the_state_where_addresses_have_none(danish: Books) -> None:
    await danish.seed(countriesRegions=[{"code": "US", "addressFormat": "City_x002B_County_x002B_Post_x0020_Code"}])
    state_first = await _invoice(danish, sellToState="Ohio", sellToCountry="FR")
    assert (state_first["sellToState"], state_first["sellToCountry"]) == ("", "FR")
    assert (await _invoice(danish, sellToState="Ohio", sellToCountry="US"))["sellToState"] == "Ohio"
    assert (await _invoice(danish, sellToCountry="FR", sellToState="Ohio"))["sellToState"] == "Ohio"


async def test_a_value_that_the_document_has_already_is_not_validated(danish: Books) -> None:
    await danish.seed(customers=[{"number": "50000", "displayName": "Y", "country": "NO", "city": "Lillestrøm",
                                  "postalCode": "2000", "posting": {"genBusPostingGroup": "EU",
                                                                    "customerPostingGroup": "EU"}}])  # fmt: skip
    made = await _invoice(danish, customerNumber="50000", sellToPostCode="2000", sellToCity="Lillestrøm")
    assert (made["sellToCountry"], made["sellToCity"]) == ("NO", "Lillestrøm")
