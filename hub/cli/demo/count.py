"""Counting, from outside: what the Stripe simulator holds against what the Business Central simulator holds."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from schemas.money import to_decimal


@dataclass(frozen=True)
class Count:
    """How the two sides compare. Each number is of invoices."""

    invoices: int
    drafts: int
    """Invoices with at least one draft."""
    duplicates: int
    """Drafts beyond the first of an invoice."""
    lost: int
    failed: int
    wrong_total: int
    metadata_written: int
    """Invoices whose metadata say `synced` and name the very draft."""
    customers: int
    duplicate_customers: int

    @property
    def is_perfect(self) -> bool:
        """Whether every invoice has exactly its one right draft, and says so."""
        wrong = (self.duplicates, self.lost, self.failed, self.wrong_total, self.duplicate_customers)
        return not any(wrong) and self.drafts == self.metadata_written == self.invoices


def count(
    stripe_invoices: Sequence[Mapping[str, Any]], bc: Mapping[str, Sequence[Mapping[str, Any]]], prefix: str = "bc_"
) -> Count:
    """Compare due Stripe invoices (open or paid) with the drafts that carry their number."""
    due = [invoice for invoice in stripe_invoices if invoice["status"] in {"open", "paid"}]
    drafts: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for draft in bc["salesInvoices"]:
        drafts[draft["externalDocumentNumber"]].append(draft)
    found = [(invoice, drafts[invoice["number"].upper()]) for invoice in due]
    emails = [customer["email"] for customer in bc["customers"] if customer["email"]]
    return Count(
        invoices=len(due),
        drafts=sum(1 for _, its in found if its),
        duplicates=sum(max(0, len(its) - 1) for _, its in found),
        lost=sum(1 for invoice, its in found if not its and invoice["metadata"].get(f"{prefix}status") != "failed"),
        failed=sum(1 for invoice, _ in found if invoice["metadata"].get(f"{prefix}status") == "failed"),
        wrong_total=sum(1 for invoice, its in found for draft in its if not _is_equal(invoice, draft)),
        metadata_written=sum(1 for invoice, its in found if _is_told(invoice, its, prefix)),
        customers=len(bc["customers"]),
        duplicate_customers=len(emails) - len(set(emails)),
    )


def list_failures(stripe_invoices: Sequence[Mapping[str, Any]], prefix: str = "bc_") -> list[str]:
    """Say why invoices are not synced: number, status and words, as a reader finds them in Stripe."""
    told = [(one["number"], one["metadata"]) for one in stripe_invoices if one["status"] in {"open", "paid"}]
    return [
        f"{number}: {metadata.get(f'{prefix}status', 'nothing written')} {metadata.get(f'{prefix}error', '')}".strip()
        for number, metadata in told
        if metadata.get(f"{prefix}status") != "synced"
    ]


def _is_equal(invoice: Mapping[str, Any], draft: Mapping[str, Any]) -> bool:
    total = Decimal(str(draft["totalAmountIncludingTax"]))
    same_currency = draft["currencyCode"].upper() == invoice["currency"].upper()
    return same_currency and total == to_decimal(invoice["total"], invoice["currency"])


def _is_told(invoice: Mapping[str, Any], drafts: Sequence[Mapping[str, Any]], prefix: str) -> bool:
    metadata = invoice["metadata"]
    if metadata.get(f"{prefix}status") != "synced":
        return False
    return any(
        draft["number"] == metadata.get(f"{prefix}invoice") and draft["id"] == metadata.get(f"{prefix}invoice_id")
        for draft in drafts
    )
