"""No draft is judged by one answer; and what was written is compared with what was asked for."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.business_central.models import SalesInvoice
from schemas.errors import InDoubt, Refused, RetrySoon
from schemas.messages import InvoiceResult
from tests.builders import NOW, build_customer, build_draft, build_head, build_invoice, build_line
from tests.service_fakes import World

LINES = [build_line(6_000, id="il_1"), build_line(4_000, id="il_2", description="Support")]
MADE_AT = datetime(2026, 11, 24, 12, 0, 5, tzinfo=UTC)
NO_ANSWER = InDoubt("No answer.", code="bc.doubt")
REFUSAL = Refused("The account is blocked.", code="bc.account.blocked", fix="Unblock it.")
OTHER_CUSTOMER = "00000000-0000-0000-0000-000000000001"


@pytest.fixture(autouse=True)
def books(world: World) -> None:
    world.bc.customers.append(build_customer())
    world.stripe.put(build_invoice(lines=LINES, due_date=int((NOW + timedelta(days=14)).timestamp())))


async def settle(world: World, object_id: str = "in_1", **head: Any) -> InvoiceResult:
    result = await world.settle(build_head(object_id, **head))
    assert result is not None
    return result


async def replay(world: World) -> InvoiceResult:
    return await settle(world, cause="replay", at=world.clock.now())


def say(**changes: Any) -> Any:
    """Answer with the document changed, under another etag."""

    def answer(made: SalesInvoice) -> SalesInvoice:
        return made.model_copy(update={"etag": "before its lines", **changes})

    return answer


EMPTY: dict[str, Any] = {
    "total_amount_including_tax": Decimal(0),
    "total_amount_excluding_tax": Decimal(0),
    "lines": (),
}


# --- stale answers


async def test_totals_from_before_the_lines_are_read_again(world: World) -> None:
    world.bc.answer_next = say(**EMPTY)
    result = await settle(world)

    assert (result.outcome, result.notes) == ("synced", ())
    assert world.bc.calls[-3:] == ["find_invoices", "create_invoice", "fetch_invoice"]
    assert len(world.bc.invoices) == 1


async def test_a_stale_answer_to_a_wrong_draft_does_not_save_it(world: World) -> None:
    """Its etag is not the one that was answered, and it is our own all the same: our lines, and nobody was there."""
    world.bc.tax = Decimal(19)
    world.bc.answer_next = say(**EMPTY)
    result = await settle(world)

    assert result.error is not None
    assert "came to 119.00 EUR. The draft was deleted." in result.error.message
    assert world.bc.invoices == []


@pytest.mark.parametrize(("later", "is_kept"), [(timedelta(seconds=1), False), (timedelta(minutes=1), True)])
async def test_a_wrong_draft_that_was_changed_after_the_request_ended_is_kept(
    world: World, later: timedelta, is_kept: bool
) -> None:
    world.bc.tax = Decimal(19)
    world.bc.alter = lambda made: made.model_copy(update={"last_modified": MADE_AT + later})
    world.bc.answer_next = say(**EMPTY, last_modified=MADE_AT)
    result = await settle(world)

    assert result.error is not None
    assert ("may have been changed by someone, so it was kept" in result.error.message) is is_kept
    assert len(world.bc.invoices) == is_kept


async def test_a_draft_that_the_second_look_does_not_see_is_in_doubt(world: World) -> None:
    world.bc.answer_next = say(**EMPTY, id="nowhere")
    assert isinstance(await world.bring(build_head()), InDoubt)

    assert (await settle(world)).outcome == "synced"
    assert len(world.bc.created) == 1


async def test_the_second_look_may_fail_too(world: World) -> None:
    world.bc.answer_next = say(**EMPTY)
    world.bc.fail_next("fetch_invoice", RetrySoon("Reset.", code="bc.connection.broken"))

    assert (await settle(world)).outcome == "synced"
    assert len(world.bc.created) == 1


# --- another request's answer


async def test_the_answer_of_another_invoices_document_deletes_nothing(world: World) -> None:
    await settle(world)
    (first,) = world.bc.invoices
    world.stripe.put(build_invoice(id="in_2", number="HUB-0002", lines=LINES[:1]))
    world.bc.answer_next = lambda _: first
    result = await settle(world, "in_2")

    assert result.outcome == "synced"
    assert [one.external_document_number for one in world.bc.invoices] == ["HUB-0001", "HUB-0002"]
    assert result.document is not None
    assert result.document.id == world.bc.invoices[1].id


async def test_a_draft_that_is_never_found_after_a_strange_answer_is_not_made_again_unasked(world: World) -> None:
    world.bc.add_invoice(build_draft("7.00", id="others", externalDocumentNumber="OTHER", number="S-INV0007"))
    world.bc.answer_next = lambda _: world.bc.invoices[0]
    world.bc.alter = say(external_document_number="LOST", lines=())
    result = await settle(world)

    assert (result.outcome, result.code) == ("failed", "invoice.answer.strange")
    assert "with a document that is not its draft (S-INV0007)" in result.reason
    assert world.bc.created == ["OTHER", "LOST"]

    world.bc.alter = say()
    assert (await replay(world)).outcome == "synced"
    assert world.bc.created == ["OTHER", "LOST", "HUB-0001"]


# --- what Business Central changed by itself


async def test_another_customer_is_a_failure(world: World) -> None:
    world.bc.alter = lambda made: made.model_copy(update={"customer_id": OTHER_CUSTOMER, "customer_number": "20000"})
    result = await settle(world)

    assert (result.outcome, result.code) == ("failed", "invoice.customer.changed")
    assert "made the draft of invoice HUB-0001 for 20000, and not for C00010 Acme GmbH. The draft was" in result.reason
    assert world.bc.invoices == []


async def test_a_status_that_no_draft_has_is_a_failure(world: World) -> None:
    world.bc.alter = lambda made: made.model_copy(update={"status": "Paid"})
    result = await settle(world)

    assert (result.outcome, result.code) == ("failed", "invoice.status.strange")
    assert len(world.bc.invoices) == 1
    # A person has looked at it, and asks again.
    assert (await replay(world)).outcome == "synced"


async def test_a_released_draft_is_a_draft(world: World) -> None:
    world.bc.alter = lambda made: made.model_copy(update={"status": "Open"})

    assert (await settle(world)).outcome == "synced"


@pytest.mark.parametrize("number", ["HUB0001", ""])
async def test_another_number_is_put_right(world: World, number: str) -> None:
    world.bc.alter = lambda made: made.model_copy(
        update={"external_document_number": number, "last_modified": world.clock.now()}
    )
    result = await settle(world)

    assert (result.outcome, result.notes) == ("synced", ())
    assert world.bc.document_patches == [{"externalDocumentNumber": "HUB-0001"}]
    assert [attempt.request for attempt in result.attempts] == ["POST salesInvoices", "PATCH salesInvoices(draft-1)"]


async def test_a_number_that_can_not_be_put_right_is_a_failure_and_no_second_draft(world: World) -> None:
    world.bc.alter = lambda made: made.model_copy(
        update={"external_document_number": "HUB0001", "last_modified": world.clock.now()}
    )
    world.bc.refuses_patches = True
    result = await settle(world)

    assert (result.outcome, result.code) == ("failed", "invoice.number.changed")
    assert world.bc.invoices == []


async def test_dates_that_were_changed_are_written_again_all_together(world: World) -> None:
    """Business Central counts the due date from the others when they are changed."""
    world.bc.alter = lambda made: made.model_copy(update={"due_date": made.posting_date})
    result = await settle(world)

    assert (result.outcome, result.notes) == ("synced", ())
    (patch,) = world.bc.document_patches
    assert list(patch) == ["invoiceDate", "postingDate", "paymentTermsId", "dueDate"]
    assert patch["dueDate"] == "2026-12-08"


async def test_what_can_not_be_put_right_is_told(world: World) -> None:
    world.bc.alter = lambda made: made.model_copy(update={"due_date": made.posting_date})
    world.bc.refuses_patches = True
    result = await settle(world)

    assert result.outcome == "synced"
    (note,) = result.notes
    assert "S-INV1001 is not quite as in Stripe: the due date is 2026-11-24, and not 2026-12-08." in note


async def test_a_price_that_was_changed_is_written_again(world: World) -> None:
    def raise_price(made: SalesInvoice) -> SalesInvoice:
        first, second = made.lines
        total = made.total_amount_including_tax + 9
        lines = (first, second.model_copy(update={"unit_price": second.unit_price + 9}))
        return made.model_copy(update={"lines": lines, "total_amount_including_tax": total})

    world.bc.alter = raise_price
    result = await settle(world)

    assert (result.outcome, result.notes) == ("synced", ())
    assert world.bc.document_patches == [{"quantity": 1, "unitPrice": Decimal(40)}]
    assert world.bc.invoices[0].total_amount_including_tax == Decimal(100)


async def test_another_account_is_told(world: World) -> None:
    def rebook(made: SalesInvoice) -> SalesInvoice:
        first, second = made.lines
        return made.model_copy(update={"lines": (first, second.model_copy(update={"line_object_number": "6190"}))})

    world.bc.alter = rebook
    result = await settle(world)

    assert result.outcome == "synced"
    (note,) = result.notes
    assert "S-INV1001 is not quite as it was sent: line 2: the line object number is 6190, and not 6110." in note


async def test_what_a_person_changed_since_is_not_put_right(world: World) -> None:
    """The process dies before the draft counts as synced; a person gives the customer more time meanwhile."""
    world.bc.fail_next("create_invoice", NO_ANSWER, "after")
    await world.bring(build_head())
    await settle(world)
    world.bc.edit_invoice(world.bc.invoices[0].id, due_date=NOW.date())

    assert (await replay(world)).notes == ()
    assert world.bc.document_patches == []


async def test_what_was_changed_is_told_of_the_first_draft_too_which_teaches(world: World) -> None:
    world.bc.gross_prices = True
    world.bc.alter = lambda made: made.model_copy(update={"due_date": made.posting_date})
    await settle(world)

    assert [list(patch)[-1] for patch in world.bc.document_patches] == ["dueDate"]


# --- what a request leaves behind that was not carried out as a whole


@pytest.mark.parametrize("lines", [0, 1])
async def test_a_refused_request_leaves_nothing_behind(world: World, lines: int) -> None:
    world.bc.lines_kept = lines
    world.bc.fail_next("create_invoice", REFUSAL, "after")
    result = await settle(world)

    assert (result.outcome, result.code) == ("failed", "bc.account.blocked")
    assert [attempt.request for attempt in result.attempts] == ["POST salesInvoices", "DELETE salesInvoices(draft-1)"]
    assert world.bc.invoices == []
    assert (await replay(world)).outcome == "synced"


async def test_remains_that_could_not_be_looked_for_are_cleared_the_next_time(world: World) -> None:
    async def break_the_look() -> None:
        world.bc.fail_next("find_invoices", RetrySoon("Reset.", code="bc.connection.broken"))

    world.bc.lines_kept = 1
    world.bc.do_at_next("create_invoice.sent", break_the_look)
    world.bc.fail_next("create_invoice", REFUSAL, "after")
    assert (await settle(world)).code == "bc.account.blocked"
    assert len(world.bc.invoices) == 1

    assert (await replay(world)).outcome == "synced"
    assert [len(one.lines) for one in world.bc.invoices] == [2]


async def test_half_a_draft_waits_for_its_request_and_is_cleared_away_then(world: World) -> None:
    """What can be seen of a request that is still at work may become whole."""
    world.bc.lines_kept = 1
    world.bc.fail_next("create_invoice", NO_ANSWER, "after")
    assert isinstance(await world.bring(build_head()), InDoubt)
    world.clock.move(timedelta(minutes=10))
    assert isinstance(await world.bring(build_head()), InDoubt)
    assert len(world.bc.invoices) == 1

    assert (await settle(world)).outcome == "synced"
    assert [len(one.lines) for one in world.bc.invoices] == [2]
    assert len(world.bc.created) == 2


async def test_a_draft_that_a_person_begins_under_our_number_is_not_taken_for_remains(world: World) -> None:
    world.bc.fail_next("create_invoice.sent", REFUSAL)
    await settle(world)
    world.bc.add_invoice(build_draft("0.00", id="theirs"))

    assert (await replay(world)).code == "invoice.number.taken"
    assert [one.id for one in world.bc.invoices] == ["theirs"]
