"""Why a document comes to another total than its Stripe invoice once it stands in Business Central. Pure.

Posting may round the total to the currency's *Invoice Rounding Precision*, by a line of its own (BC facts 20.4), and it
computes VAT anew. Neither is anybody's doing, and neither may be told as if it were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Cause = Literal["same", "rounded", "recomputed", "changed"]

# What Microsoft's own lists round totals to. The local currency's is in no list that the API shows.
_PRECISIONS = tuple(Decimal(text) for text in ("0.05", "0.1", "0.25", "0.5", "1", "5", "10", "50", "100"))


@dataclass(frozen=True)
class Posted:
    """Why the total is what it is."""

    cause: Cause
    precision: Decimal | None = None
    """What posting rounds totals of the currency to, as far as this document shows it; the currency's unit: it does
    not round."""


def explain_posted(
    wanted: Decimal,
    booked: Decimal,
    lines: Sequence[Decimal],
    unit: Decimal,
    known: Decimal | None = None,
) -> Posted:
    """Explain the total of a posted document.

    Args:
        wanted: Stripe's total, which the draft had too.
        booked: The posted total.
        lines: What each line comes to, tax included, in their order; empty where they are not known.
        unit: The smallest amount of the currency: 0.01.
        known: What posting rounds this currency to, where it is known.
    """
    difference = booked - wanted
    if not difference:
        return Posted("same", None if _is_multiple(booked, _PRECISIONS[0]) else unit)
    if known is not None and known > unit and _is_rounded(difference, booked, known):
        return Posted("rounded", known)
    if lines and lines[-1] == difference:
        shown = next((one for one in _PRECISIONS if one > unit and _is_rounded(difference, booked, one)), None)
        if shown is not None:
            return Posted("rounded", shown)
    if abs(difference) <= unit * len(lines):
        return Posted("recomputed")
    return Posted("changed")


def _is_rounded(difference: Decimal, booked: Decimal, precision: Decimal) -> bool:
    return abs(difference) < precision and _is_multiple(booked, precision)


def _is_multiple(amount: Decimal, precision: Decimal) -> bool:
    return amount % precision == 0
