"""Is an invoice due? Not yet, left alone with a reason, closed, or go on."""

from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.settings import Trigger
from schemas.stripe_objects import Invoice


@dataclass(frozen=True)
class NotYet:
    """It may become due by a later event."""

    reason: str


@dataclass(frozen=True)
class LeftAlone:
    """It will not be synced, and that is no failure."""

    reason: str


@dataclass(frozen=True)
class Closed:
    """It does not stand any more: what was booked of it, if anything, needs a person."""

    reason: str


@dataclass(frozen=True)
class GoOn:
    """It is due, by this trigger."""

    trigger: Trigger


DueDecision = NotYet | LeftAlone | Closed | GoOn

_WAITS_FOR: dict[Trigger, str] = {"finalized": "finalized", "sent": "sent", "paid": "paid"}
_CLOSED = {
    "void": "The invoice was voided in Stripe.",
    "uncollectible": "The invoice was marked uncollectible in Stripe.",
}


def decide_due(
    invoice: Invoice, *, triggers: tuple[Trigger, ...], was_sent: bool, go_live: datetime, metadata_prefix: str
) -> DueDecision:
    """Decide by the invoice's current state; only *sent* is known from events alone."""
    if invoice.status == "draft":
        return NotYet("The invoice is still a draft in Stripe.")
    if invoice.status in _CLOSED:
        return Closed(_CLOSED[invoice.status])
    if (reason := _find_exemption(invoice, go_live, metadata_prefix)) is not None:
        return LeftAlone(reason)
    for trigger in triggers:
        if _has_fired(trigger, invoice, was_sent=was_sent):
            return GoOn(trigger)
    wanted = " or ".join(_WAITS_FOR[trigger] for trigger in triggers)
    return NotYet(f"The draft is made when the invoice is {wanted}; it is not yet.")


def get_issue_time(invoice: Invoice) -> datetime:
    """Return when the invoice was issued: its finalization, else its creation."""
    seconds = invoice.status_transitions.finalized_at or invoice.effective_at or invoice.created
    return datetime.fromtimestamp(seconds, tz=UTC)


def _find_exemption(invoice: Invoice, go_live: datetime, prefix: str) -> str | None:
    if invoice.metadata.get(f"{prefix}skip", "").strip().lower() in {"1", "true", "yes"}:
        return f"The invoice's metadata say {prefix}skip."
    if get_issue_time(invoice) < go_live:
        return f"The invoice was finalized before the go-live date, {go_live:%Y-%m-%d %H:%M} UTC."
    return None


def _has_fired(trigger: Trigger, invoice: Invoice, *, was_sent: bool) -> bool:
    match trigger:
        case "finalized":
            return invoice.status in {"open", "paid"}
        case "paid":
            return invoice.status == "paid"
        case "sent":
            return was_sent
