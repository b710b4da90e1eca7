"""Stripe objects as the hub reads them, in the shape of the pinned API version: typed where rules look.

Unknown fields are kept (`extra="allow"`), for a mapping may name any of them; an absent optional field is the same as
null (Stripe sends both). All amounts are integers in minor units, all times Unix seconds, as they come.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class StripeObject(BaseModel):
    """Base: frozen, keeps what it does not know."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)


class DiscountAmount(StripeObject):
    """What one discount takes off a line, in minor units."""

    amount: int


class Tax(StripeObject):
    """One tax on a line or shipping. `tax_behavior` is `exclusive` (comes on top) or `inclusive` (is inside)."""

    amount: int
    tax_behavior: str | None = None
    taxable_amount: int | None = None
    taxability_reason: str | None = None


class Pricing(StripeObject):
    """How the amount came about. `unit_amount_decimal` is null for tiers and prorations."""

    unit_amount_decimal: str | None = None


class Line(StripeObject):
    """An invoice line. `amount` need not be unit x quantity (tiers, packages, rounding)."""

    id: str
    amount: int
    currency: str
    description: str | None = None
    quantity: int | None = None
    quantity_decimal: str | None = None
    subtotal: int | None = None
    discount_amounts: tuple[DiscountAmount, ...] | None = None
    taxes: tuple[Tax, ...] | None = None
    pricing: Pricing | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


class LineList(StripeObject):
    """The lines in the order of the invoice; the client pages until `has_more` is false."""

    data: tuple[Line, ...]
    has_more: bool = False


class Address(StripeObject):
    """A postal address; every part may be missing. `country` is ISO 3166-1 alpha-2."""

    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    postal_code: str | None = None
    state: str | None = None
    country: str | None = None


class StatusTransitions(StripeObject):
    """When the invoice changed its status, in Unix seconds."""

    finalized_at: int | None = None
    paid_at: int | None = None
    voided_at: int | None = None
    marked_uncollectible_at: int | None = None


class ShippingCost(StripeObject):
    """Shipping, which is not a line."""

    amount_total: int
    amount_tax: int | None = None
    """Inside the total."""


class Invoice(StripeObject):
    """A Stripe invoice with all its lines, as fetched with the pinned API version."""

    id: str
    status: str | None = None
    number: str | None = None
    currency: str
    livemode: bool
    created: int
    total: int
    subtotal: int
    customer: str | None = None
    customer_name: str | None = None
    customer_email: str | None = None
    customer_phone: str | None = None
    customer_address: Address | None = None
    collection_method: str | None = None
    billing_reason: str | None = None
    description: str | None = None
    due_date: int | None = None
    effective_at: int | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    status_transitions: StatusTransitions = StatusTransitions()
    shipping_cost: ShippingCost | None = None
    lines: LineList


class EventHead(BaseModel):
    """Base of what is read of events: only the fields below, in whatever API version the event was made.

    An event's snapshot may be old or of another version, so nothing else of it is relied upon, or even built: a body
    has 10 KB, and ingest reads thousands a second.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Event(EventHead):
    """A Stripe event."""

    id: str = Field(pattern=r"^evt_[A-Za-z0-9_]+$", max_length=255)
    object: str = Field(pattern=r"^event$")
    type: str = Field(max_length=100)
    created: int = Field(ge=0, le=253_402_300_799)
    livemode: bool
    account: str | None = None
    data: "EventData"


class EventData(EventHead):
    """The object at the time of the event, and for `*.updated` what its changed members were before."""

    object: "EventObject"
    previous_attributes: dict[str, Any] | None = None


class EventObject(EventHead):
    """Which object the event is about. `invoice.upcoming` has no id."""

    id: Any = None
    metadata: Any = None
