"""What Business Central will make of a total when a person posts the draft, told beforehand.

Posting rounds the total to the currency's *Invoice Rounding Precision* by a line of its own, if *Invoice Rounding* is
switched on (SalesPost.Codeunit.al, InvoiceRounding). No line of the draft's can keep a total that is no multiple of it.
The precision of foreign currencies is in the API; the switch and the local currency's are not.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from mapping.materials import Books
from schemas.invoice_settings import RoundingSettings
from schemas.money import format_amount, get_exponent

# What Microsoft ships for the local currency, where it is coarser than the amounts of invoices.
_USUAL = {
    "CHF": Decimal("0.05"),
    "AED": Decimal("0.25"),
    "KES": Decimal("0.5"),
    "TND": Decimal("0.01"),
    "MZN": Decimal(10),
    **dict.fromkeys("HUF IDR NGN THB UGX".split(), Decimal(1)),
}


@dataclass(frozen=True)
class Notice:
    """What a success is told with, for a person to act on."""

    code: str
    text: str


def foretell_posting(
    total: Decimal, currency: str, shown: Decimal | None, books: Books, settings: RoundingSettings
) -> Notice | None:
    """Say that posting will change a total, or None.

    Args:
        total: Of the draft.
        currency: Its code.
        shown: What posted documents have shown that such totals are rounded to; the smallest unit: they are not.
        books: The company's lists.
        settings: What the user says of it.
    """
    precision = find_precision(currency, shown, books, settings)
    if not precision:
        return None
    posted = (total / precision).to_integral_value(rounding=ROUND_HALF_UP) * precision
    if posted == total:
        return None
    change = f"{format_amount(abs(posted - total), currency)} {'more' if posted > total else 'less'} than in Stripe"
    words = f"When it is posted, Business Central rounds it to {format_amount(posted, currency)}, {change}"
    return Notice(
        code="invoice.total.rounded_when_posted",
        text=f"{words}, unless Invoice Rounding is off. {_advise(currency, books)}",
    )


def find_precision(currency: str, shown: Decimal | None, books: Books, settings: RoundingSettings) -> Decimal | None:
    """Return what posting rounds totals in a currency to; None where it does not, as far as is known.

    That a document was not rounded shows that the switch is off. To what one was rounded may have been changed since,
    which the API or the settings tell.
    """
    is_off = not settings.invoice_rounding or (
        shown is not None and shown <= Decimal(1).scaleb(-get_exponent(currency))
    )
    if currency == books.local_currency:
        usual = None if is_off else shown or _USUAL.get(currency)
        return settings.local_precision if settings.invoice_rounding and settings.local_precision else usual
    return None if is_off else books.invoice_precisions.get(currency)


def _advise(currency: str, books: Books) -> str:
    if currency == books.local_currency:
        return (
            "To keep the total, set Inv. Rounding Precision (LCY) in General Ledger Setup there to "
            f"{Decimal(1).scaleb(-get_exponent(currency))}, and invoices.rounding.local_precision in the settings, too."
        )
    unit = Decimal(1).scaleb(-get_exponent(currency))
    return f"To keep the total, set the Invoice Rounding Precision of {currency} under Currencies there to {unit}."
