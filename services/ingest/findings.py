"""What Stripe, the ledger and Business Central say of one invoice, compared: a finding. Pure."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from connectors.business_central.models import SalesInvoice
from hub.directory import Snapshot
from hub.ledger import InvoiceRecord
from hub.outcomes import DOUBLED
from hub.posted import TotalNow, explain_total
from hub.told_draft import read_told_draft
from mapping.eligibility import STANDING, Closed, DueDecision, GoOn, decide_due, get_issue_time
from schemas.errors import Refused
from schemas.messages import SWEPT_CLOSED, SWEPT_DELETED, SWEPT_DOUBLED, SWEPT_MISSING, SWEPT_UNTOLD
from schemas.money import to_decimal
from schemas.stripe_objects import Invoice

FindingKind = Literal["fine", "missing", "untold", "closed", "deleted", "doubled", "rounded", "changed"]

# What a finding is published as. A change that a person made to a draft is told, and never undone.
EVENT_TYPES: dict[FindingKind, str] = {
    "missing": SWEPT_MISSING,
    "untold": SWEPT_UNTOLD,
    "closed": SWEPT_CLOSED,
    "deleted": SWEPT_DELETED,
    "doubled": SWEPT_DOUBLED,
}
# Reasons to skip an invoice that a change in Stripe can end.
_PASSING = ("invoice.not_due", "invoice.closed")
# So long does Stripe keep the events that tell of a sending.
_EVENTS_LIVE = timedelta(days=30)


@dataclass(frozen=True)
class Views:
    """One invoice, as each side has it."""

    invoice: Invoice
    record: InvoiceRecord
    due: DueDecision
    waits: bool = False
    """It is in the waiting set, or woken from there: its next round is to come anyway."""
    documents: Sequence[SalesInvoice] = ()
    """Business Central's documents with its external document number."""
    known: SalesInvoice | None = None
    """The document that the ledger names, as it is now; None if it names none, or it is gone. With its lines, if its
    total is not Stripe's."""
    precision: Decimal | None = None
    """What posting rounds totals of the currency to, as far as posted documents have shown it."""


@dataclass(frozen=True)
class Finding:
    """What became of one invoice."""

    invoice: Invoice
    kind: FindingKind
    words: str = ""
    code: str = ""
    """Why totals differ, as in the catalogue; empty for the other kinds."""

    @property
    def event_type(self) -> str | None:
        """What to publish so that it is looked at; None where nothing is to be done, or only by a person."""
        return EVENT_TYPES.get(self.kind)


def compare(views: Views, *, prefix: str, dry_run: bool = False) -> Finding:
    """Compare what the three sides say.

    Args:
        views: What they say.
        prefix: Of the metadata keys that Stripe is told by.
        dry_run: Nothing is told in Stripe.
    """
    if views.waits:
        return _find(views, "fine")
    if isinstance(views.due, Closed):
        found = _compare_closed(views, prefix)
    elif views.record.state.phase == "synced":
        found = _compare_booked(views)
    elif isinstance(views.due, GoOn):
        found = _compare_due(views)
    else:
        found = None
    if found is None and not dry_run:
        found = _compare_told(views, prefix)
    return found or _find(views, "fine")


def is_sent(invoice: Invoice, record: InvoiceRecord, now: datetime) -> bool:
    """Tell whether Stripe has sent it. Events say so for 30 days; of older ones, what is to be paid by invoice was."""
    if record.sent_at is not None:
        return True
    is_old = now - get_issue_time(invoice) > _EVENTS_LIVE
    return is_old and invoice.collection_method == "send_invoice" and invoice.status in STANDING


def decide_listed(
    snapshot: Snapshot, invoice: Invoice, record: InvoiceRecord, now: datetime, *, is_asked_for: bool = False
) -> DueDecision:
    """Decide on an invoice that was found in Stripe's list, with no event at hand; asked for: however old it is."""
    return decide_due(
        invoice,
        snapshot.settings,
        was_sent=is_sent(invoice, record, now),
        go_live=snapshot.connection.go_live,
        is_backfilled=is_asked_for or record.backfilled_at is not None,
    )


def get_last_change(invoice: Invoice) -> datetime:
    """Return when the invoice was finalized or paid, whichever came last."""
    paid = invoice.status_transitions.paid_at or 0
    return max(get_issue_time(invoice), datetime.fromtimestamp(paid, tz=UTC))


def _find(views: Views, kind: FindingKind, words: str = "") -> Finding:
    return Finding(views.invoice, kind, words)


def _compare_closed(views: Views, prefix: str) -> Finding | None:
    """Closed in Stripe: what was booked of it must have been told to a person."""
    state, outcome = views.record.state, views.record.outcome
    told = read_told_draft(views.invoice, prefix) if state.phase == "none" else None
    is_nowhere = state.phase == "deleted" or (state.phase == "none" and told is None)
    if is_nowhere or (outcome is not None and outcome.code.startswith("invoice.closed")):
        return None
    if state.document is not None and views.known is None:
        return None  # gone on both sides
    number = state.document.number if state.document else told and told.number
    what = f"its draft {number} stands" if number else "a draft may have been made"
    return _find(views, "closed", f"It was closed in Stripe ({views.invoice.status}); {what}.")


def _compare_booked(views: Views) -> Finding | None:
    """Synced: its one document must be there, be alone, and come to Stripe's total."""
    document, known, outcome = views.record.state.document, views.known, views.record.outcome
    number = document.number if document else ""
    if known is None:
        return _find(views, "deleted", f"Its draft {number} was deleted in Business Central.")
    doubles = [one for one in views.documents if one.id.lower() != known.id.lower() and _are_alike(one, known)]
    was_doubled = outcome is not None and outcome.code == DOUBLED
    if doubles and not was_doubled:
        return _find(views, "doubled", f"Beside {known.number} there is {_list_numbers(doubles)}.")
    if was_doubled and not doubles:
        return _find(views, "doubled", f"{known.number} is the only document now; Stripe still says otherwise.")
    if (now := explain(views)) is not None and now.code:
        return Finding(views.invoice, "rounded" if now.is_own_doing else "changed", now.words, now.code)
    if views.invoice.status == "uncollectible" and (outcome is None or outcome.outcome != "attention"):
        return _find(views, "closed", f"It was written off in Stripe; {known.number} stands.")
    return None


def explain(views: Views) -> TotalNow | None:
    """Say why the invoice's document comes to what it does; None where there is none, or its currency is unknown."""
    document, total = views.record.state.document, get_total(views.invoice)
    if views.known is None or total is None:
        return None
    number = document.number if document else ""
    return explain_total(views.known, total, views.invoice.currency, views.precision, number)


def _compare_due(views: Views) -> Finding | None:
    """Due and not synced: it must have failed, or been left alone by a rule, or wait. What is due again has no end."""
    outcome = views.record.outcome
    if outcome is not None and outcome.outcome != "pending" and not outcome.code.startswith(_PASSING):
        return None
    own = [one for one in views.documents if _is_this(one, views.invoice)]
    if any(_are_alike(one, own[0]) for one in own[1:]):
        return _find(views, "doubled", f"The hub remembers none of {_list_numbers(own)}.")
    if own:
        return _find(views, "missing", f"The hub does not remember {own[0].number}, which is in Business Central.")
    return _find(views, "missing", "It is due, there is no draft, and nothing waits.")


def _compare_told(views: Views, prefix: str) -> Finding | None:
    """What the ledger holds must stand in Stripe."""
    outcome = views.record.outcome
    if outcome is None or outcome.dry_run or outcome.outcome == "pending":
        return None
    says = views.invoice.metadata.get(f"{prefix}status", "")
    if says == outcome.outcome:
        return None
    return _find(views, "untold", f"It is {outcome.outcome}; Stripe's metadata say {says or 'nothing'}.")


def _are_alike(one: SalesInvoice, other: SalesInvoice) -> bool:
    """Whether two documents are for the same customer and amount, so that one of them may be too much."""
    return (
        one.customer_id.lower() == other.customer_id.lower()
        and one.currency_code.upper() == other.currency_code.upper()
        and one.total_amount_including_tax == other.total_amount_including_tax
    )


def _is_this(one: SalesInvoice, invoice: Invoice) -> bool:
    """Whether a document may be this invoice's, as far as can be told without its customer."""
    return one.currency_code.upper() == invoice.currency.upper() and one.total_amount_including_tax == get_total(
        invoice
    )


def get_total(invoice: Invoice) -> Decimal | None:
    """Return what its document comes to; of a credit memo, what is given back. None for a currency nobody knows."""
    with suppress(Refused):
        return abs(to_decimal(invoice.total, invoice.currency))
    return None


def _list_numbers(documents: Sequence[SalesInvoice]) -> str:
    return " and ".join(sorted(one.number for one in documents))
