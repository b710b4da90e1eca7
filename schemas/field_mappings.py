"""Which Business Central fields a user fills from Stripe, each by a Liquid template."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from schemas.contract import Form

TEMPLATE_LENGTH = 2_000
Section = Literal["customer", "invoice", "line"]


class FieldMapping(Form):
    """One field of Business Central and the template that fills it; what comes to nothing leaves it alone."""

    field: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
    """By its name in the API: `customerPurchaseOrderReference`."""
    template: str = Field(min_length=1, max_length=TEMPLATE_LENGTH)
    """Liquid: `{{ customer.metadata.vat_id | upcase }}`."""
    on_invalid: Literal["cut", "fail"] = "cut"
    """What to do with text that is too long, or has characters that the field can't hold."""


class FieldMappings(Form):
    """The mappings of a connection; each comes over what the hub itself would write."""

    customer: tuple[FieldMapping, ...] = Field(default=(), max_length=50)
    """Fields of a new customer."""
    invoice: tuple[FieldMapping, ...] = Field(default=(), max_length=50)
    """Fields of the header, of sales invoices and credit memos."""
    line: tuple[FieldMapping, ...] = Field(default=(), max_length=50)
    """Fields of each line that is booked."""

    @field_validator("customer", "invoice", "line")
    @classmethod
    def _check_once(cls, mappings: tuple[FieldMapping, ...]) -> tuple[FieldMapping, ...]:
        names = [one.field for one in mappings]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} is mapped twice; keep one mapping of a field")
        return mappings

    def get(self, section: Section) -> tuple[FieldMapping, ...]:
        """Return the mappings of a section."""
        return {"customer": self.customer, "invoice": self.invoice, "line": self.line}[section]
