from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.business_central.vat import (
    NoDiscountableLinesError,
    VatLine,
    apply_discount_amount,
    apply_discount_percent,
    apply_invoice_discount,
    precision_of,
    recalculate,
    round_to,
    update_amounts,
)

CENT = Decimal("0.01")


def line(price: str, percent: str = "25", *, quantity: str = "1", identifier: str = "VAT25") -> VatLine:
    return VatLine(
        identifier=identifier,
        vat_percent=Decimal(percent),
        quantity=Decimal(quantity),
        unit_price=Decimal(price),
        allow_invoice_discount=True,
    )


def written(*lines: VatLine, gross: bool = False, precision: Decimal = CENT) -> list[VatLine]:
    done: list[VatLine] = []
    for entry in lines:
        update_amounts(entry, done, prices_include_vat=gross, precision=precision)
        done.append(entry)
    return done


def vat_of(lines: list[VatLine]) -> Decimal:
    return sum((entry.amount_including_vat - entry.amount for entry in lines), Decimal(0))


def test_three_lines_of_33_cents_carry_25_cents_of_vat_in_all() -> None:
    lines = written(*(line("0.33") for _ in range(3)))
    assert vat_of(lines) == Decimal("0.25")
    assert [entry.amount_including_vat - entry.amount for entry in lines] == [
        Decimal(v) for v in ("0.08", "0.09", "0.08")
    ]


def test_the_order_of_writing_decides_which_line_holds_the_odd_cent() -> None:
    forward = written(line("0.33"), line("0.10"))
    backward = written(line("0.10"), line("0.33"))
    assert vat_of(forward) == vat_of(backward) == Decimal("0.11")
    assert forward[0].amount_including_vat - forward[0].amount == Decimal("0.08")
    assert backward[1].amount_including_vat - backward[1].amount == Decimal("0.08")
    assert backward[0].amount_including_vat - backward[0].amount == Decimal("0.03")


def test_lines_of_another_identifier_are_rounded_apart() -> None:
    lines = written(line("0.33"), line("0.33", "7", identifier="VAT7"))
    assert [entry.amount_including_vat for entry in lines] == [Decimal("0.41"), Decimal("0.35")]


def test_positive_and_negative_lines_stay_at_1_25_when_posted() -> None:
    lines = written(line("10.02"), line("-5.01"))
    recalculate(lines, prices_include_vat=False, precision=CENT)
    assert vat_of(lines) == Decimal("1.25")
    assert [entry.amount_including_vat - entry.amount for entry in lines] == [Decimal("2.50"), Decimal("-1.25")]


def test_a_lone_positive_line_rounds_up_where_the_negative_remainder_is_absent() -> None:
    lines = written(line("10.02"))
    recalculate(lines, prices_include_vat=False, precision=CENT)
    assert vat_of(lines) == Decimal("2.51")


def test_halves_are_rounded_away_from_zero() -> None:
    assert round_to(Decimal("0.125"), CENT) == Decimal("0.13")
    assert round_to(Decimal("-0.125"), CENT) == Decimal("-0.13")


@pytest.mark.parametrize(("places", "amount"), [("0:0", "13"), ("2:2", "12.55"), ("3:3", "12.546")])
def test_amounts_have_the_decimals_of_their_currency(places: str, amount: str) -> None:
    entry = line("12.5456", "0")
    written(entry, precision=precision_of(places))
    assert entry.amount == Decimal(amount)


def test_line_amount_is_rounded_before_the_discount_is_taken_off() -> None:
    entry = line("0.333", quantity="10")
    entry.discount_percent = Decimal(15)
    apply_discount_percent(entry, CENT)
    written(entry)
    assert (entry.discount_amount, entry.line_amount) == (Decimal("0.50"), Decimal("2.83"))


def test_discount_amount_and_percent_follow_each_other() -> None:
    entry = line("30")
    entry.discount_amount = Decimal(10)
    apply_discount_amount(entry, CENT)
    assert entry.discount_percent == Decimal("33.33333")


def test_prices_including_vat_give_the_net_amount_of_the_whole_document() -> None:
    lines = written(*(line("0.33") for _ in range(3)), gross=True)
    assert sum(entry.amount_including_vat for entry in lines) == Decimal("0.99")
    assert sum(entry.amount for entry in lines) == Decimal("0.79")


def test_prices_including_vat_keep_the_gross_amount_when_posted() -> None:
    lines = written(line("99.99"), line("0.01"), gross=True)
    recalculate(lines, prices_include_vat=True, precision=CENT)
    assert sum(entry.amount_including_vat for entry in lines) == Decimal("100.00")
    assert sum(entry.amount for entry in lines) == Decimal("80.00")


def test_an_invoice_discount_is_shared_by_line_amount_and_lowers_the_vat() -> None:
    lines = written(line("100"), line("50"))
    apply_invoice_discount(lines, Decimal(15), prices_include_vat=False, precision=CENT)
    assert [entry.invoice_discount for entry in lines] == [Decimal(10), Decimal(5)]
    assert vat_of(lines) == Decimal("33.75")


def test_an_invoice_discount_needs_a_line_that_allows_it() -> None:
    entry = line("100")
    entry.allow_invoice_discount = False
    with pytest.raises(NoDiscountableLinesError):
        apply_invoice_discount(written(entry), Decimal(1), prices_include_vat=False, precision=CENT)


prices = st.decimals(min_value="-500", max_value="500", places=2)


@given(st.lists(prices, min_size=1, max_size=8), st.sampled_from(["0", "7", "25"]))
def test_the_vat_of_written_lines_is_the_rounded_vat_of_their_sum(amounts: list[Decimal], percent: str) -> None:
    lines = written(*(line(str(amount), percent) for amount in amounts if amount))
    # A line of amount zero does not take part; the last line settles the sum.
    total = sum((entry.amount for entry in lines), Decimal(0))
    assert vat_of(lines) == round_to(total * Decimal(percent) / 100, CENT)


@given(st.lists(prices, min_size=1, max_size=8), st.sampled_from(["0", "7", "25"]), st.booleans())
def test_posting_loses_no_cent_between_groups_and_lines(amounts: list[Decimal], percent: str, gross: bool) -> None:
    lines = written(*(line(str(amount), percent) for amount in amounts if amount), gross=gross)
    recalculate(lines, prices_include_vat=gross, precision=CENT)
    for entry in lines:
        whole = entry.amount_including_vat if gross else entry.amount
        assert abs(whole - entry.line_amount) <= CENT
        assert round_to(entry.amount_including_vat, CENT) == entry.amount_including_vat
    total = sum((entry.line_amount for entry in lines), Decimal(0))
    shown = sum(((entry.amount_including_vat if gross else entry.amount) for entry in lines), Decimal(0))
    assert shown == total
