"""JSON with exact numbers: amounts are Decimal on the way in and on the way out, and never pass through a float."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def parse_json(raw: bytes | str) -> Any:
    """Parse JSON: numbers with a fraction or exponent become Decimal, others int.

    Raises:
        ValueError: it is not JSON.
    """
    return json.loads(raw, parse_float=Decimal, parse_constant=_reject_constant)


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
