"""The filters that templates may use: nothing is read from the clock, and no text grows without end."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import cast
from zoneinfo import ZoneInfo

from liquid import RenderContext
from liquid.builtin.filters import array
from liquid.filter import with_context
from liquid.undefined import is_undefined

from mapping.template_numbers import NUMBER_FILTERS, Number, refuse, tidy_number, to_number, to_text, to_whole
from schemas.errors import Refused
from schemas.money import get_exponent

Filter = Callable[..., object]
TEXT_LIMIT = 50_000
"""Characters of any value on the way. Stripe's longest text has 5,000."""
LIST_LIMIT = 1_000
TIME_ZONE = "time_zone"
"""The name in the context under which templates find the company's time zone."""
_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)
_DIRECTIVES = frozenset("aAbBdHIjmMpSuUVwWyYZ%")


def build_filters() -> dict[str, Filter]:
    """Return all filters by name."""
    return {
        **{name: _on_text(rule) for name, rule in _TEXT.items()},
        **NUMBER_FILTERS,
        **_LISTS,
        "date": with_context(_date),
        "default": _default,
        "money": with_context(_money),
        "size": _size,
    }


def _on_text(rule: Filter) -> Filter:
    """Let a rule see text only: its arguments too, for a null there must not read `None`."""

    def apply(value: object, *arguments: object) -> object:
        return rule(to_text(value), *map(to_text, arguments))

    return apply


def _append(text: str, more: str) -> str:
    return text + more


def _prepend(text: str, before: str) -> str:
    return before + text


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:].lower()


def _remove(text: str, part: str) -> str:
    return text.replace(part, "") if part else text


def _replace(text: str, old: str, new: str = "") -> str:
    if len(text) + text.count(old) * len(new) > TEXT_LIMIT:
        raise refuse("the text grows too long")
    return text.replace(old, new)


def _replace_first(text: str, old: str, new: str = "") -> str:
    return text.replace(old, new, 1) if old else text


def _replace_last(text: str, old: str, new: str = "") -> str:
    before, found, after = text.rpartition(old) if old else (text, "", "")
    return before + new + after if found else text


def _slice(text: str, start: str, length: str = "1") -> str:
    first = to_whole(start)
    first = max(first + len(text), 0) if first < 0 else first
    return text[first : first + max(to_whole(length), 0)]


def _split(text: str, separator: str) -> list[str]:
    if not separator:
        return list(text)
    return text.split(None if separator == " " else separator) if text else []


def _squish(text: str) -> str:
    return " ".join(text.split())


def _strip_newlines(text: str) -> str:
    return text.replace("\r", "").replace("\n", "")


def _truncate(text: str, limit: str = "50", end: str = "...") -> str:
    count = to_whole(limit)
    return text if len(text) <= count else text[: max(count - len(end), 0)] + end


def _truncate_words(text: str, limit: str = "15", end: str = "...") -> str:
    words, count = text.split(), max(to_whole(limit), 1)
    return text if len(words) <= count else " ".join(words[:count]) + end


_TEXT: Mapping[str, Filter] = {
    "append": _append,
    "capitalize": _capitalize,
    "downcase": str.lower,
    "lstrip": str.lstrip,
    "prepend": _prepend,
    "remove": _remove,
    "remove_first": _replace_first,
    "remove_last": _replace_last,
    "replace": _replace,
    "replace_first": _replace_first,
    "replace_last": _replace_last,
    "rstrip": str.rstrip,
    "slice": _slice,
    "split": _split,
    "squish": _squish,
    "strip": str.strip,
    "strip_newlines": _strip_newlines,
    "truncate": _truncate,
    "truncatewords": _truncate_words,
    "upcase": str.upper,
}


def _to_list(values: object) -> list[object]:
    if values is None or is_undefined(values):
        return []
    if isinstance(values, Iterable) and not isinstance(values, str | Mapping):
        return list(cast("Iterable[object]", values))
    return [values]


def _join(values: object, separator: object = " ") -> str:
    texts = [to_text(value) for value in _to_list(values)]
    between = to_text(separator)
    if sum(map(len, texts)) + len(texts) * len(between) > TEXT_LIMIT:
        raise refuse("the text grows too long")
    return between.join(texts)


def _first(values: object) -> object:
    return next(iter(_to_list(values)), None)


def _last(values: object) -> object:
    return next(iter(_to_list(values)[-1:]), None)


def _unique(values: object) -> list[object]:
    first_of: dict[str, object] = {}
    for value in _to_list(values):
        first_of.setdefault(to_text(value), value)
    return list(first_of.values())


def _concat(values: object, more: object) -> list[object]:
    return [*_to_list(values), *_to_list(more)]


def _sum(values: object, key: object = None) -> Number:
    members = _to_list(values) if key is None else array.map_(_to_list(values), to_text(key))
    return tidy_number(sum((to_number(member) for member in members), start=Decimal(0)))


def _on_list(rule: Filter) -> Filter:
    """Let a rule of Liquid see a list: one thing is a list of one, and null of none."""

    def apply(values: object, *arguments: object) -> object:
        return rule(_to_list(values), *arguments)

    return apply


_LISTS: Mapping[str, Filter] = {
    "concat": _concat,
    "first": _first,
    "join": _join,
    "last": _last,
    "sum": _sum,
    "uniq": _unique,
    **{
        name: _on_list(rule)
        for name, rule in (
            ("compact", array.compact),
            ("find", array.find),
            ("has", array.has),
            ("map", array.map_),
            ("reject", array.reject),
            ("reverse", array.reverse),
            ("sort", array.sort),
            ("sort_natural", array.sort_natural),
            ("where", array.where),
        )
    },
}


def _default(value: object, instead: object = "") -> object:
    """Zero is a value; null, false, and what is empty are none."""
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return value if is_number or value else instead


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | Sequence | Mapping) else 0


def _date(value: object, form: object = "%Y-%m-%d", *, context: RenderContext) -> str:
    """Write a time of Stripe (Unix seconds), or an ISO date or time, as a date of the company's time zone."""
    text = to_text(value).strip()
    if not text:
        return ""
    pattern = to_text(form)
    for found in _DIRECTIVE.finditer(pattern):
        if found[1] not in _DIRECTIVES:
            raise refuse(f"the form of the date has “{found[0]}”; write it like %d.%m.%Y")
    return _read_moment(text, _find_zone(context)).strftime(pattern)


def _find_zone(context: RenderContext) -> ZoneInfo:
    """Find the company's time zone, which comes from the settings: a name that a template assigns is not it."""
    name = str(context.globals.get(TIME_ZONE, "UTC"))
    try:
        return ZoneInfo(name)
    except (ValueError, LookupError, OSError) as error:
        raise refuse(f"there is no time zone “{name[:40]}”") from error


def _read_moment(text: str, zone: ZoneInfo) -> datetime | date:
    try:
        if re.fullmatch(r"-?\d{1,12}", text, re.ASCII):
            return datetime.fromtimestamp(int(text), tz=UTC).astimezone(zone)
        if len(text) == len("2026-03-01"):
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
        return moment.astimezone(zone) if moment.tzinfo else moment
    except (ValueError, OverflowError, OSError) as error:
        raise refuse(f"“{text[:40]}” is no date: it must be Unix seconds, or written like 2026-03-01") from error


def _money(value: object, currency: object = None, *, context: RenderContext) -> str:
    """Write minor units as decimal text, 178500 of EUR as 1785.00; in the invoice's currency, if none is named."""
    if not to_text(value).strip():
        return ""
    code = to_text(currency) or to_text(context.get(["invoice", "currency"], token=None))
    try:
        exponent = get_exponent(code)
    except Refused as error:
        raise refuse(f"“{code[:20]}” is no currency of Stripe") from error
    amount = Decimal(to_number(value)).scaleb(-exponent)
    # Unit prices may have decimals below the minor unit; an amount has none.
    return f"{amount:.{exponent}f}" if amount == round(amount, exponent) else f"{amount.normalize():f}"
