"""What preview and plan foretold of an invoice, held against what the hub then did with it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hub.cli.preview import describe
from hub.cli.replay import build_planner
from hub.cli.replay_plan import PlannedInvoice, Preview
from hub.learned import LearnedFacts
from hub.mapper import DocumentMapper
from hub.materials import MaterialsGatherer
from schemas.errors import HubError
from schemas.messages import InvoiceResult

if TYPE_CHECKING:
    from tests.relay import Relay

# What only Business Central can say: its own refusals, and what it makes of a draft.
_THEIRS = ("bc.", "invoice.total.", "invoice.draft.", "invoice.answer.", "contact.answer.", "contact.create.")


@dataclass(frozen=True)
class Foretold:
    """Both, of one invoice, right before it is brought."""

    shown: Preview | None
    """None where Stripe has no such invoice."""
    planned: PlannedInvoice


async def foretell(relay: "Relay", invoice_id: str, *, recreate: bool = False) -> Foretold | None:
    """Ask preview and plan as a person does who has changed something just before; None while a system refuses."""
    # A memory of its own, empty as that of a new process.
    mapper = DocumentMapper(MaterialsGatherer(), LearnedFacts(relay.foundation.redis))
    try:
        around = replace(relay.foundation, mapper=mapper)
        planner = build_planner(around, await relay.snapshot(), recreate=recreate)
        invoice = await planner.stripe.fetch_invoice(invoice_id)
        shown = None if invoice is None else await planner.preview(invoice)
        return Foretold(shown, await planner.plan(invoice_id))
    except HubError:
        return None


def check_agreement(foretold: Foretold, after: Foretold | None, result: InvoiceResult) -> None:
    """Make sure that what was written is what was shown: customer, payload, notes; or that the refusal is the same.

    Args:
        foretold: Before it was brought.
        after: The same when it has ended: where the total was told to be a guess, a first draft may have shown another
            VAT than was assumed, and the next one went by that.
        result: How it ended.
    """
    code, shown, planned = (result.error.code if result.error else ""), foretold.shown, foretold.planned
    told = f"{planned.verdict}: {planned.words}; became {result.outcome} {code} {result.reason}"
    if planned.verdict == "fail" and "unless that was mended" not in planned.words:
        assert result.outcome == "failed", told
        assert code.startswith(_THEIRS) or (result.error and result.error.message in planned.words), told
    if planned.verdict in {"create", "adopt", "unchanged"} and result.outcome == "failed":
        assert code.startswith(_THEIRS), told
    if planned.verdict == "skip":
        assert result.outcome == "skipped", told
    if planned.verdict == "attention":
        assert result.outcome == "attention", told
    posts = [one.payload for one in result.attempts if one.payload and one.request.startswith("POST sales")]
    if shown is None or shown.mapped is None or not posts:
        return
    known = after.shown if shown.guess and after is not None else None
    right = next((one for one in (shown, known) if _is_draft(one, posts[0])), None)
    assert right is not None, told
    if result.outcome == "synced" and right is shown:
        missing = [note for note in describe(shown)["notes"] if note not in result.notes]
        assert missing == [], (told, result.notes)


def _is_draft(shown: Preview | None, sent: Mapping[str, Any]) -> bool:
    """A new customer has no id before."""
    if shown is None or shown.mapped is None:
        return False
    left_out = {"customerId"} if shown.customer is None else set[str]()
    return {name: value for name, value in sent.items() if name not in left_out} == shown.mapped.payload
