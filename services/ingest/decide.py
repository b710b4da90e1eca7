"""Which events matter, and what they become. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

from connectors.stripe.metadata import find_changed_keys, find_replay_request, is_own_write
from hub.credits import CREDIT_EVENTS
from hub.directory import Snapshot
from hub.ledger import InvoiceRecord
from schemas.messages import Cause, StripeEventReceived
from schemas.settings import Settings
from schemas.stripe_objects import Event

# invoice.payment_succeeded is left out: every payment that settles an invoice also makes invoice.paid.
TRIGGERS = frozenset({"invoice.finalized", "invoice.sent", "invoice.paid"})
CLOSINGS = frozenset({"invoice.voided", "invoice.marked_uncollectible", "invoice.deleted"})
_ALWAYS = TRIGGERS | CLOSINGS | CREDIT_EVENTS
INVOICES = (*sorted(_ALWAYS), "invoice.updated")
# Tax ids are objects of their own: a change of one is no `customer.updated`.
CUSTOMERS = (
    "customer.updated",
    "customer.tax_id.created",
    "customer.tax_id.updated",
    "customer.tax_id.deleted",
)

# A person who tries things out does not ask more often; an automation that asks at each failure does.
REPLAYS_PER_HOUR = 10

_LONGEST_ID = 255
# Members of a Stripe customer that a BC customer is made of. Most changes are of others: balance, card, next number.
_CARRIED_OVER = frozenset(
    "name email phone address shipping description metadata business_name individual_name tax_exempt".split()
)
# What catch-up finds later than this has missed its moment: it leaves room to what happens now.
_HISTORY_AGE = _HOUR = timedelta(hours=1)


def list_event_types(settings: Settings) -> tuple[str, ...]:
    """List the types that matter: exact names, at most 20, are what GET /v1/events filters by."""
    customers = CUSTOMERS if settings.customers.keep_in_step else ()
    return (*INVOICES, "customer.deleted", *customers)


def decide_event(event: Event, snapshot: Snapshot, cause: Cause, now: datetime) -> StripeEventReceived | str:
    """Turn an event into the head message of one connection, or say why it is of no concern."""
    decide = _decide_customer if event.type.startswith("customer.") else _decide_invoice
    decided = decide(event, snapshot, cause)
    if isinstance(decided, str):
        return decided
    # A clock ahead of ours must not make an event come from the future.
    occurred_at = min(datetime.fromtimestamp(event.created, tz=UTC), now)
    return StripeEventReceived(
        connection=snapshot.connection.id,
        cause=decided.cause,
        object_id=decided.object_id,
        event_type=event.type,
        event_id=event.id,
        occurred_at=occurred_at,
        history=decided.cause == "catch_up" and now - occurred_at > _HISTORY_AGE,
    )


@dataclass(frozen=True)
class _Concerns:
    """The object to look at, and why."""

    object_id: str
    cause: Cause


def _decide_invoice(event: Event, snapshot: Snapshot, cause: Cause) -> _Concerns | str:
    body = event.data.object
    object_id = body.invoice if event.type in CREDIT_EVENTS else body.id
    if not _is_id(object_id) or not object_id.startswith("in_"):
        return "its object is no invoice with an id"
    prefix = snapshot.settings.metadata_prefix
    if event.type == "invoice.updated":
        return _find_obstacle_to_replay(event, prefix) or _Concerns(object_id, "replay")
    if event.type not in _ALWAYS:
        return f"events of type {event.type} need nothing done"
    return _Concerns(object_id, cause)


def _find_obstacle_to_replay(event: Event, prefix: str) -> str | None:
    """Say why an update is no request for a replay."""
    if event.is_thin:
        # Catch-up reads the same event whole, within seconds.
        return "a thin event does not say what has changed"
    if is_own_write(event, prefix, f"{prefix}replay"):
        return "it is the echo of the hub's own write"
    return None if find_replay_request(event, f"{prefix}replay") else "nothing that matters has changed"


def _decide_customer(event: Event, snapshot: Snapshot, cause: Cause) -> _Concerns | str:
    if event.type not in list_event_types(snapshot.settings):
        return f"events of type {event.type} need nothing done"
    body = event.data.object
    object_id = body.customer if event.type.startswith("customer.tax_id.") else body.id
    if not _is_id(object_id):
        return "it names no customer"
    changed, own_key = event.data.previous_attributes, snapshot.settings.customers.number_key or ""
    if event.type == "customer.updated" and changed is not None:
        if not changed.keys() & _CARRIED_OVER:
            return "nothing that matters has changed"
        if changed.keys() == {"metadata"} and find_changed_keys(event) == frozenset((own_key,)):
            return "it is the echo of the hub's own write"
    return _Concerns(object_id, cause)


def find_account(event: Event) -> str | None:
    """Return the account that an event names; a thin one may name it behind an organization's."""
    named = (event.account or "").rpartition("/")[2]
    return named if named.startswith("acct_") else None


def _is_id(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_ID


def is_settled(event: Event, record: InvoiceRecord) -> bool:
    """Tell whether catch-up may leave an event out: the webhook brought it, and nothing is left to do.

    Any other outcome may be of before the event: not paid yet, not sent yet.
    """
    return event.type in TRIGGERS and record.is_told_synced


def decide_turn(taken: Mapping[str, datetime], event_id: str, now: datetime) -> datetime | None:
    """Say when a request for a replay has its turn; None if it had, or has been given, one already.

    At most `REPLAYS_PER_HOUR` of one invoice; of those beyond, one waits for room, and stands for all.

    Args:
        taken: Earlier requests of the invoice by event id, and when they had or will have their turn.
        event_id: The event that asks.
        now: When it asks.
    """
    if event_id in taken:
        return None
    recent = sorted(at for at in taken.values() if at > now - _HOUR)
    if recent and recent[-1] > now:
        return recent[-1]
    return now if len(recent) < REPLAYS_PER_HOUR else recent[-REPLAYS_PER_HOUR] + _HOUR


def choose_connections(snapshots: Iterable[Snapshot], secret_owner: str, *, livemode: bool) -> list[Snapshot]:
    """Choose the connections that a verified event is for: those with the secret that fits, in the event's mode."""
    return [
        one
        for one in snapshots
        if one.connection.livemode == livemode
        and any(secret.get_secret_value().strip() == secret_owner for secret in one.secrets.webhook_secrets)
    ]
