"""What a user sets for a connection: YAML in and out, validated on save, versioned by the ledger."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from schemas.contract import Form

Trigger = Literal["finalized", "sent", "paid"]
CustomerSource = Literal["email", "name", "phone", "id"]
CustomerTarget = Literal["email", "displayName", "phoneNumber", "number"]
BcCode = Annotated[str, StringConstraints(min_length=1, max_length=20, to_upper=True, strip_whitespace=True)]


class MatchPair(Form):
    """One rule of the ordered list: this field of the Stripe customer equals that field of the BC customer."""

    stripe: CustomerSource
    bc: CustomerTarget


class CustomerSettings(Form):
    """How the BC customer is found, and whether a missing one is made. Its posting groups come from BC's templates."""

    match: tuple[MatchPair, ...] = Field(
        default=(MatchPair(stripe="email", bc="email"), MatchPair(stripe="name", bc="displayName")), min_length=1
    )
    create_missing: bool = True


class LineTarget(Form):
    """Where an invoice line is booked: a G/L account or an item, by its number in Business Central."""

    type: Literal["Account", "Item"]
    number: BcCode
    tax_code: BcCode | None = None
    """VAT product posting group (or tax group) to set on each line; else the account's or item's own applies."""


class InvoiceSettings(Form):
    """What the draft looks like."""

    lines: LineTarget | None = None
    external_document_number: Literal["number", "id"] = "number"
    """Stripe's invoice number, or its id where two accounts on one company could use the same number."""
    external_document_prefix: str = Field(default="", max_length=9)


class Settings(Form):
    """All settings of one connection. A new version replaces the whole."""

    triggers: tuple[Trigger, ...] = Field(default=("finalized",), min_length=1)
    metadata_prefix: str = Field(default="bc_", pattern=r"^[A-Za-z0-9_.-]{1,20}$")
    customers: CustomerSettings = CustomerSettings()
    invoices: InvoiceSettings = InvoiceSettings()
    doubt_window: timedelta = Field(default=timedelta(minutes=20), gt=timedelta(0), le=timedelta(hours=2))
    """How long a request without an answer may still be carried out: BC may queue it for 8 minutes and run it for 8."""

    @model_validator(mode="after")
    def _check_triggers_once(self) -> "Settings":
        if len(set(self.triggers)) != len(self.triggers):
            raise ValueError("triggers: each may be named once")
        return self
