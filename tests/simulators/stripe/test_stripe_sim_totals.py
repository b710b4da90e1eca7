"""The arithmetic alone: discounts, taxes, shipping, balance, currencies."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.stripe.currencies import round_half_up
from simulators.stripe.totals import (
    DiscountRule,
    LineInput,
    ShippingInput,
    TaxRule,
    add_up,
    apportion,
    line_amount,
    settle,
)
from tests.simulators.stripe.harness import Simulator

VAT19 = TaxRule("txr_19", Decimal(19), inclusive=False)
VAT7 = TaxRule("txr_7", Decimal(7), inclusive=False)
GB20 = TaxRule("txr_20", Decimal(20), inclusive=True)
NYC = TaxRule("txr_ny", Decimal("8.875"), inclusive=False)
PERCENT15 = DiscountRule("di_15", Decimal(15), None)
FIXED700 = DiscountRule("di_700", None, 700)


def test_exclusive_taxes_are_rounded_per_line_and_summed_per_rate() -> None:
    sums = add_up([LineInput(285000, [VAT19]), LineInput(4990, [VAT7]), LineInput(4999, [VAT19])])
    assert (sums.subtotal, sums.total, sums.total_excluding_tax) == (294989, 350438, 294989)
    assert [(tax.amount, tax.taxable) for tax in sums.total_taxes] == [(55100, 289999), (349, 4990)]


def test_inclusive_tax_is_inside_the_amount() -> None:
    sums = add_up([LineInput(5997, [GB20]), LineInput(333, [GB20])])
    assert (sums.subtotal, sums.total) == (6330, 6330)
    assert [(line.taxes[0].amount, line.taxes[0].taxable) for line in sums.lines] == [(1000, 4997), (56, 277)]
    assert sums.subtotal_excluding_tax == sums.total_excluding_tax == 5274


def test_invoice_discounts_are_shared_one_after_the_other_and_skip_what_is_not_discountable() -> None:
    lines = [LineInput(amount, [NYC]) for amount in (3333, 3333, 3334)]
    sums = add_up([*lines, LineInput(5000, [NYC], discountable=False)], [PERCENT15, FIXED700])
    assert [[amount for _, amount in line.discounts] for line in sums.lines] == [
        [500, 233],
        [500, 233],
        [500, 234],
        [0, 0],
    ]
    assert sums.total_discounts == [("di_15", 1500), ("di_700", 700)]
    assert [line.taxes[0].amount for line in sums.lines] == [231, 231, 231, 444]
    assert (sums.subtotal, sums.total, sums.total_excluding_tax) == (15000, 13937, 12800)


def test_a_line_discount_lowers_the_subtotal_but_not_the_line_amount() -> None:
    sums = add_up([LineInput(1000, [VAT19], discounts=[PERCENT15]), LineInput(500)])
    assert (sums.lines[0].amount, sums.lines[0].net, sums.subtotal) == (1000, 850, 1350)
    assert sums.total == 1350 + 162


def test_shipping_is_taxed_and_stays_out_of_the_line_taxes() -> None:
    sums = add_up([LineInput(17980, [VAT19])], shipping=ShippingInput(1290, [VAT19]))
    assert sums.shipping is not None
    assert (sums.shipping.subtotal, sums.shipping.tax, sums.shipping.total) == (1290, 245, 1535)
    assert (sums.total, sums.total_excluding_tax, sums.total_taxes[0].amount) == (22931, 19270, 3416)


def test_reverse_charge_keeps_the_tax_entry_at_zero() -> None:
    sums = add_up([LineInput(240000, [VAT19])], taxed=False)
    assert (sums.total, sums.total_taxes[0].amount, sums.total_taxes[0].taxable) == (240000, 0, 240000)


@pytest.mark.parametrize(
    ("total", "balance", "currency", "due", "left"),
    [
        (178500, -20000, "eur", 158500, 0),
        (-4534, 0, "usd", 0, -4534),
        (1000, -3000, "eur", 0, -2000),
        (1000, 500, "eur", 1500, 0),
        (30, 0, "eur", 0, 30),
        (1250, 0, "ugx", 1300, -50),
        (1249, 0, "isk", 1200, 49),
        (57255, 0, "kwd", 57260, -5),
        (123, 0, "jpy", 123, 0),
        (0, 0, "eur", 0, 0),
    ],
)
def test_the_balance_decides_what_is_due(total: int, balance: int, currency: str, due: int, left: int) -> None:
    settled = settle(total, balance, currency)
    assert (settled.amount_due, settled.ending_balance) == (due, left)


@pytest.mark.parametrize(
    ("unit", "quantity", "amount"), [("0.35", "12345", 4321), ("0.5", "1", 1), ("-0.5", "1", -1), ("12.5", "2.5", 31)]
)
def test_line_amounts_round_half_up(unit: str, quantity: str, amount: int) -> None:
    assert line_amount(Decimal(unit), Decimal(quantity)) == amount


_rates = st.sampled_from([VAT19, VAT7, GB20, NYC])
_lines = st.builds(
    LineInput, st.integers(-(10**7), 10**7), st.lists(_rates, max_size=2, unique=True), st.booleans(),
    st.lists(st.just(DiscountRule("di_line", Decimal("33.3"), None)), max_size=1),
)  # fmt: skip


@given(st.lists(_lines, max_size=12), st.lists(st.sampled_from([PERCENT15, FIXED700]), max_size=2, unique=True))
def test_the_safe_identity_holds_for_every_invoice(lines: list[LineInput], discounts: list[DiscountRule]) -> None:
    """Facts §22: line amounts, minus all discounts, plus exclusive taxes, make the total."""
    sums = add_up(lines, discounts)
    off = sum(amount for line in sums.lines for _, amount in line.discounts)
    on_top = sum(tax.amount for line in sums.lines for tax in line.taxes if not tax.rule.inclusive)
    assert sum(line.amount for line in lines) - off + on_top == sums.total
    assert sum(amount for _, amount in sums.total_discounts) == off
    assert sums.total - sums.total_excluding_tax == sum(tax.amount for tax in sums.total_taxes)


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
def test_shares_sum_up_and_differ_from_the_proportion_by_less_than_one(total: int, weights: list[int]) -> None:
    shares = apportion(total, weights)
    if sum(weights) == 0:
        assert shares == [0] * len(weights)
        return
    assert sum(shares) == total
    assert all(
        abs(share * sum(weights) - total * weight) < sum(weights) for share, weight in zip(shares, weights, strict=True)
    )


def test_halves_round_away_from_zero() -> None:
    assert [round_half_up(Decimal(text)) for text in ("0.5", "1.5", "2.5", "-0.5", "0.4999")] == [1, 2, 3, -1, 0]


def _taxed_line(sim: Simulator, amount: int, *rates: dict[str, str], **invoice: str) -> dict[str, Any]:
    """Finalize an invoice of one line with these rates."""
    customer = sim.call("POST", "/v1/customers", {"email": "a@example.com"}).json()["id"]
    made = sim.call("POST", "/v1/invoices", {"customer": customer, "currency": "cad"} | invoice).json()["id"]
    sent = {"customer": customer, "invoice": made, "amount": str(amount), "currency": "cad"}
    for at, rate in enumerate(rates):
        given = {"display_name": "Tax", "inclusive": "false"} | rate
        sent[f"tax_rates[{at}]"] = sim.call("POST", "/v1/tax_rates", given).json()["id"]
    if amount:
        sim.call("POST", "/v1/invoiceitems", sent)
    return sim.call("POST", f"/v1/invoices/{made}/finalize").json()


def test_a_rate_may_tax_a_part_only(sim: Simulator) -> None:
    invoice = _taxed_line(sim, 10_000, {"percentage": "8.25", "effective_percentage": "6.6"})
    (tax,) = invoice["total_taxes"]
    assert (tax["amount"], tax["taxable_amount"], tax["taxability_reason"]) == (660, 8_000, "taxable_basis_reduced")
    assert (invoice["subtotal"], invoice["total"]) == (10_000, 10_660)
    rate = sim.call("GET", f"/v1/tax_rates/{tax['tax_rate_details']['tax_rate']}").json()
    assert (rate["percentage"], rate["effective_percentage"]) == (8.25, 6.6)


def test_two_taxes_on_a_line_are_rounded_each(sim: Simulator) -> None:
    invoice = _taxed_line(sim, 510, {"percentage": "5"}, {"percentage": "9.975"})
    assert [tax["amount"] for tax in invoice["lines"]["data"][0]["taxes"]] == [26, 51]
    assert invoice["total"] == 587


def test_an_invoice_can_be_finalized_without_lines(sim: Simulator) -> None:
    invoice = _taxed_line(sim, 0)
    assert (invoice["status"], invoice["total"], invoice["lines"]["total_count"]) == ("paid", 0, 0)


def test_a_date_of_effect_is_kept(sim: Simulator) -> None:
    invoice = _taxed_line(sim, 100, effective_at="1793404800")
    assert invoice["effective_at"] == 1_793_404_800 != invoice["status_transitions"]["finalized_at"]


def test_a_reverse_charge_needs_no_tax_rows(sim: Simulator) -> None:
    customer = sim.call("POST", "/v1/customers", {"tax_exempt": "reverse"}).json()["id"]
    made = sim.call("POST", "/v1/invoices", {"customer": customer, "currency": "eur"}).json()["id"]
    sim.call("POST", "/v1/invoiceitems", {"customer": customer, "invoice": made, "amount": "100", "currency": "eur"})
    invoice = sim.call("POST", f"/v1/invoices/{made}/finalize").json()
    assert (invoice["customer_tax_exempt"], invoice["total_taxes"], invoice["total"]) == ("reverse", [], 100)
    assert invoice["lines"]["data"][0]["taxes"] == []
