import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.text import Notes, fit_text
from tests.strategies import TEXTS


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@given(TEXTS, st.integers(1, 40))
def test_any_text_comes_out_fit(text: str, limit: int) -> None:
    fitted = fit_text(text, limit, "The name", Notes())

    assert units(fitted) <= limit
    assert unicodedata.is_normalized("NFC", fitted)
    assert not {unicodedata.category(char) for char in fitted} & {"Cc", "Cs", "Zl", "Zp"}
    assert fitted == " ".join(fitted.split())


@given(TEXTS, st.integers(1, 40))
def test_whatever_is_changed_is_noted_and_nothing_else(text: str, limit: int) -> None:
    notes = Notes()

    assert (fit_text(text, limit, "The name", notes) != text) == bool(notes.sentences)


@given(TEXTS, st.integers(2, 40))
def test_a_cut_takes_no_part_of_a_character(text: str, limit: int) -> None:
    whole = fit_text(text, 100_000, "The name", Notes())
    fitted = fit_text(text, limit, "The name", Notes())
    if fitted == whole:
        return
    kept = fitted.removesuffix("…")
    rest = whole[len(kept) :]

    assert fitted.endswith("…")
    assert whole.startswith(kept)
    assert not (kept and (unicodedata.category(rest[0]).startswith("M") or rest[0] == "\u200d"))
    assert not kept.endswith("\u200d")


@given(TEXTS, st.integers(1, 40))
def test_fit_text_fits_what_it_made(text: str, limit: int) -> None:
    once = fit_text(text, limit, "The name", Notes())
    notes = Notes()

    assert fit_text(once, limit, "The name", notes) == once
    assert notes.sentences == []


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("Müller & Söhne", 100, "Müller & Söhne"),
        ("Mu\u0308ller", 6, "Müller"),
        ("two\nlines\tand  blanks ", 100, "two lines and blanks"),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("abcd efg", 6, "abcd…"),
        ("ab😀cd", 4, "ab…"),
        ("ab👍🏽", 5, "ab…"),
        ("a👨\u200d👩\u200d👧", 8, "a…"),
        ("abx\u0323\u0304", 4, "ab…"),
        ("\x00\n", 10, ""),
    ],
)
def test_examples(text: str, limit: int, expected: str) -> None:
    assert fit_text(text, limit, "The name", Notes()) == expected


def test_notes_say_each_sentence_once() -> None:
    notes = Notes()
    for _ in range(2):
        fit_text("abcdefg", 6, "The name", notes)
    fit_text("a\nb", 6, "The city", notes)

    assert notes.sentences == [
        "The name was cut to 6 characters.",
        "The city was tidied: line breaks, control characters or extra blanks were taken out.",
    ]
