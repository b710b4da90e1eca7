"""What a user sets about customers: how one is found, what a new one is made of, what is kept in step."""

from typing import Annotated, Any, Literal, cast

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    field_validator,
    model_serializer,
    model_validator,
)

from schemas.contract import Form
from schemas.invoice_settings import BcCode, MetadataKey
from schemas.metadata_keys import check_written_key

CustomerSource = Annotated[
    str,
    StringConstraints(
        pattern=r"^(email|name|phone|id|tax_id|description|metadata\.[^\[\]]{1,40}|shipping\.(name|phone)"
        r"|(shipping\.)?address\.(line1|line2|city|state|postal_code|country))$"
    ),
]
"""A field of the Stripe customer."""
CustomerTarget = Literal[
    "number",
    "displayName",
    "email",
    "phoneNumber",
    "taxRegistrationNumber",
    "addressLine1",
    "addressLine2",
    "city",
    "state",
    "postalCode",
    "country",
]
"""A field of the BC customer."""
Identifying = Literal["number", "displayName", "email", "phoneNumber", "taxRegistrationNumber"]
IDENTIFYING: tuple[Identifying, ...] = ("number", "displayName", "email", "phoneNumber", "taxRegistrationNumber")
"""What a customer can be found by; the other fields can only confirm."""
Contradiction = Literal["tax_id", "country", "name", "postal_code"]
KeptField = Literal[
    "displayName",
    "email",
    "phoneNumber",
    "taxRegistrationNumber",
    "addressLine1",
    "addressLine2",
    "city",
    "state",
    "postalCode",
    "country",
]
CountryCode = Annotated[str, StringConstraints(to_upper=True, pattern=r"^[A-Za-z]{2}$")]
"""ISO 3166-1 alpha-2, as Stripe has it."""


# A template is known by its braces.
_NUMBER_SOURCE = r"^(series|id|metadata\.[^\[\]{}]{1,40}|[\s\S]*\{[{%][\s\S]*)$"


class MatchPair(Form):
    """This field of the Stripe customer says the same as that field of the BC customer, however it is written."""

    stripe: CustomerSource
    bc: CustomerTarget
    legal_form: Literal["same", "optional"] = "same"
    """Of names: `optional` lets *Acme* be *Acme GmbH*, but never *Acme GmbH* be *Acme AG*."""

    @model_validator(mode="after")
    def _check_legal_form(self) -> "MatchPair":
        if self.legal_form == "optional" and self.bc != "displayName":
            raise ValueError("legal_form is of names: use it with bc: displayName")
        return self


class MatchRule(Form):
    """One rule of the ordered list: all its pairs must agree. A rule of one pair is written as the pair alone."""

    pairs: tuple[MatchPair, ...] = Field(min_length=1, max_length=5)

    @model_validator(mode="before")
    @classmethod
    def _read_pair(cls, value: object) -> object:
        if isinstance(value, MatchPair):
            return {"pairs": (value,)}
        if isinstance(value, dict) and "pairs" not in value:
            return {"pairs": (cast("dict[str, Any]", value),)}
        return value

    @model_validator(mode="after")
    def _check_identifies(self) -> "MatchRule":
        if not any(pair.bc in IDENTIFYING for pair in self.pairs):
            raise ValueError(f"a rule needs one of {', '.join(IDENTIFYING)}: the others tell nobody apart")
        return self

    @model_serializer(mode="wrap")
    def _write_pair(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written = cast("dict[str, Any]", write(self))
        return written["pairs"][0] if len(self.pairs) == 1 else written


class CustomerDefaults(Form):
    """What a new customer gets where nothing else says it; what is left out is up to Business Central's template."""

    country: Annotated[str, StringConstraints(min_length=1, max_length=10, to_upper=True)] | None = None
    """Business Central's code of the country, where it is not the ISO code."""
    currency: Literal["invoice"] | BcCode | None = None
    """`invoice` takes the currency of the customer's first invoice."""
    payment_terms: BcCode | None = None
    tax_area: BcCode | None = None
    """VAT business posting group; where sales tax applies, tax area."""
    tax_liable: bool | None = None
    shipment_method: BcCode | None = None
    payment_method: BcCode | None = None
    salesperson: BcCode | None = None


class NewCustomer(Form):
    """What a customer is made of that the hub creates."""

    number: Annotated[str, StringConstraints(max_length=2_000, pattern=_NUMBER_SOURCE)] = "series"
    """From Business Central's number series; or `id` or `metadata.<key>` of the Stripe customer, or a template."""
    type: Literal["company", "person", "detect"] = "company"
    """`detect`: a person where Stripe has neither a tax id nor a business name, nor the name a legal form."""
    payment_terms_from_invoice: bool = True
    """Take the terms whose days equal those from the first invoice's date to its due date; else the default."""
    defaults: CustomerDefaults = CustomerDefaults()
    by_country: dict[CountryCode, CustomerDefaults] = Field(default_factory=dict)
    """What is set here replaces the default for customers of the country. XI is Northern Ireland."""
    without_country: CountryCode | None = None
    """Where customers are from who have no country in Stripe and no tax number that tells it: Business Central gives
    one without a country no posting groups."""

    @field_validator("defaults")
    @classmethod
    def _check_country(cls, defaults: CustomerDefaults) -> CustomerDefaults:
        if defaults.country is not None:
            raise ValueError("country is of one country: set it under by_country")
        return defaults

    def choose_defaults(self, country: str) -> CustomerDefaults:
        """Return the defaults of a country."""
        own = self.by_country.get(country)
        return self.defaults if own is None else self.defaults.model_copy(update=own.model_dump(exclude_none=True))


class CustomerSettings(Form):
    """How the BC customer is found, whether a missing one is made, and what follows Stripe later."""

    number_key: MetadataKey | None = None
    """Key in the Stripe customer's metadata that names its BC customer by number: looked at before any rule."""
    write_number: bool = False
    """Write the number of the customer that was found or created there, where the key is empty."""
    match: tuple[MatchRule, ...] = Field(
        default=(
            MatchRule(pairs=(MatchPair(stripe="email", bc="email"),)),
            MatchRule(pairs=(MatchPair(stripe="tax_id", bc="taxRegistrationNumber"),)),
            MatchRule(
                pairs=(
                    MatchPair(stripe="name", bc="displayName", legal_form="optional"),
                    MatchPair(stripe="address.postal_code", bc="postalCode"),
                )
            ),
        ),
        min_length=1,
    )
    """In this order; the first rule that finds one that nothing speaks against decides. A name alone is not enough:
    many share one."""
    several: Literal["stop", "oldest", "first"] = "stop"
    """Several customers found: ask a person; or take the lowest number, or the first as Business Central sorts them."""
    must_not_differ: tuple[Contradiction, ...] = ("tax_id", "country", "name", "postal_code")
    """A customer that a rule finds is another's if one of these differs that both sides know: then a person is asked.

    `name` speaks against who was found by e-mail, phone or tax number, `postal_code` against who was found by name or
    phone.
    """
    create_missing: bool = True
    new: NewCustomer = NewCustomer()
    keep_in_step: tuple[KeptField, ...] = ()
    """Fields of the BC customer that follow changes in Stripe, unless a person changed them in Business Central."""

    @field_validator("keep_in_step")
    @classmethod
    def _check_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError("each field may be named once")
        return names

    @model_validator(mode="after")
    def _check_key(self) -> "CustomerSettings":
        if self.write_number and self.number_key is None:
            raise ValueError("write_number needs the number_key to write to")
        if self.write_number and self.number_key is not None:
            check_written_key(self.number_key)
        return self
