import unicodedata

import pytest
import regex
from hypothesis import assume, given
from hypothesis import strategies as st

from mapping.graphemes import count_units, cut_text
from mapping.text import Notes, fit_code, fit_email, fit_phone, fit_text, split_lines, tidy
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


@given(TEXTS)
def test_what_is_lost_is_told_from_what_is_only_written_otherwise(text: str) -> None:
    notes = Notes()
    fitted = fit_text(text, 100_000, "The name", notes)

    if not notes.losses:
        seen = "".join(char for char in text if not (char.isspace() or unicodedata.category(char) == "Cc"))
        assert unicodedata.normalize("NFC", fitted.replace(" ", "")) == unicodedata.normalize("NFC", seen)


@given(TEXTS, st.integers(2, 40))
def test_a_cut_takes_no_part_of_a_character(text: str, limit: int) -> None:
    whole = fit_text(text, 100_000, "The name", Notes())
    fitted = fit_text(text, limit, "The name", Notes())
    if fitted == whole:
        return
    kept = fitted.removesuffix("…")

    assert fitted.endswith("…")
    assert whole.startswith(kept)


@given(TEXTS, st.integers(0, 40))
def test_cuts_fall_where_unicode_has_the_bounds_of_characters(typed: str, limit: int) -> None:
    text = tidy(typed)
    assume(regex.fullmatch(r"[^\p{GCB=Prepend}]*", text))
    bounds = {0, *(found.end() for found in regex.finditer(r"\X", text))}

    kept = cut_text(text, limit)

    assert text.startswith(kept)
    assert count_units(kept) <= limit
    assert len(kept) in bounds


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
        ("a🇩🇰🇸🇪", 7, "a🇩🇰…"),
        ("\x00\n", 10, ""),
        ("שלום עולם", 6, "שלום…"),
        ("no\u00a0break\u200bspace\ufeff", 40, "no breakspace"),
        ("invoice \u202e54321", 40, "invoice 54321"),
        ("noncharacter\ufffe \ud800half", 40, "noncharacter half"),
    ],
)
def test_examples(text: str, limit: int, expected: str) -> None:
    assert fit_text(text, limit, "The name", Notes()) == expected


def test_notes_say_each_sentence_once() -> None:
    notes = Notes()
    for _ in range(2):
        fit_text("abcdefg", 6, "The name", notes)
    fit_text("a\nb", 6, "The city", notes)
    fit_text("a\u200bb\ufffec", 6, "The memo", notes)
    fit_text("e\u0301", 6, "The street", notes)

    assert notes.sentences == [
        "The name was cut to 6 characters.",
        "The city was tidied: line breaks, control characters or extra blanks were taken out.",
        "The memo lost characters that can't be seen or stored: U+200B, U+FFFE.",
        "The street was written with composed letters, which look the same.",
    ]
    assert notes.losses == [notes.sentences[0], notes.sentences[2]]


@given(TEXTS, st.integers(1, 20))
def test_any_text_comes_out_as_a_code(text: str, limit: int) -> None:
    notes = Notes()
    code = fit_code(text, limit, "The code", notes)

    assert units(code) <= limit
    assert code == " ".join(code.split())
    assert all(len(char.upper()) > 1 or char == char.upper() for char in code)
    assert not {unicodedata.category(char) for char in code} & {"Cc", "Cf", "Cs", "So", "Zl", "Zp"}
    assert fit_code(code, limit, "The code", Notes()) == code
    if code != text and not notes.sentences:
        assert code.casefold() == text.casefold()


@pytest.mark.parametrize(
    ("text", "code", "lost"),
    [
        ("main-1", "MAIN-1", False),
        ("  main 1 ", "MAIN 1", False),
        ("straße", "STRAßE", False),
        ("\uff21\uff22\uff11\uff12", "AB12", False),
        ("Ko\u2013ben\u2019s", "KO-BEN'S", False),
        ("ID \u212a1", "ID K1", False),
        ("a^`~1", "A^`~1", False),
        ("h\u02ed\u0323", "\u1e24", True),
        ("🎅 10", "10", True),
        ("a\u200bb", "AB", True),
        ("0123456789x", "0123456789", True),
    ],
)
def test_codes(text: str, code: str, lost: bool) -> None:
    notes = Notes()

    assert fit_code(text, 10, "The code", notes) == code
    assert bool(notes.losses) is lost


@given(TEXTS)
def test_any_text_comes_out_as_a_phone_number_or_not_at_all(text: str) -> None:
    notes = Notes()
    phone = fit_phone(text, "The phone number", notes)

    assert units(phone) <= 30
    assert not any(char.isalpha() for char in phone)
    assert (phone != text) == bool(notes.sentences)


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("+45 12 34 56 78", "+45 12 34 56 78"),
        ("(0)30/123-456", "(0)30/123-456"),
        ("Tel.: +45 12 34 (mobile)", "+45 12 34"),
        ("+1 212 555 0199 ext. 12", "+1 212 555 0199 / 12"),
        ("1-800-FLOWERS", "1-800"),
        ("unknown", ""),
        ("1" * 31, ""),
    ],
)
def test_phone_numbers(text: str, phone: str) -> None:
    assert fit_phone(text, "The phone number", Notes()) == phone


@given(TEXTS)
def test_any_text_comes_out_as_an_email_address_or_not_at_all(text: str) -> None:
    notes = Notes()
    email = fit_email(text, "The e-mail address", notes)

    assert units(email) <= 80
    assert email == "" or email.count("@") == 1
    assert (email != text) == bool(notes.sentences)


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("ap+dk@müller.example", "ap+dk@müller.example"),
        (" o'neil@example.com\n", "o'neil@example.com"),
        ("Ann <ann@example.com>", ""),
        ("a b@example.com", ""),
        ("ann@@example.com", ""),
        ("ann@example.com;bob@example.com", ""),
        (".ann@example.com", ""),
        ("ann@", ""),
        ("x" * 80 + "@example.com", ""),
    ],
)
def test_email_addresses(text: str, email: str) -> None:
    assert fit_email(text, "The e-mail address", Notes()) == email


@given(TEXTS, st.integers(2, 40))
def test_long_text_arrives_whole_on_several_lines(text: str, limit: int) -> None:
    notes = Notes()
    lines = split_lines(text, limit, "The memo", notes)

    assert all(0 < units(line) <= limit and line == tidy(line) for line in lines)
    assert "".join(lines).replace(" ", "") == tidy(text).replace(" ", "")
    assert not [sentence for sentence in notes.sentences if "cut" in sentence]


def test_lines_are_parted_between_words() -> None:
    notes = Notes()
    text = "Thank you for your order.\r\n\r\nPlease pay within 14 days; see https://example.com/a-very-long-address"

    assert split_lines(text, 30, "The memo", notes) == [
        "Thank you for your order.",
        "Please pay within 14 days; see",
        "https://example.com/a-very-lon",
        "g-address",
    ]
    assert notes.sentences == []
