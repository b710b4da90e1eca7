"""Characters as people see them: where a text may be cut without taking one apart (after Unicode's UAX 29)."""

import unicodedata

_JOINER = "\u200d"
_VIRAMA = 9  # canonical combining class: joins the consonants of one conjunct
# Signs that stand before what they belong to, as Arabic number marks do.
_PREPENDED = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")


def count_units(text: str) -> int:
    """Count UTF-16 code units, as Business Central does: an emoji has two or more."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut_text(text: str, units: int) -> str:
    """Return the longest beginning of at most so many UTF-16 units that takes no character apart; it may be empty."""
    end = _count_fitting(text, units)
    while 0 < end < len(text) and _belong_together(text, end):
        end -= 1
    return text[:end]


def _count_fitting(text: str, units: int) -> int:
    used = 0
    for index, char in enumerate(text):
        used += 2 if char > "\uffff" else 1
        if used > units:
            return index
    return len(text)


def _belong_together(text: str, index: int) -> bool:
    """Tell whether the characters on both sides of `index` are parts of one."""
    before, after = text[index - 1], text[index]
    return (
        _extends(after)
        or before == _JOINER
        or before in _PREPENDED
        or unicodedata.combining(before) == _VIRAMA
        or (_is_flag_half(after) and _count_flag_halves(text, index) % 2 == 1)
        or _are_hangul(before, after)
    )


def _extends(char: str) -> bool:
    """Accents, joiners, variants, skin tones, the tags of a region's flag, half-width voice marks."""
    return (
        unicodedata.category(char).startswith("M")
        or char in {_JOINER, "\u200c", "\uff9e", "\uff9f"}
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
    )


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _count_flag_halves(text: str, index: int) -> int:
    """Count the flag halves that end directly before `index`: two make a flag."""
    start = index
    while start and _is_flag_half(text[start - 1]):
        start -= 1
    return index - start


def _are_hangul(before: str, after: str) -> bool:
    """Tell whether two Hangul letters form one syllable block."""
    leads = "\u1100" <= before <= "\u115f" or "\ua960" <= before <= "\ua97c"
    vowels, finals = _is_between(after, "\u1160", "\u11a7", "\ud7b0", "\ud7c6"), _is_final(after)
    if leads:
        return vowels or "\u1100" <= after <= "\u115f" or "\ua960" <= after <= "\ua97c" or "\uac00" <= after <= "\ud7a3"
    if "\uac00" <= before <= "\ud7a3":
        return finals or (vowels and (ord(before) - 0xAC00) % 28 == 0)
    if _is_between(before, "\u1160", "\u11a7", "\ud7b0", "\ud7c6"):
        return vowels or finals
    return _is_final(before) and finals


def _is_final(char: str) -> bool:
    return _is_between(char, "\u11a8", "\u11ff", "\ud7cb", "\ud7fb")


def _is_between(char: str, first: str, last: str, more: str, most: str) -> bool:
    return first <= char <= last or more <= char <= most
