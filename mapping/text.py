"""Text from Stripe made fit for a Business Central field. Every change is a note for the reader."""

import unicodedata
from dataclasses import dataclass, field


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
    characters, never inside one, and ends in an ellipsis.
    """
    clean = " ".join(_replace_controls(unicodedata.normalize("NFC", text)).split())
    if _units(clean) <= limit:
        return clean
    notes.add(f"{what} was cut to {limit} characters.")
    return _cut(clean, limit - 1) + "…"


def _replace_controls(text: str) -> str:
    return "".join(" " if unicodedata.category(char) in {"Cc", "Zl", "Zp", "Cs"} else char for char in text)


def _units(text: str) -> int:
    """Length in UTF-16 code units: an emoji counts two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _cut(text: str, limit: int) -> str:
    kept: list[str] = []
    used = 0
    for char in text:
        used += _units(char)
        if used > limit:
            break
        kept.append(char)
    # A mark or joiner belongs to the character that was cut off with it.
    while kept and (unicodedata.combining(kept[-1]) or kept[-1] == "\u200d"):
        kept.pop()
    return "".join(kept).rstrip()
