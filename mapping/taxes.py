"""Which tax code of Business Central stands for a tax in Stripe, and what VAT it brings there."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from mapping.materials import Materials
from mapping.sale import Piece
from schemas.errors import Refused
from schemas.invoice_settings import LineTarget, TaxRule, TaxSettings


@dataclass(frozen=True)
class VatKey:
    """What decides the VAT of a line in Business Central, as far as the hub can see it."""

    tax_area: str
    """Id of the customer's VAT business posting group."""
    type: str
    number: str
    tax_code: str
    """As written on the line; empty where the account's or item's own applies."""


@dataclass(frozen=True)
class VatFact:
    """What Business Central made of it in an earlier answer."""

    identifier: str
    percent: Decimal


LearnedVat = Mapping[VatKey, VatFact]


@dataclass(frozen=True)
class LineTax:
    """The tax code to write on a line, and the VAT that is expected of it."""

    code: str
    """Empty: none is written."""
    identifier: str
    """Lines with the same one share their rounding."""
    percent: Decimal
    source: str
    text: str = ""
    """A sentence that the document must bear."""


def choose_tax(piece: Piece, target: LineTarget, settings: TaxSettings, materials: Materials) -> LineTax:
    """Choose by the first rule that fits, else by the target's own code.

    Raises:
        Refused: the code that was chosen does not exist in Business Central.
    """
    expected = piece.tax.percent if piece.tax.percent is not None else _derive_percent(piece)
    number, rule = find_rule(piece, settings)
    if rule is not None:
        percent = rule.percent if rule.percent is not None else expected
        check_code(rule.code, materials, f"invoices.tax.rules, number {number}")
        return LineTax(rule.code, rule.identifier or rule.code, percent, f"tax rule {number}", rule.text)
    if piece.is_untaxed_rest and settings.zero_code is not None:
        return choose_zero_tax(settings)
    if target.tax_code is not None:
        check_code(target.tax_code, materials, f"{target.type} {target.number}")
        return LineTax(target.tax_code, target.tax_code, expected, f"set with {target.type} {target.number}")
    # The account's or item's own code applies; accounts don't tell theirs, so lines of one percentage are taken as one.
    return LineTax("", f"{expected.normalize():f} %", expected, "Business Central's own")


def find_rule(piece: Piece, settings: TaxSettings) -> tuple[int, TaxRule | None]:
    """Find the first rule that fits, and its number; 0 where none does."""
    for number, rule in enumerate(settings.rules, start=1):
        if _fits(rule, piece):
            return number, rule
    return 0, None


def reproduces(percent: Decimal, piece: Piece) -> bool:
    """Tell whether this percentage of the whole piece is its tax, but for rounding: then it need not be parted."""
    return abs(piece.net * percent / 100 - piece.tax.amount) <= piece.tax.rounding


def choose_zero_tax(settings: TaxSettings) -> LineTax:
    """Return the tax of lines on which Business Central must add none."""
    code = settings.zero_code or ""
    return LineTax(code, code or "0 %", Decimal(0), "invoices.tax.zero_code" if code else "Business Central's own")


def check_code(code: str, materials: Materials, where: str) -> None:
    """Check a tax code against the company's.

    Raises:
        Refused: there is no such code.
    """
    known = materials.books.tax_codes
    if known and code not in known:
        raise Refused(
            f"Business Central has no VAT product posting group or tax group {code}, as the settings say ({where}).",
            code="invoice.tax_code.missing",
            fix=f"Name one of these instead: {', '.join(sorted(known)[:12])}; then replay.",
        )


def _fits(rule: TaxRule, piece: Piece) -> bool:
    tax = piece.tax
    return (
        (rule.tax_rate is None or rule.tax_rate in tax.rate_ids)
        and (rule.percent is None or rule.percent == tax.percent)
        and (rule.reason is None or rule.reason == tax.reason)
        and (rule.country is None or rule.country == tax.country.upper())
    )


def _derive_percent(piece: Piece) -> Decimal:
    """Compute what the tax is of the net amount, where a rate is not known. Good enough to say what is expected."""
    if not piece.net:
        return Decimal(0)
    tax = Decimal(piece.tax.inclusive + piece.tax.exclusive)
    return (tax * 100 / piece.net).quantize(Decimal("0.01"))
