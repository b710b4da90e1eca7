"""Is an invoice due? Not yet, left alone with a reason, closed, or go on.

Only a rule of the user's or the law of the thing leaves an invoice alone. One that was written off in Stripe
(*uncollectible*) was issued all the same: it is drafted, and its loss is another entry.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from schemas.invoice_settings import MetadataCondition, SkipRules
from schemas.settings import Settings, Trigger
from schemas.stripe_objects import Invoice


@dataclass(frozen=True)
class NotYet:
    """It may become due by a later event."""

    reason: str
    code: str


@dataclass(frozen=True)
class LeftAlone:
    """It will not be synced, and that is no failure."""

    reason: str
    code: str


@dataclass(frozen=True)
class Closed:
    """It does not stand any more: what was booked of it, if anything, needs a person."""

    reason: str
    code: str


@dataclass(frozen=True)
class GoOn:
    """It is due, by this trigger."""

    trigger: Trigger


STANDING = frozenset({"open", "paid", "uncollectible"})
"""Statuses of an invoice that was issued, and was not taken back."""

# Stripe lists by the draft's creation: what was issued in a period may have been drafted so much earlier.
LONGEST_DRAFT = timedelta(days=60)

DueDecision = NotYet | LeftAlone | Closed | GoOn

_WAITS_FOR: dict[Trigger, str] = {"finalized": "finalized", "sent": "sent", "paid": "paid"}
VOIDED = Closed("The invoice was voided in Stripe.", code="invoice.closed.voided")
DELETED = Closed("The invoice was deleted in Stripe.", code="invoice.closed.deleted")


def decide_due(
    invoice: Invoice, settings: Settings, *, was_sent: bool, go_live: datetime, is_backfilled: bool = False
) -> DueDecision:
    """Decide by the invoice's current state; only *sent* is known from events alone.

    What is older than the go-live date is left alone, unless a person asked for it (`is_backfilled`).
    """
    if invoice.status == "draft":
        return NotYet("The invoice is still a draft in Stripe.", code="invoice.not_due.draft")
    if invoice.status == "void":
        return VOIDED
    if (exemption := _find_exemption(invoice, settings, None if is_backfilled else go_live)) is not None:
        return exemption
    for trigger in settings.triggers:
        if _has_fired(trigger, invoice, was_sent=was_sent):
            return GoOn(trigger)
    wanted = " or ".join(_WAITS_FOR[trigger] for trigger in settings.triggers)
    return NotYet(f"The draft is made when the invoice is {wanted}; it is not yet.", code="invoice.not_due.trigger")


def get_issue_time(invoice: Invoice) -> datetime:
    """Return when the invoice was issued, and thus could first be drafted: its finalization, else its creation.

    Its date may be another (`get_effective_time`).
    """
    seconds = invoice.status_transitions.finalized_at or invoice.effective_at or invoice.created
    return datetime.fromtimestamp(seconds, tz=UTC)


def get_effective_time(invoice: Invoice) -> datetime:
    """Return the time that the invoice is dated: when it takes effect by law, which may be set to another day."""
    if invoice.effective_at is None:
        return get_issue_time(invoice)
    return datetime.fromtimestamp(invoice.effective_at, tz=UTC)


def is_issued_within(invoice: Invoice, begin: datetime | None, end: datetime | None) -> bool:
    """Tell whether it was issued in a period, its end left out; a draft was not issued."""
    issued = get_issue_time(invoice)
    is_within = (begin is None or issued >= begin) and (end is None or issued < end)
    return is_within and invoice.status != "draft"


def _find_exemption(invoice: Invoice, settings: Settings, go_live: datetime | None) -> LeftAlone | None:
    skip = f"{settings.metadata_prefix}skip"
    if invoice.metadata.get(skip, "").strip().lower() in {"1", "true", "yes"}:
        return LeftAlone(f"The invoice's metadata say {skip}.", code="invoice.left_alone.skip_key")
    if go_live is not None and get_issue_time(invoice) < go_live:
        words = f"The invoice was finalized before the go-live date, {go_live:%Y-%m-%d %H:%M} UTC."
        return LeftAlone(words, code="invoice.left_alone.go_live")
    if invoice.total == 0 and not invoice.lines.data:
        return LeftAlone(
            "It has no lines and comes to nothing: there is nothing to book.", code="invoice.left_alone.empty"
        )
    if invoice.total == 0 and settings.invoices.zero_total == "skip":
        words = "Its total is zero, and the settings leave such invoices alone (invoices.zero_total)."
        return LeftAlone(words, code="invoice.left_alone.zero_total")
    rule = _find_rule(invoice, settings.skip)
    return LeftAlone(rule, code="invoice.left_alone.rule") if rule else None


def _find_rule(invoice: Invoice, rules: SkipRules) -> str | None:
    """Return the rule of the user's that leaves the invoice alone, in words."""
    currency = invoice.currency.upper()
    if currency in _upper(rules.currencies) or (
        rules.only_currencies and currency not in _upper(rules.only_currencies)
    ):
        return f"The settings leave invoices in {currency} alone (skip)."
    if invoice.customer in rules.customers:
        return f"The settings leave invoices of customer {invoice.customer} alone (skip.customers)."
    if invoice.billing_reason in rules.billing_reasons:
        return f"The settings leave invoices with billing reason {invoice.billing_reason} alone (skip.billing_reasons)."
    for condition in rules.metadata:
        if _holds(condition, invoice):
            return f"The settings leave invoices alone whose metadata have {condition.key} (skip.metadata)."
    return None


def _holds(condition: MetadataCondition, invoice: Invoice) -> bool:
    value = invoice.metadata.get(condition.key)
    if value is None:
        return False
    return condition.value is None or value.strip().casefold() == condition.value.strip().casefold()


def _upper(codes: tuple[str, ...]) -> set[str]:
    return {code.upper() for code in codes}


def _has_fired(trigger: Trigger, invoice: Invoice, *, was_sent: bool) -> bool:
    match trigger:
        case "finalized":
            return invoice.status in STANDING
        case "paid":
            return invoice.status == "paid"
        case "sent":
            return was_sent
