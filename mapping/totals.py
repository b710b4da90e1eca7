"""Business Central's totals, computed by its own rules before anything is sent.

A draft: the VAT of all lines with one VAT identifier is rounded together (BCApps SalesLine.Table.al, UpdateVATAmounts).
Release and posting group by identifier and sign, and carry the negative group's remainder into the positive one
(VATAmountLine.Table.al, UpdateLines). With prices including VAT the lines' amounts are the total.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from schemas.money import round_half_up

_HUNDRED = Decimal(100)


@dataclass(frozen=True)
class VatLine:
    """A line as VAT sees it. `amount` is after its discount, with VAT where prices include it."""

    amount: Decimal
    identifier: str
    percent: Decimal


@dataclass(frozen=True)
class Totals:
    """What a document comes to."""

    net: Decimal
    tax: Decimal

    @property
    def gross(self) -> Decimal:
        """The amount that the customer owes."""
        return self.net + self.tax


def predict_draft(lines: Sequence[VatLine], *, gross_prices: bool, decimals: int) -> Totals:
    """Compute a draft's totals.

    Args:
        lines: All lines that carry an amount.
        gross_prices: Whether the customer's card says that prices include VAT.
        decimals: Of amounts in the document's currency.
    """
    taxes = predict_taxes(lines, gross_prices=gross_prices, decimals=decimals)
    return add_up(lines, sum(taxes.values(), Decimal(0)), gross_prices=gross_prices)


def predict_taxes(lines: Iterable[VatLine], *, gross_prices: bool, decimals: int) -> Mapping[str, Decimal]:
    """Compute a draft's VAT by identifier."""
    sums: defaultdict[tuple[str, Decimal], Decimal] = defaultdict(Decimal)
    for line in lines:
        sums[line.identifier, line.percent] += line.amount
    taxes: defaultdict[str, Decimal] = defaultdict(Decimal)
    for (identifier, percent), amount in sums.items():
        taxes[identifier] += round_half_up(_get_tax(amount, percent, gross_prices=gross_prices), decimals)
    return taxes


def predict_posted(lines: Sequence[VatLine], *, gross_prices: bool, decimals: int) -> Totals:
    """Compute the totals that the document has once it is posted."""
    groups: defaultdict[tuple[str, Decimal], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for line in lines:
        groups[line.identifier, line.percent][line.amount >= 0] += line.amount
    tax = Decimal(0)
    for (_, percent), (below, above) in groups.items():
        exact = _get_tax(below, percent, gross_prices=gross_prices)
        rounded = round_half_up(exact, decimals)
        carried = Decimal(0) if gross_prices else exact - rounded
        tax += rounded + round_half_up(carried + _get_tax(above, percent, gross_prices=gross_prices), decimals)
    return add_up(lines, tax, gross_prices=gross_prices)


def _get_tax(amount: Decimal, percent: Decimal, *, gross_prices: bool) -> Decimal:
    return amount * percent / (_HUNDRED + percent if gross_prices else _HUNDRED)


def add_up(lines: Sequence[VatLine], tax: Decimal, *, gross_prices: bool) -> Totals:
    """Return the totals of lines whose tax is known."""
    amounts = sum((line.amount for line in lines), Decimal(0))
    return Totals(amounts - tax if gross_prices else amounts, tax)
