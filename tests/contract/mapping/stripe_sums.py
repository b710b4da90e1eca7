"""Invoices as Stripe adds them up: discounts shared out, tax rounded for each line; computed by Stripe's simulator."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from schemas.money import round_half_up
from schemas.stripe_objects import Invoice
from simulators.stripe.totals import (
    DiscountRule,
    InvoiceSums,
    LineInput,
    LineSums,
    ShippingInput,
    TaxAmount,
    TaxRule,
    add_up,
    line_amount,
)
from tests.builders import build_invoice, build_line, build_rate

CURRENCIES = ("eur", "usd", "gbp", "dkk", "sek", "chf", "jpy", "kwd")
RULES = {
    key: TaxRule(f"txr_{percent}", Decimal(percent), inclusive)
    for key, percent, inclusive in (
        ("25", "25", False),
        ("7", "7", False),
        ("0", "0", False),
        ("25 inside", "25", True),
        ("7 inside", "7", True),
        ("18", "18", False),
    )
}
_IS_PARTIAL = st.integers(0, 5).map(lambda drawn: drawn == 0)


@st.composite
def stripe_invoices(draw: st.DrawFn, *, most_lines: int = 150, negative: bool = True) -> Invoice:
    """Build an invoice with mixed taxes, discounts, prorations and shipping, whose sums are Stripe's."""
    currency = draw(st.sampled_from(CURRENCIES))
    drafts = draw(st.lists(_lines(negative=negative), min_size=1, max_size=most_lines))
    discounts = draw(st.lists(_DISCOUNTS, max_size=2))
    shipping = draw(st.none() | st.builds(ShippingInput, st.integers(1, 5_000), _TAXES))
    sums = add_up([line for line, *_ in drafts], discounts, shipping)
    total = sums.total + sum(_tax_a_part(line) for line in sums.lines if draw(_IS_PARTIAL))
    lines = [
        _build_line(at, line, quantity, unit, currency)
        for at, (line, (_, quantity, unit)) in enumerate(zip(sums.lines, drafts, strict=True))
    ]
    return build_invoice(
        lines=lines,
        currency=currency,
        total=total,
        subtotal=sums.subtotal,
        shipping_cost=_build_shipping(sums, shipping),
        discounts=[rule.id for rule in discounts],
    )


# One tax on a line, none, or two that are 25 % together.
_TAXES = st.sampled_from([*(key for key in RULES if key != "18"), "7 and 18", None]).map(
    lambda keys: [RULES[key] for key in keys.split(" and ")] if keys else []
)
_DISCOUNTS = st.one_of(
    st.builds(DiscountRule, st.just("di_percent"), st.decimals(1, 100, places=1), st.none()),
    st.builds(DiscountRule, st.just("di_amount"), st.none(), st.integers(1, 100_000)),
)


@st.composite
def _lines(draw: st.DrawFn, *, negative: bool) -> tuple[LineInput, Decimal, Decimal | None]:
    quantity = Decimal(draw(st.integers(1, 500)))
    taxes = draw(_TAXES)
    if draw(st.booleans()):
        unit = draw(st.decimals(Decimal("0.01"), 20_000, places=2))
        return LineInput(line_amount(unit, quantity), taxes), quantity, unit
    amount = draw(st.integers(-50_000 if negative else 0, 200_000))
    return LineInput(amount, taxes, discountable=amount > 0), quantity, None


def _tax_a_part(line: LineSums) -> int:
    """Have the taxes on top of a line take four fifths of it; returns by how much that changes the total."""
    before = sum(tax.amount for tax in line.taxes)
    if any(tax.rule.inclusive for tax in line.taxes):
        return 0
    taxable = round_half_up(line.net * Decimal("0.8"), 0)
    amounts = {tax.rule.id: round_half_up(taxable * tax.rule.percentage / 100, 0) for tax in line.taxes}
    line.taxes = [TaxAmount(tax.rule, int(amounts[tax.rule.id]), int(taxable)) for tax in line.taxes]
    return sum(tax.amount for tax in line.taxes) - before


def _build_line(at: int, sums: LineSums, quantity: Decimal, unit: Decimal | None, currency: str) -> Any:
    return build_line(
        sums.amount,
        quantity=int(quantity),
        unit="" if unit is None else str(unit),
        id=f"il_{at}",
        currency=currency,
        description=f"Line {at + 1}",
        discount_amounts=[{"amount": amount, "discount": key} for key, amount in sums.discounts],
        taxes=_build_taxes(sums.taxes),
    )


def _build_taxes(taxes: Sequence[TaxAmount]) -> list[dict[str, Any]]:
    return [
        {
            "amount": tax.amount,
            "tax_behavior": "inclusive" if tax.rule.inclusive else "exclusive",
            "taxable_amount": tax.taxable,
            "tax_rate_details": {"tax_rate": tax.rule.id},
        }
        for tax in taxes
    ]


def _build_shipping(sums: InvoiceSums, given: ShippingInput | None) -> dict[str, Any] | None:
    if sums.shipping is None or given is None:
        return None
    return {
        "amount_subtotal": sums.shipping.subtotal,
        "amount_tax": sums.shipping.tax,
        "amount_total": sums.shipping.total,
        "taxes": [
            {
                "amount": tax.amount,
                "rate": build_rate(str(tax.rule.percentage), inclusive=tax.rule.inclusive).model_dump(),
            }
            for tax in sums.shipping.taxes
        ],
    }
