"""What a user sets for a connection: YAML in and out, validated on save, versioned by the ledger."""

from datetime import timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from schemas.contract import Form
from schemas.customer_settings import CustomerSettings
from schemas.field_mappings import FieldMappings
from schemas.invoice_settings import InvoiceSettings, SkipRules
from schemas.metadata_keys import MetadataPrefix

Trigger = Literal["finalized", "sent", "paid"]
UNSET_TIME_ZONE = "UTC"
"""What stands in the settings until somebody chooses. Who keeps books in UTC writes Etc/UTC."""
# Business Central may queue a request for 8 minutes and run it for 8.
_LONGEST_REQUEST = timedelta(minutes=16)


class Settings(Form):
    """All settings of one connection. A new version replaces the whole."""

    triggers: tuple[Trigger, ...] = Field(default=("finalized",), min_length=1)
    metadata_prefix: MetadataPrefix = "bc_"
    customers: CustomerSettings = CustomerSettings()
    invoices: InvoiceSettings = InvoiceSettings()
    fields: FieldMappings = FieldMappings()
    skip: SkipRules = SkipRules()
    time_zone: str = UNSET_TIME_ZONE
    """The company's, by its IANA name: Business Central's API does not tell it, and days depend on it."""
    doubt_window: timedelta = Field(default=timedelta(minutes=20), gt=timedelta(0), le=timedelta(hours=2))
    """How long a request without an answer may still be carried out: BC may queue it for 8 minutes and run it for 8."""

    @model_validator(mode="after")
    def _check_triggers_once(self) -> "Settings":
        if len(set(self.triggers)) != len(self.triggers):
            raise ValueError("triggers: each may be named once")
        return self

    @field_validator("time_zone")
    @classmethod
    def _check_time_zone(cls, name: str) -> str:
        if not is_time_zone(name):
            raise ValueError(f"{name!r} is no IANA time zone; write it like Europe/Copenhagen")
        return name

    def describe_risks(self) -> tuple[str, ...]:
        """Say what is allowed, for simulators and tests, and dangerous with real books."""
        if self.doubt_window >= _LONGEST_REQUEST:
            return ()
        words = (
            f"doubt_window is {self.doubt_window.total_seconds():g} s. Business Central may queue a request for 8 "
            "minutes and run it for 8: below 16 minutes, an invoice whose answer was lost can be drafted twice. Only "
            "for simulators; the default is 1200 s."
        )
        return (words,)


def is_time_zone(name: str) -> bool:
    """Tell whether this is the IANA name of a time zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
