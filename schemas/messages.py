"""The messages on the topics: facts in the past tense, frozen, each with a version.

A golden file per message and version stands in `tests/golden/` and must parse for ever. An incompatible change makes
a new version beside the old one; a new optional field does not.
"""

from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from schemas.catalogue import find_entry
from schemas.contract import Contract, Moment
from schemas.errors import ErrorKind
from schemas.ids import ConnectionId
from schemas.settings import Trigger
from schemas.stripe_objects import Invoice

# The header with a webhook's body: for people and for engineers after a defect, not for decisions. Not part of the
# value, where escaping it and reading it again at each end would cost more than all else that is done with the
# message.
EVENT_BODY = "stripe-event"

Cause = Literal["webhook", "catch_up", "retry", "replay", "backfill", "sweep"]
_HISTORY_CAUSES = frozenset({"backfill", "sweep"})
Outcome = Literal["synced", "failed", "pending", "skipped", "attention"]
DocumentKind = Literal["invoice", "credit_memo"]
StageName = Literal["ingest", "contacts", "invoices", "metadata_writer"]


# Types of the messages that no event of Stripe stands behind. What a sweep found says what to look at.
BACKFILL = "hub.backfill"
SWEPT = "hub.sweep."
SWEPT_MISSING = "hub.sweep.missing"
SWEPT_UNTOLD = "hub.sweep.untold"
SWEPT_CLOSED = "hub.sweep.closed"
SWEPT_DELETED = "hub.sweep.deleted"
SWEPT_DOUBLED = "hub.sweep.doubled"


def _begin_history(values: dict[str, Any]) -> bool:
    """A message says so itself; written before it could, its cause does."""
    return values.get("cause") in _HISTORY_CAUSES


class Message(Contract):
    """Base: every message belongs to a connection and is about one Stripe object."""

    version: Literal[1] = 1
    connection: ConnectionId

    def build_wakeup(self) -> "Wakeup":
        """Say what to publish to the head topic when this message has waited."""
        raise NotImplementedError


class Wakeup(Contract):
    """What is left of a message while it waits: enough to look at its object again, through the head topic."""

    object_id: str
    event_type: str
    event_id: str | None = None
    occurred_at: Moment
    cause: Cause
    recreate: bool = False
    attempt: int = 0
    history: bool = Field(default_factory=_begin_history)
    settings_version: int | None = None


class StripeEventReceived(Message):
    """Head topic: look at this object. What to do follows from its current state, not from this message.

    The body of the webhook travels beside it, exactly as received, in the header `EVENT_BODY`.
    """

    cause: Cause
    object_id: str = Field(min_length=1, max_length=255)
    event_type: str
    event_id: str | None = None
    occurred_at: Moment
    """When the event happened in Stripe; for a cause without an event, when it was asked for."""
    recreate: bool = False
    """Make a new draft although an earlier one was deleted in Business Central. Only a person asks for this."""
    attempt: int = Field(default=0, ge=0)
    """How many times this has waited already."""
    history: bool = Field(default_factory=_begin_history)
    """Of the past: it waits behind live traffic and leaves room to it at Business Central, in every later round too."""
    settings_version: int | None = None
    """By which version of the settings it is mapped; None is the newest. Only a person asks for another."""

    def build_wakeup(self) -> "Wakeup":
        """Say what to publish when this message has waited."""
        return Wakeup(
            object_id=self.object_id,
            event_type=self.event_type,
            event_id=self.event_id,
            occurred_at=self.occurred_at,
            cause=self.cause,
            recreate=self.recreate,
            attempt=self.attempt,
            history=self.history,
            settings_version=self.settings_version,
        )


class CustomerMatch(Contract):
    """The BC customer of an invoice, and how it was found."""

    id: str
    number: str
    name: str
    how: str
    """For the reader: `linked before`, `email = billing@example.com`, `created`."""
    tax_area: str = ""
    """Id of its VAT business posting group (or tax area), as it was when it was found; empty where not known."""
    template_by: str = ""
    """Of one just created: by what Business Central chose its posting groups, as `DE/Company`."""


class ContactResolved(Message):
    """The invoice is due and its customer is known (in a dry run possibly not yet created)."""

    invoice: Invoice
    trigger: Trigger
    customer: CustomerMatch | None
    would_create_customer: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    """What was changed for a new customer, for the result."""
    received: Wakeup
    """The head message this follows from."""
    settings_version: int
    resolved_at: Moment

    def build_wakeup(self) -> Wakeup:
        """Say what to publish when this message has waited."""
        return self.received


class BcDocument(Contract):
    """A draft in Business Central."""

    id: str
    number: str
    external_document_number: str
    total: Decimal
    """Including tax, in the document's currency."""
    currency: str
    kind: DocumentKind = "invoice"


class Attempt(Contract):
    """One write to Business Central: what was sent and what came back."""

    at: Moment
    request: str
    """Method and path, without host."""
    payload: dict[str, Any] | None = None
    status: int | None = None
    answer: dict[str, Any] | None = None
    request_id: str | None = None


class ErrorDetail(Contract):
    """What went wrong, for a reader: cause and fix, no secret, no stack trace."""

    kind: ErrorKind
    code: str
    message: str
    fix: str = ""
    context: dict[str, str] = Field(default_factory=dict)
    attempts: tuple[Attempt, ...] = Field(default=(), exclude=True)
    """What was sent and answered before it went wrong: told once, as the result's `attempts`, not with the error."""

    @property
    def advice(self) -> str:
        """Say what to do: the error's own fix, else the catalogue's. What blocks a connection has it in its message."""
        entry = None if self.fix or self.kind == "blocked" else find_entry(self.code)
        return entry.fix if entry else self.fix

    @property
    def text(self) -> str:
        """Say cause and fix in one go."""
        return f"{self.message} {self.advice}".strip()


class InvoiceResult(Message):
    """How an attempt on one invoice ended. The ledger holds the current outcome; this says that there is news."""

    invoice_id: str
    outcome: Outcome
    stage: StageName
    received: Wakeup
    """The head message this follows from."""
    document: BcDocument | None = None
    error: ErrorDetail | None = None
    reason: str = ""
    """Why it was skipped, needs attention or waits, for a reader; of a success, what to know before it is posted."""
    code: str = ""
    """Of the error or the reason, as in the catalogue (docs/errors.md); empty for a success without one."""
    attempts: tuple[Attempt, ...] = ()
    notes: tuple[str, ...] = ()
    dry_run: bool = False
    settings_version: int | None = None
    retry_at: Moment | None = None
    decided_at: Moment

    def build_wakeup(self) -> Wakeup:
        """Say what to publish when this message has waited."""
        return self.received


class MetadataUpdated(Message):
    """What was written to the Stripe invoice, or why nothing was."""

    invoice_id: str
    outcome: Outcome
    written: dict[str, str] = Field(default_factory=dict)
    """Keys and new values; an empty value deleted the key."""
    reason: str = ""
    """Why nothing was written, for a reader; empty when something was."""
    dry_run: bool = False
    request_id: str | None = None
    at: Moment


class DeadMessage(Contract):
    """A message that cannot be decoded or met a defect, whole, so that it can be inspected and replayed."""

    version: Literal[1] = 1
    stage: StageName
    reason: Literal["poison", "unexpected"]
    code: str
    error: str
    trace: str = ""
    attempts: int = 1
    topic: str
    partition: int
    offset: int
    key: str | None = None
    """base64, as it came."""
    value: str | None = None
    """base64, as it came."""
    headers: tuple[tuple[str, str], ...] = ()
    """Names, and values in base64."""
    at: Moment
