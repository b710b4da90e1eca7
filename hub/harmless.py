r"""Foreign text on a terminal: names from Stripe and words of Business Central hold anything, and a terminal obeys.

An escape renames the window or hides lines, a line break forges one, marks of direction turn a sentence round. Here
such characters become what they are called: `\x1b`, `\u202e`.
"""

import re
from typing import Any, cast

# Control characters but for tab and line feed; marks of direction; separators of lines; tags; halves of characters.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
_LINE = re.compile(r"[\t\n]")
_NAMES = {"\t": " ", "\n": "\\n"}


def make_harmless(text: str) -> str:
    """Write what a terminal would obey as its name; line feeds stay."""
    return _HARMFUL.sub(_name, text)


def make_line(text: str) -> str:
    """Write a text on one line, harmless."""
    return _LINE.sub(lambda found: _NAMES[found[0]], make_harmless(text))


def escape_json(written: str) -> str:
    """Escape in JSON what is harmful on a terminal; it means the same."""
    return _HARMFUL.sub(_escape, written)


def make_all_harmless(value: Any) -> Any:
    """Make every text of a structure harmless, for a log that people read."""
    if isinstance(value, str):
        return make_line(value)
    if isinstance(value, dict):
        return {make_all_harmless(key): make_all_harmless(one) for key, one in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [make_all_harmless(one) for one in cast("list[Any]", value)]
    return value


def _name(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"  # noqa: PLR2004 - as Python writes them


def _escape(found: re.Match[str]) -> str:
    """JSON knows two halves for what lies beyond four digits."""
    number = ord(found[0])
    if number < 0x10000:  # noqa: PLR2004
        return f"\\u{number:04x}"
    high, low = divmod(number - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
