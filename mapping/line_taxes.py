"""The taxes on a line or on shipping, as Stripe tells them: what each takes, at which rate, and of how much.

What matters is what a tax took of what. The rate that Stripe names may be the nominal one while a part of the line
only is taxed (`taxable_amount`), or while less is taken of the whole (`effective_percentage`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from schemas.money import apportion
from schemas.stripe_objects import ShippingTax, Tax, TaxRate

_HUNDRED = Decimal(100)
_HALF = Decimal("0.5")
# Why nothing is taxed, where the customer says so and the line does not.
_EXEMPTIONS = {"reverse": "reverse_charge", "exempt": "customer_exempt"}
_EXPLAINS_NOTHING = frozenset({"", "standard_rated", "reduced_rated", "not_available"})


@dataclass(frozen=True)
class TaxShare:
    """What one tax rate takes of a piece, in minor units."""

    rate: TaxRate | None
    rate_id: str
    amount: int
    base: int = 0
    """What it is taken of: the piece's net amount, or the part of it that is taxed."""
    percent: Decimal | None = None
    """What it takes of the base; zero where it takes nothing (reverse charge, exempt), None where it is not known."""
    is_inclusive: bool = False
    """Whether Stripe took it out of the amount, and did not put it on top."""


@dataclass(frozen=True)
class PieceTax:
    """The taxes on a piece, together."""

    inclusive: int = 0
    """Inside the piece's amount, in minor units."""
    exclusive: int = 0
    """On top of it, in minor units."""
    percent: Decimal | None = Decimal(0)
    """What all of them take of the whole piece; None where a rate is not known."""
    reason: str = ""
    country: str = ""
    shares: tuple[TaxShare, ...] = ()
    is_partial: bool = False
    """Whether some of them take a part of the piece only."""

    @property
    def amount(self) -> int:
        """All of it, in minor units."""
        return self.inclusive + self.exclusive

    @property
    def rate_ids(self) -> tuple[str, ...]:
        """Ids of the tax rates."""
        return tuple(share.rate_id for share in self.shares)

    @property
    def rounding(self) -> Decimal:
        """By how much Stripe may have rounded it, in minor units: half a unit for each share.

        What is inside an amount makes the rest of it, of which Business Central takes the tax, off by as much.
        """
        rounded = [share for share in self.shares if share.amount or share.percent]
        inside = [share for share in rounded if share.is_inclusive]
        percent = sum((share.percent or Decimal(0) for share in inside), Decimal(0))
        return _HALF * (len(rounded) + len(inside) * percent / _HUNDRED)

    def negate(self) -> "PieceTax":
        """Return what a credit memo tells."""
        shares = tuple(replace(share, amount=-share.amount, base=-share.base) for share in self.shares)
        return replace(self, inclusive=-self.inclusive, exclusive=-self.exclusive, shares=shares)

    def explain(self, customer_tax_exempt: str | None) -> "PieceTax":
        """Give a tax of nothing the reason that the customer has for it, where the line has none of its own."""
        exemption = _EXEMPTIONS.get(customer_tax_exempt or "")
        if self.amount or exemption is None or self.reason not in _EXPLAINS_NOTHING:
            return self
        return replace(self, reason=exemption)

    def share_out(self, weights: Sequence[Decimal]) -> "list[PieceTax]":
        """Share it out by weight, to the last minor unit."""
        amounts = [apportion(share.amount, weights) for share in self.shares]
        bases = [apportion(share.base, weights) for share in self.shares]
        inclusives, exclusives = apportion(self.inclusive, weights), apportion(self.exclusive, weights)
        return [
            replace(
                self,
                inclusive=inclusives[at],
                exclusive=exclusives[at],
                shares=tuple(
                    replace(share, amount=amounts[number][at], base=bases[number][at])
                    for number, share in enumerate(self.shares)
                ),
            )
            for at in range(len(weights))
        ]

    def part(self, net: int) -> "list[tuple[int, PieceTax]]":
        """Part a net amount by what the taxes take of it: amounts, each with the taxes that take all of it."""
        taking = [share for share in self.shares if share.percent]
        bases = [min(abs(share.base), abs(net)) for share in taking]
        edges = sorted({*bases, abs(net)})
        widths = [high - low for low, high in zip([0, *edges], edges, strict=False)]
        parts: list[list[TaxShare]] = [[] for _ in widths]
        for share, base in zip(taking, bases, strict=True):
            reach = edges.index(base) + 1
            amounts = apportion(share.amount, [Decimal(width) for width in widths[:reach]])
            for at, amount in enumerate(amounts):
                parts[at].append(replace(share, amount=amount, base=widths[at]))
        sign = -1 if net < 0 else 1
        return [(sign * width, self._take(shares, sign)) for width, shares in zip(widths, parts, strict=True)]

    def _take(self, shares: Sequence[TaxShare], sign: int) -> "PieceTax":
        if not shares:
            return PieceTax(country=self.country)
        inclusive = sum(share.amount for share in shares if share.is_inclusive) if self.inclusive else 0
        return replace(
            self,
            inclusive=inclusive,
            exclusive=sum(share.amount for share in shares) - inclusive,
            percent=sum((share.percent or Decimal(0) for share in shares), Decimal(0)),
            shares=tuple(replace(share, base=sign * share.base) for share in shares),
            is_partial=False,
        )


def read_tax(taxes: Sequence[Tax], rates: Mapping[str, TaxRate], taxed: int) -> PieceTax:
    """Read the taxes on an amount after discounts, in minor units, in which inclusive ones are inside."""
    if not taxes:
        return PieceTax()
    inclusive = sum(tax.amount for tax in taxes if tax.tax_behavior == "inclusive")
    exclusive = sum(tax.amount for tax in taxes if tax.tax_behavior != "inclusive")
    net = taxed - inclusive
    shares = [_read_share(tax, rates, net) for tax in taxes]
    return _put_together(inclusive, exclusive, shares, net, [tax.taxability_reason for tax in taxes])


def read_shipping_tax(taxes: Sequence[ShippingTax], amount: int, net: int) -> PieceTax:
    """Read the taxes on shipping; all are told on top, whether or not they are inside in Stripe."""
    shares = [
        _take_of(TaxShare(one.rate, one.rate.id, one.amount, is_inclusive=one.rate.inclusive), one.taxable_amount, net)
        for one in taxes
    ]
    return _put_together(0, amount, shares, net, [one.taxability_reason for one in taxes])


def _read_share(tax: Tax, rates: Mapping[str, TaxRate], net: int) -> TaxShare:
    rate_id = (tax.tax_rate_details.tax_rate if tax.tax_rate_details else None) or ""
    share = TaxShare(rates.get(rate_id), rate_id, tax.amount, is_inclusive=tax.tax_behavior == "inclusive")
    return _take_of(share, tax.taxable_amount, net)


def _put_together(
    inclusive: int, exclusive: int, shares: Sequence[TaxShare], net: int, reasons: Sequence[str | None]
) -> PieceTax:
    return PieceTax(
        inclusive=inclusive,
        exclusive=exclusive,
        percent=_add_percents(shares, net),
        reason=next((reason for reason in reasons if reason), ""),
        country=next((share.rate.country for share in shares if share.rate and share.rate.country), ""),
        shares=tuple(shares),
        is_partial=any(share.percent and share.base != net for share in shares),
    )


def _add_percents(shares: Sequence[TaxShare], net: int) -> Decimal | None:
    """Add up what each takes of the whole."""
    if any(share.percent is None and share.amount for share in shares):
        return None
    return sum((_get_whole_percent(share, net) for share in shares), Decimal(0))


def _get_whole_percent(share: TaxShare, net: int) -> Decimal:
    percent, rate = share.percent or Decimal(0), share.rate
    if share.base == net or not net or rate is None:
        return percent
    effective = rate.effective_percentage
    if effective is not None and _explains(share.amount, net, effective):
        return effective
    return share.base * percent / net


def _take_of(share: TaxShare, taxable: int | None, net: int) -> TaxShare:
    """Find what the tax was taken of, and at which rate: what explains its amount, effective rates before nominal."""
    rate = share.rate
    if rate is None:
        return replace(share, base=net)
    if not share.amount and _takes_nothing(rate, taxable, net):
        return replace(share, base=net, percent=Decimal(0))
    nominal = rate.percentage
    if taxable is not None and abs(taxable) < abs(net) and _explains(share.amount, taxable, nominal):
        return replace(share, base=taxable, percent=nominal)
    effective = rate.effective_percentage
    if effective is not None and effective != nominal and _explains(share.amount, net, effective):
        base = int((net * effective / nominal).to_integral_value()) if 0 < effective < nominal else net
        is_part = base != net and _explains(share.amount, base, nominal)
        return replace(share, base=base, percent=nominal) if is_part else replace(share, base=net, percent=effective)
    return replace(share, base=net, percent=nominal)


def _takes_nothing(rate: TaxRate, taxable: int | None, net: int) -> bool:
    """Tell a reverse charge or an exemption from a tax that comes to less than half a unit."""
    base = net if taxable is None else taxable
    return (taxable == 0 and net != 0) or abs(base) * rate.percentage >= _HUNDRED * _HALF


def _explains(amount: int, base: int, percent: Decimal) -> bool:
    """Tell whether an amount is what this percentage takes of the base, but for rounding."""
    return bool(base) and abs(amount - base * percent / _HUNDRED) <= _HALF * (1 + percent / _HUNDRED)
