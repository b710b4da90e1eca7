"""What rounding can do to an invoice, and what it can't."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mapping.line_taxes import read_tax
from mapping.rounding import bound_rounding, group_rates
from mapping.sale import Piece
from mapping.totals import VatLine, predict_taxes
from schemas.stripe_objects import Tax
from tests.builders import build_rate

RATES = ("5", "7", "9.975", "19", "19.2", "25", "25.5")
Taxed = list[tuple[VatLine, Piece]]


def build_piece(net: int, percents: Sequence[str], *, inside: bool = False) -> Piece:
    """Build a line of this net amount (or, inside, of this amount), taxed as Stripe does: each tax rounded."""
    whole = sum(Decimal(percent) for percent in percents)
    rates = [build_rate(percent) for percent in percents]
    base = Decimal(net) * 100 / (100 + whole) if inside else Decimal(net)
    taxes = [
        Tax.model_validate(
            {
                "amount": int((base * rate.percentage / 100).quantize(Decimal(1), rounding="ROUND_HALF_UP")),
                "tax_behavior": "inclusive" if inside else "exclusive",
                "tax_rate_details": {"tax_rate": rate.id},
            }
        )
        for rate in rates
    ]
    return Piece("line", net, 0, read_tax(taxes, {rate.id: rate for rate in rates}, net), "")


def book(pieces: Sequence[Piece], percent: Decimal | None = None) -> Taxed:
    """Book pieces in the VAT group of their rate, or all at another percentage."""
    made: Taxed = []
    for piece in pieces:
        own = piece.tax.percent or Decimal(0)
        made.append((VatLine(Decimal(piece.net), f"VAT{own}", own if percent is None else percent), piece))
    return made


def get_difference(taxed: Taxed) -> Decimal:
    """Return Stripe's tax less Business Central's, in minor units."""
    theirs = predict_taxes([vat for vat, _ in taxed], gross_prices=False, decimals=0)
    return sum(piece.tax.amount for _, piece in taxed) - sum(theirs.values(), Decimal(0))


LINES = st.builds(
    build_piece,
    st.integers(-50_000, 200_000),
    st.lists(st.sampled_from(RATES), min_size=1, max_size=2, unique=True),
    inside=st.booleans(),
)


@given(st.lists(LINES, min_size=1, max_size=40))
def test_what_stripe_rounds_is_always_let_pass(pieces: list[Piece]) -> None:
    taxed = book(pieces)

    assert all(group.is_rounding for group in group_rates(taxed).values())
    assert abs(get_difference(taxed)) <= bound_rounding(taxed, 0)


@given(
    st.lists(st.integers(1, 2_000), min_size=1, max_size=60),
    st.sampled_from(RATES),
    st.sampled_from(RATES),
    st.booleans(),
)
def test_a_wrong_rate_is_never_rounding(nets: list[int], ours: str, theirs: str, inside: bool) -> None:
    """However many lines there are, and however few cents it makes."""
    pieces = [build_piece(net, [ours], inside=inside) for net in nets]
    gap = abs(Decimal(ours) - Decimal(theirs)) * sum(piece.net for piece in pieces) / 100
    assume(gap > Decimal("0.6"))

    assert not all(group.is_rounding for group in group_rates(book(pieces, Decimal(theirs))).values())


@pytest.mark.parametrize(
    ("lines", "bound"),
    [
        # Half a unit for each tax of each line, and for each VAT group.
        ([(980, ["25"])], "1"),
        ([(510, ["5", "9.975"])] * 20, "20.5"),
        ([(510, ["7"]), (510, ["19"])], "2"),
        # Inside an amount, the rest of it is off as well.
        ([(12_500, ["25"], True)], "1.125"),
        # Nothing is rounded.
        ([(10_000, [])], "0.5"),
    ],
)
def test_the_bound_counts_what_is_rounded(lines: list[Any], bound: str) -> None:
    pieces = [build_piece(net, percents, inside=bool(inside)) for net, percents, *inside in lines]

    assert bound_rounding(book(pieces), 0) == Decimal(bound)
    assert bound_rounding(book(pieces), -2) == Decimal(bound) + 2


def test_rates_that_are_wrong_the_other_way_round_do_not_make_up_for_each_other() -> None:
    """24 % and 26 %, both booked at 25 %."""
    pieces = [build_piece(10_000, [percent]) for percent in ("24", "26")]
    taxed = [(VatLine(Decimal(piece.net), "VAT25", Decimal(25)), piece) for piece in pieces]

    assert get_difference(taxed) == 0
    assert not any(group.is_rounding for group in group_rates(taxed).values())


def test_where_stripes_rate_is_not_known_its_amount_must_be_of_business_centrals() -> None:
    tax = Tax.model_validate({"amount": 250, "tax_rate_details": {"tax_rate": "txr_gone"}})
    piece = Piece("line", 980, 0, read_tax([tax], {}, 980), "")
    right, wrong = (VatLine(Decimal(980), "VAT", Decimal(percent)) for percent in ("25.5", "25"))

    assert group_rates([(right, piece)])["VAT", None].is_rounding
    assert not group_rates([(wrong, piece)])["VAT", None].is_rounding
