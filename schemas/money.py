"""Amounts: integers in Stripe's minor units here, Decimal in Business Central's units there. Never float."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Final

from schemas.errors import Refused

_ZERO_DECIMAL = frozenset("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split())
# Listed as zero-decimal by Stripe *and* as a special case; the special case rules: 5 UGX is 500.
# https://docs.stripe.com/currencies#special-cases
_TWO_DECIMAL_IN_STRIPE_ONLY = frozenset({"ISK", "UGX"})
_THREE_DECIMAL = frozenset("BHD JOD KWD OMR TND".split())
_TWO_DECIMAL = frozenset(
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CNY COP CRC "
    "CVE CZK DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR JMD KES KGS KHR "
    "KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK "
    "PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SEK SGD SHP SLE SOS SRD STD SZL THB TJS TOP TRY TTD TWD TZS UAH USD UYU "
    "UZS WST XCD XCG YER ZAR ZMW".split()
)

LONGEST_NUMBER: Final = 60
"""Digits of a number written out in full, before and behind the point together."""


class TooManyDigits(ValueError):  # noqa: N818 - it is told of a value
    """A number has more digits than any amount, price, quantity or rate."""

    def __init__(self) -> None:
        super().__init__("a number has too many digits")


def read_number(text: str) -> Decimal:
    """Read a number that others have written. Every text of others that is to be a number goes through here.

    `1E-400000000` is short, but has 400 MB of digits where it is written out.

    Raises:
        ValueError: it is no number, or none that is finite.
        TooManyDigits: a ValueError too.
    """
    if len(text) > LONGEST_NUMBER:
        raise TooManyDigits
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise ValueError("it is no number") from error
    return require_digits(number)


def require_digits(number: Decimal) -> Decimal:
    """Return the number, unless it has more digits than any amount, price, quantity or rate.

    Raises:
        ValueError: it is not finite.
        TooManyDigits: it has.
    """
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError("it is no finite number")  # noqa: TRY004 - NaN is a wrong value
    if max(len(digits) + max(exponent, 0), 1 - min(exponent, 0)) > LONGEST_NUMBER:
        raise TooManyDigits
    return number


def get_exponent(currency: str) -> int:
    """Return how many decimals Stripe's minor unit has for this currency (any case).

    Raises:
        Refused: a currency that Stripe's list does not hold; assuming two decimals could be wrong by a factor of 100.
    """
    code = currency.upper()
    if code in _ZERO_DECIMAL:
        return 0
    if code in _THREE_DECIMAL:
        return 3
    if code in _TWO_DECIMAL or code in _TWO_DECIMAL_IN_STRIPE_ONLY:
        return 2
    raise Refused(
        f"The currency {code!r} is not one the hub knows, so its amounts can't be read safely.",
        code="invoice.currency.unknown",
        fix="Report the currency; the invoice can be replayed once it is supported.",
    )


def to_decimal(amount_minor: int, currency: str) -> Decimal:
    """Turn Stripe's minor units into an amount: (1050, "eur") is 10.50, (1050, "jpy") is 1050."""
    exponent = get_exponent(currency)
    return Decimal(amount_minor).scaleb(-exponent)


def to_minor(amount: Decimal, currency: str) -> int:
    """Turn an exact amount into minor units.

    Raises:
        ValueError: the amount has digits below the minor unit, so no integer equals it.
    """
    scaled = amount.scaleb(get_exponent(currency))
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} {currency.upper()} is not a whole number of minor units")
    return int(scaled)


def apportion(total: int, weights: Sequence[Decimal]) -> list[int]:
    """Share an amount in minor units by weight; what rounding leaves goes to the largest fractions."""
    whole_weight = sum(weights)
    if not whole_weight:
        return [total, *(0 for _ in weights[1:])]
    exact = [total * weight / whole_weight for weight in weights]
    whole = [int(part) for part in exact]
    left = total - sum(whole)
    step = 1 if left > 0 else -1
    order = sorted(range(len(exact)), key=lambda at: abs(exact[at] - whole[at]), reverse=True)
    for at in order[: abs(left)]:
        whole[at] += step
    return whole


def round_half_up(amount: Decimal, decimals: int) -> Decimal:
    """Round half away from zero, as Business Central's Round() does by default."""
    return amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)


def format_amount(amount: Decimal, currency: str) -> str:
    """Write an amount for a reader: `1,234.50 EUR`."""
    return f"{amount:,.{get_exponent(currency)}f} {currency.upper()}"
