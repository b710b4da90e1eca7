"""Tax numbers in a form that Business Central accepts: Microsoft's formats, or those that a refusal lists."""

import re

import pytest

from mapping.tax_numbers import (
    STANDARD,
    is_northern_irish,
    is_vat_number,
    read_formats,
    read_issuer,
    write_tax_number,
)
from schemas.stripe_objects import TaxId


@pytest.mark.parametrize(
    ("country", "number", "written"),
    [
        ("NO", "987654321MVA", "NO 987 654 321 MVA"),
        ("NO", "987 654 321 MVA", "987 654 321 MVA"),
        ("NO", "987654321", "987654321"),
        ("NO", "NO987654321MVA", "NO 987 654 321 MVA"),
        ("DE", "DE123456789", "DE123456789"),
        ("DE", "de 123 456 789", "DE123456789"),
        ("DE", "12/345/67890", ""),
        ("DE", "EE123456789", ""),
        ("NL", "NL123456789B12", "NL123456789B12"),
        ("NL", "NL1234.56.789.B.12", "NL123456789B12"),
        ("GB", "GB980780684", "GB980780684"),
        ("GB", "GB 980 7806 84", "GB980780684"),
        ("GB", "XI123456789", "123-4567-89"),
        ("GB", "GBGD001", ""),
        ("FR", "FR12345678901", "FR12345678901"),
        ("FR", "FRAB123456789", ""),
        ("CH", "CHE-123.456.789 MWST", "CHE-123.456.789MWST"),
        ("CH", "CHE123456789TVA", "CHE-123.456.789 TVA"),
        ("CH", "CHE-123.456.789", ""),
        ("BE", "BE0123456789", "BE123456789"),
        ("BE", "BE1123456789", ""),
        ("AT", "ATU12345678", "ATU12345678"),
        ("ES", "ESX1234567L", "ESX1234567L"),
        ("ES", "A12345678", "A12345678"),
        ("SE", "SE556677889901", "SE556677889901"),
        ("HU", "12345678-1-23", ""),
        ("DK", "12345678", "12345678"),
        ("IE", "IE1234567FA", "IE1234567FA"),
        ("GR", "EL123456789", "EL123456789"),
        ("US", "12-3456789", "12-3456789"),
        ("US", "1" * 21, ""),
    ],
)  # fmt: skip
def test_a_number_is_written_as_microsofts_formats_take_it(country: str, number: str, written: str) -> None:
    assert write_tax_number(number, country, STANDARD.get(country, ())) == written


def test_every_format_takes_a_number_that_is_written_by_it() -> None:
    for country, formats in STANDARD.items():
        for one in formats:
            number = one.replace("#", "7").replace("@", "K").replace("?", "X")
            assert write_tax_number(number, country, formats) == number
            assert len(one) <= 20
            assert re.fullmatch(r"[A-Z0-9#@? .\-]+", one)


def test_what_is_written_means_what_it_meant() -> None:
    """Only blanks, dots, dashes, the country's prefix and a suffix come or go; no digit does, but Belgium's 0."""
    for country, formats in STANDARD.items():
        for one in formats:
            number = one.replace("#", "7").replace("@", "K").replace("?", "X")
            for accepted in formats:
                written = write_tax_number(number, country, (accepted,))
                assert not written or re.sub(r"\D", "", written) == re.sub(r"\D", "", number)


@pytest.mark.parametrize(
    ("listed", "number", "written"),
    [
        ("#########MVA", "NO 987 654 321 MVA", "987654321MVA"),
        ("FR@@#########, FR###########", "FRAB123456789", "FRAB123456789"),
        ("DE ### ### ###, ...", "DE123456789", "DE 123 456 789"),
        ("ATU########", "DE123456789", ""),
    ],
)
def test_what_a_refusal_lists_counts(listed: str, number: str, written: str) -> None:
    country = {"N": "NO", "F": "FR", "D": "DE"}[number[0]]

    assert write_tax_number(number, country, read_formats(listed)) == written


def test_a_list_that_was_cut_is_read_as_far_as_it_goes() -> None:
    assert read_formats("BE#########, BE ### ### ###, ...") == ("BE#########", "BE ### ### ###")
    assert read_formats("The number is wrong.") == ()


@pytest.mark.parametrize(
    ("kind", "value", "issuer", "is_vat"),
    [
        ("eu_vat", "DE123456789", "DE", True),
        ("eu_vat", "EL123456789", "GR", True),
        ("eu_vat", "XI123456789", "GB", True),
        ("eu_oss_vat", "EU372012345", "", True),
        ("gb_vat", "XI123456789", "GB", True),
        ("no_vat", "987654321MVA", "NO", True),
        ("ch_vat", "CHE-123.456.789 MWST", "CH", True),
        ("us_ein", "12-3456789", "US", False),
        ("de_stn", "12/345/67890", "DE", False),
        ("hu_tin", "12345678-1-23", "HU", False),
        ("no_voec", "2012345", "NO", False),
        ("unknown", "DE123456789", "", True),
        ("xx_new", "1", "", False),
    ],
)
def test_whose_number_it_is_and_whether_it_is_a_vat_number(kind: str, value: str, issuer: str, is_vat: bool) -> None:
    tax_id = TaxId(type=kind, value=value)

    assert (read_issuer(tax_id), is_vat_number(tax_id)) == (issuer, is_vat)


@pytest.mark.parametrize(
    ("value", "is_irish"), [("XI123456789", True), ("XI 123 4567 89", True), ("GB123456789", False)]
)
def test_northern_ireland_is_known_by_its_numbers(value: str, is_irish: bool) -> None:
    assert is_northern_irish([TaxId(type="gb_vat", value=value)]) is is_irish
