"""Business Central's records as the hub reads them: frozen, amounts as Decimal, unknown fields ignored.

An empty value in Business Central is "", 0 or a zero GUID, never null; the models keep it so.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from connectors.business_central.odata import decode_enum

T = TypeVar("T")


def _parse_blank_date(value: object) -> object:
    return None if value in ("", "0001-01-01") else value


def _parse_enum(value: object) -> object:
    return decode_enum(value) if isinstance(value, str) else value


BcDate = Annotated[date | None, BeforeValidator(_parse_blank_date)]
"""A date; Business Central's blank date 0001-01-01 is None."""

BcEnum = Annotated[str, BeforeValidator(_parse_enum)]
"""An enum member in plain text: `In Review`, not `In_x0020_Review`; the blank member is empty."""


class BcRecord(BaseModel):
    """Base: camelCase on the wire, snake_case here; either is accepted when a record is built."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True
    )

    id: str
    etag: str = Field(default="", validation_alias="@odata.etag")


class Company(BcRecord):
    """A company of the environment. `name` is technical and stays; `display_name` may be empty."""

    name: str
    display_name: str = ""


class Customer(BcRecord):
    """A customer. `blocked` is empty, Ship, Invoice or All; the last two refuse drafts."""

    number: str
    display_name: str = ""
    email: str = ""
    phone_number: str = ""
    address_line1: str = ""
    address_line2: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""
    blocked: BcEnum = ""
    currency_code: str = ""
    """Never empty on reading: the local currency shows as its own code."""
    prices_include_tax: bool = False
    """API v2.0 does not send it with customers, so False says little: the draft's own flag is what counts."""
    tax_area_id: str = ""
    tax_area_display_name: str = ""
    tax_registration_number: str = ""
    payment_terms_id: str = ""
    last_modified: datetime | None = Field(default=None, validation_alias="lastModifiedDateTime")


@dataclass(frozen=True)
class CustomerPage:
    """A page of a list of customers, with the fields that they are found by."""

    customers: tuple[Customer, ...]
    as_of: datetime | None
    """When it was read, by Business Central's clock; None where it does not say."""


class SalesInvoiceLine(BcRecord):
    """A line of a sales invoice. Net amounts are after the invoice discount."""

    sequence: int = 0
    line_type: BcEnum = ""
    line_object_number: str = ""
    item_id: str = ""
    account_id: str = ""
    description: str = ""
    quantity: Decimal = Decimal(0)
    unit_price: Decimal = Decimal(0)
    discount_amount: Decimal = Decimal(0)
    discount_percent: Decimal = Decimal(0)
    tax_code: str = ""
    tax_percent: Decimal = Decimal(0)
    amount_excluding_tax: Decimal = Decimal(0)
    total_tax_amount: Decimal = Decimal(0)
    amount_including_tax: Decimal = Decimal(0)
    net_amount: Decimal = Decimal(0)
    net_tax_amount: Decimal = Decimal(0)
    net_amount_including_tax: Decimal = Decimal(0)


class SalesInvoice(BcRecord):
    """A sales invoice or credit memo, draft or posted.

    `status` is Draft, In Review, Open, Paid, Canceled or Corrective. Open alone does not prove that it is posted:
    a released draft is Open too.
    """

    number: str
    external_document_number: str = ""
    customer_id: str = ""
    customer_number: str = ""
    customer_name: str = ""
    currency_code: str = ""
    status: BcEnum = ""
    prices_include_tax: bool = False
    invoice_date: BcDate = Field(default=None, validation_alias=AliasChoices("invoiceDate", "creditMemoDate"))
    posting_date: BcDate = None
    due_date: BcDate = None
    discount_amount: Decimal = Decimal(0)
    remaining_amount: Decimal = Decimal(0)
    # The three totals decide whether a draft is right: an answer without them is not readable.
    total_amount_excluding_tax: Decimal
    total_tax_amount: Decimal
    total_amount_including_tax: Decimal
    last_modified: datetime | None = Field(default=None, validation_alias="lastModifiedDateTime")
    lines: tuple[SalesInvoiceLine, ...] = Field(
        default=(), validation_alias=AliasChoices("salesInvoiceLines", "salesCreditMemoLines")
    )


class DimensionEntry(BcRecord):
    """A dimension of a document or line, with its value."""

    code: str
    value_code: str


class DimensionedLine(BcRecord):
    """A line, as far as its dimensions go."""

    line_type: BcEnum = ""
    dimensions: tuple[DimensionEntry, ...] = Field(validation_alias="dimensionSetLines")


class DimensionedDocument(BcRecord):
    """A document with its lines, as far as their dimensions go."""

    dimensions: tuple[DimensionEntry, ...] = Field(validation_alias="dimensionSetLines")
    lines: tuple[DimensionedLine, ...] = Field(
        validation_alias=AliasChoices("salesInvoiceLines", "salesCreditMemoLines")
    )


class Account(BcRecord):
    """A G/L account. Lines need one of type Posting, with direct posting, not blocked."""

    number: str
    display_name: str = ""
    category: BcEnum = ""
    account_type: BcEnum = ""
    direct_posting: bool = False
    blocked: bool = False


class Item(BcRecord):
    """An item. Lines need one that is not blocked."""

    number: str
    display_name: str = ""
    type: BcEnum = ""
    blocked: bool = False
    unit_price: Decimal = Decimal(0)
    base_unit_of_measure_code: str = ""


class Answer(BaseModel, Generic[T]):
    """What a write answered: the record, and what is kept for the log of attempts."""

    model_config = ConfigDict(frozen=True)

    value: T
    status: int
    request_id: str | None
    body: dict[str, Any]
    """As received, numbers as int or Decimal."""
