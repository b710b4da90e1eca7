"""Arithmetic in templates: exact, never by floats, rounded half away from zero; as in Liquid, null counts as 0."""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation

from liquid.exceptions import FilterArgumentError
from liquid.undefined import is_undefined

Number = int | Decimal
_LIMIT = Decimal(10) ** 18
_DECIMALS = 6


def to_text(value: object) -> str:
    """Write a value as a template prints it: nothing for null, true and false in lower case."""
    if value is None or is_undefined(value):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else str(value)


def to_number(value: object) -> Number:
    """Read a number; null and blank text count as 0.

    Raises:
        FilterArgumentError: it is none, or too large to mean anything.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return _check_size(value)
    text = to_text(value).strip() or "0"
    try:
        return _check_size(Decimal(text))
    except InvalidOperation as error:
        raise refuse(f"“{text[:30]}” is no number") from error


def to_whole(value: object) -> int:
    """Read a whole number, cutting decimals off."""
    return int(to_number(value))


def tidy_number(number: Number) -> Number:
    """Keep six decimals at most, so that nothing is written as 1E-7; a whole number is int."""
    exact = Decimal(_check_size(number))
    if exact == exact.to_integral_value():
        return int(exact)
    short = round_number(exact, _DECIMALS)
    return exact if exact == short else short.normalize()


def round_number(number: Number, decimals: int) -> Decimal:
    """Round half away from zero."""
    return Decimal(number).quantize(Decimal(1).scaleb(-decimals), rounding="ROUND_HALF_UP")


def refuse(sentence: str) -> FilterArgumentError:
    """Build the error of a filter; its place in the template is added on the way out."""
    return FilterArgumentError(sentence, token=None)


def _check_size(number: Number) -> Number:
    size = number.copy_abs() if isinstance(number, Decimal) else abs(number)  # abs() of a Decimal may overflow
    if not size < _LIMIT:
        raise refuse("a number is too large")
    return number


def _abs(number: Number) -> Number:
    return abs(number)


def _at_least(number: Number, other: Number) -> Number:
    return max(number, other)


def _at_most(number: Number, other: Number) -> Number:
    return min(number, other)


def _ceil(number: Number) -> Number:
    return int(Decimal(number).to_integral_value("ROUND_CEILING"))


def _floor(number: Number) -> Number:
    return int(Decimal(number).to_integral_value("ROUND_FLOOR"))


def _plus(number: Number, other: Number) -> Number:
    return number + other


def _minus(number: Number, other: Number) -> Number:
    return number - other


def _times(number: Number, other: Number) -> Number:
    return number * other


def _divided_by(number: Number, other: Number) -> Number:
    """As in Liquid, two whole numbers give a whole one: 7 by 2 is 3, by 2.0 it is 3.5."""
    if not other:
        raise refuse("division by 0")
    whole = isinstance(number, int) and isinstance(other, int)
    return number // other if whole else Decimal(number) / Decimal(other)


def _modulo(number: Number, other: Number) -> Number:
    if not other:
        raise refuse("division by 0")
    whole = isinstance(number, int) and isinstance(other, int)
    return number % other if whole else Decimal(number) % Decimal(other)


def _round(number: Number, decimals: Number = 0) -> Number:
    return round_number(number, min(max(int(decimals), 0), _DECIMALS))


def _on_numbers(rule: Callable[..., Number]) -> Callable[..., object]:
    def apply(value: object, *arguments: object) -> Number:
        return tidy_number(rule(to_number(value), *map(to_number, arguments)))

    return apply


NUMBER_FILTERS: Mapping[str, Callable[..., object]] = {
    name: _on_numbers(rule)
    for name, rule in (
        ("abs", _abs),
        ("at_least", _at_least),
        ("at_most", _at_most),
        ("ceil", _ceil),
        ("divided_by", _divided_by),
        ("floor", _floor),
        ("minus", _minus),
        ("modulo", _modulo),
        ("plus", _plus),
        ("round", _round),
        ("times", _times),
    )
}
