"""The arithmetic of an invoice, pure: discounts, taxes, shipping, balance (Stripe facts §21-§29, §33, §34)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from simulators.stripe.currencies import minimum_charge, round_half_up, round_to_payable

_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class TaxRule:
    """A tax rate as far as sums go."""

    id: str
    percentage: Decimal
    inclusive: bool
    effective: Decimal | None = None
    """What the percentage comes to on the whole, where only a part is taxable: 6.6 of 8.25 on 80 of 100."""

    def taxable_part(self, base: int) -> int:
        """Return the part of an amount that is taxed."""
        if self.effective is None or not self.percentage:
            return base
        return round_half_up(base * self.effective / self.percentage)


@dataclass(frozen=True, slots=True)
class DiscountRule:
    """A discount with either a percentage or an amount."""

    id: str
    percent_off: Decimal | None
    amount_off: int | None


@dataclass(frozen=True, slots=True)
class LineInput:
    """A line before sums: the gross amount and what applies to it."""

    amount: int
    taxes: Sequence[TaxRule] = ()
    discountable: bool = True
    discounts: Sequence[DiscountRule] = ()


@dataclass(frozen=True, slots=True)
class TaxAmount:
    """One tax on one line."""

    rule: TaxRule
    amount: int
    taxable: int


@dataclass(slots=True)
class LineSums:
    """A line after sums; `own` counts the line-level share of `discounts`."""

    amount: int
    own: int = 0
    discounts: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    taxes: list[TaxAmount] = field(default_factory=list[TaxAmount])

    @property
    def net(self) -> int:
        """The amount after all discounts."""
        return self.amount - sum(amount for _, amount in self.discounts)


@dataclass(frozen=True, slots=True)
class ShippingInput:
    """A shipping rate on an invoice."""

    amount: int
    taxes: Sequence[TaxRule]


@dataclass(frozen=True, slots=True)
class ShippingSums:
    """The three amounts of `shipping_cost`, and its taxes."""

    subtotal: int
    tax: int
    total: int
    taxes: Sequence[TaxAmount] = ()


@dataclass(frozen=True, slots=True)
class InvoiceSums:
    """All sums of an invoice but those that depend on the balance."""

    lines: list[LineSums]
    shipping: ShippingSums | None
    subtotal: int
    subtotal_excluding_tax: int
    total: int
    total_excluding_tax: int
    total_discounts: list[tuple[str, int]]
    total_taxes: list[TaxAmount]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is due after the customer balance, and the balance left."""

    amount_due: int
    ending_balance: int


def add_up(
    inputs: Sequence[LineInput],
    discounts: Sequence[DiscountRule] = (),
    shipping: ShippingInput | None = None,
    *,
    taxed: bool = True,
) -> InvoiceSums:
    """Compute all sums; `taxed=False` (exempt or reverse charge) keeps the tax entries at 0."""
    lines = [LineSums(line.amount) for line in inputs]
    for sums, line in zip(lines, inputs, strict=True):
        _take_own_discounts(sums, line)
    plain = [
        _plain_inclusive_tax(sums.amount - sums.own, line.taxes, taxed=taxed) for sums, line in _pairs(lines, inputs)
    ]
    for rule in discounts:
        _share_discount(rule, lines, inputs)
    for sums, line in _pairs(lines, inputs):
        sums.taxes = _tax_line(sums.net, line.taxes, taxed=taxed)
    return _sum_up(lines, _ship(shipping, taxed=taxed), sum(plain))


def settle(total: int, balance: int, currency: str) -> Settlement:
    """Apply the customer balance (below 0 is credit): facts §26, §27, §33."""
    open_amount = total + balance
    if open_amount <= 0:
        return Settlement(0, open_amount)
    payable = round_to_payable(open_amount, currency)
    if payable < minimum_charge(currency):
        return Settlement(0, open_amount)
    return Settlement(payable, open_amount - payable)


def line_amount(unit_amount: Decimal, quantity: Decimal) -> int:
    """Multiply and round half up, as Stripe does with fractional unit amounts."""
    return round_half_up(unit_amount * quantity)


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Share an amount in proportion; the remainder goes to the largest fractions, so the shares sum up."""
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    shares = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda at: total * weights[at] % whole, reverse=True)
    for at in order[: total - sum(shares)]:
        shares[at] += 1
    return shares


def _pairs(lines: list[LineSums], inputs: Sequence[LineInput]) -> Iterable[tuple[LineSums, LineInput]]:
    return zip(lines, inputs, strict=True)


def _off(rule: DiscountRule, base: int) -> int:
    if rule.percent_off is not None:
        return round_half_up(base * rule.percent_off / _HUNDRED)
    return min(rule.amount_off or 0, base)


def _take_own_discounts(sums: LineSums, line: LineInput) -> None:
    for rule in line.discounts:
        amount = _off(rule, sums.net) if line.discountable and sums.net > 0 else 0
        sums.discounts.append((rule.id, amount))
        sums.own += amount


def _share_discount(rule: DiscountRule, lines: list[LineSums], inputs: Sequence[LineInput]) -> None:
    """Spread one invoice-level discount; every line names it, 0 included (facts §25)."""
    weights = [max(sums.net, 0) if line.discountable else 0 for sums, line in _pairs(lines, inputs)]
    shares = apportion(_off(rule, sum(weights)), weights)
    for sums, share in zip(lines, shares, strict=True):
        sums.discounts.append((rule.id, share))


def _tax_line(base: int, rules: Sequence[TaxRule], *, taxed: bool) -> list[TaxAmount]:
    if not taxed:
        return [TaxAmount(rule, 0, base) for rule in rules]
    inside = sum((rule.percentage for rule in rules if rule.inclusive), Decimal(0))
    amounts = {rule.id: round_half_up(base * rule.percentage / (_HUNDRED + inside)) for rule in rules if rule.inclusive}
    taxable = base - sum(amounts.values())
    for rule in rules:
        if not rule.inclusive:
            amounts[rule.id] = round_half_up(rule.taxable_part(taxable) * rule.percentage / _HUNDRED)
    return [TaxAmount(rule, amounts[rule.id], rule.taxable_part(taxable)) for rule in rules]


def _plain_inclusive_tax(base: int, rules: Sequence[TaxRule], *, taxed: bool) -> int:
    """Compute the tax inside a line before invoice-level discounts, for `subtotal_excluding_tax`."""
    if not any(rule.inclusive for rule in rules):
        return 0
    return sum(tax.amount for tax in _tax_line(base, rules, taxed=taxed) if tax.rule.inclusive)


def _ship(shipping: ShippingInput | None, *, taxed: bool) -> ShippingSums | None:
    if shipping is None:
        return None
    taxes = _tax_line(shipping.amount, shipping.taxes, taxed=taxed)
    inside = sum(tax.amount for tax in taxes if tax.rule.inclusive)
    on_top = sum(tax.amount for tax in taxes if not tax.rule.inclusive)
    return ShippingSums(shipping.amount - inside, inside + on_top, shipping.amount + on_top, taxes)


def _sum_up(lines: list[LineSums], shipping: ShippingSums | None, plain_tax: int) -> InvoiceSums:
    subtotal = sum(line.amount - line.own for line in lines)
    on_top = sum(tax.amount for line in lines for tax in line.taxes if not tax.rule.inclusive)
    taxes = sum(tax.amount for line in lines for tax in line.taxes)
    total = sum(line.net for line in lines) + on_top + (shipping.total if shipping else 0)
    return InvoiceSums(
        lines=lines,
        shipping=shipping,
        subtotal=subtotal,
        subtotal_excluding_tax=subtotal - plain_tax,
        total=total,
        total_excluding_tax=total - taxes - (shipping.tax if shipping else 0),
        total_discounts=_total_discounts(lines),
        total_taxes=_total_taxes(lines),
    )


def _total_discounts(lines: list[LineSums]) -> list[tuple[str, int]]:
    totals: dict[str, int] = {}
    for line in lines:
        for key, amount in line.discounts:
            totals[key] = totals.get(key, 0) + amount
    return list(totals.items())


def _total_taxes(lines: list[LineSums]) -> list[TaxAmount]:
    """Sum taxes per rate over the lines; shipping tax is not in it (facts §23, §29)."""
    totals: dict[str, TaxAmount] = {}
    for line in lines:
        for tax in line.taxes:
            seen = totals.get(tax.rule.id, TaxAmount(tax.rule, 0, 0))
            totals[tax.rule.id] = TaxAmount(tax.rule, seen.amount + tax.amount, seen.taxable + tax.taxable)
    return list(totals.values())
