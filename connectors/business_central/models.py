"""Business Central's records as the hub reads them: frozen, amounts as Decimal, unknown fields ignored.

An empty value in Business Central is "", 0 or a zero GUID, never null; the models keep it so.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from connectors.business_central.exact_json import require_bounds
from connectors.business_central.odata import decode_enum

T = TypeVar("T")


def _parse_blank_date(value: object) -> object:
    return None if value in ("", "0001-01-01") else value


def _parse_enum(value: object) -> object:
    return decode_enum(value) if isinstance(value, str) else value


LONGEST_TEXT: Final = 2048
"""Characters of a text: the longest field of Business Central's. A record with a longer one is not readable."""
LONGEST_CODE: Final = 100
"""Characters of a number, code or id; Business Central's own have at most 36."""
# What Business Central computes with binary numbers has an error behind the twelfth place or so; its finest amount, a
# unit price, has five decimals.
_MOST_DECIMALS = 5
_CENTS = 2


def clean_amount(number: Decimal) -> Decimal:
    """Round away the noise of binary numbers: 19.990000000000001 is 19.99. A real difference, as of 0.001, stays.

    Raises:
        ValueError: the number is beyond all amounts.
    """
    bounded = require_bounds(number)
    if _count_decimals(bounded) <= _MOST_DECIMALS:
        return bounded
    rounded = round(bounded, _MOST_DECIMALS)
    return round(rounded, max(_count_decimals(rounded.normalize()), _CENTS))


def _count_decimals(number: Decimal) -> int:
    return max(0, -int(number.as_tuple().exponent))


Amount = Annotated[Decimal, AfterValidator(clean_amount)]
"""An amount, price, quantity or rate, within bounds and without the noise of binary numbers."""

Code = Annotated[str, Field(max_length=LONGEST_CODE)]
"""A number, a code or an id: what goes into messages, metadata and addresses."""

_NO_ID = "00000000-0000-0000-0000-000000000000"


def _require_id(value: str) -> str:
    if value in {"", _NO_ID}:
        raise ValueError("it names no record")
    return value


RecordId = Annotated[Code, AfterValidator(_require_id)]
"""The id of a record that was written or found. An answer without one is no answer: what was written is looked for."""

BcDate = Annotated[date | None, BeforeValidator(_parse_blank_date)]
"""A date; Business Central's blank date 0001-01-01 is None."""

BcEnum = Annotated[str, BeforeValidator(_parse_enum)]
"""An enum member in plain text: `In Review`, not `In_x0020_Review`; the blank member is empty."""


class BcRecord(BaseModel):
    """Base: camelCase on the wire, snake_case here; either is accepted when a record is built."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
        str_max_length=LONGEST_TEXT,
    )

    id: Code
    etag: str = Field(default="", validation_alias="@odata.etag")


class Company(BcRecord):
    """A company of the environment. `name` is technical and stays; `display_name` may be empty."""

    name: str
    display_name: str = ""


class Customer(BcRecord):
    """A customer. `blocked` is empty, Ship, Invoice or All; the last two refuse drafts."""

    id: RecordId
    number: Code
    display_name: str = ""
    email: str = ""
    phone_number: str = ""
    address_line1: str = ""
    address_line2: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: Code = ""
    blocked: BcEnum = ""
    currency_code: Code = ""
    """Never empty on reading: the local currency shows as its own code."""
    prices_include_tax: bool = False
    """API v2.0 does not send it with customers, so False says little: the draft's own flag is what counts."""
    tax_area_id: Code = ""
    tax_area_display_name: str = ""
    tax_registration_number: str = ""
    payment_terms_id: Code = ""
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
    line_object_number: Code = ""
    item_id: Code = ""
    account_id: Code = ""
    description: str = ""
    quantity: Amount = Decimal(0)
    unit_price: Amount = Decimal(0)
    discount_amount: Amount = Decimal(0)
    discount_percent: Amount = Decimal(0)
    tax_code: Code = ""
    tax_percent: Amount = Decimal(0)
    amount_excluding_tax: Amount = Decimal(0)
    total_tax_amount: Amount = Decimal(0)
    amount_including_tax: Amount = Decimal(0)
    net_amount: Amount = Decimal(0)
    net_tax_amount: Amount = Decimal(0)
    net_amount_including_tax: Amount = Decimal(0)


class SalesInvoice(BcRecord):
    """A sales invoice or credit memo, draft or posted. Header fields that are not named here are kept as they came.

    `status` is Draft, In Review, Open, Paid, Canceled or Corrective. Open alone does not prove that it is posted:
    a released draft is Open too.
    """

    model_config = ConfigDict(extra="allow")

    id: RecordId
    number: Code
    external_document_number: Code = ""
    customer_id: Code = ""
    customer_number: Code = ""
    customer_name: str = ""
    currency_code: Code = ""
    status: BcEnum = ""
    prices_include_tax: bool = False
    invoice_date: BcDate = Field(default=None, validation_alias=AliasChoices("invoiceDate", "creditMemoDate"))
    posting_date: BcDate = None
    due_date: BcDate = None
    discount_amount: Amount = Decimal(0)
    remaining_amount: Amount = Decimal(0)
    # The three totals decide whether a draft is right: an answer without them is not readable.
    total_amount_excluding_tax: Amount
    total_tax_amount: Amount
    total_amount_including_tax: Amount
    last_modified: datetime | None = Field(default=None, validation_alias="lastModifiedDateTime")
    lines: tuple[SalesInvoiceLine, ...] = Field(
        default=(), validation_alias=AliasChoices("salesInvoiceLines", "salesCreditMemoLines")
    )

    @property
    def shown(self) -> dict[str, Any]:
        """The header as the answer shows it, by the names of the API; what it does not show is not in it."""
        fields = self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"lines"})
        # The date of a credit memo has a name of its own.
        return fields | {"creditMemoDate": fields["invoiceDate"]} if "invoiceDate" in fields else fields


class DimensionEntry(BcRecord):
    """A dimension of a document or line, with its value."""

    code: Code
    value_code: Code


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

    number: Code
    display_name: str = ""
    category: BcEnum = ""
    account_type: BcEnum = ""
    direct_posting: bool = False
    blocked: bool = False


class Item(BcRecord):
    """An item. Lines need one that is not blocked."""

    number: Code
    display_name: str = ""
    type: BcEnum = ""
    blocked: bool = False
    unit_price: Amount = Decimal(0)
    base_unit_of_measure_code: Code = ""


class Answer(BaseModel, Generic[T]):
    """What a write answered: the record, and what is kept for the log of attempts."""

    model_config = ConfigDict(frozen=True)

    value: T
    status: int
    request_id: str | None
    body: dict[str, Any]
    """As received, numbers as int or Decimal."""
