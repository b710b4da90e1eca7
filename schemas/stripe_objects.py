"""Stripe objects as the hub reads them, in the shape of the pinned API version: typed where rules look.

Unknown fields are kept (`extra="allow"`), for a mapping may name any of them; an absent optional field is the same as
null (Stripe sends both). All amounts are integers in minor units, all times Unix seconds, as they come.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import Meta
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from schemas.money import read_number, require_digits

LONGEST_TEXT: Final = 20_000
"""Characters of a text; Stripe's own end at 5,000 (the footer). An object with a longer one is not readable."""
LARGEST_NUMBER: Final = 2**63
"""Stripe's numbers are 64-bit; one of thousands of digits costs more with each step of arithmetic."""


def _is_beyond_bounds(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) > LONGEST_TEXT
    return isinstance(value, int) and not -LARGEST_NUMBER < value < LARGEST_NUMBER


def _check_number(text: str) -> str:
    read_number(text)
    return text


NumberText = Annotated[str, AfterValidator(_check_number)]
"""A number that Stripe writes as text, for its decimals."""


Rate = Annotated[Decimal, AfterValidator(require_digits)]
"""A rate in percent."""


class StripeObject(BaseModel):
    """Base: frozen, keeps what it does not know."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _read_null_as_absent(cls, given: Any) -> Any:
        """Stripe's types allow null for most members, also where it seldom sends one."""
        if not isinstance(given, dict):
            return given
        members: dict[str, Any] = given
        if any(map(_is_beyond_bounds, members.values())):
            raise ValueError("a text or a number is longer than any of Stripe's")
        if None not in members.values():
            return members
        return {name: value for name, value in members.items() if value is not None or not cls._is_optional(name)}

    @classmethod
    def _is_optional(cls, name: str) -> bool:
        return name in cls.model_fields and not cls.model_fields[name].is_required()


class DiscountAmount(StripeObject):
    """What one discount takes off a line, in minor units."""

    amount: int
    discount: str | None = None


class PretaxCredit(StripeObject):
    """What a credit takes off a line before tax, in minor units. Those of type `discount` are discounts told again."""

    amount: int
    type: str | None = None


class TaxRateDetails(StripeObject):
    """Names the tax rate that applied."""

    tax_rate: str | None = None


class Tax(StripeObject):
    """One tax on a line or shipping. `tax_behavior` is `exclusive` (comes on top) or `inclusive` (is inside)."""

    amount: int
    tax_behavior: str | None = None
    taxable_amount: int | None = None
    taxability_reason: str | None = None
    tax_rate_details: TaxRateDetails | None = None


class PriceDetails(StripeObject):
    """Ids of price and product."""

    price: str | None = None
    product: str | None = None


class Pricing(StripeObject):
    """How the amount came about. `unit_amount_decimal` is null for tiers and prorations."""

    unit_amount_decimal: NumberText | None = None
    price_details: PriceDetails | None = None


class Period(StripeObject):
    """The time a line is for, in Unix seconds; `end` is exclusive for subscriptions. Both equal: no period."""

    start: int
    end: int


class Line(StripeObject):
    """An invoice line. `amount` need not be unit x quantity (tiers, packages, rounding)."""

    id: str
    amount: int
    currency: str
    description: str | None = None
    quantity: int | None = None
    quantity_decimal: NumberText | None = None
    subtotal: int | None = None
    discount_amounts: tuple[DiscountAmount, ...] | None = None
    pretax_credit_amounts: tuple[PretaxCredit, ...] | None = None
    taxes: tuple[Tax, ...] | None = None
    pricing: Pricing | None = None
    period: Period | None = None
    discountable: bool | None = None
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


class TaxRate(StripeObject):
    """A tax rate. `percentage` is a JSON number, read as the decimal that it is written as."""

    id: str
    display_name: str | None = None
    description: str | None = None
    percentage: Rate
    effective_percentage: Rate | None = None
    """What was really taken, where Stripe computes the tax: of a product that is taxed in part, less than the rate."""
    inclusive: bool = False
    country: str | None = None
    state: str | None = None
    jurisdiction: str | None = None
    tax_type: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


class ShippingTax(StripeObject):
    """One tax on shipping, with the whole rate; whether it is inside follows from the rate."""

    amount: int
    rate: TaxRate
    taxable_amount: int | None = None
    taxability_reason: str | None = None


class ShippingCost(StripeObject):
    """Shipping, which is not a line."""

    amount_total: int
    amount_tax: int | None = None
    """Inside the total."""
    amount_subtotal: int | None = None
    """Before any tax."""
    taxes: tuple[ShippingTax, ...] | None = None
    """Present only where it was asked for."""


class TaxId(StripeObject):
    """A customer's tax id; `type` is an open enum (`eu_vat`, `gb_vat`, …)."""

    type: str
    value: str | None = None


class Shipping(StripeObject):
    """Where goods go."""

    name: str | None = None
    phone: str | None = None
    address: Address | None = None


class CustomField(StripeObject):
    """A name and a value that the merchant prints on the invoice."""

    name: str
    value: str


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
    customer_shipping: Shipping | None = None
    customer_tax_exempt: str | None = None
    customer_tax_ids: tuple[TaxId, ...] | None = None
    collection_method: str | None = None
    billing_reason: str | None = None
    discounts: tuple[Any, ...] | None = None
    """Ids of the invoice's own discounts; those of single lines are not among them."""
    starting_balance: int | None = None
    pre_payment_credit_notes_amount: int | None = None
    """What issued credit notes took off before payment. The total stays what it was."""
    post_payment_credit_notes_amount: int | None = None
    description: str | None = None
    footer: str | None = None
    custom_fields: tuple[CustomField, ...] | None = None
    due_date: int | None = None
    effective_at: int | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    status_transitions: StatusTransitions = StatusTransitions()
    shipping_cost: ShippingCost | None = None
    shipping_details: Shipping | None = None
    lines: LineList


class CreditNote(StripeObject):
    """A credit note of an invoice. `status` is `issued` or `void`."""

    id: str
    number: str | None = None
    status: str | None = None


class TaxIdList(StripeObject):
    """A customer's tax ids, present only where they were asked for."""

    data: tuple[TaxId, ...] = ()


class Customer(StripeObject):
    """A Stripe customer as it is now; one that was deleted has only its id."""

    id: str
    deleted: bool = False
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    description: str | None = None
    currency: str | None = None
    tax_exempt: str | None = None
    address: Address | None = None
    shipping: Shipping | None = None
    tax_ids: TaxIdList | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


class Product(StripeObject):
    """What is sold; one that was deleted has only its id."""

    id: str
    deleted: bool = False
    name: str | None = None
    description: str | None = None
    unit_label: str | None = None
    tax_code: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


class Price(StripeObject):
    """How a product is priced."""

    id: str
    product: str | None = None
    nickname: str | None = None
    lookup_key: str | None = None
    billing_scheme: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventObject:
    """Which object the event is about. `invoice.upcoming` has no id; others name customer or invoice."""

    id: Any = None
    metadata: Any = None
    customer: Any = None
    invoice: Any = None


@dataclass(frozen=True, slots=True)
class EventData:
    """The object at the time of the event, and for `*.updated` what its changed members were before."""

    object: EventObject
    previous_attributes: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What is read of a Stripe event: only these fields, in whatever API version it was made.

    An event's snapshot may be old or of another version, so nothing else of it is relied upon, or even built: a body
    has 10 KB, and ingest reads thousands a second. A dataclass, for msgspec reads webhooks into it (three times as fast
    as pydantic), and pydantic pages of the Events API.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    id: Annotated[str, Meta(pattern=r"^evt_[A-Za-z0-9_]+$", max_length=255)]
    object: Literal["event"]
    type: Annotated[str, Meta(max_length=100)]
    created: Annotated[int, Meta(ge=0, le=253_402_300_799)]
    livemode: bool
    data: EventData
    account: str | None = None
    """The connected account that it is of, where it comes by a Connect endpoint."""
    is_thin: bool = False
    """It came without its object: nothing is known of that but the id."""


@dataclass(frozen=True, slots=True)
class RelatedObject:
    """What a thin event is about: `related_object`."""

    id: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class ThinEvent:
    """A thin event: it names its object and holds nothing of it. Its time is text, not a number."""

    id: Annotated[str, Meta(pattern=r"^evt_[A-Za-z0-9_]+$", max_length=255)]
    object: Literal["v2.core.event"]
    type: Annotated[str, Meta(max_length=200)]
    created: Annotated[datetime, Meta(tz=True)]
    livemode: bool = False
    context: str | None = None
    """Whose it is; an account, or a path that ends with one."""
    related_object: RelatedObject | None = None
