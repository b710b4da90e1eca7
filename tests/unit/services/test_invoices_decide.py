from decimal import Decimal
from typing import get_args

import pytest

from hub.told_draft import read_told_draft
from mapping.sales_documents import CustomerView, MappedDocument, build_document
from schemas.errors import Refused
from services.invoices.decide import (
    Ending,
    build_gate_refusal,
    decide_found,
    describe_change,
    is_left_draft,
    is_posted,
    to_document,
)
from services.invoices.judge import passes_gate
from tests.builders import CUSTOMER_ID, NOW, SETTINGS, build_draft, build_invoice, build_materials

OTHER_CUSTOMER = "00000000-0000-0000-0000-000000000001"


@pytest.fixture
def mapped() -> MappedDocument:
    return build_document(build_invoice(), SETTINGS, build_materials(), CustomerView(id=CUSTOMER_ID))


def test_nothing_found_is_nothing(mapped: MappedDocument) -> None:
    assert decide_found([], mapped, CUSTOMER_ID, is_expected=False) is None


def test_ours_has_our_customer_currency_and_total(mapped: MappedDocument) -> None:
    draft = build_draft(customerId=CUSTOMER_ID.upper())

    assert decide_found([build_draft("1.00"), draft], mapped, CUSTOMER_ID, is_expected=False) == draft


def test_of_two_of_ours_the_lowest_number_is_kept(mapped: MappedDocument) -> None:
    drafts = [build_draft(number="S-INV1002", id="b"), build_draft(number="S-INV1001", id="a")]
    found = decide_found(drafts, mapped, CUSTOMER_ID, is_expected=False)

    assert found is not None
    assert found.id == "a"


@pytest.mark.parametrize(
    "draft", [build_draft("99.99"), build_draft(customerId=OTHER_CUSTOMER), build_draft(currencyCode="USD")]
)
def test_a_document_of_others_with_our_number_is_refused(mapped: MappedDocument, draft: object) -> None:
    with pytest.raises(Refused, match="already has invoice S-INV1001 with external document number HUB-0001") as caught:
        decide_found([draft], mapped, CUSTOMER_ID, is_expected=False)  # pyright: ignore[reportArgumentType]
    assert caught.value.code == "invoice.number.taken"


def test_while_our_request_is_in_doubt_its_answer_may_have_another_total(mapped: MappedDocument) -> None:
    draft = build_draft("99.99")

    assert decide_found([draft], mapped, CUSTOMER_ID, is_expected=True) == draft
    with pytest.raises(Refused):
        decide_found([build_draft(customerId=OTHER_CUSTOMER)], mapped, CUSTOMER_ID, is_expected=True)


@pytest.mark.parametrize(
    ("draft", "passes"),
    [
        (build_draft(), True),
        (build_draft("100.000"), True),
        (build_draft(currencyCode="eur"), True),
        (build_draft("100.01"), False),
        (build_draft("99.99"), False),
        (build_draft(currencyCode="USD"), False),
    ],
)
def test_the_gate_is_exact(mapped: MappedDocument, draft: object, passes: bool) -> None:
    assert passes_gate(draft, mapped) is passes  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("ending", get_args(Ending))
def test_a_failed_gate_says_both_totals_and_what_became_of_the_draft(mapped: MappedDocument, ending: Ending) -> None:
    refusal = build_gate_refusal(build_draft("119.00"), mapped, ending)
    is_kept = ending in {"changed", "posted", "unsure", "wanted"}

    assert "HUB-0001 is 100.00 EUR in Stripe, but its draft in Business Central came to 119.00 EUR." in refusal.message
    assert ("was kept" in refusal.message) is is_kept
    assert ("S-INV1001" in refusal.message) is is_kept
    assert refusal.fix.endswith("then replay.")


@pytest.mark.parametrize(
    ("status", "posted"),
    [("Draft", False), ("In Review", False), ("Open", True), ("Paid", True), ("Canceled", True), ("Corrective", True)],
)
def test_only_a_draft_may_be_deleted(status: str, posted: bool) -> None:
    assert is_posted(build_draft(status=status)) is posted
    assert is_left_draft(build_draft(status=status)) is (status == "Draft")


def test_a_later_change_is_described(mapped: MappedDocument) -> None:
    assert describe_change(build_draft(), mapped) is None
    assert describe_change(build_draft("90.00"), mapped) == (
        "Invoice S-INV1001 was changed in Business Central since it was synced: its total is 90.00 EUR now, and "
        "100.00 EUR in Stripe."
    )


def test_a_document_keeps_what_people_are_told() -> None:
    document = to_document(build_draft(), "invoice")

    assert (document.number, document.total, document.currency) == ("S-INV1001", Decimal("100.00"), "EUR")


def test_metadata_without_a_draft_tell_nothing() -> None:
    assert read_told_draft(build_invoice(metadata={"bc_status": "synced", "bc_invoice_id": " "}), "bc_") is None


def test_metadata_tell_of_the_draft_and_its_first_success() -> None:
    metadata = {"bc_invoice_id": "d-1", "bc_invoice": "S-INV1001", "bc_synced_at": "2026-11-24T12:00:00Z"}
    told = read_told_draft(build_invoice(metadata=metadata), "bc_")

    assert told is not None
    assert (told.id, told.number, told.synced_at) == ("d-1", "S-INV1001", NOW)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-24T12:00:00"])
def test_a_time_that_someone_has_edited_is_not_known(text: str) -> None:
    told = read_told_draft(build_invoice(metadata={"bc_invoice_id": "d-1", "bc_synced_at": text}), "bc_")

    assert told is not None
    assert told.synced_at is None
    assert told.number == "d-1"


@pytest.mark.parametrize(
    ("draft", "fits"),
    [
        (build_draft(), True),
        (build_draft("90.00"), True),
        (build_draft(externalDocumentNumber="US-HUB-0001"), True),
        (build_draft(externalDocumentNumber="IN_1"), True),
        # Copied with the invoice: another invoice's draft.
        (build_draft(externalDocumentNumber="HUB-0002"), False),
        (build_draft(customerId=OTHER_CUSTOMER), False),
    ],
)
def test_metadata_are_believed_only_if_the_draft_is_named_after_the_invoice(draft: object, fits: bool) -> None:
    told = read_told_draft(build_invoice(metadata={"bc_invoice_id": "d-1"}), "bc_")

    assert told is not None
    assert told.fits(draft, CUSTOMER_ID) is fits  # pyright: ignore[reportArgumentType]
