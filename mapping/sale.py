"""A Stripe invoice read as a sale: its lines and shipping with their amounts, discounts and taxes, in minor units.

Balances, credits and payments are not read: they settle the sale, and don't change it (Stripe facts 26).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from mapping.line_taxes import PieceTax, TaxShare, read_shipping_tax, read_tax
from mapping.materials import Materials
from schemas.errors import Refused
from schemas.money import apportion, format_amount, to_decimal
from schemas.stripe_objects import Invoice, Line, TaxRate

_HUNDRED = Decimal(100)
_HALF = Decimal("0.5")


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
    is_part: bool = False
    """Of a line that was shared out by us: its shares are rounded once more."""
    is_untaxed_rest: bool = False
    """What the taxes of a line leave out, where they take a part only."""

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
        price = None if self.unit_price is None else -self.unit_price
        return replace(self, amount=-self.amount, discount=-self.discount, tax=self.tax.negate(), unit_price=price)


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
        Refused: it has neither lines nor shipping, or they don't add up to its total: then nothing is guessed (Stripe
            facts 22).
    """
    shipping = _read_shipping(invoice, materials)
    if not invoice.lines.data and not shipping:
        raise Refused(
            f"Invoice {invoice.number or invoice.id} has no lines.",
            code="invoice.lines.missing",
            fix="There is nothing to book; enter it by hand if it should be.",
        )
    # Whether a coupon on a line is already taken off the line's amount is not documented; the total tells.
    for own_discounts_count in (True, False):
        pieces = [
            _read_line(line, number, invoice, materials.tax_rates, own_discounts_count=own_discounts_count)
            for number, line in enumerate(invoice.lines.data, start=1)
        ]
        whole = [*pieces, *shipping]
        unexplained = invoice.total - sum(piece.gross for piece in whole)
        if abs(unexplained) <= _bound_unexplained(whole):
            return Sale(tuple(whole), invoice.total, unexplained)
    raise _build_unexplained(invoice, unexplained)


def _bound_unexplained(pieces: Sequence[Piece]) -> Decimal:
    """Return by how much lines and total may differ: half a unit for each share of a tax or discount, and each rate.

    An account can have Stripe round tax on the invoice instead of each line.
    """
    shares = [share for piece in pieces for share in piece.tax.shares if share.amount]
    lines = [piece.line for piece in pieces if piece.line is not None]
    discounts = [one for line in lines for one in line.discount_amounts or () if one.amount]
    return _HALF * (len(shares) + len({share.rate_id for share in shares}) + len(discounts))


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
        tax=read_tax(line.taxes or (), rates, line.amount - discount).explain(invoice.customer_tax_exempt),
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


def _read_shipping(invoice: Invoice, materials: Materials) -> list[Piece]:
    cost = invoice.shipping_cost
    if cost is None or not cost.amount_total:
        return []
    net = cost.amount_total - (cost.amount_tax or 0)
    if cost.taxes:
        tax = read_shipping_tax(cost.taxes, cost.amount_tax or 0, net)
    else:
        tax = _guess_shipping_tax(net, cost.amount_tax or 0, invoice, materials.tax_rates)
    tax = tax.explain(invoice.customer_tax_exempt)
    # Its net amount and its tax: whether the tax is inside makes no difference to what it comes to.
    return [Piece("shipping", net, 0, tax, "Shipping", quantity=Decimal(1), unit_price=Decimal(net))]


def _guess_shipping_tax(net: int, tax: int, invoice: Invoice, rates: Mapping[str, TaxRate]) -> PieceTax:
    """Tell the rate of shipping, where Stripe does not name it, by which of the lines' rates fits it."""
    if not tax:
        return PieceTax()
    for line in invoice.lines.data:
        taxed = line.amount - _read_discount(line, invoice, own_discounts_count=True)
        found = read_tax(line.taxes or (), rates, taxed)
        if found.percent and abs(Decimal(net) * found.percent / _HUNDRED - tax) <= 1:
            first, *others = (replace(share, base=net) for share in found.shares)
            shares = (replace(first, amount=tax), *(replace(other, amount=0) for other in others))
            return replace(found, inclusive=0, exclusive=tax, shares=shares, is_partial=False)
    return PieceTax(exclusive=tax, percent=None, shares=(TaxShare(None, "", tax, net),))


def part_by_tax(piece: Piece) -> list[Piece]:
    """Part a piece whose taxes take a part of it only: each part bears its taxes whole, the rest bears none.

    80 of 100 taxed at 8.25 % become 80 with that tax, and 20 without.
    """
    parts = piece.tax.part(piece.net)
    discounts = apportion(piece.discount, [Decimal(abs(net)) for net, _ in parts])
    return [
        replace(
            piece,
            amount=net + tax.inclusive + discount,
            discount=discount,
            tax=tax,
            unit_price=None,
            is_part=True,
            is_untaxed_rest=not tax.shares,
        )
        for (net, tax), discount in zip(parts, discounts, strict=True)
    ]
