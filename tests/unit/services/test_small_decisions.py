"""The pure rules of contacts and the metadata writer, of doubt, and of a closed invoice."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.doubt import get_look_interval, get_memory_gap, is_in_doubt
from hub.ledger import Incarnation, InvoiceOutcome, InvoiceRecord, InvoiceState, Phase
from hub.outcomes import decide_closed
from mapping.eligibility import Closed
from schemas.messages import ErrorDetail, Outcome
from services.invoices.decide import to_document
from services.metadata_writer.decide import MetadataKeys
from tests.builders import NOW, build_draft

WINDOW = timedelta(minutes=20)
KEYS = MetadataKeys("bc_")
DOCUMENT = to_document(build_draft(), "invoice")


def outcome(kind: Outcome, **more: Any) -> InvoiceOutcome:
    return InvoiceOutcome(outcome=kind, decided_at=NOW, **more)


def test_metadata_of_a_success_name_the_draft() -> None:
    record = InvoiceRecord(state=InvoiceState(phase="synced", document=DOCUMENT, synced_at=NOW))

    assert KEYS.build(record, outcome("synced", document=DOCUMENT, reason="Posting rounds it.")) == {
        "bc_status": "synced",
        "bc_invoice": "S-INV1001",
        "bc_invoice_id": DOCUMENT.id,
        "bc_error": "",
        "bc_note": "Posting rounds it.",
        "bc_synced_at": "2026-11-24T12:00:00Z",
    }


def test_metadata_of_a_failure_say_cause_and_fix_within_the_limit() -> None:
    error = ErrorDetail(kind="refused", code="x", message="é" * 400, fix="Then replay.")
    built = KEYS.build(InvoiceRecord(), outcome("failed", error=error))

    assert built["bc_status"] == "failed"
    assert len(built["bc_error"].encode()) <= 500
    assert built["bc_invoice"] == built["bc_invoice_id"] == built["bc_synced_at"] == ""


def test_metadata_of_what_was_skipped_say_why() -> None:
    assert KEYS.build(InvoiceRecord(), outcome("skipped", reason="Voided."))["bc_error"] == "Voided."


@pytest.mark.parametrize("kind", ["synced", "failed", "skipped", "attention"])
def test_a_replay_is_answered_with_everything_and_cleared(kind: Outcome) -> None:
    assert KEYS.answer_replay({"bc_status": kind}, outcome(kind)) == {"bc_status": kind, "bc_replay": ""}


def test_a_replay_that_waits_is_not_cleared() -> None:
    assert KEYS.answer_replay({"bc_status": "pending"}, outcome("pending")) == {"bc_status": "pending"}


@given(st.timedeltas(timedelta(seconds=1), timedelta(hours=2)), st.floats(0, 1))
def test_looks_come_at_growing_intervals_and_end_with_the_window(window: timedelta, part: float) -> None:
    now = NOW + window * part
    wait = get_look_interval(window, NOW, now)

    assert wait >= timedelta(milliseconds=250)
    assert now + wait <= NOW + window + timedelta(milliseconds=250)
    assert wait <= max(now - NOW, timedelta(seconds=30))


def test_a_doubt_of_twenty_minutes_takes_few_looks() -> None:
    now, looks = NOW, 0
    while is_in_doubt(NOW, WINDOW, now):
        now += get_look_interval(WINDOW, NOW, now)
        looks += 1

    assert now == NOW + WINDOW
    assert looks <= 10


@pytest.mark.parametrize(
    ("issued_after_birth", "age", "gap"),
    [
        (timedelta(0), timedelta(0), None),
        (timedelta(seconds=1), timedelta(0), None),
        (timedelta(seconds=-1), timedelta(0), WINDOW),
        (timedelta(days=-30), timedelta(minutes=5), timedelta(minutes=15)),
        (timedelta(days=-30), WINDOW, None),
    ],
)
def test_what_is_older_than_the_ledger_is_only_looked_up_for_a_window(
    issued_after_birth: timedelta, age: timedelta, gap: timedelta | None
) -> None:
    life = Incarnation(id="x", born_at=NOW)

    assert get_memory_gap(life, NOW + issued_after_birth, WINDOW, NOW + age) == gap


@pytest.mark.parametrize(
    ("phase", "has_document", "expected", "words"),
    [
        ("none", False, "skipped", "Voided."),
        ("intent", False, "attention", "look for it there by the invoice's number"),
        ("created", True, "attention", "S-INV1001 in Business Central was not changed: delete or credit it there"),
        ("synced", True, "attention", "S-INV1001 in Business Central was not changed: delete or credit it there"),
        ("deleted", True, "skipped", "Voided."),
    ],
)
def test_a_closed_invoice_is_skipped_unless_there_may_be_a_draft(
    phase: Phase, has_document: bool, expected: Outcome, words: str
) -> None:
    state = InvoiceState(phase=phase, document=DOCUMENT if has_document else None)
    decided = decide_closed(InvoiceRecord(state=state), Closed("Voided.", code="invoice.closed.voided"), NOW)

    assert (decided.outcome, decided.code) == (expected, "invoice.closed.voided")
    assert words in decided.reason
    assert decided.document == (DOCUMENT if expected == "attention" and has_document else None)


@pytest.mark.parametrize(("phase", "expected"), [("none", "attention"), ("deleted", "skipped")])
def test_a_draft_that_only_stripe_remembers_wants_a_person_too(phase: Phase, expected: Outcome) -> None:
    """The ledger was lost; but what it knows to be deleted is no draft any more."""
    decided = decide_closed(
        InvoiceRecord(state=InvoiceState(phase=phase)),
        Closed("Voided.", code="invoice.closed.voided"),
        NOW,
        told=DOCUMENT,
    )

    assert decided.outcome == expected
    assert (decided.document == DOCUMENT) is (expected == "attention")
