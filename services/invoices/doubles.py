"""Two documents of one invoice all the same: two faults at once can make them, and only a sweep finds them.

One is kept: the one that ledger or metadata name, else the lowest number. Another is deleted only if it is a draft that
is just what the hub would have sent, and as long as nobody changes it; else a person is called.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from connectors.business_central.models import SalesInvoice
from hub.clock import Clock
from hub.document_owners import DocumentOwners
from hub.ledger import InvoiceOutcome
from hub.metrics import DOUBLES
from hub.outcomes import DOUBLED
from mapping.sales_documents import MappedDocument
from schemas.messages import Attempt
from services.invoices.decide import is_left_draft, is_ours
from services.invoices.judge import ENTITIES, find_owned, has_lines_as_sent
from services.invoices.ports import BcInvoices

Fate = Literal["deleted", "gone", "changed", "different", "posted"]

_WHY_KEPT: dict[Fate, str] = {
    "changed": "was changed while the hub looked at it",
    "different": "differs from what the hub would have sent",
    "posted": "is not a draft any more",
}


@dataclass
class DoubleRemover:
    """Looks for doubles of one invoice's document, under its lease."""

    bc: BcInvoices
    clock: Clock
    owners: DocumentOwners
    owner: str
    """The invoice, as documents are claimed for it."""
    mapped: MappedDocument
    customer_id: str
    attempts: list[Attempt]
    left: list[str] = field(default_factory=list[str])
    """For the reader: which were not deleted, and why."""

    async def remove(self, kept_id: str) -> None:
        """Delete what may be deleted; what may not is in `left`."""
        found = await self.bc.find_invoices(self.mapped.external_document_number, kind=self.mapped.kind)
        others = find_owned(found, await self.owners.find([one.id for one in found]), self.owner)
        for one in found:
            is_double = one not in others and is_ours(one, self.mapped, self.customer_id)
            if is_double and one.id.lower() != kept_id.lower():
                await self._remove_one(one)

    async def _remove_one(self, double: SalesInvoice) -> None:
        fate = await self._decide_fate(double)
        DOUBLES.labels(fate).inc()
        if fate in _WHY_KEPT:
            self.left.append(f"{double.number}, which {_WHY_KEPT[fate]}")

    async def _decide_fate(self, double: SalesInvoice) -> Fate:
        if not is_left_draft(double):
            return "posted"
        whole = await self.bc.fetch_invoice(double.id, kind=self.mapped.kind, with_lines=True)
        if whole is None:
            return "gone"
        if not (is_left_draft(whole) and equals_payload(whole, self.mapped, self.customer_id)):
            return "different"
        sent = self.clock.now()
        ending = await self.bc.delete_invoice(whole.id, etag=whole.etag, kind=self.mapped.kind)
        request = f"DELETE {ENTITIES[self.mapped.kind]}({whole.id})"
        self.attempts.append(Attempt(at=sent, request=request, answer={"ending": ending, "number": whole.number}))
        return ending


def equals_payload(document: SalesInvoice, mapped: MappedDocument, customer_id: str) -> bool:
    """Tell whether a draft is just what the hub would send: customer, total and each line."""
    return is_ours(document, mapped, customer_id) and has_lines_as_sent(document, mapped)


def call_for_doubles(synced: InvoiceOutcome, kept: str, left: Sequence[str]) -> InvoiceOutcome:
    """Turn a success into a call for a person: which documents there are, and what to do."""
    others = "; ".join(left)
    reason = (
        f"Business Central has more than one document for this invoice: {kept}, which the hub keeps to, and {others}. "
        "Delete or credit what is too much, then replay."
    )
    return InvoiceOutcome(
        outcome="attention",
        document=synced.document,
        reason=reason,
        code=DOUBLED,
        settings_version=synced.settings_version,
        decided_at=synced.decided_at,
    )
