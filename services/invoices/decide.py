"""Pure rules of the one-draft protocol: what a found document is, what to do next, what people are told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from connectors.business_central.models import SalesInvoice
from hub.gate import DRAFTS_HIDDEN
from hub.posted import TotalNow
from mapping.sales_documents import MappedDocument, describe_difference
from mapping.taxes import VatFact, VatKey
from schemas.errors import Blocked, Refused, RetrySoon
from schemas.messages import BcDocument, CustomerMatch, DocumentKind
from schemas.money import format_amount
from services.invoices.judge import (
    bears_number,
    find_differences,
    has_other_tax,
    is_for,
    is_older_than,
    passes_gate,
    sort_lines,
)

_POSTED_OR_RELEASED = frozenset({"Open", "Paid", "Canceled", "Corrective"})
# No draft that was made a moment ago can be one of these; a workflow may have released it (Open).
_NOT_NEW = frozenset({"Paid", "Canceled", "Corrective"})
_BILLED_BY = frozenset({"customerNumber", "billToCustomerId", "billToCustomerNumber"})


def decide_found(
    candidates: Sequence[SalesInvoice],
    mapped: MappedDocument,
    customer_id: str,
    *,
    is_expected: bool,
    issued_at: datetime | None = None,
) -> SalesInvoice | None:
    """Tell which of the documents with our external document number is ours; None if there are none.

    Ours has our customer, currency and total, and was not there before the invoice was. Two of ours: the lowest number
    is kept (a sweep reports the other). While our own request is in doubt (`is_expected`), one for our customer is its
    answer, whatever its total: the gate judges.

    Args:
        candidates: Those that are not known to be another invoice's.
        mapped: What is wanted.
        customer_id: For whom.
        is_expected: Our own request may have made it.
        issued_at: When the invoice was issued, as far as it matters.

    Raises:
        Refused: there are documents with this number, and none of them is ours.
    """
    if not candidates:
        return None
    ours = [one for one in candidates if is_ours(one, mapped, customer_id)]
    if not is_expected and issued_at is not None:
        ours = [one for one in ours if not is_older_than(one, issued_at)]
    if not ours and is_expected:
        ours = [one for one in candidates if is_for(one, customer_id)]
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


def is_ours(one: SalesInvoice, mapped: MappedDocument, customer_id: str) -> bool:
    """Tell whether a document is what this invoice would have become."""
    return is_for(one, customer_id) and passes_gate(one, mapped)


def is_posted(document: SalesInvoice) -> bool:
    """Tell whether a document has left the draft state, so that it may not be deleted."""
    return document.status in _POSTED_OR_RELEASED


def is_left_draft(document: SalesInvoice) -> bool:
    """Tell whether a document that was found is still a draft: a proof that the hub may read drafts."""
    return document.status == "Draft"


def describe_change(document: SalesInvoice, mapped: MappedDocument, now: TotalNow | None = None) -> str | None:
    """Say that a draft that was right came to something else since, or None.

    `now` says why, where that is known: what Business Central does by itself when it posts is nobody's change.
    """
    if passes_gate(document, mapped):
        return None
    if now is not None and now.is_own_doing:
        return now.words
    total = format_amount(document.total_amount_including_tax, document.currency_code or mapped.currency)
    return (
        f"Invoice {document.number} was changed in Business Central since it was synced: its total is {total} now, and "
        f"{format_amount(mapped.total, mapped.currency)} in Stripe."
    )


Ending = Literal["deleted", "gone", "changed", "posted", "unsure", "wanted"]


def choose_ending(document: SalesInvoice, wrong_draft: Literal["delete", "keep"], etag: str | None) -> Ending:
    """Choose what is to become of a wrong draft: it is deleted only as our own POST left it.

    `etag` is that of the draft as our own POST left it; without it, a person may have touched the draft.
    """
    if is_posted(document):
        return "posted"
    if wrong_draft == "keep":
        return "wanted"
    return "unsure" if etag is None else "deleted"


@dataclass(frozen=True)
class Fault:
    """What is wrong with a draft, so that it must not count as synced."""

    words: str
    code: str
    fix: str
    context: dict[str, str] = field(default_factory=dict[str, str])


def find_fault(
    document: SalesInvoice, mapped: MappedDocument, customer: CustomerMatch, *, is_new: bool
) -> Fault | None:
    """Return what is wrong with a draft: who is billed, how much, its number; or, just made, that it is none.

    Args:
        document: As it was read last.
        mapped: What was sent.
        customer: For whom.
        is_new: It was made a moment ago, by our own request.
    """
    number = mapped.external_document_number
    differences = find_differences(document, mapped)
    if not is_for(document, customer.id) or any(one.name in _BILLED_BY for one in differences):
        theirs = f"{document.customer_number} {document.customer_name}".strip() or "another customer"
        return Fault(
            f"Business Central made the draft of invoice {number} for {theirs}, and not for "
            f"{customer.number} {customer.name}.",
            code="invoice.customer.changed",
            fix="Find out what changes the customer there, perhaps an extension; then replay.",
        )
    if not passes_gate(document, mapped):
        return _build_gate_fault(document, mapped)
    if is_new and has_other_tax(document, mapped):
        return _build_tax_fault(document, mapped)
    if is_new and not bears_number(document, number):
        return Fault(
            f"Business Central gave the draft of invoice {number} the external document number "
            f"{document.external_document_number or '(none)'}, by which the hub can't find it again.",
            code="invoice.number.changed",
            fix="Find out what changes the number there, perhaps an extension; then replay.",
        )
    if is_new and document.status in _NOT_NEW:
        return Fault(
            f"Business Central says that the draft of invoice {number}, made a moment ago, is {document.status}.",
            code="invoice.status.strange",
            fix="Look at it in Business Central. If it is right, replay; else correct it there first.",
        )
    return None


def build_gate_refusal(document: SalesInvoice, mapped: MappedDocument, ending: Ending) -> Refused:
    """Say that the totals differ, and what became of the draft."""
    return build_refusal(_build_gate_fault(document, mapped), document, ending)


def build_refusal(fault: Fault, document: SalesInvoice, ending: Ending) -> Refused:
    """Say what is wrong, what became of the draft, and what to change.

    Args:
        fault: What is wrong.
        document: The draft as it was read last.
        ending: What became of the draft: deleted by the hub, or gone already; else why it was kept.
    """
    number = document.number
    kept = {
        "deleted": "The draft was deleted.",
        "gone": "The draft is not there any more.",
        "changed": f"The draft {number} was changed meanwhile, so it was kept: delete it in Business Central.",
        "posted": f"Invoice {number} is not a draft any more, so it was kept: correct it in Business Central.",
        "wanted": f"The draft {number} was kept, as the settings say: correct or delete it in Business Central.",
        "unsure": f"The draft {number} may have been changed by someone, so it was kept: delete it in "
        "Business Central.",
    }[ending]
    return Refused(f"{fault.words} {kept}", code=fault.code, fix=fault.fix, context=fault.context)


def _build_gate_fault(document: SalesInvoice, mapped: MappedDocument) -> Fault:
    return Fault(
        describe_difference(
            mapped.total, document.total_amount_including_tax, document.currency_code, mapped.external_document_number
        ),
        code="invoice.total.different",
        fix="Check the tax of the account or item and the VAT group of the customer in Business Central, then replay.",
        context={"stripe_total": str(mapped.total), "bc_total": str(document.total_amount_including_tax)},
    )


def _build_tax_fault(document: SalesInvoice, mapped: MappedDocument) -> Fault:
    theirs, ours = (format_amount(one, mapped.currency) for one in (document.total_tax_amount, mapped.predicted.tax))
    number = mapped.external_document_number
    return Fault(
        f"Invoice {number} includes {ours} of tax in Stripe, but its draft in Business Central includes {theirs}.",
        code="invoice.tax.different",
        fix="Check the tax of the account or item and the VAT group of the customer in Business Central, then replay.",
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
        f"The draft {number} was made in Business Central, but can't be read there. Give the hub's app the permission "
        "to read sales invoices and posted sales invoices (D365 READ and D365 SALES), then resume the connection.",
        code=DRAFTS_HIDDEN,
    )


def build_learned(number: str) -> RetrySoon:
    """Say that a draft showed a rule of Business Central that the hub did not know, and that it is made anew by it."""
    return RetrySoon(
        f"Business Central computes the tax of invoice {number} by rules that the hub did not know yet; it has learned "
        "them and makes the draft anew.",
        code="invoice.rules.learned",
    )


def read_vat_facts(mapped: MappedDocument, document: SalesInvoice) -> dict[VatKey, VatFact]:
    """Read from an answer what VAT each line brought; nothing where it does not show the lines that were sent."""
    if len(mapped.lines) != len(document.lines):
        return {}
    return {
        sent.vat_key: VatFact(line.tax_code, line.tax_percent)
        for sent, line in zip(mapped.lines, sort_lines(document), strict=True)
        if sent.vat_key is not None
    }


def build_strange_answer(number: str, answered: str) -> Refused:
    """Say that Business Central answered with a document that was not asked for, and that none was found since."""
    return Refused(
        f"Business Central answered the creation of invoice {number} with a document that is not its draft "
        f"({answered}), and no draft with this number has been found since.",
        code="invoice.answer.strange",
        fix="Look for a new draft of this customer in Business Central, and delete it if there is one; then replay.",
    )


def build_taken_meanwhile(number: str) -> RetrySoon:
    """Say that another invoice was faster to take a document: the next look leaves it out."""
    return RetrySoon(
        f"The document {number} in Business Central was just taken for another Stripe invoice with the same number.",
        code="ledger.document.taken",
    )


def describe_namesakes(others: Sequence[SalesInvoice], number: str) -> str:
    """Say that other invoices of ours have documents with the same number."""
    named = ", ".join(sorted(one.number for one in others)[:3])
    return (
        f"Business Central has another document with the external document number {number}, of another Stripe invoice: "
        f"{named}. Make sure that both are wanted."
    )


def to_document(invoice: SalesInvoice, kind: DocumentKind) -> BcDocument:
    """Keep what results, ledger and metadata say about a document."""
    return BcDocument(
        kind=kind,
        id=invoice.id,
        number=invoice.number,
        external_document_number=invoice.external_document_number,
        total=invoice.total_amount_including_tax,
        currency=invoice.currency_code,
    )
