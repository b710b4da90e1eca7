"""Text from Stripe made fit for a Business Central field. Every change is a note for the reader."""

import unicodedata
from dataclasses import dataclass, field

_JOINER = "\u200d"


@dataclass
class Notes:
    """Collects what was changed, in the order it happened, each sentence once."""

    sentences: list[str] = field(default_factory=list[str])

    def add(self, sentence: str) -> None:
        """Note one change."""
        if sentence not in self.sentences:
            self.sentences.append(sentence)


def fit_text(text: str, limit: int, what: str, notes: Notes) -> str:
    """Return the text as Business Central can hold it: composed (NFC), on one line, at most `limit` UTF-16 units.

    Business Central stores UTF-16, and refuses what is too long instead of cutting it. The cut falls between
    characters as people see them, never inside one, and ends in an ellipsis. Whatever is changed is noted.
    """
    clean = tidy(text)
    if _units(clean) > limit:
        notes.add(f"{what} was cut to {limit} characters.")
        return _cut(clean, limit - 1) + "…"
    if clean != text:
        notes.add(f"{what} was tidied: line breaks, control characters or extra blanks were taken out.")
    return clean


def split_lines(text: str, limit: int, what: str, notes: Notes) -> list[str]:
    """Return the text as lines of at most `limit` UTF-16 units: at its own line breaks, then between words.

    Nothing of it is lost; what else is changed is noted. Blank lines are dropped.
    """
    lines: list[str] = []
    for part in text.splitlines():
        if line := tidy(part):
            lines += _split(line, limit)
    if tidy(" ".join(lines)) != tidy(text):
        notes.add(f"{what} was tidied: control characters or extra blanks were taken out.")
    return lines


def _split(text: str, limit: int) -> list[str]:
    lines: list[str] = []
    rest = text
    while _units(rest) > limit:
        whole = _cut(rest, limit)
        head = whole.rpartition(" ")[0] if " " in whole and not rest[len(whole) :].startswith(" ") else whole
        lines.append(head)
        rest = rest[len(head) :].lstrip()
    return [*lines, rest]


def tidy(text: str) -> str:
    """Return the text composed (NFC) and on one line, without control characters and extra blanks."""
    return " ".join(_replace_controls(unicodedata.normalize("NFC", text)).split())


def fits(text: str, limit: int) -> bool:
    """Tell whether a text is short enough for a field."""
    return _units(text) <= limit


def _replace_controls(text: str) -> str:
    return "".join(" " if unicodedata.category(char) in {"Cc", "Zl", "Zp", "Cs"} else char for char in text)


def _units(text: str) -> int:
    """Length in UTF-16 code units: an emoji counts two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _cut(text: str, limit: int) -> str:
    """Keep what fits, less a last character that would lose a part of itself."""
    end, used = 0, 0
    while end < len(text) and (used := used + _units(text[end])) <= limit:
        end += 1
    while 0 < end < len(text) and (_continues(text[end]) or text[end - 1] == _JOINER):
        end -= 1
    return text[:end].rstrip()


def _continues(char: str) -> bool:
    """Tell whether a character only adds to the one before: accents, joiners, variants, skin tones."""
    return char == _JOINER or unicodedata.category(char).startswith("M") or "\U0001f3fb" <= char <= "\U0001f3ff"
