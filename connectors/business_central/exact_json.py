"""JSON with exact numbers: amounts are Decimal on the way in and on the way out, and never pass through a float."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NoReturn

LONGEST_NUMBER: Final = 100
"""Characters of a number."""
LARGEST_EXPONENT: Final = 18
"""A number beyond 10^18 is none of Business Central's, whose amounts end at 10^15. Its digits alone would fill memory
where it is written out or turned into minor units."""
SMALLEST_EXPONENT: Final = -350
"""Noise of binary numbers around zero begins that far behind the point."""


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _parse_int(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError("a number has too many digits")
    return int(text)


def _parse_decimal(text: str) -> Decimal:
    if len(text) > LONGEST_NUMBER:
        raise ValueError("a number has too many digits")
    return require_bounds(Decimal(text))


def require_bounds(number: Decimal) -> Decimal:
    """Return the number if an amount, a price or a rate can be it.

    Raises:
        ValueError: it is none, or larger or finer than any.
    """
    if not number.is_finite() or len(number.as_tuple().digits) > LONGEST_NUMBER:
        raise ValueError("this is no amount")
    if number and not SMALLEST_EXPONENT <= number.adjusted() <= LARGEST_EXPONENT:
        raise ValueError("a number is beyond all amounts")
    return number or Decimal(0)


def parse_json(raw: bytes | str) -> Any:
    """Parse JSON: numbers with a fraction or exponent become Decimal, others int.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or holds a number beyond all amounts.
    """
    try:
        return json.loads(raw, parse_float=_parse_decimal, parse_int=_parse_int, parse_constant=_reject_constant)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error


def build_json(value: Any) -> str:
    """Write JSON with each Decimal as the number it is: Decimal("10.50") becomes 10.50.

    Raises:
        TypeError: a float, which may already have lost a cent, or anything else that JSON does not know.
        ValueError: a Decimal that is not a number.
    """
    match value:
        case None | bool() | int() | str():
            return json.dumps(value, ensure_ascii=False)
        case Decimal():
            return _build_number(value)
        case Mapping():
            return "{" + ",".join(f"{_build_key(key)}:{build_json(member)}" for key, member in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(build_json(member) for member in value) + "]"
        case _:
            raise TypeError(f"{type(value).__name__} can't be sent as exact JSON")


def _build_number(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"{value} is not a JSON number")
    return format(value, "f")


def _build_key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{key!r} can't be a JSON key")
    return json.dumps(key, ensure_ascii=False)
