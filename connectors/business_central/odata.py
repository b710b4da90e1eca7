"""How Business Central's OData dialect is written: literals, filters and URLs. No I/O."""

import re
import uuid
from collections.abc import Iterable
from urllib.parse import quote

_ENCODED_CHARACTER = re.compile(r"_x([0-9A-Fa-f]{4})_")
_AL_FILTER_SIGNS = frozenset("&|<>=()*?'\"%")


def quote_literal(text: str) -> str:
    """Write a string literal: in single quotes, an inner one doubled."""
    return "'" + text.replace("'", "''") + "'"


def build_equals_any(field: str, values: Iterable[str]) -> str:
    """Write `field eq 'A' or field eq 'B'`. Business Central allows `or` over one field only."""
    return " or ".join(f"{field} eq {quote_literal(value)}" for value in values)


def build_folded(field: str, value: str) -> str:
    """Write `field eq value` without regard to case: `eq` is case-sensitive on texts, and `tolower` switches that off.

    Where `is_filter_language`, ask plainly too: it is done by an AL filter, and whether signs that mean something
    there are escaped on the way is not documented.
    """
    return f"tolower({field}) eq {quote_literal(value.lower())}"


def is_filter_language(value: str) -> bool:
    """Tell whether the value holds what means something in AL filters."""
    return bool(set(value) & _AL_FILTER_SIGNS) or ".." in value


def has_wildcards(value: str) -> bool:
    """Tell whether `eq` may match more than this value."""
    return "*" in value or "?" in value


def equals_text(found: object, wanted: str) -> bool:
    """Tell whether a field's value is what was looked for, without regard to case and outer blanks."""
    return str(found).strip().casefold() == wanted.casefold()


def normalize_code(code: str) -> str:
    """Write a code as Business Central stores it: upper case, without outer blanks."""
    return code.strip().upper()


def build_url(root: str, path: str, **options: str) -> str:
    """Join root, path and system query options: `filter="…"` becomes `$filter=…`, all percent-encoded."""
    query = "&".join(f"${name}={quote(text, safe=',')}" for name, text in options.items())
    return f"{root}/{path}" + (f"?{query}" if query else "")


def parse_guid(text: str) -> str | None:
    """Return the id as Business Central writes it, or None if no record can have it (people edit metadata)."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None


def decode_enum(text: str) -> str:
    """Decode an enum member as it travels: `In_x0020_Review` is `In Review`, `_x0020_` is blank."""
    return _ENCODED_CHARACTER.sub(lambda match: chr(int(match.group(1), 16)), text).strip()
