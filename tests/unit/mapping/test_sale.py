from decimal import Decimal
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.line_taxes import PieceTax, TaxShare, read_tax
from mapping.sale import Piece, Sale, part_by_tax, read_sale
from schemas.errors import Refused
from schemas.stripe_objects import Invoice, LineList, Tax
from tests.builders import build_invoice, build_line, build_materials, build_rate, build_taxes, load_sample_invoice

MATERIALS = build_materials()
RATE_25 = build_rate("25").model_dump()
COMPLETE = ("01", "02", "03", "04", "05", "07", "09", "15", "16", "17", "18", "19", "20")


def read(invoice: Invoice) -> Sale:
    return read_sale(invoice, MATERIALS)


@pytest.mark.parametrize("sample", COMPLETE)
def test_the_pieces_of_every_sample_add_up_to_its_total(sample: str) -> None:
    invoice = load_sample_invoice(sample)
    sale = read(invoice)

    assert sum(piece.gross for piece in sale.pieces) + sale.unexplained == invoice.total
    assert sale.unexplained == 0


def test_tax_on_top_and_inside_are_told_apart() -> None:
    lines = [
        build_line(1000, taxes=build_taxes(250)),
        build_line(1000, taxes=build_taxes(167, "20", behavior="inclusive")),
    ]
    first, second = read(build_invoice(lines=lines)).pieces

    assert (first.net, first.gross, first.tax.percent) == (1000, 1250, Decimal(25))
    assert (second.net, second.gross, second.tax.percent) == (833, 1000, Decimal(20))


def test_several_rates_on_a_line_are_one_percentage() -> None:
    line = build_line(10_000, taxes=[*build_taxes(700, "7"), *build_taxes(1900, "19")])

    assert read(build_invoice(lines=[line])).pieces[0].tax.percent == Decimal(26)


def test_a_reverse_charge_takes_nothing_whatever_its_rate_says() -> None:
    line = build_line(10_000, taxes=build_taxes(0, "19", taxability_reason="reverse_charge"))
    tax = read(build_invoice(lines=[line])).pieces[0].tax

    assert (tax.percent, tax.reason, tax.country) == (0, "reverse_charge", "DE")


def test_a_rate_that_takes_less_than_half_a_cent_is_still_that_rate() -> None:
    line = build_line(1, taxes=build_taxes(0, "19"))

    assert read(build_invoice(lines=[line])).pieces[0].tax.percent == Decimal(19)


def test_a_tax_whose_rate_is_not_known_has_no_percentage() -> None:
    line = build_line(1000, taxes=build_taxes(100, "unheard-of"))

    assert read(build_invoice(lines=[line])).pieces[0].tax.percent is None


@pytest.mark.parametrize(
    ("amount", "total"),
    [(10_000, 9_000), (9_000, 9_000)],
    ids=["the line's amount is before its own coupon", "the line's amount is after its own coupon"],
)
def test_a_coupon_on_a_line_is_read_either_way_as_the_total_tells(amount: int, total: int) -> None:
    line = build_line(amount, discount_amounts=[{"amount": 1_000, "discount": "di_own"}])
    sale = read(build_invoice(lines=[line], total=total, discounts=["di_invoice"]))

    assert sum(piece.gross for piece in sale.pieces) == total


def test_credits_that_reduce_what_is_taxed_are_taken_off() -> None:
    granted = [{"amount": 500, "type": "credit_balance_transaction"}, {"amount": 100, "type": "discount"}]
    line = build_line(10_000, pretax_credit_amounts=granted, discount_amounts=[{"amount": 100}])

    assert read(build_invoice(lines=[line], total=9_400)).pieces[0].net == 9_400


def test_a_few_cents_between_lines_and_total_are_rounding() -> None:
    """Stripe can be set to round tax on the invoice: half a cent for each tax of a line, and for each rate."""
    lines = [build_line(10, taxes=build_taxes(3)) for _ in range(5)]

    assert read(build_invoice(lines=lines, total=65 - 3)).unexplained == -3
    with pytest.raises(Refused):
        read(build_invoice(lines=lines, total=65 - 4))


def test_without_tax_or_discount_nothing_is_rounding() -> None:
    with pytest.raises(Refused) as caught:
        read(build_invoice(total=10_001))
    assert caught.value.code == "invoice.sums.unexplained"


def test_what_does_not_add_up_is_not_guessed() -> None:
    with pytest.raises(Refused) as caught:
        read(build_invoice(total=10_100))

    assert caught.value.code == "invoice.sums.unexplained"
    assert "add up to 100.00 EUR, but its total in Stripe is 101.00 EUR" in caught.value.message


def test_an_invoice_without_lines_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        read(build_invoice().model_copy(update={"lines": build_invoice().lines.model_copy(update={"data": ()})}))
    assert caught.value.code == "invoice.lines.missing"


def test_an_invoice_of_shipping_alone_is_a_sale() -> None:
    cost = {"amount_total": 1250, "amount_tax": 250, "taxes": [{"amount": 250, "rate": RATE_25}]}
    invoice = build_invoice(total=1250, shipping_cost=cost).model_copy(update={"lines": LineList(data=())})
    (piece,) = read(invoice).pieces

    assert (piece.label, piece.gross, piece.tax.percent) == ("shipping", 1250, Decimal(25))


@pytest.mark.parametrize(
    ("cost", "net", "percent"),
    [
        ({"amount_total": 1250, "amount_tax": 250, "taxes": [{"amount": 250, "rate": RATE_25}]}, 1000, Decimal(25)),
        ({"amount_total": 1000, "amount_tax": 0, "taxes": [{"amount": 0, "rate": RATE_25}]}, 1000, Decimal(0)),
        # Not told: the rate of the lines fits.
        ({"amount_total": 1250, "amount_tax": 250}, 1000, Decimal(25)),
        ({"amount_total": 1070, "amount_tax": 70}, 1000, None),
        ({"amount_total": 1000, "amount_tax": 0}, 1000, 0),
    ],
)
def test_shipping_has_its_own_tax_or_that_of_the_lines(cost: dict[str, Any], net: int, percent: Decimal | None) -> None:
    line = build_line(1000, taxes=build_taxes(250))
    sale = read(build_invoice(lines=[line], total=1250 + cost["amount_total"], shipping_cost=cost))
    shipping = sale.pieces[-1]

    assert (shipping.label, shipping.net, shipping.gross) == ("shipping", net, cost["amount_total"])
    assert shipping.tax.percent == percent


def test_a_balance_that_was_applied_does_not_change_the_sale() -> None:
    invoice = load_sample_invoice("09")

    assert invoice.starting_balance == -20_000
    assert read(invoice).total == 178_500


def test_a_credit_tells_the_sale_the_other_way_round() -> None:
    line = build_line(-1000, taxes=build_taxes(-250))
    (piece,) = read(build_invoice(lines=[line])).negate().pieces

    assert (piece.net, piece.gross, piece.tax.shares[0].amount) == (1000, 1250, 250)


def test_rates_are_read_as_the_decimals_that_they_are_written_as() -> None:
    assert build_rate("8.875").percentage == Decimal("8.875")


# --- what a tax is taken of ---


@pytest.mark.parametrize(
    ("net", "told", "found"),
    [
        # Amount, taxable amount, effective percentage; and base, percent of it, percent of the whole.
        # The whole, at the rate.
        (10_000, (825, None, None), (10_000, "8.25", "8.25")),
        (10_000, (825, 10_000, "8.25"), (10_000, "8.25", "8.25")),
        # A part, told; or to be found from what was really taken.
        (10_000, (660, 8_000, None), (8_000, "8.25", "6.6")),
        (10_000, (660, 8_000, "6.6"), (8_000, "8.25", "6.6")),
        (10_000, (660, 10_000, "6.6"), (8_000, "8.25", "6.6")),
        (10_000, (660, None, "6.6"), (8_000, "8.25", "6.6")),
        (-10_000, (-660, -8_000, None), (-8_000, "8.25", "6.6")),
        # More than the nominal rate was taken: that is the rate.
        (10_000, (1_000, 10_000, "10"), (10_000, "10", "10")),
        # Nothing was taken.
        (10_000, (0, 0, None), (10_000, "0", "0")),
        (10_000, (0, 10_000, "0"), (10_000, "0", "0")),
        # Too little to tell: the rate.
        (5, (0, 5, None), (5, "8.25", "8.25")),
        (0, (0, 0, None), (0, "8.25", "8.25")),
        # What nothing explains is left to the check of rates.
        (10_000, (700, 8_000, "6.6"), (10_000, "8.25", "8.25")),
    ],
)
def test_what_a_tax_is_taken_of_follows_from_its_amount(
    net: int, told: tuple[int, int | None, str | None], found: tuple[int, str, str]
) -> None:
    amount, taxable, effective = told
    base, percent, whole = found
    rate = build_rate("8.25", effective_percentage=effective)
    tax = Tax.model_validate({"amount": amount, "taxable_amount": taxable, "tax_rate_details": {"tax_rate": rate.id}})
    taxed = read_tax([tax], {rate.id: rate}, net)

    assert (taxed.shares[0].base, taxed.shares[0].percent, taxed.percent) == (base, Decimal(percent), Decimal(whole))
    assert taxed.is_partial is (base != net)


PARTS = st.tuples(st.integers(1, 100), st.sampled_from(["8.25", "6.25", "2", "25"]))


@given(
    net=st.integers(-1_000_000, 1_000_000).filter(bool),
    parts=st.lists(
        st.tuples(st.integers(1, 100), st.sampled_from(["8.25", "6.25", "2", "25"])), min_size=1, max_size=3
    ),
    discount=st.integers(0, 10_000),
    inside=st.booleans(),
)
def test_parts_of_a_piece_come_to_the_piece(
    net: int, parts: list[tuple[int, str]], discount: int, inside: bool
) -> None:
    shares: list[TaxShare] = []
    for share, percent in parts:
        base = net * share // 100
        amount = int(base * Decimal(percent) / 100)
        shares.append(TaxShare(None, f"txr_{percent}", amount, base, Decimal(percent), is_inclusive=inside))
    taxes = sum(share.amount for share in shares)
    tax = PieceTax(taxes if inside else 0, 0 if inside else taxes, shares=tuple(shares), is_partial=True)
    piece = Piece("line 1", net + tax.inclusive + discount, discount, tax, "")
    parted = part_by_tax(piece)

    for get in (attrgetter("amount"), attrgetter("discount"), attrgetter("net"), attrgetter("gross")):
        assert sum(get(one) for one in parted) == get(piece)
    assert all((one.net < 0) == (net < 0) for one in parted if one.net)
    assert not any(one.tax.is_partial for one in parted)
    assert sum(share.amount for one in parted for share in one.tax.shares) == taxes


@pytest.mark.parametrize(
    ("exempt", "taxes", "reason"),
    [
        ("reverse", [], "reverse_charge"),
        ("exempt", [], "customer_exempt"),
        ("none", [], ""),
        (None, [], ""),
        ("reverse", build_taxes(0, "25"), "reverse_charge"),
        ("reverse", build_taxes(0, "25", taxability_reason="standard_rated"), "reverse_charge"),
        ("reverse", build_taxes(0, "25", taxability_reason="zero_rated"), "zero_rated"),
        ("reverse", build_taxes(2_500, "25"), ""),
    ],
)
def test_a_tax_of_nothing_has_the_customers_reason(exempt: str | None, taxes: Any, reason: str) -> None:
    shipping = {"amount_total": 100, "amount_tax": 0}
    line = build_line(10_000, taxes=taxes)
    total = 10_100 + sum(tax["amount"] for tax in taxes)
    pieces = read(build_invoice(lines=[line], customer_tax_exempt=exempt, shipping_cost=shipping, total=total)).pieces

    assert pieces[0].tax.reason == reason
    assert pieces[1].tax.reason == {"reverse": "reverse_charge", "exempt": "customer_exempt"}.get(exempt or "", "")
