"""The money of a sales document, as Business Central computes it; pure, Decimal only.

While lines are written each one takes the rounded VAT of all lines with its VAT identifier less what the others hold
(BCApps SalesLine.Table.al UpdateAmounts, UpdateVATAmounts). Posting and invoice discounts recompute by VAT amount
lines, grouped by identifier and sign (SalesLine.Table.al UpdateVATOnLines, VATAmountLine.Table.al UpdateLines).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

ZERO = Decimal(0)
ONE = Decimal(1)
HUNDRED = Decimal(100)
PERCENT_STEP = Decimal("0.00001")


class NoDiscountableLinesError(ValueError):
    """An invoice discount on a document none of whose lines allows one."""


@dataclass(slots=True, kw_only=True)
class VatLine:
    """The amounts of one sales line; `identifier` None stands for a comment line, which carries no money."""

    identifier: str | None = None
    vat_percent: Decimal = ZERO
    quantity: Decimal = ZERO
    unit_price: Decimal = ZERO
    discount_percent: Decimal = ZERO
    discount_amount: Decimal = ZERO
    line_amount: Decimal = ZERO
    invoice_discount: Decimal = ZERO
    allow_invoice_discount: bool = False
    amount: Decimal = ZERO
    amount_including_vat: Decimal = ZERO

    def discounted(self) -> Decimal:
        """Return the line amount after the invoice discount (CalcLineAmount)."""
        return self.line_amount - self.invoice_discount


@dataclass(slots=True, kw_only=True)
class VatAmountLine:
    """The lines of one VAT identifier and sign, taken together."""

    identifier: str
    positive: bool
    percent: Decimal
    line_amount: Decimal = ZERO
    discount_base: Decimal = ZERO
    invoice_discount: Decimal = ZERO
    base: Decimal = ZERO
    vat: Decimal = ZERO

    def discounted(self) -> Decimal:
        """Return the amount after the invoice discount."""
        return self.line_amount - self.invoice_discount


@dataclass(slots=True)
class _Remainder:
    """What rounding left over on the way through the lines of one VAT amount line."""

    vat: Decimal = ZERO
    including_vat: Decimal = ZERO
    invoice_discount: Decimal = ZERO


def round_to(value: Decimal, precision: Decimal) -> Decimal:
    """Round to a multiple of `precision`, half away from zero."""
    return (value / precision).quantize(ONE, ROUND_HALF_UP) * precision


def precision_of(decimal_places: str) -> Decimal:
    """Return the amount precision of a currency from its `2:2`, `0:0`, `3:3`; blank means two."""
    digits = int((decimal_places or "2:2").rpartition(":")[2])
    return ONE.scaleb(-digits)


def gross_amount(line: VatLine, precision: Decimal) -> Decimal:
    """Return quantity times price, rounded, before any discount."""
    return round_to(line.quantity * line.unit_price, precision)


def apply_discount_percent(line: VatLine, precision: Decimal) -> None:
    """Derive the discount amount from the percentage (ValidateLineDiscountPercent)."""
    line.discount_amount = round_to(gross_amount(line, precision) * line.discount_percent / HUNDRED, precision)


def apply_discount_amount(line: VatLine, precision: Decimal) -> None:
    """Derive the percentage from the discount amount (UpdateLineDiscPct)."""
    line.discount_amount = round_to(line.discount_amount, precision)
    whole = gross_amount(line, precision)
    line.discount_percent = round_to(line.discount_amount / whole * HUNDRED, PERCENT_STEP) if whole else ZERO


def update_amounts(line: VatLine, others: Iterable[VatLine], *, prices_include_vat: bool, precision: Decimal) -> None:
    """Compute one line's amounts from its quantity, price and discount, given the document's other lines."""
    if line.identifier is None:
        return
    line.line_amount = gross_amount(line, precision) - line.discount_amount
    if line.line_amount == line.invoice_discount:
        line.amount = line.amount_including_vat = ZERO
        return
    shared = [
        other for other in others if line.vat_percent and other.identifier == line.identifier and other.vat_percent
    ]
    if prices_include_vat:
        _take_net_from_gross(line, shared, precision)
        return
    others_net = sum((other.amount for other in shared), ZERO)
    others_gross = sum((other.amount_including_vat for other in shared), ZERO)
    line.amount = round_to(line.discounted(), precision)
    total = others_net + line.amount
    line.amount_including_vat = total + round_to(total * line.vat_percent / HUNDRED, precision) - others_gross


def _take_net_from_gross(line: VatLine, shared: Sequence[VatLine], precision: Decimal) -> None:
    others_line_amount = sum((other.discounted() for other in shared), ZERO)
    others_net = sum((other.amount for other in shared), ZERO)
    others_gross = sum((other.amount_including_vat for other in shared), ZERO)
    factor = ONE + line.vat_percent / HUNDRED
    line.amount = round_to((others_line_amount + line.discounted()) / factor, precision) - others_net
    line.amount_including_vat = others_line_amount + line.discounted() - others_gross
    # Newer releases let the line alone decide where that gives the larger net amount
    # (SalesLine.Table.al UpdateVATRoundingFromVATAmountLines).
    alone = line.discounted() - round_to(line.discounted() - line.discounted() / factor, precision)
    if abs(line.amount) < abs(alone):
        line.amount, line.amount_including_vat = alone, line.discounted()


def vat_amount_lines(lines: Iterable[VatLine], *, prices_include_vat: bool, precision: Decimal) -> list[VatAmountLine]:
    """Group the lines by identifier and sign and round each group's VAT, the negative remainder carried on."""
    groups: dict[tuple[str, bool], VatAmountLine] = {}
    for line in lines:
        if line.identifier is None or not line.quantity or not line.unit_price:
            continue
        key = (line.identifier, line.line_amount >= 0)
        group = groups.get(key)
        if group is None:
            group = groups[key] = VatAmountLine(identifier=key[0], positive=key[1], percent=line.vat_percent)
        group.line_amount += line.line_amount
        group.invoice_discount += line.invoice_discount
        group.discount_base += line.line_amount if line.allow_invoice_discount else ZERO
    ordered = [groups[key] for key in sorted(groups)]
    _round_groups(ordered, prices_include_vat=prices_include_vat, precision=precision)
    return ordered


def _round_groups(groups: Iterable[VatAmountLine], *, prices_include_vat: bool, precision: Decimal) -> None:
    """Round VAT per group; within an identifier the negative group comes first and hands on its remainder."""
    identifier, carried = "", ZERO
    for group in groups:
        if group.identifier != identifier:
            identifier, carried = group.identifier, ZERO
        whole = group.discounted()
        net = whole / (ONE + group.percent / HUNDRED) if prices_include_vat else whole
        exact = whole - net if prices_include_vat else whole * group.percent / HUNDRED
        group.vat = round_to(carried + exact, precision)
        group.base = whole - group.vat if prices_include_vat else whole
        # With prices including VAT the table measures the remainder from the rounded base, so none is left over.
        carried = ZERO if group.positive or prices_include_vat else exact - round_to(exact, precision)


def update_vat_on_lines(
    lines: Sequence[VatLine], groups: Iterable[VatAmountLine], *, prices_include_vat: bool, precision: Decimal
) -> None:
    """Spread each VAT amount line over its lines, remainders carried from line to line (UpdateVATOnLines)."""
    by_key = {(group.identifier, group.positive): (group, _Remainder()) for group in groups}
    for line in lines:
        if line.identifier is None or not line.quantity or not line.unit_price:
            continue
        group, rest = by_key[line.identifier, line.line_amount >= 0]
        _share_invoice_discount(line, group, rest, precision)
        if prices_include_vat:
            _spread_gross(line, group, rest, precision)
        else:
            _spread_net(line, group, rest, precision)


def _share_invoice_discount(line: VatLine, group: VatAmountLine, rest: _Remainder, precision: Decimal) -> None:
    if not line.allow_invoice_discount:
        return
    if not group.discount_base or not line.line_amount:
        line.invoice_discount = ZERO
        return
    rest.invoice_discount += group.invoice_discount * line.line_amount / group.discount_base
    line.invoice_discount = round_to(rest.invoice_discount, precision)
    rest.invoice_discount -= line.invoice_discount


def _spread_net(line: VatLine, group: VatAmountLine, rest: _Remainder, precision: Decimal) -> None:
    line.amount = line.discounted()
    exact = rest.vat + group.vat * line.amount / group.base if group.base else ZERO
    line.amount_including_vat = line.amount + round_to(exact, precision)
    rest.vat = exact - line.amount_including_vat + line.amount


def _spread_gross(line: VatLine, group: VatAmountLine, rest: _Remainder, precision: Decimal) -> None:
    whole = group.discounted()
    exact_vat = exact_gross = ZERO
    if whole and line.line_amount:
        exact_vat = rest.vat + group.vat * line.discounted() / whole
        exact_gross = rest.including_vat + (group.base + group.vat) * line.discounted() / whole
    line.amount = round_to(exact_gross, precision) - round_to(exact_vat, precision)
    line.amount_including_vat = round_to(exact_gross, precision)
    rest.including_vat = exact_gross - line.amount_including_vat
    rest.vat = exact_vat - exact_gross + line.amount


def recalculate(lines: Sequence[VatLine], *, prices_include_vat: bool, precision: Decimal) -> None:
    """Recompute all lines by VAT amount lines, as releasing and posting do."""
    groups = vat_amount_lines(lines, prices_include_vat=prices_include_vat, precision=precision)
    update_vat_on_lines(lines, groups, prices_include_vat=prices_include_vat, precision=precision)


def apply_invoice_discount(
    lines: Sequence[VatLine], discount: Decimal, *, prices_include_vat: bool, precision: Decimal
) -> None:
    """Spread an invoice discount over the lines that allow one (ApplyInvDiscBasedOnAmt)."""
    groups = vat_amount_lines(lines, prices_include_vat=prices_include_vat, precision=precision)
    total = sum((group.discount_base for group in groups), ZERO)
    if not total:
        if discount > 0:
            raise NoDiscountableLinesError
        return
    left = ZERO
    for group in groups:
        left += discount * group.discount_base / total
        group.invoice_discount = round_to(left, precision)
        left -= group.invoice_discount
    _round_groups(groups, prices_include_vat=prices_include_vat, precision=precision)
    update_vat_on_lines(lines, groups, prices_include_vat=prices_include_vat, precision=precision)
