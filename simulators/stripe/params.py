"""Checks that turn nested text parameters into values and refuse what Stripe refuses, unknown names above all."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from simulators.stripe.currencies import is_known_currency
from simulators.stripe.errors import invalid, missing

Check = Callable[[Any, str], Any]
_INTEGER = re.compile(r"-?[0-9]{1,15}")
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,12})?")
_ANY_TEXT = 5000  # Stripe's generic ceiling, facts §12


def check_params(given: dict[str, Any], allowed: Mapping[str, Check]) -> dict[str, Any]:
    """Check all parameters of a request against the endpoint's table."""
    return {name: _check_of(allowed, name, name)(value, name) for name, value in given.items()}


def _check_of(allowed: Mapping[str, Check], name: str, full: str) -> Check:
    check = allowed.get(name)
    if check is None:
        raise invalid(f"Received unknown parameter: {full}", full, code="parameter_unknown")
    return check


def text(limit: int = _ANY_TEXT) -> Check:
    """Accept text up to `limit` characters; the empty text unsets the field."""

    def check(value: Any, full: str) -> str | None:
        if not isinstance(value, str):
            raise invalid("Invalid string: expected text, got a hash", full)
        if len(value) > limit:
            raise invalid(f"Invalid string: must be at most {limit} characters", full)
        return value or None

    return check


def integer(value: Any, full: str) -> int | None:
    """Accept a whole number; the empty text unsets the field."""
    if value == "":
        return None
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        raise invalid(f"Invalid integer: {value}", full, code="parameter_invalid_integer")
    return int(value)


def boolean(value: Any, full: str) -> bool:
    """Accept `true` or `false`."""
    if value not in {"true", "false"}:
        raise invalid(f"Invalid boolean: {value}", full)
    return value == "true"


def decimal(value: Any, full: str) -> Decimal | None:
    """Accept a decimal number; the empty text unsets the field."""
    if value == "":
        return None
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise invalid(f"Invalid decimal: {value}", full)
    return Decimal(value)


def currency(value: Any, full: str) -> str:
    """Accept a currency Stripe knows, in any case; the answer is lower case (facts §36)."""
    if not isinstance(value, str) or not is_known_currency(value.lower()):
        raise invalid(f"Invalid currency: {value}.", full)
    return value.lower()


def one_of(*names: str) -> Check:
    """Accept one of the names."""

    def check(value: Any, full: str) -> str:
        if value not in names:
            raise invalid(f"Invalid {full}: must be one of {', '.join(names)}", full)
        return str(value)

    return check


def hash_of(fields: Mapping[str, Check]) -> Check:
    """Accept a hash with these names only; the empty text unsets the field."""

    def check(value: Any, full: str) -> dict[str, Any] | None:
        if value == "":
            return None
        if not isinstance(value, dict):
            raise invalid(f"Invalid hash: {value}", full)
        inner: dict[str, Any] = {}
        for name, part in value.items():
            path = f"{full}[{name}]"
            inner[name] = _check_of(fields, name, path)(part, path)
        return inner

    return check


def list_of(part: Check) -> Check:
    """Accept an array in any of its encodings; the empty text means an empty array."""

    def check(value: Any, full: str) -> list[Any]:
        if value == "":
            return []
        if isinstance(value, str):
            raise invalid("Invalid array", full)
        if not all(name.isdigit() for name in value):
            raise invalid("Invalid array", full)
        ordered = sorted(value.items(), key=lambda pair: int(pair[0]))
        return [part(entry, f"{full}[{name}]") for name, entry in ordered]

    return check


def untouched(value: Any, _full: str) -> Any:
    """Pass the raw value on: metadata has rules of its own."""
    return value


def not_simulated(_value: Any, full: str) -> Any:
    """Refuse honestly what Stripe knows and the simulator does not model."""
    raise invalid(f"The simulator does not model the parameter {full}.", full)


def time_range(value: Any, full: str) -> dict[str, int]:
    """Accept `created=123` or `created[gte]=123` as bounds."""
    if isinstance(value, str):
        exact = integer(value, full) or 0
        return {"gte": exact, "lte": exact}
    checked = hash_of({"gt": integer, "gte": integer, "lt": integer, "lte": integer})(value, full)
    return {name: bound for name, bound in checked.items() if bound is not None}


def required(params: Mapping[str, Any], name: str) -> Any:
    """Return the parameter or refuse with `parameter_missing`."""
    value = params.get(name)
    if value is None:
        raise invalid(f"Missing required param: {name}.", name, code="parameter_missing")
    return value


def no_such(noun: str, key: str, param: str) -> Exception:
    """Build the refusal of a parameter that points to nothing."""
    return missing(noun, key, param, status=400)


EXPAND: Check = list_of(text())
ADDRESS: Check = hash_of(
    {"city": text(), "country": text(), "line1": text(), "line2": text(), "postal_code": text(), "state": text()}
)
SHIPPING: Check = hash_of({"address": ADDRESS, "name": text(), "phone": text()})
CUSTOM_FIELDS: Check = list_of(hash_of({"name": text(40), "value": text(140)}))
DISCOUNTS: Check = list_of(hash_of({"coupon": text(), "discount": not_simulated, "promotion_code": not_simulated}))
PERIOD: Check = hash_of({"start": integer, "end": integer})
PAGING: dict[str, Check] = {"limit": integer, "starting_after": text(), "ending_before": text(), "expand": EXPAND}
ONLY_EXPAND: dict[str, Check] = {"expand": EXPAND}
