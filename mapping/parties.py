"""Who an invoice is for, in Stripe's words: what the invoice froze, and what only the customer itself says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mapping.normal_forms import normalise_country
from schemas.errors import Refused
from schemas.settings import Settings
from schemas.stripe_objects import Address, Customer, Invoice, Shipping, TaxId

# What the invoice does not freeze.
_NOT_FROZEN = ("description", "metadata.")
_CUSTOMER = re.compile(r"\bcustomer\b")


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


def read_party(invoice: Invoice, customer: Customer | None = None) -> Party:
    """Read who an invoice is for: what it froze when it was finalized, and of the customer only what it doesn't freeze.

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
    return Party(
        id=invoice.customer,
        name=invoice.customer_name or "",
        email=invoice.customer_email or "",
        phone=invoice.customer_phone or "",
        address=invoice.customer_address or Address(),
        shipping=invoice.customer_shipping or Shipping(),
        tax_ids=invoice.customer_tax_ids or (),
        description=live.description,
        business_name=live.business_name,
        individual_name=live.individual_name,
        metadata=live.metadata,
    )


def read_customer(customer: Customer) -> Party:
    """Read a customer as it is now."""
    extra = customer.model_extra or {}
    return Party(
        id=customer.id,
        name=customer.name or "",
        email=customer.email or "",
        phone=customer.phone or "",
        address=customer.address or Address(),
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
