"""A dry run tells what production then does, and writes nothing: planned first, then carried out by the services."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from hub.cli.replay_plan import PlannedInvoice, ReplayPlanner, Verdict, count_verdicts
from hub.ledger import CustomerLink
from hub.redis import INCARNATION
from mapping.taxes import VatFact, VatKey
from schemas.connections import Plan
from schemas.customer_settings import CustomerSettings
from schemas.errors import Blocked, Refused, RetryLater
from schemas.invoice_settings import InvoiceSettings
from schemas.messages import InvoiceResult, Outcome
from schemas.settings import Settings
from schemas.stripe_objects import Address
from services.contacts.claims import Claims
from tests.builders import (
    NOW,
    SETTINGS,
    build_customer,
    build_draft,
    build_head,
    build_invoice,
    build_line,
    build_match,
    build_rate,
    build_taxes,
)
from tests.service_fakes import World

INVOICE = build_invoice()
Arrange = Callable[[World], Awaitable[None]]


async def build_planner(world: World, *, recreate: bool = False) -> ReplayPlanner:
    snapshot = await world.directory.load(world.connection.id)
    company = snapshot.connection.company_key
    return ReplayPlanner(
        snapshot=snapshot,
        stripe=world.stripe,
        bc=world.bc,
        ledger=world.ledger,
        mapper=world.mapper,
        search=world.build_search(),
        usage=world.usage,
        load_claims=lambda values: Claims(world.plain_redis, company, values).load(),
        clock=world.own_clock,
        asked_at=world.own_clock.now(),
        recreate=recreate,
    )


async def plan(world: World, invoice_id: str = "in_1", *, recreate: bool = False) -> PlannedInvoice:
    return await (await build_planner(world, recreate=recreate)).plan(invoice_id)


async def carry_out(world: World, *, recreate: bool = False) -> InvoiceResult:
    head = build_head("in_1", cause="replay", event_type="hub.replay", at=world.clock.now(), recreate=recreate)
    result = await world.settle(head.model_copy(update={"connection": world.connection.id}))
    assert result is not None
    return result


async def read_everything(world: World) -> dict[str, Any]:
    """All of Redis and both remote systems, as text; but for what is only read ahead, the index of customers."""
    found: dict[str, Any] = {"bc": repr((world.bc.customers, world.bc.invoices)), "stripe": repr(world.stripe.writes)}
    async for key in world.plain_redis.scan_iter("*"):
        if ":index" in key:
            continue
        kind = await world.plain_redis.type(key)
        read: dict[str, Callable[[str], Awaitable[Any]]] = {
            "string": world.plain_redis.get,
            "hash": world.plain_redis.hgetall,
            "set": world.plain_redis.smembers,
            "zset": lambda key: world.plain_redis.zrange(key, 0, -1, withscores=True),
        }
        found[key] = await read[kind](key)
    return found


async def known_customer(world: World) -> None:
    world.stripe.put(INVOICE)
    world.bc.customers.append(build_customer())


async def new_customer(world: World) -> None:
    world.stripe.put(INVOICE)


async def blocked_customer(world: World) -> None:
    world.stripe.put(INVOICE)
    world.bc.customers.append(build_customer(blocked="All"))


async def two_customers(world: World) -> None:
    world.stripe.put(INVOICE)
    world.bc.customers += [build_customer(), build_customer(id="other", number="C2")]


async def customer_pinned_and_gone(world: World) -> None:
    world.stripe.put(INVOICE)
    link = CustomerLink(customer=build_match(), linked_at=NOW, pinned=True)
    await world.ledger.save_customer_link(world.connection.id, "cus_1", link)


async def link_to_a_deleted_customer(world: World) -> None:
    world.stripe.put(INVOICE)
    link = CustomerLink(customer=build_match(id="deleted"), linked_at=NOW)
    await world.ledger.save_customer_link(world.connection.id, "cus_1", link)


async def at_the_plans_limit(world: World) -> None:
    await known_customer(world)
    await world.directory.set_plan(world.connection.id, Plan(hard_limit=0))


async def synced(world: World) -> None:
    await known_customer(world)
    await carry_out(world)


async def synced_and_changed_by_hand(world: World) -> None:
    await synced(world)
    world.bc.edit_invoice(world.bc.invoices[0].id, total_amount_including_tax=Decimal(90))


async def synced_and_deleted_by_hand(world: World) -> None:
    await synced(world)
    world.bc.delete_by_hand(world.bc.invoices[0].id)


async def synced_and_voided(world: World) -> None:
    await synced(world)
    world.stripe.change("in_1", status="void")


async def synced_and_credited(world: World) -> None:
    await synced(world)
    world.stripe.credit("CN-1", 1_000)


async def synced_and_now_skipped(world: World) -> None:
    await synced(world)
    world.stripe.change("in_1", metadata={"bc_skip": "true"})


async def draft_of_ours_in_place(world: World) -> None:
    await known_customer(world)
    world.bc.add_invoice(build_draft())


async def number_taken_by_another(world: World) -> None:
    await known_customer(world)
    world.bc.add_invoice(build_draft("55.00", customerId="another"))


async def draft_in_stripe(world: World) -> None:
    world.stripe.put(INVOICE.model_copy(update={"status": "draft"}))


async def voided(world: World) -> None:
    world.stripe.put(INVOICE.model_copy(update={"status": "void"}))


async def before_go_live(world: World) -> None:
    world.stripe.put(build_invoice(at=NOW - timedelta(days=80)))


async def no_lines_target(world: World) -> None:
    await known_customer(world)
    await world.directory.save_settings(world.connection.id, Settings(invoices=InvoiceSettings()))


async def no_customer_and_none_created(world: World) -> None:
    world.stripe.put(INVOICE)
    settings = SETTINGS.model_copy(update={"customers": CustomerSettings(create_missing=False)})
    await world.directory.save_settings(world.connection.id, settings)


async def unknown_currency(world: World) -> None:
    await known_customer(world)
    world.stripe.put(build_invoice(lines=[build_line(currency="xyz")], currency="xyz"))


async def gone_from_stripe(world: World) -> None:
    pass


CASES: list[tuple[Arrange, Verdict, str, Outcome]] = [
    (known_customer, "create", "would create a draft of 100.00 EUR for customer C00010 Acme GmbH", "synced"),
    (new_customer, "create", "would create a draft of 100.00 EUR for a new customer", "synced"),
    (link_to_a_deleted_customer, "create", "for a new customer", "synced"),
    (draft_of_ours_in_place, "adopt", "would take over the draft S-INV1001 of 100.00 EUR", "synced"),
    (synced, "unchanged", "is synced as S-INV1001: nothing would change", "synced"),
    (synced_and_changed_by_hand, "unchanged", "is synced as S-INV1001: nothing would change", "synced"),
    (synced_and_now_skipped, "unchanged", "is synced as S-INV1001: nothing would change", "synced"),
    (synced_and_deleted_by_hand, "fail", "The draft S-INV1001 was deleted", "failed"),
    (synced_and_voided, "attention", "Its draft S-INV1001 in Business Central was not changed", "attention"),
    (synced_and_credited, "attention", "Credit note CN-1 over 10.00 EUR was issued", "attention"),
    (blocked_customer, "fail", "would fail: Customer C00010 'Acme GmbH' is blocked", "failed"),
    (two_customers, "fail", "was found twice", "failed"),
    (customer_pinned_and_gone, "fail", "chosen by hand", "failed"),
    (number_taken_by_another, "fail", "already has invoice S-INV1001", "failed"),
    (no_lines_target, "fail", "No account or item is set", "failed"),
    (no_customer_and_none_created, "fail", "No customer in Business Central matches", "failed"),
    (unknown_currency, "fail", "Business Central has no currency XYZ", "failed"),
    (draft_in_stripe, "skip", "would be skipped: The invoice is still a draft", "skipped"),
    (voided, "skip", "would be skipped: The invoice was voided", "skipped"),
    (before_go_live, "skip", "before the go-live date", "skipped"),
    (at_the_plans_limit, "skip", "invoices of November 2026 (UTC) are used up", "skipped"),
    (gone_from_stripe, "skip", "was deleted in Stripe", "skipped"),
]


@pytest.mark.parametrize(
    ("arrange", "verdict", "words", "outcome"), CASES, ids=lambda one: getattr(one, "__name__", "")
)
async def test_the_plan_writes_nothing_and_comes_true(
    world: World, arrange: Arrange, verdict: Verdict, words: str, outcome: Outcome
) -> None:
    await arrange(world)
    before, drafts = await read_everything(world), len(world.bc.created)

    planned = await plan(world)

    assert await read_everything(world) == before
    assert planned.verdict == verdict
    assert words in planned.words
    assert await _end(world) == outcome
    assert len(world.bc.created) - drafts == (verdict == "create")
    if verdict in {"adopt", "unchanged", "attention"}:
        document = world.results[-1].document
        assert document is not None
        assert document.number in planned.words


async def _end(world: World) -> Outcome:
    head = build_head("in_1", cause="replay", event_type="hub.replay", at=world.clock.now())
    error = await world.bring(head.model_copy(update={"connection": world.connection.id}))
    return "failed" if error is not None and error.kind == "refused" else world.results[-1].outcome


async def test_a_deleted_draft_is_made_again_only_when_asked(world: World) -> None:
    await synced_and_deleted_by_hand(world)

    planned = await plan(world, recreate=True)

    assert planned.verdict == "create"
    assert (await carry_out(world, recreate=True)).outcome == "synced"
    assert len(world.bc.created) == 2


async def test_a_draft_in_doubt_is_waited_for(world: World) -> None:
    await known_customer(world)
    world.bc.commit_late(timedelta(minutes=5))
    assert await world.bring(build_head("in_1", at=NOW)) is not None

    planned = await plan(world)

    assert planned.verdict == "wait"
    assert "has not said yet" in planned.words


async def test_a_young_ledger_looks_before_it_creates(world: World) -> None:
    await known_customer(world)
    await world.begin_life(NOW + timedelta(seconds=1))

    planned = await plan(world)

    assert planned.verdict == "wait"
    assert "younger than this invoice" in planned.words
    assert planned.words.endswith("then it would create a draft of 100.00 EUR for customer C00010 Acme GmbH")


async def test_a_plan_does_not_begin_the_ledgers_life(world: World) -> None:
    await known_customer(world)
    await world.plain_redis.delete(INCARNATION)

    await plan(world)

    assert await world.plain_redis.get(INCARNATION) is None


async def test_after_a_wrong_total_of_which_nothing_was_learned_success_is_not_promised(world: World) -> None:
    await known_customer(world)
    world.bc.tax = Decimal(19)
    await carry_out_failure(world)

    planned = await plan(world)

    assert planned.verdict == "unknown"
    assert planned.words.startswith("may fail again: ")
    assert "119.00 EUR" in planned.words
    assert planned.guess.endswith("it has not yet shown what VAT it adds for this customer.")


AREA = "00000000-0000-0000-0000-00000000000a"


async def with_25_percent(world: World) -> None:
    """A customer of group EU, who pays 25 % in Stripe."""
    world.bc.customers.append(build_customer(taxAreaId=AREA))
    world.stripe.tax_rates["txr_25"] = build_rate("25")
    world.stripe.put(build_invoice(lines=[build_line(10_000, taxes=build_taxes(2_500))]))


async def test_what_business_central_has_shown_is_foretold_and_not_the_opposite(world: World) -> None:
    """The first draft showed 0 % for its group: a plan must not promise Stripe's total the moment after."""
    await with_25_percent(world)
    world.bc.vat = ("RC-VAT25", Decimal(0))
    await carry_out_failure(world)

    planned = await plan(world)
    shown = await (await build_planner(world)).preview(world.stripe.invoices["in_1"])

    assert planned.verdict == "fail"
    assert "would fail, unless that was mended since" in planned.words
    assert "Business Central adds 0 % (RC-VAT25)" in planned.words
    assert shown.refusal is not None
    assert shown.mapped is None
    # Production tries it again, for a person has asked; and it ends as was foretold.
    assert await _end(world) == "failed"


async def test_what_was_mended_since_succeeds_when_a_person_asks(world: World) -> None:
    await with_25_percent(world)
    world.bc.vat = ("RC-VAT25", Decimal(0))
    await carry_out_failure(world)
    world.bc.vat = ("VAT25", Decimal(25))

    assert (await plan(world)).verdict == "fail"
    assert (await carry_out(world)).outcome == "synced"
    assert (await plan(world)).verdict == "unchanged"


async def test_a_replay_uses_what_was_learned_where_that_does_not_refuse(world: World) -> None:
    """By its assumptions a replay would share out rounding otherwise than the services do, and fail for it."""
    await with_25_percent(world)
    settings = Settings.model_validate(
        {"invoices": {"lines": {"type": "Account", "number": "6110"}, "rounding": {"account": "6910"}}}
    )
    await world.directory.save_settings(world.connection.id, settings)
    company = world.connection.company_key
    world.bc.vat = ("VAT25", Decimal(25))
    fact = {VatKey(AREA, "Account", "6110", ""): VatFact("VAT25", Decimal(25))}
    await world.mapper.learned.save_vat(company, AREA, fact)

    shown = await (await build_planner(world)).preview(world.stripe.invoices["in_1"])

    # What VAT it adds is known; whether this customer's prices include it, is not.
    assert shown.guess.startswith("Unit prices are a guess: Business Central has not yet shown whether")
    assert shown.mapped is not None
    assert [line.vat.identifier for line in shown.mapped.lines if line.vat] == ["VAT25"]
    assert (await carry_out(world)).outcome == "synced"
    world.stripe.put(world.stripe.invoices["in_1"].model_copy(update={"id": "in_2", "number": "HUB-0002"}))
    assert (await (await build_planner(world)).preview(world.stripe.invoices["in_2"])).guess == ""


async def test_a_first_invoice_is_told_to_be_a_guess_and_for_whom(world: World) -> None:
    await with_25_percent(world)
    world.bc.vat = ("VAT25", Decimal(25))

    first = await plan(world)
    await carry_out(world)
    world.stripe.put(world.stripe.invoices["in_1"].model_copy(update={"id": "in_2", "number": "HUB-0002"}))
    second = await plan(world, "in_2")

    assert (first.verdict, second.verdict) == ("create", "create")
    assert first.guess.endswith("what VAT it adds for this customer.")
    assert second.guess == ""


async def test_a_wrong_draft_that_the_settings_keep_is_not_told_to_be_deleted(world: World) -> None:
    await known_customer(world)
    settings = SETTINGS.invoices.model_copy(update={"wrong_draft": "keep"})
    await world.directory.save_settings(world.connection.id, SETTINGS.model_copy(update={"invoices": settings}))
    world.bc.tax = Decimal(19)
    await carry_out_failure(world)

    planned = await plan(world)
    result = await carry_out(world)

    assert "was kept, as the settings say" in planned.words
    assert result.error is not None
    assert result.error.message in planned.words


@pytest.mark.parametrize("ahead", [timedelta(hours=3), timedelta(hours=-3)])
async def test_doubt_is_judged_by_the_clock_of_redis(world: World, ahead: timedelta) -> None:
    await known_customer(world)
    world.bc.commit_late(timedelta(minutes=5))
    assert await world.bring(build_head("in_1", at=NOW)) is not None
    world.own_clock.ahead = ahead

    assert (await plan(world)).verdict == "wait"


async def test_a_customer_whose_creation_is_in_doubt_is_waited_for(world: World) -> None:
    await new_customer(world)
    world.bc.commit_late(timedelta(minutes=5))
    assert await world.bring(build_head("in_1", at=NOW)) is not None

    planned = await plan(world)

    assert planned.verdict == "wait"
    assert "whether it created the customer" in planned.words


async def test_what_is_synced_stays_so_although_it_could_not_be_mapped_any_more(world: World) -> None:
    await synced(world)
    world.stripe.change("in_1", currency="xyz")

    planned = await plan(world)

    assert planned.verdict == "unchanged"
    assert "Now it would fail" in planned.notes[-1]
    assert (await carry_out(world)).outcome == "synced"


async def test_a_credited_invoice_is_told_to_want_attention_once_it_is_there(world: World) -> None:
    await known_customer(world)
    world.stripe.credit("CN-1", 1_000)

    planned = await plan(world)

    assert planned.verdict == "create"
    assert planned.notes[-1].startswith("Then it would want attention: Credit note CN-1")
    assert (await carry_out(world)).outcome == "attention"


async def test_a_customer_that_is_gone_is_noted_as_production_does(world: World) -> None:
    await link_to_a_deleted_customer(world)

    planned = await plan(world)
    result = await carry_out(world)

    assert result.notes[0] in planned.notes
    assert "not in Business Central any more" in result.notes[0]


async def carry_out_failure(world: World) -> None:
    await _end(world)
    assert (await world.ledger.load_invoice(world.connection.id, "in_1")).state.phase != "synced"


async def test_drafts_that_can_not_be_seen_would_stop_the_connection(world: World) -> None:
    await synced(world)
    world.bc.hides_drafts = True
    await world.plain_redis.hdel(f"hub:{{{world.connection.id}}}:connection", "proved")

    planned = await plan(world)

    assert planned.verdict == "fail"
    assert "can't be read" in planned.words


async def test_what_can_not_be_told_now_is_not_guessed(world: World) -> None:
    await known_customer(world)
    world.bc.fail_next("find_invoices", RetryLater("Business Central is busy.", code="bc.busy"))

    planned = await plan(world)

    assert planned.verdict == "unknown"
    assert planned.words == "can't be told now: Business Central is busy."


async def test_refused_credentials_end_the_plan(world: World) -> None:
    await known_customer(world)
    world.bc.fail_next("list_customers", Blocked("Sign in again.", code="bc.sign_in.expired"))

    with pytest.raises(Blocked):
        await plan(world)


def test_verdicts_are_counted_in_order() -> None:
    planned = [
        PlannedInvoice("in_1", "fail", ""),
        PlannedInvoice("in_2", "skip", ""),
        PlannedInvoice("in_3", "fail", ""),
    ]

    assert list(count_verdicts(planned).items()) == [("fail", 2), ("skip", 1)]


async def test_a_new_customer_without_a_country_is_told_of_before_it_is_made(world: World) -> None:
    await new_customer(world)
    planner = await build_planner(world)

    assert (await planner.preview(INVOICE)).has_no_country
    with_address = INVOICE.model_copy(update={"customer_address": Address(country="DE")})
    assert not (await planner.preview(with_address)).has_no_country


async def test_after_a_refusal_of_business_centrals_own_success_is_not_promised(world: World) -> None:
    await known_customer(world)
    world.bc.fail_next("create_invoice", Refused("The period is closed.", code="bc.rule.violated"))
    assert await _end(world) == "failed"

    planned = await plan(world)

    assert planned.verdict == "unknown"
    assert planned.words.startswith("may fail again: The period is closed.")
    assert (await carry_out(world)).outcome == "synced"


async def test_what_was_mended_in_the_settings_is_promised_with_how_it_failed(world: World) -> None:
    await no_lines_target(world)
    assert await _end(world) == "failed"
    await world.directory.save_settings(world.connection.id, SETTINGS)

    planned = await plan(world)

    assert planned.verdict == "create"
    assert planned.notes[-1].startswith("Last time it failed: No account or item is set")
    assert (await carry_out(world)).outcome == "synced"
