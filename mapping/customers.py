"""Which values find the BC customer of an invoice, and what a new customer is made of."""

from dataclasses import dataclass
from typing import Any

from mapping.text import Notes, fit_text, fits, tidy
from schemas.errors import Refused
from schemas.settings import CustomerSettings, CustomerTarget, MatchPair
from schemas.stripe_objects import Address, Invoice

DISPLAY_NAME_LENGTH = 100
EMAIL_LENGTH = 80
PHONE_LENGTH = 30


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
    found = ((pair, sources[pair.stripe] or "") for pair in settings.match)
    values = tuple(MatchValue(pair, value) for pair, text in found if (value := _fit_field(pair.bc, text)))
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
    name = next((text for text in (invoice.customer_name, invoice.customer_email) if text and tidy(text)), None)
    if name is None:
        raise Refused(
            f"The customer of invoice {invoice.number or invoice.id} has neither name nor e-mail in Stripe.",
            code="contact.name.missing",
            fix="Fill in the name on the Stripe customer, then replay.",
        )
    payload: dict[str, Any] = {"displayName": fit_text(name, DISPLAY_NAME_LENGTH, "The customer's name", notes)}
    if email := _keep_whole(tidy(invoice.customer_email or ""), EMAIL_LENGTH, "The e-mail address", notes):
        payload["email"] = email
    phone = _fit_field("phoneNumber", invoice.customer_phone or "")
    if phone != tidy(invoice.customer_phone or ""):
        notes.add("Letters were taken out of the phone number.")
    if phone := _keep_whole(phone, PHONE_LENGTH, "The phone number", notes):
        payload["phoneNumber"] = phone
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


def _fit_field(field: CustomerTarget, text: str) -> str:
    """Write a value as a new customer would hold it, so that the hub finds what it has created."""
    match field:
        case "displayName":
            return fit_text(text, DISPLAY_NAME_LENGTH, "", Notes())
        case "phoneNumber":
            # Business Central refuses letters in a phone number ("extension" and the like).
            return tidy("".join(char for char in text if not char.isalpha()))
        case _:
            return tidy(text)


def _keep_whole(text: str, limit: int, what: str, notes: Notes) -> str:
    """An address or number that is cut is a wrong one: what is too long is left out."""
    if fits(text, limit):
        return text
    notes.add(f"{what} is longer than {limit} characters and was left out.")
    return ""
