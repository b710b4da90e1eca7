"""How far Stripe and Business Central may differ by rounding alone, and where they differ by more: a wrong rate.

Stripe rounds each tax of each line, Business Central once for each VAT group. So lines of one group may differ by half
a unit for each tax, and by half a unit for the group. What a rate of Business Central's makes of the lines that is not
Stripe's is no rounding, however small: it is judged apart, so that many lines can't hide it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from mapping.sale import Piece
from mapping.totals import VatLine

_HALF = Decimal("0.5")
_HUNDRED = Decimal(100)
# Business Central keeps percentages to five decimals; of sales tax it shows what its own rounding came to.
_PERCENT_PRECISION = Decimal("0.000005")


@dataclass
class RateGroup:
    """The lines that Stripe taxes at one rate and Business Central in one VAT group."""

    percent: Decimal
    """Business Central's."""
    pieces: list[Piece] = field(default_factory=list[Piece])

    @property
    def bound(self) -> Decimal:
        """What Stripe's rounding may come to, in minor units."""
        return sum((piece.tax.rounding + self._bound_part(piece) for piece in self.pieces), Decimal(0))

    @property
    def is_rounding(self) -> bool:
        """Whether both have the same rate, and Stripe's amounts are of that rate."""
        net = sum(piece.net for piece in self.pieces)
        rate_gap = sum((piece.net * (self._get_rate(piece) - self.percent) for piece in self.pieces), Decimal(0))
        stripe_gap = sum(
            (piece.tax.amount - piece.net * self._get_rate(piece) / _HUNDRED for piece in self.pieces), Decimal(0)
        )
        return (
            abs(rate_gap) / _HUNDRED <= _HALF + abs(net) * _PERCENT_PRECISION / _HUNDRED
            and abs(stripe_gap) <= self.bound
        )

    def _get_rate(self, piece: Piece) -> Decimal:
        """Stripe's; where that is not known, its amount must be of Business Central's."""
        return self.percent if piece.tax.percent is None else piece.tax.percent

    def _bound_part(self, piece: Piece) -> Decimal:
        """Its net amount and its tax were each shared out to whole units."""
        return 1 + self._get_rate(piece) / _HUNDRED if piece.is_part else Decimal(0)


def group_rates(lines: Iterable[tuple[VatLine, Piece]]) -> dict[tuple[str, Decimal | None], RateGroup]:
    """Group lines by VAT identifier and Stripe's rate."""
    groups: dict[tuple[str, Decimal | None], RateGroup] = {}
    for vat, piece in lines:
        groups.setdefault((vat.identifier, piece.tax.percent), RateGroup(vat.percent)).pieces.append(piece)
    return groups


def bound_rounding(lines: Sequence[tuple[VatLine, Piece]], unexplained: int) -> Decimal:
    """Return by how much the totals may differ, in minor units: no more than rounding can do to this invoice.

    Args:
        lines: Those that stand for something in Stripe.
        unexplained: What Stripe's own lines leave of its total.
    """
    groups = group_rates(lines)
    identifiers = {identifier for identifier, _ in groups}
    return sum((group.bound for group in groups.values()), Decimal(0)) + _HALF * len(identifiers) + abs(unexplained)
