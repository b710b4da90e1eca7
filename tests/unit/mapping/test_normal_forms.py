"""Two writings of one value have one form; two values have two."""

from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.legal_forms import may_be_same_form, split_legal_form
from mapping.normal_forms import (
    get_forms,
    normalise_country,
    normalise_email,
    normalise_name,
    normalise_phone,
    normalise_postal_code,
    normalise_tax_id,
)
from schemas.customer_settings import CustomerTarget
from tests.strategies import TEXTS

FIELDS: tuple[CustomerTarget, ...] = (
    "number",
    "displayName",
    "email",
    "phoneNumber",
    "taxRegistrationNumber",
    "addressLine1",
    "city",
    "postalCode",
    "country",
)
COUNTRIES = st.sampled_from(["", "DE", "DK", "GB", "US", "CH", "NO", "GR", "MX", "JP", "AU"])
# What people type into such fields, besides anything.
_TYPED = st.text("0123456789 +-./()abDEGRKUSTMVA", max_size=24)
VALUES = st.one_of(TEXTS, _TYPED)


@given(st.sampled_from(FIELDS), VALUES, COUNTRIES)
def test_the_form_of_a_form_is_the_form(field: CustomerTarget, text: str, country: str) -> None:
    for form in get_forms(field, text, country):
        assert get_forms(field, form, country) == {form}


@given(st.sampled_from(FIELDS), VALUES, COUNTRIES)
def test_case_width_and_outer_blanks_do_not_matter(field: CustomerTarget, text: str, country: str) -> None:
    plain = get_forms(field, text, country)
    assert get_forms(field, f" {text}\t", country) == plain
    if text.isascii() and text.upper().lower() == text.lower():
        wide = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)
        assert get_forms(field, text.upper(), country) == get_forms(field, text.lower(), country) == plain
        assert get_forms(field, wide, country) == plain


@given(VALUES)
def test_a_legal_form_is_taken_off_and_leaves_a_name(text: str) -> None:
    name = normalise_name(text)
    bare, form = split_legal_form(name)
    assert bare or not form


@given(st.text("xqö -", min_size=1, max_size=12), st.sampled_from(["GmbH", "Ltd.", "A/S", "S.p.A.", "AG & Co. KG"]))
def test_a_name_is_left_alike_with_and_without_its_form(name: str, form: str) -> None:
    if bare := split_legal_form(normalise_name(name))[0]:
        assert split_legal_form(normalise_name(f"{name} {form}"))[0] == bare


@pytest.mark.parametrize(
    ("one", "other", "country"),
    [
        ("+45 12 34 56 78", "12345678", "DK"),
        ("0045 12345678", "12 34 56 78", "DK"),
        ("+49 (0)30 1234567", "030/123 45 67", "DE"),
        ("(555) 123-4567", "+1 555.123.4567", "US"),
        ("+44 20 7946 0018", "020 7946 0018", "GB"),
        ("0049 30 1234567", "+49 30 1234567", ""),
        ("+49 30 1234567 ext. 3", "+49 30 1234567 / 3", ""),
    ],
)
def test_one_telephone_number_has_one_form(one: str, other: str, country: str) -> None:
    assert normalise_phone(one, country) == normalise_phone(other, country) != ""


@pytest.mark.parametrize(
    ("one", "other", "country"),
    [
        ("+45 12 34 56 78", "12345678", "NO"),
        ("+45 12 34 56 78", "12345678", ""),
        ("+45 12 34 56 78", "12345679", "DK"),
        ("+49 30 1234567 ext. 3", "+49 30 1234567", "DE"),
    ],
)
def test_different_telephone_numbers_stay_different(one: str, other: str, country: str) -> None:
    assert normalise_phone(one, country) != normalise_phone(other, country)


@pytest.mark.parametrize("text", ["", "none", "n/a", "-", "12"])
def test_what_is_no_telephone_number_says_nothing(text: str) -> None:
    assert get_forms("phoneNumber", text, "DE") == frozenset()


@pytest.mark.parametrize(
    ("one", "other", "country"),
    [
        ("DE 123 456 789", "DE123456789", "DE"),
        ("de-123.456.789", "123456789", "DE"),
        ("EL094259216", "GR 094259216", "GR"),
        ("094259216", "EL094259216", "GR"),
        ("CHE-123.456.789 MWST", "CHE123456789", "CH"),
        ("NO 974 760 673 MVA", "974760673", "NO"),
        ("ESB12345678", "B-12345678", "ES"),
        ("51 824 753 556", "AU51824753556", "AU"),
        ("ATU12345678", "U12345678", "AT"),
    ],
)
def test_one_tax_number_has_one_form(one: str, other: str, country: str) -> None:
    assert normalise_tax_id(one, country) == normalise_tax_id(other, country) != ""


@pytest.mark.parametrize(
    ("one", "other", "country"),
    [("DE123456789", "ATU12345678", "DE"), ("123456789", "DE123456789", "FR"), ("DE123456789", "DE123456788", "DE")],
)
def test_different_tax_numbers_stay_different(one: str, other: str, country: str) -> None:
    assert normalise_tax_id(one, country) != normalise_tax_id(other, country)


def test_what_is_no_tax_number_says_nothing() -> None:
    assert {normalise_tax_id(text, "DE") for text in ("", "none", "N/A", "123")} == {""}


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Acme GmbH", ("acme", "gmbh")),
        ("ACME G.m.b.H.", ("acme", "gmbh")),
        ("Müller & Söhne GmbH & Co. KG", ("müller & söhne", "gmbh & co kg")),
        ("Foo & Co", ("foo & co", "")),
        ("Foo Co., Ltd.", ("foo", "ltd")),
        ("Acme, Inc.", ("acme", "inc")),
        ("Acme B.V.", ("acme", "bv")),
        ("Acme Sp. z o.o.", ("acme", "sp z oo")),
        ("Acme S.A. de C.V.", ("acme", "sa de cv")),
        ("株式会社アクメ", ("アクメ", "kk")),
        ("アクメ㈱", ("アクメ", "kk")),
        ("GmbH", ("gmbh", "")),
        ("Anna Berg", ("anna berg", "")),
    ],
)
def test_legal_forms_are_known_as_they_are_written(written: str, name: tuple[str, str]) -> None:
    assert split_legal_form(normalise_name(written)) == name


def test_a_legal_form_may_be_left_out_but_not_be_another() -> None:
    assert may_be_same_form("gmbh", "")
    assert may_be_same_form("gmbh", "gmbh")
    assert not may_be_same_form("gmbh", "ag")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Billing@ACME.example ", "billing@acme.example"),
        ("\uff42illing@acme.example", "billing@acme.example"),
        ("billing @acme.example", "billing@acme.example"),
    ],
)
def test_one_address_has_one_form(one: str, other: str) -> None:
    assert normalise_email(one) == normalise_email(other)


def test_a_field_may_hold_several_addresses() -> None:
    assert get_forms("email", "A@x.example; b@x.example,", "") == {"a@x.example", "b@x.example"}


def test_names_differ_by_quotes_dashes_and_blanks_in_writing_only() -> None:
    assert normalise_name("O\u2019Neil \u2013 \u201eSöhne\u201c  Co") == normalise_name('o\'neil - "SO\u0308HNE" co')


@pytest.mark.parametrize(
    ("one", "other"), [("SW1A 1AA", "sw1a1aa"), ("D-80331", "80331"), ("12345-6789", "12345"), ("1234 AB", "1234ab")]
)
def test_one_postal_code_has_one_form(one: str, other: str) -> None:
    assert normalise_postal_code(one) == normalise_postal_code(other)


@pytest.mark.parametrize(
    ("text", "code"), [("de", "DE"), ("UK", "GB"), ("EL", "GR"), ("DEU", ""), ("49", ""), ("ZZ", ""), ("", "")]
)
def test_a_country_is_an_iso_code_or_unknown(text: str, code: str) -> None:
    assert normalise_country(text) == code


def test_every_country_of_iso_3166_is_one() -> None:
    """One that is taken for none has no settings of its own (`customers.new.by_country`), and contradicts nobody."""
    table = files("tzdata").joinpath("zoneinfo/iso3166.tab").read_text(encoding="utf-8")
    codes = [line.split("\t")[0] for line in table.splitlines() if not line.startswith("#")]

    assert len(codes) > 240
    assert [code for code in codes if normalise_country(code) != code] == []
