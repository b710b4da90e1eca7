"""Arithmetic in templates: exact, never by floats, rounded half away from zero; as in Liquid, null counts as 0."""

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import cast

from liquid.exceptions import FilterArgumentError
from liquid.undefined import is_undefined

from schemas.money import TooManyDigits, read_number

Number = int | Decimal
_LIMIT = Decimal(10) ** 18
_MOST_PARTS = 200
"""Values of a list or an object that is written out, each of so many characters."""
_CHARACTERS = 50
_DECIMALS = 6


def to_text(value: object) -> str:
    """Write a value as a template prints it: nothing for null, true and false in lower case."""
    if value is None or is_undefined(value):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple | dict):
        _check_parts(cast("Collection[object]", value))
    return str(value)


def _check_parts(value: Collection[object]) -> None:
    """Refuse what would take long to write out: a whole invoice with its lines is no text."""
    left, open_ = _MOST_PARTS, [value]
    while open_:
        parts = open_.pop()
        left -= 1 + len(parts)
        if left < 0:
            raise refuse("a list or an object is no text; name one of its values")
        inner = cast("Mapping[str, object]", parts).values() if isinstance(parts, Mapping) else parts
        for one in inner:
            if isinstance(one, str):
                left -= len(one) // _CHARACTERS
            elif isinstance(one, list | tuple | dict):
                open_.append(cast("Collection[object]", one))


def to_number(value: object) -> Number:
    """Read a number; null and blank text count as 0.

    Raises:
        FilterArgumentError: it is none, or too large to mean anything.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return _check_size(value)
    text = to_text(value).strip() or "0"
    try:
        number = read_number(text)
    except TooManyDigits as error:
        raise refuse("a number is too large, or has too many decimals") from error
    except ValueError as error:
        raise refuse(f"“{text[:30]}” is no number") from error
    return _check_size(number)


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
