"""What credit notes took off an invoice in Stripe: the hub books none yet, so a person has to."""

from datetime import datetime
from typing import Protocol

from hub.ledger import InvoiceOutcome
from schemas.errors import Blocked
from schemas.messages import BcDocument
from schemas.money import format_amount, to_decimal
from schemas.stripe_objects import CreditNote, Invoice

# Events of credit notes: what was told of their invoice may not hold any more.
CREDIT_EVENTS = frozenset({"credit_note.created", "credit_note.voided"})


class StripeCreditNotes(Protocol):
    """Reads credit notes."""

    async def list_credit_notes(self, invoice_id: str) -> tuple[CreditNote, ...]:
        """Return the credit notes of an invoice."""
        ...


async def find_credit(stripe: StripeCreditNotes, invoice: Invoice) -> str | None:
    """Say what was credited, or None. Without the permission to read credit notes their numbers are left out."""
    credited = (invoice.pre_payment_credit_notes_amount or 0) + (invoice.post_payment_credit_notes_amount or 0)
    if credited == 0:
        return None
    try:
        notes = await stripe.list_credit_notes(invoice.id)
    except Blocked as error:
        if error.code != "stripe.credentials.forbidden":
            raise
        notes = ()
    amount = format_amount(to_decimal(credited, invoice.currency), invoice.currency)
    return describe_credit([note.number or note.id for note in notes if note.status != "void"], amount)


def describe_credit(numbers: list[str], amount: str) -> str:
    """Say that credit notes were issued."""
    if not numbers:
        return f"{amount} of the invoice were credited in Stripe."
    names = ", ".join(sorted(numbers))
    return (
        f"Credit note {names} over {amount} was issued in Stripe."
        if len(numbers) == 1
        else (f"Credit notes {names} over {amount} in all were issued in Stripe.")
    )


def call_for_credit(credit: str, document: BcDocument, now: datetime) -> InvoiceOutcome:
    """Say what a person has to do about a credit."""
    reason = (
        f"{credit} The hub books no credit notes: {document.number} in Business Central was not changed. Correct the "
        "draft there, or credit the invoice once it is posted."
    )
    return InvoiceOutcome(
        outcome="attention", document=document, reason=reason, code="invoice.credited", decided_at=now
    )
