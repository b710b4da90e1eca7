"""Whether two names are one company's: compared by all their distinctive words, however they are written.

*Müller & Söhne GmbH* is *SOEHNE UND MUELLER*, but *Hansen Byg A/S* is not *Hansen Invest A/S*, nor *Hansen Byg ApS*.
"""

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import lru_cache

from mapping.legal_forms import CONNECTIVES, list_spellings, may_be_same_form, split_legal_form
from mapping.normal_forms import normalise_name

# Words for *and* that are also something else: each stands for `&`, but not for nothing.
_ALSO_SIGNS = frozenset(("e", "i", "u", "a", "+"))
_ARTICLES = frozenset(("the",))
# French and Italian articles that stand in one with the first word.
_ELISION = re.compile(r"^l'(?=\w)")
_ABBREVIATIONS = {"gebr": "gebrüder", "bros": "brothers", "intl": "international", "assoc": "associates"}
_NEARLY, _LONG_ENOUGH, _SHORT = 0.8, 5, 2
# Blanks say nothing, but between two digits: *Wind 1-2* is not *Wind 12*.
_JOINED_DIGITS = re.compile(r"(?<!\d) | (?!\d)")


@dataclass(frozen=True)
class Name:
    """A name as it is compared."""

    writings: frozenset[str]
    """Ways to write all its distinctive words, in their order without blanks, and sorted; two names that have one in
    common have the same words."""
    words: frozenset[str]
    """The distinctive words themselves."""
    legal_form: str

    def has_same_words(self, other: "Name") -> bool:
        """Tell whether all distinctive words are the same; names without any say nothing and are no one's."""
        return bool(self.writings & other.writings)

    def is_same(self, other: "Name") -> bool:
        """Tell whether it may be the same company: the same words, and no other legal form."""
        return self.has_same_words(other) and may_be_same_form(self.legal_form, other.legal_form)

    def is_whole(self, other: "Name") -> bool:
        """Tell whether it is the same legal name: the same words and the same legal form, or none on both sides."""
        return self.has_same_words(other) and self.legal_form == other.legal_form

    def is_mistyped(self, other: "Name") -> bool:
        """Tell whether it is the other name but for typing errors: no word more, and no word less."""
        fewer, more = sorted((self.words, other.words), key=len)
        is_nearly = all(any(_is_nearly(word, one) for one in more) for word in fewer)
        return len(fewer) == len(more) and is_nearly and may_be_same_form(self.legal_form, other.legal_form)


@lru_cache(maxsize=10_000)
def read_name(text: str) -> Name:
    """Read a name as it is compared."""
    whole = normalise_name(text)
    name = _read_whole(whole)
    if not _ELISION.match(whole):
        return name
    return replace(name, writings=name.writings | _read_whole(_ELISION.sub("", whole)).writings)


def _read_whole(whole: str) -> Name:
    bare, form = split_legal_form(whole)
    words = [_ABBREVIATIONS.get(word, word) for word in bare.split()]
    if len(words) > 1 and words[0] in _ARTICLES:
        words = words[1:]
    variants = [spelled for way in _list_connected(words) for spelled in _spell(way)]
    writings = {_JOINED_DIGITS.sub("", " ".join(one)) for one in variants} | {" ".join(sorted(one)) for one in variants}
    distinctive = frozenset(word for word in variants[-1] if word not in CONNECTIVES)
    return Name(frozenset(filter(None, writings)), distinctive, form)


def _list_connected(words: list[str]) -> list[list[str]]:
    """List the ways to write what connects words: with one sign for all that say *and*, and left out.

    Of *H & M* nothing is left out: that would be another's initials.
    """
    joints = [at for at in range(1, len(words) - 1) if words[at] in CONNECTIVES | _ALSO_SIGNS]
    long = [at for at in joints if min(len(words[at - 1]), len(words[at + 1])) > _SHORT]
    signed = ["&" if at in joints else word for at, word in enumerate(words)]
    kept = [word for at, word in enumerate(words) if at not in long or word in _ALSO_SIGNS]
    return [signed, kept]


def _spell(words: list[str]) -> list[list[str]]:
    spelled = [list_spellings(word) for word in words]
    return [[one[way] for one in spelled] for way in (0, 1)]


def _is_nearly(one: str, other: str) -> bool:
    """Tell whether two words are one but for a typing error; numbers and short words have none."""
    if one == other:
        return True
    is_comparable = one.isalpha() and other.isalpha() and min(len(one), len(other)) >= _LONG_ENOUGH
    return is_comparable and SequenceMatcher(None, min(one, other), max(one, other)).ratio() >= _NEARLY
