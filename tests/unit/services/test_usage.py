"""Usage counts each invoice once, on its first success; a plan's limit skips, and an upgrade lets it go on."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.cli.usage_rebuild import Rebuilt, UsageRebuilder
from hub.usage import Counted
from schemas.connections import Plan
from schemas.errors import InDoubt
from schemas.messages import InvoiceResult
from schemas.stripe_objects import Invoice
from tests.builders import NOW, build_draft, build_head, build_invoice
from tests.service_fakes import World

MONTH = "2026-11"


async def count(world: World, month: str = MONTH) -> int:
    return await world.usage.count(world.connection.id, month)


async def bring(world: World, invoice_id: str = "in_1", **head: Any) -> InvoiceResult:
    result = await world.settle(build_head(invoice_id, connection=world.connection, **head))
    assert result is not None
    return result


def put(world: World, number: int, **changes: Any) -> Invoice:
    return world.stripe.put(build_invoice(id=f"in_{number}", number=f"HUB-{number:04d}", **changes))


async def test_a_success_counts_once_whatever_comes_after_it(world: World) -> None:
    put(world, 1)
    for cause in ("webhook", "catch_up", "replay"):
        await bring(world, cause=cause)
    world.bc.delete_by_hand(world.bc.invoices[0].id)
    world.clock.move(timedelta(days=10))
    await bring(world, cause="replay", recreate=True)

    assert len(world.bc.created) == 2
    assert await world.usage.list_counted(world.connection.id, MONTH) == [Counted("in_1", NOW)]
    assert await world.usage.list_months(world.connection.id) == [MONTH]


async def test_a_success_counts_in_its_month_by_utc(world: World) -> None:
    put(world, 1)
    world.clock.move(datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC) - NOW)
    await bring(world)
    put(world, 2)
    world.clock.move(timedelta(seconds=1))
    await bring(world, "in_2")

    assert (await count(world), await count(world, "2026-12")) == (1, 1)


async def test_failures_and_skips_count_nothing(world: World) -> None:
    put(world, 1, customer_email=None, customer_name=None)
    put(world, 2, metadata={"bc_skip": "1"})
    assert [(await bring(world, one)).outcome for one in ("in_1", "in_2")] == ["failed", "skipped"]

    assert await count(world) == 0


async def test_an_adoption_counts_if_our_intent_stands(world: World) -> None:
    """The answer was lost, and the draft found by looking: it is the hub's."""
    put(world, 1)
    world.bc.fail_next("create_invoice", InDoubt("No answer.", code="bc.invoice.in_doubt"), "after")
    assert (await bring(world)).outcome == "synced"

    assert await count(world) == 1


async def test_a_draft_that_somebody_else_made_is_taken_over_and_counts_nothing(world: World) -> None:
    put(world, 1)
    put(world, 2)
    await bring(world, "in_2")
    customer = world.bc.customers[0].id
    world.bc.add_invoice(build_draft("100.00", customerId=customer))
    result = await bring(world)

    assert result.outcome == "synced"
    assert await count(world) == 1
    assert "bc_synced_at" not in world.stripe.invoices["in_1"].metadata


async def test_invoices_at_the_same_moment_count_each_once(world: World) -> None:
    for number in range(10):
        put(world, number)
    heads = [build_head(f"in_{number}", connection=world.connection) for number in range(10)]
    await bring(world, "in_0")
    await asyncio.gather(*(world.bring(head) for head in heads[1:]))

    assert await count(world) == 10


# --- plan limits


async def limit(world: World, **limits: int) -> None:
    await world.directory.set_plan(world.connection.id, Plan(**limits))


async def test_at_the_hard_limit_invoices_are_skipped_and_an_upgrade_lets_them_go_on(world: World) -> None:
    await limit(world, hard_limit=1)
    put(world, 1)
    put(world, 2, customer="cus_2", customer_email="other@acme.example", customer_name="Other")
    await bring(world)
    skipped = await bring(world, "in_2")

    assert (skipped.outcome, skipped.code) == ("skipped", "usage.limit.reached")
    assert skipped.reason == (
        "The plan's 1 invoices of November 2026 (UTC) are used up. Enlarge the plan, then replay."
    )
    assert len(world.bc.customers) == 1  # no customer for an invoice that is not booked
    await limit(world, hard_limit=2)
    assert (await bring(world, "in_2", cause="replay")).outcome == "synced"
    assert await count(world) == 2


async def test_a_new_month_has_room_again(world: World) -> None:
    await limit(world, hard_limit=0)
    put(world, 1)
    assert (await bring(world)).outcome == "skipped"
    await limit(world, hard_limit=1)
    world.clock.move(timedelta(days=31))

    assert (await bring(world, cause="replay")).outcome == "synced"


async def test_what_was_begun_or_counted_goes_on_at_the_limit(world: World) -> None:
    put(world, 1)
    world.bc.fail_next("create_invoice", InDoubt("No answer.", code="bc.invoice.in_doubt"), "after")
    await world.bring(build_head(connection=world.connection))
    await limit(world, hard_limit=0)

    assert (await bring(world, cause="retry")).outcome == "synced"
    assert (await bring(world, cause="replay")).outcome == "synced"


async def test_the_soft_limit_holds_nothing_up(world: World) -> None:
    await limit(world, soft_limit=0)
    put(world, 1)

    assert (await bring(world)).outcome == "synced"


# --- after a loss


async def rebuild(world: World) -> Rebuilt:
    snapshot = await world.directory.load(world.connection.id)

    async def walk() -> AsyncIterator[Invoice]:
        for invoice in list(world.stripe.invoices.values()):
            yield invoice

    return await UsageRebuilder(snapshot, world.bc, world.ledger, world.usage).rebuild(walk())


async def test_after_a_loss_usage_is_counted_again_by_what_both_sides_say(world: World) -> None:
    for number in (1, 2, 3):
        put(world, number)
        await bring(world, f"in_{number}")
    put(world, 4)
    world.clock.move(timedelta(days=20))
    await world.lose_ledger()
    world.bc.delete_by_hand(world.bc.invoices[2].id)
    # Copied from one to another in Stripe, and never synced.
    world.stripe.change("in_4", metadata=world.stripe.invoices["in_1"].metadata)

    assert await rebuild(world) == Rebuilt(added=2, known=0, unproved=2)
    assert await rebuild(world) == Rebuilt(added=0, known=2, unproved=2)
    assert await world.usage.list_counted(world.connection.id, MONTH) == [Counted("in_1", NOW), Counted("in_2", NOW)]


async def test_what_comes_by_after_a_loss_counts_by_itself_and_once(world: World) -> None:
    put(world, 1)
    await bring(world)
    world.clock.move(timedelta(days=20))
    await world.lose_ledger()
    await bring(world)

    assert (await count(world), await count(world, "2026-12")) == (1, 0)
    assert await rebuild(world) == Rebuilt(known=1)


async def test_after_a_loss_a_recreated_draft_is_no_second_success(world: World) -> None:
    put(world, 1)
    await bring(world)
    world.bc.delete_by_hand(world.bc.invoices[0].id)
    world.clock.move(timedelta(days=20))
    await world.lose_ledger()
    assert (await bring(world)).outcome == "failed"
    world.clock.move(timedelta(hours=1))
    assert (await bring(world, cause="replay", recreate=True)).outcome == "synced"

    assert (await count(world), await count(world, "2026-12")) == (0, 0)
    assert world.stripe.invoices["in_1"].metadata["bc_synced_at"] == "2026-11-24T12:00:00Z"
    assert await rebuild(world) == Rebuilt(added=1)


async def test_a_record_that_was_lost_alone_leaves_the_time_in_stripe(world: World) -> None:
    """A Redis that crashes forgets its last second: the draft is found again, and when it was made stays told."""
    put(world, 1)
    await bring(world)
    keys = [key async for key in world.plain_redis.scan_iter("*:invoice:in_1")]
    await world.plain_redis.delete(*keys)
    assert (await bring(world)).outcome == "synced"

    assert world.stripe.invoices["in_1"].metadata["bc_synced_at"] == "2026-11-24T12:00:00Z"
