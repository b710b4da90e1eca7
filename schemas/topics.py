"""The topic registry: names, partitions, retention and consumer groups, in one place.

`hub topics apply|check`, the AsyncAPI document and the charts follow it.
"""

from dataclasses import dataclass
from datetime import timedelta

from schemas.contract import Contract
from schemas.messages import (
    ContactResolved,
    DeadMessage,
    InvoiceResult,
    MetadataUpdated,
    StageName,
    StripeEventReceived,
)

# All stage topics have the same number, so that the Range assignor gives one consumer the same partitions everywhere.
# Twelve divides evenly among 1, 2, 3, 4, 6 and 12 replicas.
PARTITIONS = 12


@dataclass(frozen=True)
class Topic:
    """One topic: what travels on it, by which key, and for how long it is kept."""

    name: str
    message: type[Contract]
    key: str
    retention: timedelta
    summary: str
    partitions: int = PARTITIONS


STRIPE_EVENTS = Topic(
    "stripe.events",
    StripeEventReceived,
    "connection/invoice, or connection/customer",
    timedelta(days=30),
    "The head: look at this Stripe object. Webhooks, catch-up, retry, replay, backfill and sweep all publish here.",
)
CONTACTS_RESOLVED = Topic(
    "contacts.resolved",
    ContactResolved,
    "connection/invoice",
    timedelta(days=7),
    "The invoice is due, and this is its Business Central customer.",
)
INVOICES_RESULTS = Topic(
    "invoices.results",
    InvoiceResult,
    "connection/invoice",
    timedelta(days=30),
    "How an attempt on an invoice ended: outcome, draft, error, payload sent and answer received.",
)
METADATA_UPDATED = Topic(
    "metadata.updated",
    MetadataUpdated,
    "connection/invoice",
    timedelta(days=30),
    "What was written to the Stripe invoice's metadata, or why nothing was.",
)
DEAD = Topic(
    "hub.dead",
    DeadMessage,
    "as it came",
    timedelta(days=30),
    "What cannot be decoded or met a defect, whole. Never what a person can fix.",
)

TOPICS: tuple[Topic, ...] = (STRIPE_EVENTS, CONTACTS_RESOLVED, INVOICES_RESULTS, METADATA_UPDATED, DEAD)

CONSUMED_BY: dict[StageName, Topic] = {
    "contacts": STRIPE_EVENTS,
    "invoices": CONTACTS_RESOLVED,
    "metadata_writer": INVOICES_RESULTS,
}
PUBLISHED_BY: dict[StageName, tuple[Topic, ...]] = {
    "ingest": (STRIPE_EVENTS, INVOICES_RESULTS),
    "contacts": (CONTACTS_RESOLVED, INVOICES_RESULTS, DEAD),
    "invoices": (INVOICES_RESULTS, DEAD),
    "metadata_writer": (METADATA_UPDATED, DEAD),
}


def get_group(stage: StageName) -> str:
    """Name the consumer group of a stage."""
    return f"hub.{stage}"
