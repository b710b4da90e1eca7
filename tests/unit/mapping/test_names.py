"""Names that are one company's, and names that are two's: real-looking pairs, as people write them."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.names import compare_names, may_have_one_form, read_name

with (Path(__file__).parent / "names.csv").open(encoding="utf-8", newline="") as given_pairs:
    PAIRS = [(row["verdict"], row["one"], row["other"]) for row in csv.DictReader(given_pairs, delimiter=";")]


def decide(one: str, other: str) -> str:
    ours, theirs = read_name(one), read_name(other)
    return "same" if compare_names(ours, theirs) == "same" and may_have_one_form(ours, theirs) else "question"


@pytest.mark.parametrize(("verdict", "one", "other"), PAIRS, ids=lambda text: text)
def test_two_names_are_of_one_company_or_a_question(verdict: str, one: str, other: str) -> None:
    assert decide(one, other) == decide(other, one) == verdict


@pytest.mark.parametrize(("verdict", "one", "other"), PAIRS, ids=lambda text: text)
def test_names_that_are_the_same_are_found_by_a_key(verdict: str, one: str, other: str) -> None:
    """The index proposes by keys: who is the same must be proposed."""
    if verdict == "same":
        assert read_name(one).keys & read_name(other).keys


@pytest.mark.parametrize(
    ("one", "other", "likeness"),
    [
        ("Nordlicht Software GmbH", "Nordlicht Sofware GmbH", "nearly"),
        ("Nordlicht Software GmbH", "Nordlicht Sotfware GmbH", "nearly"),
        ("Nordlicht Software GmbH", "Nordlicht Software Nord GmbH", "part"),
        ("Petersen GmbH", "Pedersen GmbH", "different"),
        ("Nord GmbH", "Nor GmbH", "different"),
        ("Studio 54", "Studio 55", "different"),
        ("", "Acme", "unknown"),
        ("GmbH", "GmbH", "same"),
    ],
)
def test_likeness(one: str, other: str, likeness: str) -> None:
    assert compare_names(read_name(one), read_name(other)) == likeness


@given(st.text(max_size=30))
def test_a_name_is_the_same_as_itself_in_any_script(text: str) -> None:
    name = read_name(text)
    assert compare_names(name, name) == ("same" if name.words else "unknown")
    assert bool(name.keys) == bool(name.words)


@given(st.text(max_size=20), st.text(max_size=20))
def test_neither_side_comes_first(one: str, other: str) -> None:
    ours, theirs = read_name(one), read_name(other)
    assert compare_names(ours, theirs) == compare_names(theirs, ours)
