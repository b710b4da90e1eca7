"""Text from Stripe made fit for a Business Central field. Every change is a note for the reader.

Business Central keeps UTF-16 and refuses what is too long instead of cutting it. What JSON, XML or SQL Server have no
form for is taken out, and what nobody sees but every look-up misses. Controls of direction go too, except the marks: an
override shows a number backwards, and an embedding that is cut turns the rest of a printed line round, while Arabic and
Hebrew are laid out right without them.
"""

import re
import unicodedata
from dataclasses import dataclass, field

from mapping.graphemes import count_units, cut_text

EMAIL_LENGTH = 80
PHONE_LENGTH = 30

_NONCHARACTERS = "".join(chr(plane + 0xFFFE) + chr(plane + 0xFFFF) for plane in range(0, 0x110000, 0x10000))
# Lone surrogates and noncharacters; zero width space, word joiner, byte order mark, soft hyphen, embeddings, overrides
# and isolates. The zero width joiners stay: emoji, Persian and Indic scripts need them.
_LOST = re.compile(f"[\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}\u200b\u2060\ufeff\u00ad\u202a-\u202e\u2066-\u2069]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
_LINE_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# What .NET's MailAddress takes, and so Business Central, less quoted names.
_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
_LABEL = r"[^\W_]([\w-]*[^\W_])?"
_EMAIL = re.compile(rf"{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})*")
_NAMED = 5
_CODE_SIGNS: dict[int, str] = {
    **dict.fromkeys(range(0x2018, 0x201C), "'"),
    **dict.fromkeys(range(0x201C, 0x2020), '"'),
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-"),
}


@dataclass
class Notes:
    """Collects what was changed, in the order it happened, each sentence once."""

    sentences: list[str] = field(default_factory=list[str])
    losses: list[str] = field(default_factory=list[str])
    """Those of the sentences that say that something of the text is gone, and not only written otherwise."""

    def add(self, sentence: str, *, lost: bool = False) -> None:
        """Note one change."""
        if sentence not in self.sentences:
            self.sentences.append(sentence)
        if lost and sentence not in self.losses:
            self.losses.append(sentence)


def fit_text(text: str, limit: int, what: str, notes: Notes) -> str:
    """Return the text composed (NFC), on one line, at most `limit` UTF-16 units; a cut ends in an ellipsis.

    The cut falls between characters as people see them, never inside one. `what` begins the notes: `The name`.
    """
    clean = tidy(text)
    if count_units(clean) <= limit:
        return _clean(text, what, notes)
    _note_lost(text, what, notes)
    notes.add(f"{what} was cut to {limit} characters.", lost=True)
    return cut_text(clean, limit - 1).rstrip() + "…"


def fit_code(text: str, limit: int, what: str, notes: Notes) -> str:
    """Return the text as a Code field holds it: upper case, trimmed, cut without an ellipsis.

    Only letters, digits, signs and single blanks are kept. Codes are keys: emoji in them break pages of Business
    Central, and a full-width or typographic twin of a sign makes two records that look the same.
    """
    clean = _clean(text, what, notes)
    plain = unicodedata.normalize("NFKC", clean).translate(_CODE_SIGNS)
    signs = "".join(char for char in plain if _is_code_sign(char))
    kept = " ".join(unicodedata.normalize("NFC", signs).split())
    if signs != plain:
        notes.add(f"{what} lost characters that a code can't have.", lost=True)
    elif kept != clean:
        notes.add(f"{what} was written with plain letters and signs.")
    # Letter by letter, as Business Central does: its upper case of ß is ß, not SS.
    raised = unicodedata.normalize("NFC", "".join(up if len(up := char.upper()) == 1 else char for char in kept))
    if count_units(raised) > limit:
        notes.add(f"{what} was cut to {limit} characters.", lost=True)
        raised = cut_text(raised, limit).rstrip()
    return raised


def fit_phone(text: str, what: str, notes: Notes) -> str:
    """Return a phone number without letters, which Business Central refuses; empty if it is too long, or none.

    What letters part, as `ext.` does, is parted by a stroke: run together, it would be another number.
    """
    clean = _clean(text, what, notes)
    parts = "".join("\0" if unicodedata.category(char)[0] in "LM" else char for char in clean).split("\0")
    if len(parts) == 1:
        kept = clean
    else:
        kept = " / ".join(part.lstrip(" .,:;-)").rstrip(" .,:;-(") for part in parts if re.search(r"\d", part))
        notes.add(f"{what} lost its letters, which Business Central refuses in phone numbers.", lost=True)
    return _keep_whole(kept, PHONE_LENGTH, what, notes)


def fit_email(text: str, what: str, notes: Notes) -> str:
    """Return an e-mail address, or nothing: a cut one is a wrong one, and Business Central refuses what is none."""
    clean = _clean(text, what, notes)
    if clean and not _EMAIL.fullmatch(clean):
        notes.add(f"{what} is no e-mail address and was left out.", lost=True)
        return ""
    return _keep_whole(clean, EMAIL_LENGTH, what, notes)


def split_lines(text: str, limit: int, what: str, notes: Notes) -> list[str]:
    """Split a text of several lines into lines of at most `limit` UTF-16 units, between words; empty ones are dropped.

    Nothing is cut off: a word that is longer than a line goes on in the next.
    """
    lines: list[str] = []
    for paragraph in _LINE_BREAK.split(text):
        rest = _clean(paragraph, what, notes)
        while count_units(rest) > limit:
            line = _take_line(rest, limit)
            lines.append(line.rstrip())
            rest = rest[len(line) :].lstrip()
        if rest:
            lines.append(rest)
    return lines


def tidy(text: str) -> str:
    """Return the text composed (NFC) and on one line, without extra blanks, controls, and what can't be stored."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    kept = _CONTROL.sub(" ", _LINE_BREAK.sub(" ", _LOST.sub("", text)))
    return " ".join(unicodedata.normalize("NFC", kept).split())


def fits(text: str, limit: int) -> bool:
    """Tell whether a text is short enough for a field."""
    return count_units(text) <= limit


def _clean(text: str, what: str, notes: Notes) -> str:
    """Tidy a text and note what that changed."""
    clean = tidy(text)
    if clean == text:
        return clean
    _note_lost(text, what, notes)
    rest = _LOST.sub("", text)
    if clean == unicodedata.normalize("NFC", rest) != rest:
        notes.add(f"{what} was written with composed letters, which look the same.")
    elif clean != rest:
        notes.add(f"{what} was tidied: line breaks, control characters or extra blanks were taken out.")
    return clean


def _note_lost(text: str, what: str, notes: Notes) -> None:
    if lost := sorted({f"U+{ord(char):04X}" for char in _LOST.findall(text)}):
        more = " …" if len(lost) > _NAMED else ""
        notes.add(f"{what} lost characters that can't be seen or stored: {', '.join(lost[:_NAMED])}{more}.", lost=True)


def _take_line(text: str, limit: int) -> str:
    """Take the words that fit; of a word longer than a line what fits, and at least one character as Python has it."""
    line = cut_text(text, limit) or text[: max(limit // 2, 1)]
    if text[len(line)] == " ":
        return line
    return line[: line.rfind(" ") + 1] or line


def _keep_whole(text: str, limit: int, what: str, notes: Notes) -> str:
    """An address or number that is cut is a wrong one: what is too long is left out."""
    if fits(text, limit):
        return text
    notes.add(f"{what} is longer than {limit} characters and was left out.", lost=True)
    return ""


def _is_code_sign(char: str) -> bool:
    """Letters, their accents, digits, punctuation and signs of the basic plane; neither emoji nor what is not seen."""
    if char.isascii():
        return char.isprintable()
    return char <= "\uffff" and unicodedata.category(char) not in {"So", "Sk", "Cf", "Cc", "Cn", "Co", "Cs"}
