"""Who an invoice is for, in Stripe's words: what the invoice froze, and what only the customer itself says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mapping.normal_forms import normalise_country
from schemas.errors import Refused
from schemas.settings import Settings
from schemas.stripe_objects import Address, Customer, Invoice, Shipping, TaxId

# What the invoice does not freeze.
_NOT_FROZEN = ("description", "metadata.")
_CUSTOMER = re.compile(r"\bcustomer\b")
# What an invoice freezes, and what readers call it.
_FROZEN = {"name": "name", "email": "e-mail", "phone": "phone", "address": "address", "tax_ids": "tax number"}
_EMPTY = ("", (), Address())


@dataclass(frozen=True)
class Party:
    """One Stripe customer, as far as rules and new customers look at it."""

    id: str
    name: str = ""
    email: str = ""
    phone: str = ""
    address: Address = field(default_factory=Address)
    shipping: Shipping = field(default_factory=Shipping)
    tax_ids: tuple[TaxId, ...] = ()
    description: str = ""
    business_name: str = ""
    individual_name: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    filled_in: tuple[str, ...] = ()
    """What the invoice does not say and was taken from the customer as it is now, for the reader."""

    @property
    def country(self) -> str:
        """Where it is billed: its ISO code, upper case. Empty where unknown."""
        return normalise_country(self.address.country or "")

    @property
    def region(self) -> str:
        """Whose telephone and tax numbers it has: where it is billed, else where goods go."""
        shipping = self.shipping.address or Address()
        return self.country or normalise_country(shipping.country or "")

    @property
    def label(self) -> str:
        """What the reader knows it by."""
        return self.name or self.email or self.id

    @property
    def note(self) -> str:
        """Say what the invoice itself does not say; empty where it says all that is known."""
        if not self.filled_in:
            return ""
        return f"The invoice has no {', '.join(self.filled_in)}: taken from the Stripe customer as it is now."

    def read(self, source: str) -> tuple[str, ...]:
        """Return the values of a field named as settings name it; none where it is empty."""
        if source == "tax_id":
            found = [tax_id.value or "" for tax_id in self.tax_ids]
        elif source.startswith("metadata."):
            found = [self.metadata.get(source.removeprefix("metadata."), "")]
        else:
            found = [_read_path(self, source)]
        return tuple(text for text in found if text.strip())


def needs_customer(settings: Settings) -> bool:
    """Tell whether finding or making a customer looks at what an invoice does not freeze."""
    customers = settings.customers
    if customers.number_key is not None or customers.new.type == "detect":
        return True
    sources = [pair.stripe for rule in customers.match for pair in rule.pairs]
    templates = [customers.new.number, *(mapping.template for mapping in settings.fields.customer)]
    return any(one.startswith(_NOT_FROZEN) for one in (*sources, *templates)) or any(map(_CUSTOMER.search, templates))


def is_incomplete(invoice: Invoice) -> bool:
    """Tell whether an invoice lacks something that its customer may say now: it was frozen before it was filled in."""
    frozen = (
        invoice.customer_name, invoice.customer_email, invoice.customer_phone, invoice.customer_tax_ids,
        _keep_address(invoice.customer_address),
    )  # fmt: skip
    return not all(frozen)


def read_party(invoice: Invoice, customer: Customer | None = None) -> Party:
    """Read who an invoice is for: what it froze when it was finalized.

    Of the customer as it is now comes what an invoice does not freeze, and what was empty then: a person who is asked
    for it can fill it in there, and nowhere else.

    Raises:
        Refused: it is for no customer.
    """
    if not invoice.customer:
        raise Refused(
            f"Invoice {invoice.number or invoice.id} has no customer in Stripe.",
            code="contact.customer.missing",
            fix="Invoices without a customer can't be booked; make the invoice for a customer.",
        )
    live = read_customer(customer) if customer is not None else Party(invoice.customer)
    frozen = Party(
        id=invoice.customer,
        name=invoice.customer_name or "",
        email=invoice.customer_email or "",
        phone=invoice.customer_phone or "",
        address=_keep_address(invoice.customer_address) or Address(),
        shipping=invoice.customer_shipping or Shipping(),
        tax_ids=invoice.customer_tax_ids or (),
        description=live.description,
        business_name=live.business_name,
        individual_name=live.individual_name,
        metadata=live.metadata,
    )
    return _fill_in(frozen, live)


def _fill_in(frozen: Party, live: Party) -> Party:
    filled = {
        name: getattr(live, name)
        for name in _FROZEN
        if getattr(frozen, name) in _EMPTY and getattr(live, name) not in _EMPTY
    }
    return replace(frozen, **filled, filled_in=tuple(_FROZEN[name] for name in filled))


def _keep_address(address: Address | None) -> Address | None:
    """An address in which nothing stands is none."""
    return address if address is not None and any(address.model_dump().values()) else None


def read_customer(customer: Customer) -> Party:
    """Read a customer as it is now."""
    extra = customer.model_extra or {}
    return Party(
        id=customer.id,
        name=customer.name or "",
        email=customer.email or "",
        phone=customer.phone or "",
        address=_keep_address(customer.address) or Address(),
        shipping=customer.shipping or Shipping(),
        tax_ids=customer.tax_ids.data if customer.tax_ids else (),
        description=customer.description or "",
        business_name=str(extra.get("business_name") or ""),
        individual_name=str(extra.get("individual_name") or ""),
        metadata=customer.metadata,
    )


def _read_path(party: Party, source: str) -> str:
    value: object = party
    for part in source.split("."):
        value = getattr(value, part, None)
    return value if isinstance(value, str) else ""
