"""The one base of all contracts: frozen, strict about what it knows, tolerant of what a newer version adds."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict


def _to_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""A point in time: aware when it comes in, UTC when it is read."""


class Contract(BaseModel):
    """Base of everything that is stored or sent.

    Unknown keys are ignored, so that a field added within a version does not stop the older half of a rolling update.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Form(BaseModel):
    """Base of what people write by hand: an unknown key is a typing error, and said."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
