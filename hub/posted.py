"""What became of a document's total in Business Central, in words: for the sweep, and for a later look."""

from dataclasses import dataclass
from decimal import Decimal

from connectors.business_central.models import SalesInvoice
from mapping.posted import explain_posted
from schemas.money import get_exponent

_POSTED = frozenset({"Paid", "Canceled", "Corrective"})
_MAY_BE_POSTED = _POSTED | {"Open"}

ROUNDED = "invoice.posted.rounded"
RECOMPUTED = "invoice.posted.recomputed"
CHANGED_POSTED = "invoice.posted.changed"
CHANGED_DRAFT = "invoice.draft.changed"


@dataclass(frozen=True)
class TotalNow:
    """The total of a document, held against its Stripe invoice."""

    code: str = ""
    """Why it is another, as in the catalogue; empty where it is Stripe's."""
    words: str = ""
    precision: Decimal | None = None
    """What posting rounds totals of the currency to, as far as this document shows it."""

    @property
    def is_own_doing(self) -> bool:
        """Whether Business Central did it by itself, and nobody changed the document."""
        return self.code in {ROUNDED, RECOMPUTED}


def needs_lines(document: SalesInvoice, wanted: Decimal) -> bool:
    """Tell whether a document is to be read again, with its lines, before its total is called another."""
    return document.total_amount_including_tax != wanted and not document.lines


def explain_total(
    document: SalesInvoice, wanted: Decimal, currency: str, known: Decimal | None, drafted_as: str = ""
) -> TotalNow:
    """Say why a document comes to what it does.

    Args:
        document: As it is now, with its lines if its total is another.
        wanted: Stripe's total.
        currency: Of the Stripe invoice.
        known: What posting rounds totals of this currency to, where documents have shown it.
        drafted_as: The number that the draft had. Another one proves that it is posted; a released draft is Open, too.
    """
    booked, number = document.total_amount_including_tax, document.number
    is_surely_posted = document.status in _POSTED or (document.status == "Open" and drafted_as not in {"", number})
    if booked == wanted and not is_surely_posted:
        return TotalNow()
    shown, stripes = (f"{amount:,.{get_exponent(currency)}f}" for amount in (booked, wanted))
    amounts = f"{shown} in Business Central, {stripes} in Stripe"
    if document.status not in _MAY_BE_POSTED:
        return TotalNow(code=CHANGED_DRAFT, words=f"{number} was changed: {amounts}.")
    ordered = sorted(document.lines, key=lambda line: line.sequence)
    lines = [line.net_amount_including_tax for line in ordered]
    found = explain_posted(booked=booked, wanted=wanted, lines=lines, unit=_get_unit(currency), known=known)
    match found.cause:
        case "same":
            return TotalNow(precision=found.precision)
        case "rounded":
            words = (
                f"Business Central rounded the total of {number} to {found.precision} when it was posted: {amounts}."
            )
            return TotalNow(code=ROUNDED, words=words, precision=found.precision)
        case "recomputed":
            words = f"Business Central computed the VAT of {number} anew when posting: {amounts}."
            return TotalNow(code=RECOMPUTED, words=words)
        case "changed":
            return TotalNow(code=CHANGED_POSTED, words=f"{number} was changed before it was posted: {amounts}.")


def _get_unit(currency: str) -> Decimal:
    return Decimal(1).scaleb(-get_exponent(currency))
