"""A Stripe invoice read as a sale: its lines and shipping with their amounts, discounts and taxes, in minor units.

Balances, credits and payments are not read: they settle the sale, and don't change it (Stripe facts 26).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from mapping.materials import Materials
from schemas.errors import Refused
from schemas.money import format_amount, to_decimal
from schemas.stripe_objects import Invoice, Line, Tax, TaxRate

_HUNDRED = Decimal(100)
# An account can have Stripe round tax on the invoice instead of each line: then lines and total differ by a few units.
_LEAST_TOLERANCE = 5


@dataclass(frozen=True)
class TaxShare:
    """What one tax rate takes of a piece, in minor units."""

    rate: TaxRate | None
    rate_id: str
    amount: int


@dataclass(frozen=True)
class PieceTax:
    """The taxes on a piece, together."""

    inclusive: int = 0
    """Inside the piece's amount, in minor units."""
    exclusive: int = 0
    """On top of it, in minor units."""
    percent: Decimal | None = Decimal(0)
    """All rates together, as far as they took anything; None where a rate is not known."""
    reason: str = ""
    country: str = ""
    shares: tuple[TaxShare, ...] = ()

    @property
    def rate_ids(self) -> tuple[str, ...]:
        """Ids of the tax rates."""
        return tuple(share.rate_id for share in self.shares)


@dataclass(frozen=True)
class Piece:
    """A part of the sale: a line, a part of a bundle, or shipping. Amounts in minor units."""

    label: str
    """For the reader: `line 3`, `shipping`."""
    amount: int
    """Before discounts; inclusive tax is inside."""
    discount: int
    tax: PieceTax
    description: str
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    """In minor units; None where the amount is not quantity times price (tiers, prorations)."""
    line: Line | None = None

    @property
    def net(self) -> int:
        """After discounts, without tax."""
        return self.amount - self.discount - self.tax.inclusive

    @property
    def gross(self) -> int:
        """After discounts, with tax."""
        return self.amount - self.discount + self.tax.exclusive

    def negate(self) -> "Piece":
        """Return the piece as a credit memo tells it: what was taken is given."""
        shares = tuple(replace(share, amount=-share.amount) for share in self.tax.shares)
        tax = replace(self.tax, inclusive=-self.tax.inclusive, exclusive=-self.tax.exclusive, shares=shares)
        price = None if self.unit_price is None else -self.unit_price
        return replace(self, amount=-self.amount, discount=-self.discount, tax=tax, unit_price=price)


@dataclass(frozen=True)
class Sale:
    """All pieces, and what they leave unexplained of the total: at most what rounding can explain."""

    pieces: tuple[Piece, ...]
    total: int
    unexplained: int

    def negate(self) -> "Sale":
        """Return the sale as a credit memo tells it."""
        return Sale(tuple(piece.negate() for piece in self.pieces), -self.total, -self.unexplained)


def read_sale(invoice: Invoice, materials: Materials) -> Sale:
    """Read an invoice with all its lines.

    Raises:
        Refused: it has no lines, or they don't add up to its total: nothing is guessed then (Stripe facts 22).
    """
    if not invoice.lines.data:
        raise Refused(
            f"Invoice {invoice.number or invoice.id} has no lines.",
            code="invoice.lines.missing",
            fix="There is nothing to book; enter it by hand if it should be.",
        )
    shipping = _read_shipping(invoice, materials)
    # Whether a coupon on a line is already taken off the line's amount is not documented; the total tells.
    for own_discounts_count in (True, False):
        pieces = [
            _read_line(line, number, invoice, materials.tax_rates, own_discounts_count=own_discounts_count)
            for number, line in enumerate(invoice.lines.data, start=1)
        ]
        whole = [*pieces, *shipping]
        unexplained = invoice.total - sum(piece.gross for piece in whole)
        if abs(unexplained) <= max(_LEAST_TOLERANCE, len(whole) // 2):
            return Sale(tuple(whole), invoice.total, unexplained)
    raise _build_unexplained(invoice, unexplained)


def _build_unexplained(invoice: Invoice, unexplained: int) -> Refused:
    total = format_amount(to_decimal(invoice.total, invoice.currency), invoice.currency)
    sums = format_amount(to_decimal(invoice.total - unexplained, invoice.currency), invoice.currency)
    return Refused(
        f"The lines of invoice {invoice.number or invoice.id} with discounts, tax and shipping add up to {sums}, but "
        f"its total in Stripe is {total}.",
        code="invoice.sums.unexplained",
        fix="Enter this invoice by hand, and report it: the hub does not guess what the difference is.",
    )


def _read_line(
    line: Line, number: int, invoice: Invoice, rates: Mapping[str, TaxRate], *, own_discounts_count: bool
) -> Piece:
    quantity = Decimal(line.quantity_decimal) if line.quantity_decimal is not None else line.quantity
    unit = line.pricing.unit_amount_decimal if line.pricing else None
    discount = _read_discount(line, invoice, own_discounts_count=own_discounts_count)
    return Piece(
        label=f"line {number}",
        amount=line.amount,
        discount=discount,
        tax=read_tax(line.taxes or (), rates, line.amount - discount),
        description=line.description or "",
        quantity=None if quantity is None else Decimal(quantity),
        unit_price=None if unit is None else Decimal(unit),
        line=line,
    )


def _read_discount(line: Line, invoice: Invoice, *, own_discounts_count: bool) -> int:
    """Add up what is taken off: all discounts, or only the invoice's; and credits that reduce what is taxed."""
    general = {one for one in invoice.discounts or () if isinstance(one, str)}
    discounts = sum(
        part.amount for part in line.discount_amounts or () if own_discounts_count or part.discount in general
    )
    granted = sum(part.amount for part in line.pretax_credit_amounts or () if part.type != "discount")
    return discounts + granted


def read_tax(taxes: Sequence[Tax], rates: Mapping[str, TaxRate], taxed: int) -> PieceTax:
    """Read the taxes on an amount. A rate that took nothing of it (reverse charge, exempt) counts 0 percent."""
    if not taxes:
        return PieceTax()
    shares = tuple(_read_share(tax, rates) for tax in taxes)
    inclusive = sum(tax.amount for tax in taxes if tax.tax_behavior == "inclusive")
    exclusive = sum(tax.amount for tax in taxes if tax.tax_behavior != "inclusive")
    return PieceTax(
        inclusive=inclusive,
        exclusive=exclusive,
        percent=_add_percents(shares, taxed),
        reason=next((tax.taxability_reason for tax in taxes if tax.taxability_reason), ""),
        country=next((share.rate.country for share in shares if share.rate and share.rate.country), ""),
        shares=shares,
    )


def _read_share(tax: Tax, rates: Mapping[str, TaxRate]) -> TaxShare:
    rate_id = (tax.tax_rate_details.tax_rate if tax.tax_rate_details else None) or ""
    return TaxShare(rates.get(rate_id), rate_id, tax.amount)


def _add_percents(shares: Sequence[TaxShare], taxed: int) -> Decimal | None:
    total = Decimal(0)
    for share in shares:
        if share.rate is None:
            if share.amount:
                return None
        elif share.amount or abs(taxed) * share.rate.percentage < _HUNDRED / 2:
            # It took something, or would have taken less than half a unit.
            total += share.rate.percentage
    return total


def _read_shipping(invoice: Invoice, materials: Materials) -> list[Piece]:
    cost = invoice.shipping_cost
    if cost is None or not cost.amount_total:
        return []
    net = cost.amount_total - (cost.amount_tax or 0)
    if cost.taxes:
        shares = tuple(TaxShare(one.rate, one.rate.id, one.amount) for one in cost.taxes)
        reason = next((one.taxability_reason for one in cost.taxes if one.taxability_reason), "")
        country = next((one.rate.country for one in cost.taxes if one.rate.country), "")
        tax = PieceTax(0, cost.amount_tax or 0, _add_percents(shares, net), reason, country, shares)
    else:
        tax = _guess_shipping_tax(net, cost.amount_tax or 0, invoice, materials.tax_rates)
    # Its net amount and its tax: whether the tax is inside makes no difference to what it comes to.
    return [Piece("shipping", net, 0, tax, "Shipping", quantity=Decimal(1), unit_price=Decimal(net))]


def _guess_shipping_tax(net: int, tax: int, invoice: Invoice, rates: Mapping[str, TaxRate]) -> PieceTax:
    """Tell the rate of shipping, where Stripe does not name it, by which of the lines' rates fits it."""
    if not tax:
        return PieceTax()
    for line in invoice.lines.data:
        found = read_tax(line.taxes or (), rates, line.amount)
        if found.percent and abs(Decimal(net) * found.percent / _HUNDRED - tax) <= 1:
            shares = (TaxShare(found.shares[0].rate, found.shares[0].rate_id, tax),)
            return replace(found, inclusive=0, exclusive=tax, shares=shares)
    return PieceTax(exclusive=tax, percent=None, shares=(TaxShare(None, "", tax),))
