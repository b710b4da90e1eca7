"""One draft, never two: the protocol of `invoices` on a fake Business Central and a real ledger."""

from datetime import timedelta
from decimal import Decimal

import pytest

from schemas.errors import Blocked, InDoubt, Refused, RetryLater, RetrySoon
from schemas.messages import ContactResolved, InvoiceResult
from tests.builders import (
    NOW,
    SETTINGS,
    build_customer,
    build_draft,
    build_head,
    build_invoice,
    build_line,
    build_match,
    build_resolved,
)
from tests.service_fakes import World

INVOICE = build_invoice()


@pytest.fixture
def message(world: World) -> ContactResolved:
    world.stripe.put(INVOICE)
    return build_resolved(INVOICE)


def replay(*, recreate: bool = False, at: timedelta = timedelta(hours=1)) -> ContactResolved:
    return build_resolved(INVOICE, head=build_head(cause="replay", recreate=recreate, at=NOW + at), at=NOW + at)


async def bring(world: World, message: ContactResolved) -> InvoiceResult:
    assert await world.bring(message) is None
    return world.results[-1]


async def test_a_new_invoice_takes_two_requests_and_becomes_one_draft(world: World, message: ContactResolved) -> None:
    result = await bring(world, message)

    assert world.bc.calls == ["find_invoices", "create_invoice"]
    assert result.outcome == "synced"
    assert result.document is not None
    assert (result.document.number, result.document.total) == ("S-INV1001", Decimal("100.00"))
    (attempt,) = result.attempts
    assert (attempt.request, attempt.status, attempt.request_id) == ("POST salesInvoices", 201, "bc-1")
    assert attempt.payload is not None
    assert attempt.payload["externalDocumentNumber"] == "HUB-0001"


async def test_the_same_message_again_costs_no_request_and_tells_the_same(
    world: World, message: ContactResolved
) -> None:
    first = await bring(world, message)
    world.bc.calls.clear()
    second = await bring(world, message)

    assert world.bc.calls == []
    assert second.model_copy(update={"attempts": first.attempts}) == first


async def test_a_replay_of_a_synced_invoice_changes_nothing_and_names_its_draft(
    world: World, message: ContactResolved
) -> None:
    first = await bring(world, message)
    world.bc.calls.clear()
    second = await bring(world, replay())

    assert world.bc.calls == ["fetch_invoice"]
    assert (second.outcome, second.document) == ("synced", first.document)
    assert len(world.bc.invoices) == 1


async def test_a_replay_after_a_person_changed_the_draft_keeps_it_and_says_so(
    world: World, message: ContactResolved
) -> None:
    await bring(world, message)
    (draft,) = world.bc.invoices
    world.bc.edit_invoice(draft.id, total_amount_including_tax=Decimal("90.00"))
    result = await bring(world, replay())

    assert result.outcome == "synced"
    assert result.document is not None
    assert result.document.total == Decimal("90.00")
    assert "its total is 90.00 EUR now, and 100.00 EUR in Stripe" in result.notes[0]
    assert len(world.bc.invoices) == 1


async def test_a_replay_after_posting_names_the_posted_invoice(world: World, message: ContactResolved) -> None:
    await bring(world, message)
    (draft,) = world.bc.invoices
    world.bc.edit_invoice(draft.id, number="103001", status="Open")
    result = await bring(world, replay())

    assert result.outcome == "synced"
    assert result.document is not None
    assert result.document.number == "103001"


async def test_a_draft_deleted_by_a_person_is_made_again_only_when_a_person_asks(
    world: World, message: ContactResolved
) -> None:
    await bring(world, message)
    world.bc.delete_by_hand(world.bc.invoices[0].id)

    for round_ in (1, 2):
        result = await bring(world, replay(at=timedelta(hours=round_)))
        assert result.outcome == "failed"
        assert result.error is not None
        assert result.error.text == (
            "The draft S-INV1001 was deleted in Business Central. "
            "To make a new one, replay the invoice with --recreate."
        )
    assert world.bc.invoices == []

    for _ in range(2):
        result = await bring(world, replay(recreate=True, at=timedelta(hours=3)))
        assert result.outcome == "synced"
    (draft,) = world.bc.invoices
    assert result.document is not None
    assert result.document.id == draft.id


async def test_the_first_success_is_remembered_over_a_recreation(world: World, message: ContactResolved) -> None:
    await bring(world, message)
    first = (await world.ledger.load_invoice(world.connection.id, "in_1")).state.synced_at
    world.bc.delete_by_hand(world.bc.invoices[0].id)
    world.clock.move(timedelta(hours=2))
    await bring(world, replay(recreate=True, at=timedelta(hours=2)))

    assert (await world.ledger.load_invoice(world.connection.id, "in_1")).state.synced_at == first == NOW


async def test_a_wrong_total_deletes_the_draft_and_says_both(world: World, message: ContactResolved) -> None:
    world.bc.tax = Decimal("19.00")
    result = await bring(world, message)

    assert result.outcome == "failed"
    assert result.error is not None
    assert result.error.message == (
        "Invoice HUB-0001 is 100.00 EUR in Stripe, but its draft in Business Central came to 119.00 EUR. "
        "The draft was deleted."
    )
    assert world.bc.invoices == []
    assert [attempt.request for attempt in result.attempts] == [
        "POST salesInvoices",
        "DELETE salesInvoices(draft-1)",
    ]

    world.bc.tax = Decimal(0)
    assert (await bring(world, replay())).outcome == "synced"


async def test_a_wrong_draft_that_a_person_changed_is_kept(world: World, message: ContactResolved) -> None:
    world.bc.tax = Decimal("19.00")
    world.bc.fail_next("delete_invoice", RetrySoon("Reset.", code="bc.reset"))
    assert isinstance(await world.bring(message), RetrySoon)
    world.bc.edit_invoice(world.bc.invoices[0].id, customer_name="Somebody")
    result = await bring(world, message)

    assert result.error is not None
    assert "The draft S-INV1001 was changed meanwhile, so it was kept" in result.error.message
    assert len(world.bc.invoices) == 1

    # Deleted as told, and the cause mended: a replay makes a new one without further ado.
    world.bc.delete_by_hand(world.bc.invoices[0].id)
    world.bc.tax = Decimal(0)
    assert (await bring(world, replay())).outcome == "synced"


async def test_an_answer_lost_after_the_draft_was_made_is_found(world: World, message: ContactResolved) -> None:
    world.bc.fail_next("create_invoice", InDoubt("No answer.", code="bc.doubt"), "after")
    error = await world.bring(message)

    assert isinstance(error, InDoubt)
    pending = world.results[-1]
    assert pending.outcome == "pending"
    assert [attempt.request for attempt in pending.attempts] == ["POST salesInvoices"]

    result = await bring(world, message)
    assert result.outcome == "synced"
    assert len(world.bc.created) == 1


async def test_a_draft_that_comes_late_is_found_within_the_doubt_window(world: World, message: ContactResolved) -> None:
    world.bc.customers.append(build_customer())
    world.bc.commit_late(timedelta(minutes=16))
    result = await world.settle(build_head())

    assert result is not None
    assert result.outcome == "synced"
    assert len(world.bc.created) == 1
    assert "slot-create_invoice" in world.bc.released


async def test_after_the_doubt_window_with_nothing_found_it_is_created(world: World, message: ContactResolved) -> None:
    world.bc.fail_next("create_invoice.sent", InDoubt("No answer.", code="bc.doubt"))
    assert isinstance(await world.bring(message), InDoubt)

    world.clock.move(timedelta(minutes=19))
    assert isinstance(await world.bring(message), InDoubt)
    world.clock.move(timedelta(minutes=2))
    assert (await bring(world, message)).outcome == "synced"
    assert len(world.bc.created) == 1


async def test_a_wrong_draft_found_in_doubt_is_kept_for_its_etag_is_not_known(
    world: World, message: ContactResolved
) -> None:
    world.bc.tax = Decimal("19.00")
    world.bc.fail_next("create_invoice", InDoubt("No answer.", code="bc.doubt"), "after")
    await world.bring(message)
    result = await bring(world, message)

    assert result.error is not None
    assert "may have been changed by someone, so it was kept" in result.error.message
    assert len(world.bc.invoices) == 1


async def test_a_no_is_no_doubt(world: World, message: ContactResolved) -> None:
    world.bc.fail_next("create_invoice.sent", Refused("No such account.", code="bc.account.unknown", fix="Mend it."))
    result = await bring(world, message)

    assert result.outcome == "failed"
    assert result.error is not None
    assert result.error.code == "bc.account.unknown"
    (attempt,) = result.attempts
    assert attempt.payload is not None
    assert attempt.answer == {"code": "bc.account.unknown", "message": "No such account."}
    assert (await bring(world, replay())).outcome == "synced"


async def test_what_never_went_out_is_no_attempt_and_leaves_no_intent(world: World, message: ContactResolved) -> None:
    limited = RetryLater("Wait.", code="bc.rate.limited", retry_after=timedelta(seconds=2))
    world.bc.fail_next("create_invoice", limited)
    assert await world.bring(message) is limited

    assert world.results[-1].outcome == "pending"
    assert world.results[-1].attempts == ()
    assert (await world.ledger.load_invoice(world.connection.id, "in_1")).state.phase == "none"
    assert (await bring(world, message)).outcome == "synced"


async def test_someone_elses_document_under_our_number_is_left_alone(world: World, message: ContactResolved) -> None:
    world.bc.add_invoice(build_draft("55.00", id="theirs"))
    result = await bring(world, message)

    assert result.error is not None
    assert result.error.code == "invoice.number.taken"
    assert [one.id for one in world.bc.invoices] == ["theirs"]


async def test_a_draft_that_is_ours_is_adopted(world: World, message: ContactResolved) -> None:
    world.bc.add_invoice(build_draft(id="ours"))
    result = await bring(world, message)

    assert result.outcome == "synced"
    assert result.document is not None
    assert result.document.id == "ours"
    assert len(world.bc.created) == 1


async def test_a_lease_held_by_another_stops_everything(world: World, message: ContactResolved) -> None:
    async with world.ledger.hold_invoice(world.connection.id, "in_1"):
        error = await world.bring(message)

    assert isinstance(error, RetrySoon)
    assert error.code == "ledger.lease.taken"
    assert world.bc.calls == []


async def test_a_lease_lost_before_the_request_stops_it(world: World, message: ContactResolved) -> None:
    world.bc.do_at_next("find_invoices", world.expire_leases)
    error = await world.bring(message)

    assert isinstance(error, RetrySoon)
    assert error.code == "ledger.lease.lost"
    assert world.bc.created == []


async def test_drafts_that_can_not_be_seen_block_the_connection_before_a_second_is_made(
    world: World, message: ContactResolved
) -> None:
    await world.open(proved=False)
    await world.plain_redis.hdel(f"hub:{{{world.connection.id}}}:connection", "proved")
    world.bc.hides_drafts = True
    for _ in range(2):
        error = await world.bring(message)
        assert isinstance(error, Blocked)
        assert error.code == "bc.permission.drafts_hidden"
    assert len(world.bc.created) == 1

    world.bc.hides_drafts = False
    assert (await bring(world, message)).outcome == "synced"
    assert len(world.bc.created) == 1
    assert (await world.directory.load(world.connection.id)).proved


async def test_a_message_of_a_dry_run_that_has_ended_comes_round_again(world: World, message: ContactResolved) -> None:
    error = await world.bring(message.model_copy(update={"customer": None, "would_create_customer": {}}))

    assert isinstance(error, RetryLater)
    assert error.retry_after == timedelta(seconds=1)
    assert world.bc.created == []


async def test_notes_of_customer_and_invoice_are_told(world: World, message: ContactResolved) -> None:
    result = await bring(world, message.model_copy(update={"notes": ("The city was cut to 30 characters.",)}))

    assert result.notes == ("The city was cut to 30 characters.",)


async def test_an_old_message_is_checked_against_the_invoice_as_it_is(world: World, message: ContactResolved) -> None:
    world.stripe.change("in_1", status="void")
    world.clock.move(timedelta(minutes=3))
    result = await bring(world, message)

    assert result.outcome == "skipped"
    assert world.bc.calls == []


async def test_an_invoice_voided_while_its_draft_is_made_needs_attention(
    world: World, message: ContactResolved
) -> None:
    """The closing is handled by another process after this one has looked at the invoice."""

    async def void() -> None:
        world.stripe.change("in_1", status="void")
        assert await world.bring(build_head(event_type="invoice.voided", at=NOW + timedelta(minutes=1))) is None

    world.bc.do_at_next("create_invoice", void)
    result = await bring(world, message)

    assert result.outcome == "attention"
    assert "S-INV1001 in Business Central was not changed: delete or credit it there" in result.reason
    record = await world.ledger.load_invoice(world.connection.id, "in_1")
    assert record.outcome is not None
    assert record.outcome.outcome == "attention"


async def test_an_invoice_voided_before_its_message_was_taken_is_skipped(
    world: World, message: ContactResolved
) -> None:
    world.stripe.change("in_1", status="void")
    await world.bring(build_head(event_type="invoice.voided"))
    result = await bring(world, message)

    assert result.outcome == "skipped"
    assert world.bc.created == []


async def test_a_late_failure_does_not_hide_a_success(world: World, message: ContactResolved) -> None:
    first = await bring(world, message)
    world.bc.fail_next("fetch_invoice", RetryLater("Down.", code="bc.service.unavailable"))
    await world.bring(replay())

    assert world.results[-1].outcome == "synced"
    assert world.results[-1].document == first.document


async def test_another_customer_in_the_ledgers_place_changes_nothing_for_a_synced_invoice(
    world: World, message: ContactResolved
) -> None:
    await bring(world, message)
    result = await bring(world, replay().model_copy(update={"customer": build_match(id="someone-else")}))

    assert result.outcome == "synced"
    assert len(world.bc.invoices) == 1


async def test_what_posting_will_round_is_told_with_the_success(world: World) -> None:
    rounding = SETTINGS.invoices.rounding.model_copy(update={"local_precision": Decimal("0.05")})
    invoices = SETTINGS.invoices.model_copy(update={"rounding": rounding})
    await world.directory.save_settings(world.connection.id, SETTINGS.model_copy(update={"invoices": invoices}))
    world.stripe.put(build_invoice(lines=[build_line(1_993)]))
    assert await world.bring(build_head(cause="replay")) is None
    result = world.results[-1]

    assert (result.outcome, result.code) == ("synced", "invoice.total.rounded_when_posted")
    assert "rounds it to 19.95 EUR, 0.02 EUR more than in Stripe" in result.reason
    assert result.reason in result.notes
    assert world.stripe.invoices["in_1"].metadata["bc_note"] == result.reason
