"""Pure rules of the one-draft protocol: what a found document is, what to do next, what people are told."""

from collections.abc import Sequence

from connectors.business_central.models import SalesInvoice
from mapping.sales_invoices import MappedInvoice, describe_difference
from schemas.errors import Blocked, Refused
from schemas.messages import BcDocument

_POSTED_OR_RELEASED = frozenset({"Open", "Paid", "Canceled", "Corrective"})


def decide_found(
    candidates: Sequence[SalesInvoice], mapped: MappedInvoice, customer_id: str, *, is_expected: bool
) -> SalesInvoice | None:
    """Tell which of the documents with our external document number is ours; None if there are none.

    Ours has our customer, currency and total. Two of ours: the lowest number is kept (a sweep reports the other). While
    our own request is in doubt (`is_expected`), one for our customer is its answer, whatever its total: the gate
    judges.

    Raises:
        Refused: there are documents with this number, and none of them is ours.
    """
    if not candidates:
        return None
    ours = [one for one in candidates if is_ours(one, mapped, customer_id)]
    if not ours and is_expected:
        ours = [one for one in candidates if one.customer_id.lower() == customer_id.lower()]
    if ours:
        return min(ours, key=lambda one: one.number)
    other = candidates[0]
    raise Refused(
        f"Business Central already has invoice {other.number} with external document number "
        f"{mapped.external_document_number}, for customer {other.customer_number} and a total of "
        f"{other.total_amount_including_tax:,.2f} {other.currency_code}. It is not a draft of this Stripe invoice.",
        code="invoice.number.taken",
        fix="Delete or renumber that invoice if it is wrong, or set a prefix for external document "
        "numbers; then replay.",
    )


def is_ours(one: SalesInvoice, mapped: MappedInvoice, customer_id: str) -> bool:
    """Tell whether a document is what this invoice would have become."""
    return (
        one.customer_id.lower() == customer_id.lower()
        and one.currency_code.upper() == mapped.currency
        and one.total_amount_including_tax == mapped.total
    )


def is_posted(document: SalesInvoice) -> bool:
    """Tell whether a document has left the draft state, so that it may not be deleted."""
    return document.status in _POSTED_OR_RELEASED


def passes_gate(document: SalesInvoice, mapped: MappedInvoice) -> bool:
    """The equality gate: Business Central's total is Stripe's total, to the cent, in the same currency."""
    return document.total_amount_including_tax == mapped.total and document.currency_code.upper() == mapped.currency


def build_gate_refusal(document: SalesInvoice, mapped: MappedInvoice, ending: str) -> Refused:
    """Say both totals, what became of the draft, and what to change.

    Args:
        document: The draft as Business Central answered it.
        mapped: What it should have come to.
        ending: `deleted`, `changed` or `gone`, from the attempt to delete it.
    """
    kept = {
        "deleted": "The draft was deleted.",
        "gone": "The draft is not there any more.",
        "changed": f"The draft {document.number} was changed meanwhile, so it was kept: delete it in Business Central.",
    }[ending]
    words = describe_difference(
        mapped.total, document.total_amount_including_tax, document.currency_code, mapped.external_document_number
    )
    return Refused(
        f"{words} {kept}",
        code="invoice.total.different",
        fix="Check the tax of the account or item and the VAT group of the customer in Business Central, then replay.",
        context={"stripe_total": str(mapped.total), "bc_total": str(document.total_amount_including_tax)},
    )


def build_deleted_refusal(number: str) -> Refused:
    """Say that a person deleted the draft: it is not made again unless a person asks."""
    return Refused(
        f"The draft {number} was deleted in Business Central.",
        code="invoice.draft.deleted",
        fix="To make a new one, replay the invoice with --recreate.",
    )


def build_hidden_block(number: str) -> Blocked:
    """Say that drafts can be made but not seen: going on would double them."""
    return Blocked(
        f"The draft {number} was made in Business Central, but can't be read there. Give the hub's "
        "app the permission to "
        "read sales invoices and posted sales invoices (D365 READ and D365 SALES), then resume the connection.",
        code="bc.permission.drafts_hidden",
    )


def to_document(invoice: SalesInvoice) -> BcDocument:
    """Keep what results, ledger and metadata say about a document."""
    return BcDocument(
        id=invoice.id,
        number=invoice.number,
        external_document_number=invoice.external_document_number,
        total=invoice.total_amount_including_tax,
        currency=invoice.currency_code,
    )
