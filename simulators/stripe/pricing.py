"""What a price makes of a quantity, pure: plain, in packages (`transform_quantity`), in tiers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from simulators.stripe.currencies import round_half_up
from simulators.stripe.totals import line_amount


@dataclass(frozen=True, slots=True)
class Charge:
    """A line's worth of a price. `unit` is None where amount is not unit times quantity (facts §19)."""

    quantity: Decimal
    amount: int
    unit: Decimal | None = None
    tier: int | None = None


def charge(price: dict[str, Any], quantity: Decimal) -> Charge:
    """Return what a quantity of a price without tiers costs."""
    unit = Decimal(price["unit_amount_decimal"])
    return Charge(quantity, line_amount(unit, _count_packages(price["transform_quantity"], quantity)), unit)


def charge_tiers(tiers: Sequence[dict[str, Any]], mode: str, quantity: Decimal) -> list[Charge]:
    """Return what a quantity costs: by volume one charge, graduated one for each tier reached."""
    parts = _graduate if mode == "graduated" else _choose_volume
    return [_charge_tier(tiers[at], part, at) for at, part in parts(tiers, quantity)]


def _count_packages(transform: dict[str, Any] | None, quantity: Decimal) -> Decimal:
    if transform is None:
        return quantity
    rounding = ROUND_CEILING if transform["round"] == "up" else ROUND_FLOOR
    return (quantity / transform["divide_by"]).quantize(Decimal(1), rounding=rounding)


def _graduate(tiers: Sequence[dict[str, Any]], quantity: Decimal) -> Iterator[tuple[int, Decimal]]:
    floor = Decimal(0)
    for at, tier in enumerate(tiers):
        ceiling = quantity if tier["up_to"] is None else min(quantity, Decimal(tier["up_to"]))
        if ceiling > floor or at == 0:
            yield at, ceiling - floor
        floor = ceiling


def _choose_volume(tiers: Sequence[dict[str, Any]], quantity: Decimal) -> Iterator[tuple[int, Decimal]]:
    fits = (at for at, tier in enumerate(tiers) if tier["up_to"] is None or quantity <= tier["up_to"])
    yield next(fits), quantity


def _charge_tier(tier: dict[str, Any], quantity: Decimal, at: int) -> Charge:
    unit, flat = Decimal(tier["unit_amount_decimal"] or 0), Decimal(tier["flat_amount_decimal"] or 0)
    return Charge(quantity, round_half_up(unit * quantity + flat), None, at)
