"""Which events matter, and what they become. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from connectors.stripe.metadata import find_replay_request, is_own_write
from hub.directory import Snapshot
from hub.ledger import InvoiceRecord
from schemas.messages import Cause, StripeEventReceived
from schemas.stripe_objects import Event

# invoice.payment_succeeded is left out: every payment that settles an invoice also makes invoice.paid.
TRIGGERS = frozenset({"invoice.finalized", "invoice.sent", "invoice.paid"})
CLOSINGS = frozenset({"invoice.voided", "invoice.marked_uncollectible", "invoice.deleted"})
# Exact names, at most 20, are what GET /v1/events filters by.
CAUGHT_UP = (*sorted(TRIGGERS | CLOSINGS), "invoice.updated")

_LONGEST_ID = 255
# What catch-up finds later than this has missed its moment: it leaves room to what happens now.
_HISTORY_AGE = timedelta(hours=1)


def decide_event(event: Event, snapshot: Snapshot, cause: Cause, now: datetime) -> StripeEventReceived | str:
    """Turn an event into the head message of one connection, or say why it is of no concern."""
    object_id = event.data.object.id
    if not isinstance(object_id, str) or not object_id.startswith("in_") or len(object_id) > _LONGEST_ID:
        return "its object is no invoice with an id"
    prefix = snapshot.settings.metadata_prefix
    if event.type == "invoice.updated":
        if is_own_write(event, prefix, f"{prefix}replay"):
            return "it is the echo of the hub's own write"
        if find_replay_request(event, f"{prefix}replay") is None:
            return "nothing that matters has changed"
        cause = "replay"
    elif event.type not in TRIGGERS | CLOSINGS:
        return f"events of type {event.type} need nothing done"
    # A clock ahead of ours must not make an event come from the future.
    occurred_at = min(datetime.fromtimestamp(event.created, tz=UTC), now)
    return StripeEventReceived(
        connection=snapshot.connection.id,
        cause=cause,
        object_id=object_id,
        event_type=event.type,
        event_id=event.id,
        occurred_at=occurred_at,
        history=cause == "catch_up" and now - occurred_at > _HISTORY_AGE,
    )


def is_settled(event: Event, record: InvoiceRecord) -> bool:
    """Tell whether catch-up may leave an event out: the webhook brought it, and nothing is left to do.

    Any other outcome may be of before the event: not paid yet, not sent yet.
    """
    return event.type in TRIGGERS and record.is_told_synced


def choose_connections(snapshots: Iterable[Snapshot], secret_owner: str, *, livemode: bool) -> list[Snapshot]:
    """Choose the connections that a verified event is for: those with the secret that fits, in the event's mode."""
    return [
        one
        for one in snapshots
        if one.connection.livemode == livemode
        and any(secret.get_secret_value().strip() == secret_owner for secret in one.secrets.webhook_secrets)
    ]
