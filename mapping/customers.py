"""Which values find the BC customer of an invoice, and what a new customer is made of."""

from dataclasses import dataclass
from typing import Any

from mapping.text import Notes, fit_text
from schemas.errors import Refused
from schemas.settings import CustomerSettings, MatchPair
from schemas.stripe_objects import Address, Invoice


@dataclass(frozen=True)
class MatchValue:
    """One rule applied to an invoice: look for customers whose `pair.bc` equals `value`."""

    pair: MatchPair
    value: str

    @property
    def claim(self) -> str:
        """The normalised value that a creation is claimed under, so that two writings of it meet."""
        return f"{self.pair.bc}:{self.value.casefold()}"

    @property
    def words(self) -> str:
        """For the reader."""
        return f"{self.pair.stripe} = {self.value}"


def build_match_values(invoice: Invoice, settings: CustomerSettings) -> tuple[MatchValue, ...]:
    """List what to look for, in the order of the rules; a rule whose Stripe field is empty is left out.

    Raises:
        Refused: the invoice has no customer, or none of the fields that could identify one.
    """
    if not invoice.customer:
        raise Refused(
            f"Invoice {invoice.number or invoice.id} has no customer in Stripe.",
            code="contact.customer.missing",
            fix="Invoices without a customer can't be booked; make the invoice for a customer.",
        )
    sources = {
        "email": invoice.customer_email,
        "name": invoice.customer_name,
        "phone": invoice.customer_phone,
        "id": invoice.customer,
    }
    values = tuple(
        MatchValue(pair, value) for pair in settings.match if (value := (sources[pair.stripe] or "").strip())
    )
    if not values:
        wanted = ", ".join(pair.stripe for pair in settings.match)
        raise Refused(
            f"The customer of invoice {invoice.number or invoice.id} can't be matched: Stripe has no {wanted} for it.",
            code="contact.match.no_values",
            fix="Fill one of these in on the Stripe customer, or change the matching fields; then replay.",
        )
    return values


def build_customer(invoice: Invoice) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Build the payload of a new BC customer from the invoice's frozen customer fields, and notes on what was changed.

    Raises:
        Refused: there is nothing to call the customer by.
    """
    notes = Notes()
    name = invoice.customer_name or invoice.customer_email
    if not name or not name.strip():
        raise Refused(
            f"The customer of invoice {invoice.number or invoice.id} has neither name nor e-mail in Stripe.",
            code="contact.name.missing",
            fix="Fill in the name on the Stripe customer, then replay.",
        )
    payload: dict[str, Any] = {"displayName": fit_text(name, 100, "The customer's name", notes)}
    if invoice.customer_email:
        payload["email"] = fit_text(invoice.customer_email, 80, "The e-mail address", notes)
    if invoice.customer_phone:
        payload["phoneNumber"] = fit_text(_keep_phone_characters(invoice.customer_phone), 30, "The phone", notes)
    payload |= _build_address(invoice.customer_address or Address(), notes)
    return payload, tuple(notes.sentences)


def _build_address(address: Address, notes: Notes) -> dict[str, Any]:
    parts = {
        "addressLine1": (address.line1, 100, "The address"),
        "addressLine2": (address.line2, 50, "The second address line"),
        "city": (address.city, 30, "The city"),
        "state": (address.state, 30, "The state"),
        "country": (address.country, 10, "The country"),
        "postalCode": (address.postal_code, 20, "The postal code"),
    }
    return {key: fit_text(text, limit, what, notes) for key, (text, limit, what) in parts.items() if text}


def _keep_phone_characters(phone: str) -> str:
    """Business Central refuses letters in a phone number ("extension" and the like)."""
    return "".join(char for char in phone if not char.isalpha())
