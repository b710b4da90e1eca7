"""What a user sets about drafts: where lines go, how tax is told, what absorbs rounding, what the header says."""

from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from schemas.contract import Form
from schemas.money import require_digits

STORED = "stored"
"""In the context of a validation: the settings were saved by an earlier version, and must be read all the same."""

BcCode = Annotated[str, StringConstraints(min_length=1, max_length=20, to_upper=True, strip_whitespace=True)]
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=40)]
Percent = Annotated[
    Decimal,
    BeforeValidator(lambda value: str(value) if isinstance(value, float) else value),
    AfterValidator(require_digits),
]
"""A percentage: YAML's 8.875 is read as the decimal that it is written as."""


class LineTarget(Form):
    """Where an invoice line is booked: a G/L account or an item, by its number in Business Central."""

    type: Literal["Account", "Item"]
    number: BcCode
    tax_code: BcCode | None = None
    """VAT product posting group (or tax group) where no tax rule gives one; else its own applies."""
    unit: BcCode | None = None
    """Unit of measure; an item has one of its own."""


class CommentTarget(Form):
    """The line is only told. It must cost nothing."""

    type: Literal["Comment"]


class BundlePart(Form):
    """One part of a bundle, and its share of the price."""

    target: LineTarget
    share: Percent = Field(gt=0, le=100)
    """Percent of the line's amount."""


class Bundle(Form):
    """One Stripe product that is booked on several accounts or items."""

    type: Literal["Bundle"]
    parts: tuple[BundlePart, ...] = Field(min_length=2, max_length=20)

    @model_validator(mode="after")
    def _check_shares(self) -> "Bundle":
        if sum(part.share for part in self.parts) != Decimal(100):
            raise ValueError("the shares of a bundle must add up to 100")
        return self


ProductTarget = Annotated[LineTarget | CommentTarget | Bundle, Field(discriminator="type")]

ProductSource = Annotated[
    str,
    StringConstraints(
        pattern=r"^(product\.id|product\.name|price\.id|price\.lookup_key|price\.nickname|line\.description"
        r"|(product|price|line|invoice)\.metadata\..{1,40})$"
    ),
]


class ProductPair(Form):
    """This field in Stripe names the item or account: it equals that field in Business Central."""

    stripe: ProductSource
    bc: Literal["item.number", "item.displayName", "item.gtin", "account.number"]


class ProductSettings(Form):
    """How a Stripe line finds its account or item: the table first, then the pairs in order, then `missing`."""

    table: dict[str, ProductTarget] = Field(default_factory=dict)
    """By id of the Stripe product (`prod_…`) or price (`price_…`)."""
    pairs: tuple[ProductPair, ...] = ()
    missing: Literal["default", "stop"] = "default"
    """Take `invoices.lines` when neither finds one, or make no draft."""


TaxabilityReason = Literal[
    "customer_exempt",
    "not_available",
    "not_collecting",
    "not_subject_to_tax",
    "not_supported",
    "portion_product_exempt",
    "portion_reduced_rated",
    "portion_standard_rated",
    "product_exempt",
    "product_exempt_holiday",
    "proportionally_rated",
    "reduced_rated",
    "reverse_charge",
    "standard_rated",
    "taxable_basis_reduced",
    "zero_rated",
]
"""All of Stripe's, and no others: a rule for a word that Stripe does not have would never fit."""
_REASONS: tuple[str, ...] = get_args(TaxabilityReason)


def _explain_reason(value: Any) -> Any:
    """Name the reason that was meant."""
    if value is None or value in _REASONS:
        return value
    meant = get_close_matches(str(value).lower().replace("-", "_").replace(" ", "_"), _REASONS, n=1, cutoff=0.5)
    hint = f"; did you mean {meant[0]}?" if meant else ":"
    raise PydanticCustomError(
        "reason",
        "{value} is no reason of Stripe's{hint} Stripe has {reasons}",
        {"value": repr(value), "hint": hint, "reasons": ", ".join(_REASONS)},
    )


class TaxRule(Form):
    """Which VAT product posting group (or tax group) stands for a tax in Stripe. The first rule that fits is taken.

    A condition that is left out fits everything.
    """

    tax_rate: str | None = None
    """Id of the Stripe tax rate (`txr_…`)."""
    percent: Percent | None = None
    """All rates on the line together. Of a line that is taxed in part: of the part, or what they come to of the whole
    line."""
    reason: Annotated[TaxabilityReason | None, BeforeValidator(_explain_reason)] = None
    """Stripe's taxability reason: `reverse_charge`, `zero_rated`, `customer_exempt` … Where a line has none, the
    customer's exemption gives it."""
    country: Annotated[str, StringConstraints(to_upper=True, min_length=2, max_length=2)] | None = None
    """Of the tax rate."""
    code: BcCode
    identifier: str | None = None
    """Its VAT identifier in Business Central, where several codes share one: VAT is rounded over all of them."""
    account: BcCode | None = None
    """Revenue account of lines with this tax that would go to the default account (`invoices.lines`)."""
    accounts: dict[BcCode, BcCode] = Field(default_factory=dict)
    """Revenue accounts of lines with this tax, by the account that they would go to: a product's, or shipping's."""
    text: str = Field(default="", max_length=500)
    """A sentence that the document must bear, as a comment line: the legal text of a reverse charge."""


class TaxSettings(Form):
    """Who computes the tax of a draft.

    `computed`: Business Central, by its VAT posting setup. `as_given`: Stripe's amounts are posted as they are, on an
    account of their own; every line then carries `zero_code`.
    """

    mode: Literal["computed", "as_given"] = "computed"
    rules: tuple[TaxRule, ...] = ()
    zero_code: BcCode | None = None
    """The VAT product posting group (or tax group) of 0 %: for rounding lines, and for all lines of `as_given`."""
    account: BcCode | None = None
    """The G/L account that takes Stripe's tax in `as_given`."""

    @field_validator("rules", mode="before")
    @classmethod
    def _drop_rules_that_never_fitted(cls, rules: Any, info: ValidationInfo) -> Any:
        """Settings that were stored before reasons were a closed list are still read, and do what they did."""
        if not (info.context or {}).get(STORED):
            return rules
        return [rule for rule in rules if rule.get("reason") is None or rule["reason"] in _REASONS]

    @model_validator(mode="after")
    def _check_as_given(self) -> "TaxSettings":
        if self.mode == "as_given" and (self.account is None or self.zero_code is None):
            raise ValueError(
                "tax posted as given needs an account for it, and the zero_code that keeps VAT off the lines"
            )
        return self


class RoundingSettings(Form):
    """Where the cents go by which Stripe and Business Central round differently."""

    account: BcCode | None = None
    """A G/L account without VAT. Without one, an invoice that needs it is not drafted."""
    limit: int | None = Field(default=None, ge=0, le=1_000)
    """At most so much, in minor units. It only lowers what is taken anyway: what rounding in Stripe and in Business
    Central can differ by, half a unit for each tax of each line and for each VAT group. A wrong rate is no rounding."""
    invoice_rounding: bool = True
    """Whether *Invoice Rounding* is on in Sales & Receivables Setup, which the API does not tell: then posting rounds
    totals to each currency's precision, and the hub says so beforehand where that changes one."""
    local_precision: Percent | None = Field(default=None, gt=0, le=1_000)
    """What posting rounds totals in the local currency to: *Inv. Rounding Precision (LCY)* in General Ledger Setup.
    Without it, what Microsoft ships for the currency."""


class DimensionRule(Form):
    """A dimension of the document: a fixed value, or the value that a metadata key of the invoice or customer gives."""

    dimension: BcCode
    value: BcCode | None = None
    """Taken where the metadata have none."""
    metadata: MetadataKey | None = None
    """Key in the invoice's metadata, else in the customer's."""

    @model_validator(mode="after")
    def _check_source(self) -> "DimensionRule":
        if self.value is None and self.metadata is None:
            raise ValueError("a dimension needs a value, or a metadata key that gives one")
        return self


class HeaderSettings(Form):
    """What the document says besides its lines."""

    payment_terms: Literal["match", "customer"] = "match"
    """`match` takes the terms whose days equal those from the invoice's date to its due date."""
    salesperson: BcCode | None = None
    dimensions: tuple[DimensionRule, ...] = ()
    sell_to_address: Literal["customer", "invoice"] = "customer"
    """The address of the customer card, or the one that the Stripe invoice was issued to."""
    ship_to: bool = True
    """Keep the invoice's shipping address where it has one."""
    memo: bool = True
    """The invoice's memo, as comment lines."""
    footer: bool = False
    custom_fields: bool = False
    """As comment lines, `name: value`."""


class LineSettings(Form):
    """What a line says."""

    period: Literal["none", "description", "shipment_date"] = "none"
    """Where the time that a line is for is told."""
    long_text: Literal["comments", "cut"] = "comments"
    """What a description over 100 characters becomes."""


class InvoiceSettings(Form):
    """What the draft looks like."""

    lines: LineTarget | None = None
    """The default account or item."""
    products: ProductSettings = ProductSettings()
    shipping: LineTarget | None = None
    """Where shipping is booked; else like other lines."""
    tax: TaxSettings = TaxSettings()
    rounding: RoundingSettings = RoundingSettings()
    text: LineSettings = LineSettings()
    header: HeaderSettings = HeaderSettings()
    zero_total: Literal["create", "skip"] = "create"
    negative_total: Literal["credit_memo", "stop"] = "credit_memo"
    wrong_draft: Literal["delete", "keep"] = "delete"
    """What becomes of a draft whose total differs from Stripe's."""
    external_document_number: Literal["number", "id"] = "number"
    """Stripe's invoice number, or its id where two accounts on one company could use the same number."""
    external_document_prefix: str = Field(default="", max_length=9)

    @model_validator(mode="after")
    def _check_accounts_by_tax(self) -> "InvoiceSettings":
        if any(rule.account for rule in self.tax.rules) and (self.lines is None or self.lines.type != "Account"):
            raise ValueError(
                "a tax rule's account stands for the default account, and invoices.lines names none: items find their "
                "accounts by the posting setup in Business Central"
            )
        return self


class MetadataCondition(Form):
    """True where the invoice's metadata have the key, and the value if one is named (without regard to case)."""

    key: MetadataKey
    value: str | None = None


class SkipRules(Form):
    """Which invoices are left alone: skipped, never failed. `{prefix}skip` in the metadata always does it."""

    metadata: tuple[MetadataCondition, ...] = ()
    currencies: tuple[str, ...] = ()
    only_currencies: tuple[str, ...] = ()
    """Where named, all others are left alone."""
    customers: tuple[str, ...] = ()
    """Ids of Stripe customers."""
    billing_reasons: tuple[str, ...] = ()
