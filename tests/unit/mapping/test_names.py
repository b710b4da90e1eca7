"""Names that are one company's, and names that are two's: real-looking pairs, as people write them."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.names import read_name

with (Path(__file__).parent / "names.csv").open(encoding="utf-8", newline="") as given_pairs:
    PAIRS = [(row["verdict"], row["one"], row["other"]) for row in csv.DictReader(given_pairs, delimiter=";")]


def test_there_are_many_pairs_of_both_kinds() -> None:
    assert len(PAIRS) > 300
    assert {verdict for verdict, _, _ in PAIRS} == {"same", "question"}


@pytest.mark.parametrize(("verdict", "one", "other"), PAIRS, ids=lambda text: text)
def test_two_names_are_of_one_company_or_a_question(verdict: str, one: str, other: str) -> None:
    ours, theirs = read_name(one), read_name(other)
    assert ours.is_same(theirs) == theirs.is_same(ours) == (verdict == "same")


@pytest.mark.parametrize(
    ("one", "other", "is_mistyped"),
    [
        ("Acme GmbH", "ACME Deutschland GmbH", False),
        ("Nordlicht Software GmbH", "Nordlihct Sofware GmbH", True),
        ("Acme", "Acme GmbH", True),
        ("Tesco Stores Ltd", "Tesco Bank plc", False),
        ("Tesco Ltd", "Tesco Bank plc", False),
        ("Hansen Invest ApS", "Hansen Byg ApS", False),
        ("Wind 12 ApS", "Wind 13 ApS", False),
        ("Acme", "Nordlicht", False),
        ("", "Acme", False),
    ],
)
def test_a_name_may_be_another_with_typing_errors(one: str, other: str, is_mistyped: bool) -> None:
    ours, theirs = read_name(one), read_name(other)
    assert ours.is_mistyped(theirs) == theirs.is_mistyped(ours) == is_mistyped


def test_a_whole_name_has_the_same_legal_form_on_both_sides() -> None:
    assert read_name("Havblik ApS").is_whole(read_name("HAVBLIK APS"))
    assert not read_name("Havblik ApS").is_whole(read_name("Havblik"))
    assert not read_name("Havblik ApS").is_whole(read_name("Havblik AB"))


@given(st.text(max_size=30))
def test_a_name_is_the_same_as_itself_in_any_script(text: str) -> None:
    name = read_name(text)
    assert name.is_same(name) is bool(name.writings)


@given(st.text(max_size=20), st.text(max_size=20))
def test_neither_side_comes_first(one: str, other: str) -> None:
    ours, theirs = read_name(one), read_name(other)
    assert ours.is_same(theirs) == theirs.is_same(ours)
    assert bool(ours.words) <= ours.is_mistyped(ours)
