"""Quantity, unit price and discount of a line, such that Business Central computes exactly the amount amounts.

Business Central takes quantity times unit price, rounds it to the currency, and takes the discount off.
"""

from dataclasses import dataclass
from decimal import Decimal

from schemas.money import round_half_up

# Business Central keeps quantities and unit prices to five decimals by default.
_PRECISION = 5
_ONE = Decimal(1)


@dataclass(frozen=True)
class Amounts:
    """A line's amounts in the document's currency: before its discount, and after."""

    before: Decimal
    after: Decimal
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    """What Stripe says, in the same terms (with or without tax) as the amounts; None where it says none."""


@dataclass(frozen=True)
class Priced:
    """What is written: `round(quantity * unit_price) - discount` is the amount amounts.

    Price and discount are not negative; a negative amount has a negative quantity.
    """

    quantity: Decimal
    unit_price: Decimal
    discount: Decimal
    is_kept: bool
    """Whether the quantity is Stripe's; else it is one piece, and the text tells Stripe's."""


def price_line(amounts: Amounts, decimals: int) -> Priced:
    """Keep quantity and unit price where they give the amount exactly; else one piece at the amount."""
    before = amounts.before if _is_discount(amounts) else amounts.after
    kept = _keep_quantity(amounts, before, decimals)
    quantity, price = kept or (_ONE, before)
    if price < 0:
        quantity, price = -quantity, -price
    return Priced(quantity, price, before - amounts.after, kept is not None)


def _is_discount(amounts: Amounts) -> bool:
    """Tell whether the discount can be written as one: Business Central takes none below zero or over the amount."""
    return amounts.before > 0 and 0 < amounts.before - amounts.after <= amounts.before


def _keep_quantity(amounts: Amounts, before: Decimal, decimals: int) -> tuple[Decimal, Decimal] | None:
    quantity = amounts.quantity
    if not quantity or quantity != round_half_up(quantity, _PRECISION):
        return None
    for price in _list_prices(amounts.unit_price, before, quantity):
        if round_half_up(quantity * price, decimals) == before:
            return quantity, price
    return None


def _list_prices(unit_price: Decimal | None, before: Decimal, quantity: Decimal) -> list[Decimal]:
    """Stripe's own price, if it can be written; else, where Stripe has one, the price that the amount comes to."""
    if unit_price is None:
        return []
    rounded = round_half_up(unit_price, _PRECISION)
    derived = round_half_up(before / quantity, _PRECISION)
    return [unit_price, derived] if rounded == unit_price else [derived]
