"""Business Central's codes of countries and Stripe's."""

import pytest

from mapping.countries import choose_country_code, may_be_same_country, read_countries

MICROSOFT = {"DE": "Germany", "EL": "Greece", "GB": "Great Britain", "NI": "Northern Ireland", "IND": "India"}


@pytest.mark.parametrize(
    ("iso", "known", "code"),
    [
        ("DE", MICROSOFT, "DE"),
        ("GR", MICROSOFT, "EL"),
        ("GR", {"GR": "Greece", "EL": "Greece"}, "GR"),
        ("IN", MICROSOFT, "IND"),
        ("GB", {"UK": "United Kingdom"}, "UK"),
        ("GB", MICROSOFT, "GB"),
        ("NI", MICROSOFT, ""),
        ("NI", {"NI": "Nicaragua"}, "NI"),
        ("NI", {"NI": ""}, "NI"),
        ("US", MICROSOFT, ""),
        ("GR", {}, "GR"),
    ],
)
def test_a_country_has_business_centrals_own_code(iso: str, known: dict[str, str], code: str) -> None:
    assert choose_country_code(iso, known) == code


@pytest.mark.parametrize(
    ("known", "code"),
    [
        (MICROSOFT, "NI"),
        ({"GB": "", "XI": "Northern Ireland"}, "XI"),
        ({"GB": "Great Britain", "NI": "Nicaragua"}, "GB"),
        ({"GB": "Great Britain"}, "GB"),
        ({}, "GB"),
    ],
)
def test_northern_ireland_has_a_code_of_its_own(known: dict[str, str], code: str) -> None:
    """A British address with a number of Northern Ireland; where the list has no code for it, it is Britain's."""
    assert choose_country_code("GB", known, northern_irish=True) == code


@pytest.mark.parametrize(
    ("iso", "code", "may_be"),
    [
        ("GB", "NI", True), ("NI", "NI", True), ("GB", "XI", True), ("GR", "EL", True), ("GR", "GR", True),
        ("GB", "UK", True), ("IN", "IND", True), ("DE", "GERMANY", True), ("DE", "", True), ("", "DE", True),
        ("DE", "DK", False), ("IE", "NI", False), ("GB", "IE", False), ("DE", "EL", False),
    ],
)  # fmt: skip
def test_both_sides_codes_of_one_country_are_the_same(iso: str, code: str, may_be: bool) -> None:
    assert may_be_same_country(iso, code) is may_be


def test_the_companys_own_name_tells_what_ni_is() -> None:
    assert read_countries("NI") == {"GB", "NI"}
    assert read_countries("ni", MICROSOFT) == {"GB"}
    assert read_countries("NI", {"NI": "Nicaragua"}) == {"NI"}
    assert read_countries("DUITSLAND") == frozenset()
