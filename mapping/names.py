"""Whether two names are one company's or person's: by all the words that tell companies apart, however they are spelt.

*Mueller GmbH* is *Müller GmbH*, and *The Blue Bottle Ltd* is *Blue Bottle Limited*; but *Hansen Invest* is not *Hansen
Byg*, *Acme* is not surely *Acme Deutschland*, and an *ApS* is not an *A/S*. Names in two scripts are two names.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mapping.legal_forms import may_be_same_form, split_legal_form
from mapping.normal_forms import normalise_name

Likeness = Literal["same", "nearly", "part", "different", "unknown"]
"""`nearly`: but for a letter too many, too few or in the wrong place. `part`: one has words that the other lacks."""

# Letters that are written in two ways where a keyboard lacks them: with a second letter, or without their mark.
_PLAIN = {"ø": "o", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "đ": "d", "ł": "l", "ı": "i", "ħ": "h"}  # noqa: RUF001
_EXPANDED = _PLAIN | {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "đ": "dj"}
# Articles, and words that join others. They tell no company from another.
_FILLERS = frozenset(
    (
        "the of and und og och et es en ja ve der die das dem den det de het la le les el los las il lo gli di du des "
        "del della von van für for by"
    ).split()
)
# Only between two words: at an end, it may be an initial.
_JOINTS = frozenset("u y e i és a o".split())
# French and Italian articles that stand in one with their word.
_ELISION = re.compile(r"\b(?:dell|[dl])'(?=\w)")
_SHORTEST_JOINED = 5
_SHORTEST_MISTYPED = 5


Word = tuple[str, str]
"""A word in its two spellings: *mueller* and *muller*."""


@dataclass(frozen=True)
class Name:
    """A name taken apart."""

    words: tuple[Word, ...]
    """Those that tell companies apart, in order."""
    form: str
    """Its legal form; empty where it has none."""

    @property
    def keys(self) -> frozenset[str]:
        """What a name that is the same has one of: its words in one order, and all in one."""
        spellings = [[word[0] for word in self.words], [word[1] for word in self.words]]
        return frozenset(key for one in spellings for key in (" ".join(sorted(one)), "".join(one)) if key)


def read_name(text: str) -> Name:
    """Take a name apart."""
    rest, form = split_legal_form(normalise_name(text))
    whole = _ELISION.sub("", rest)
    words = tuple(zip(_split(_spell(whole, _EXPANDED)), _split(_spell(whole, _PLAIN)), strict=True))
    telling = tuple(word for at, word in enumerate(words) if not _is_filler(word[1], is_inner=0 < at < len(words) - 1))
    return Name(telling or words, form)


def _is_filler(word: str, *, is_inner: bool) -> bool:
    return word in _FILLERS or (is_inner and word in _JOINTS)


def compare_names(one: Name, other: Name) -> Likeness:
    """Compare the words of two names; their legal forms are another question (`may_have_one_form`)."""
    if not one.words or not other.words:
        return "unknown"
    ours, theirs = _leave_unmatched(one.words, other.words)
    if not ours and not theirs:
        return "same"
    joined = _join(one.words) & _join(other.words)
    if any(len(text) >= _SHORTEST_JOINED for text in joined):
        return "same"
    if not ours or not theirs:
        return "part"
    return "nearly" if _are_mistyped(ours, theirs) else "different"


def may_have_one_form(one: Name, other: Name) -> bool:
    """Tell whether the legal forms may belong to one company: equal, or left out on one side."""
    return may_be_same_form(one.form, other.form)


def _spell(text: str, letters: dict[str, str]) -> str:
    """Write a text without the marks of its Latin and Greek letters; in other scripts they make other letters."""
    plain: list[str] = []
    for letter in unicodedata.normalize("NFC", text):
        if letter in letters:
            plain.append(letters[letter])
        elif not unicodedata.combining(letter) or not _is_plain(plain):
            plain.append(_strip(letter))
    return "".join(plain)


def _is_plain(written: list[str]) -> bool:
    return bool(written) and written[-1].isascii()


def _strip(letter: str) -> str:
    if not unicodedata.name(letter, "").startswith(("LATIN", "GREEK")):
        return letter
    return "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))


def _split(text: str) -> list[str]:
    """Split a text into words: letters and digits, with the marks that belong to them."""
    return "".join(char if char.isalnum() or unicodedata.combining(char) else " " for char in text).split()


def _join(words: Iterable[Word]) -> frozenset[str]:
    listed = list(words)
    return frozenset(("".join(word[0] for word in listed), "".join(word[1] for word in listed)))


def _leave_unmatched(ours: Iterable[Word], theirs: Iterable[Word]) -> tuple[list[Word], list[Word]]:
    """Return the words of each side that the other lacks."""
    left = list(theirs)
    lacking: list[Word] = []
    for word in ours:
        if (twin := next((one for one in left if {*one} & {*word}), None)) is None:
            lacking.append(word)
        else:
            left.remove(twin)
    return lacking, left


def _are_mistyped(ours: list[Word], theirs: list[Word]) -> bool:
    """Tell whether one word is left on each side, and one of them may be the other mistyped."""
    if len(ours) != 1 or len(theirs) != 1:
        return False
    return any(_is_mistyped(one, other) for one in ours[0] for other in theirs[0])


def _is_mistyped(one: str, other: str) -> bool:
    """A letter is lost, or two changed places; another letter makes another name (*Petersen*, *Pedersen*)."""
    short, long = sorted((one, other), key=len)
    if len(short) < _SHORTEST_MISTYPED or short[0] != long[0] or any(char.isdigit() for char in long):
        return False
    if len(long) - len(short) == 1:
        return any(long[:at] + long[at + 1 :] == short for at in range(1, len(long)))
    swaps = (short[:at] + short[at + 1] + short[at] + short[at + 2 :] for at in range(len(short) - 1))
    return len(long) == len(short) and long in swaps
