"""What Stripe, ledger and Business Central say of one invoice, compared."""

from datetime import timedelta
from typing import Any

import pytest

from connectors.business_central.models import SalesInvoice
from hub.ledger import InvoiceOutcome, InvoiceRecord, InvoiceState
from mapping.eligibility import Closed, GoOn, LeftAlone
from schemas.messages import BcDocument, Outcome
from services.ingest.findings import Finding, Views, compare, is_sent
from tests.builders import NOW, build_draft, build_invoice

DUE = GoOn("finalized")
VOIDED = Closed("The invoice was voided in Stripe.", code="invoice.closed.voided")
OLD = LeftAlone("It is older than the go-live date.", code="invoice.left_alone.go_live")
KNOWN = build_draft()
DOUBLE = build_draft(id="double", number="S-INV1002")
OTHERS = build_draft(id="others", number="S-INV1003", customerId="somebody else")
CHANGED = build_draft("90.00")


def told(outcome: Outcome, code: str = "", **more: Any) -> InvoiceOutcome:
    return InvoiceOutcome(outcome=outcome, code=code, decided_at=NOW, **more)


def build_record(phase: Any = "synced", outcome: InvoiceOutcome | None = None, **more: Any) -> InvoiceRecord:
    document = BcDocument(
        id=KNOWN.id,
        number=KNOWN.number,
        external_document_number="HUB-0001",
        total=KNOWN.total_amount_including_tax,
        currency="EUR",
    )
    state = InvoiceState(phase=phase, document=document if phase in {"created", "synced", "deleted"} else None)
    return InvoiceRecord(state=state, outcome=outcome, **more)


SYNCED = build_record(outcome=told("synced"))
WRITTEN_OFF = build_record(outcome=told("attention", "invoice.uncollectible"))
NOTHING = InvoiceRecord()
CLOSED = "invoice.closed.uncollectible"


def look(
    record: InvoiceRecord,
    *documents: SalesInvoice,
    says: str = "",
    due: Any = DUE,
    status: str = "open",
    **more: Any,
) -> Finding:
    invoice = build_invoice(metadata={"bc_status": says} if says else {}, status=status)
    known = next((one for one in documents if one.id == KNOWN.id), None) if record.state.document else None
    views = Views(invoice, record, due, documents=documents, known=known, **more)
    return compare(views, prefix="bc_")


@pytest.mark.parametrize(
    ("finding", "kind", "words"),
    [
        # The ordinary cases.
        (look(SYNCED, KNOWN, says="synced"), "fine", ""),
        (look(NOTHING, due=OLD), "fine", ""),
        (look(NOTHING, waits=True), "fine", ""),
        (look(build_record("none", told("failed")), says="failed"), "fine", ""),
        (look(build_record("none", told("skipped", "invoice.left_alone.rule")), says="skipped"), "fine", ""),
        (look(SYNCED, KNOWN, OTHERS, says="synced"), "fine", ""),
        # Missing.
        (look(NOTHING), "missing", "there is no draft, and nothing waits"),
        (look(NOTHING, KNOWN), "missing", "does not remember S-INV1001"),
        (look(build_record("none", told("pending"))), "missing", "nothing waits"),
        (look(build_record("intent")), "missing", "nothing waits"),
        (look(build_record("none", told("skipped", "invoice.not_due.trigger")), says="skipped"), "missing", "due"),
        # By an earlier release, which took what was written off for closed.
        (look(build_record("none", told("skipped", CLOSED)), status="uncollectible", says="skipped"), "missing", "due"),
        (look(NOTHING, status="uncollectible"), "missing", "there is no draft, and nothing waits"),
        (look(build_record("none", told("failed")), status="uncollectible", says="failed"), "fine", ""),
        (
            look(SYNCED, KNOWN, status="uncollectible", says="synced"),
            "closed",
            "written off in Stripe; S-INV1001",
        ),
        (look(WRITTEN_OFF, KNOWN, status="uncollectible", says="attention"), "fine", ""),
        # Told wrongly, or not at all.
        (look(SYNCED, KNOWN), "untold", "Stripe's metadata say nothing"),
        (look(SYNCED, KNOWN, says="pending"), "untold", "Stripe's metadata say pending"),
        (look(build_record("none", told("failed")), says="pending"), "untold", "It is failed"),
        # Closed in Stripe after the draft was made.
        (look(SYNCED, KNOWN, due=VOIDED, says="synced"), "closed", "its draft S-INV1001 stands"),
        (look(build_record("intent"), due=VOIDED), "closed", "a draft may have been made"),
        (look(SYNCED, due=VOIDED, says="synced"), "fine", ""),
        (look(NOTHING, due=VOIDED), "fine", ""),
        (
            look(build_record(outcome=told("attention", "invoice.closed.voided")), KNOWN, due=VOIDED, says="attention"),
            "fine",
            "",
        ),
        # Deleted in Business Central.
        (look(SYNCED, says="synced"), "deleted", "S-INV1001 was deleted"),
        (look(SYNCED, due=OLD, says="synced"), "deleted", "S-INV1001 was deleted"),
        (look(build_record("deleted", told("failed", "invoice.draft.deleted")), says="failed"), "fine", ""),
        # Doubled.
        (look(SYNCED, KNOWN, DOUBLE, says="synced"), "doubled", "Beside S-INV1001 there is S-INV1002"),
        (look(NOTHING, KNOWN, DOUBLE), "doubled", "remembers none of S-INV1001 and S-INV1002"),
        (
            look(build_record(outcome=told("attention", "invoice.doubled")), KNOWN, DOUBLE, says="attention"),
            "fine",
            "",
        ),
        (
            look(build_record(outcome=told("attention", "invoice.doubled")), KNOWN, says="attention"),
            "doubled",
            "the only document now",
        ),
        # Changed by a person.
        (look(SYNCED, CHANGED, says="synced"), "changed", "90.00 in Business Central, 100.00 in Stripe"),
    ],
)
def test_each_difference_has_its_name(finding: Finding, kind: str, words: str) -> None:
    assert finding.kind == kind
    assert words in finding.words


def test_in_a_dry_run_nothing_is_told_in_stripe() -> None:
    views = Views(build_invoice(), build_record("none", told("skipped", "invoice.dry_run")), DUE)

    assert compare(views, prefix="bc_", dry_run=True).kind == "fine"


def test_what_a_person_changed_is_not_published() -> None:
    assert look(SYNCED, CHANGED, says="synced").event_type is None
    assert look(NOTHING).event_type == "hub.sweep.missing"


def test_after_thirty_days_what_is_paid_by_invoice_counts_as_sent() -> None:
    old = NOW - timedelta(days=31)
    by_invoice = build_invoice(at=old, collection_method="send_invoice")

    assert is_sent(by_invoice, NOTHING, NOW)
    assert not is_sent(by_invoice, NOTHING, old + timedelta(days=29))
    assert not is_sent(build_invoice(at=old, collection_method="charge_automatically"), NOTHING, NOW)
    assert is_sent(build_invoice(), InvoiceRecord(sent_at=NOW), NOW)
