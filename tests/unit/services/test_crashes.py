"""A process dies at each of its steps in turn, and the message comes again: one customer, one draft, told rightly."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from redis.asyncio import Redis

from schemas.errors import InDoubt, Refused
from schemas.messages import StripeEventReceived
from tests.builders import NOW, build_head, build_invoice
from tests.remote_fakes import Died
from tests.service_fakes import World

HEAD = build_head()
Preparing = Callable[[World], Awaitable[StripeEventReceived]]


async def prepare_new(world: World) -> StripeEventReceived:
    return HEAD


async def prepare_lost_answers(world: World) -> StripeEventReceived:
    world.bc.fail_next("create_customer", InDoubt("No answer.", code="bc.doubt"), "after")
    world.bc.fail_next("create_invoice", InDoubt("No answer.", code="bc.doubt"), "after")
    return HEAD


async def prepare_stale_answer(world: World) -> StripeEventReceived:
    world.bc.answer_next = lambda made: made.model_copy(
        update={"total_amount_including_tax": Decimal(0), "etag": "old"}
    )
    return HEAD


async def prepare_mend(world: World) -> StripeEventReceived:
    """Business Central changes a date by itself, which is then written once more."""
    world.bc.alter = lambda made: made.model_copy(update={"posting_date": (NOW - timedelta(days=1)).date()})
    return HEAD


async def prepare_recreation(world: World) -> StripeEventReceived:
    await world.settle(HEAD)
    world.bc.delete_by_hand(world.bc.invoices[0].id)
    world.bc.created.clear()
    return build_head(cause="replay", recreate=True, at=NOW + timedelta(hours=1))


async def build_world(redis_url: str, prepare: Preparing) -> tuple[World, StripeEventReceived]:
    async with Redis.from_url(redis_url) as redis:
        await redis.flushdb()
    world = World(redis_url)
    await world.open(proved=False)
    world.stripe.put(build_invoice())
    message = await prepare(world)
    world.steps.taken = 0
    return world, message


async def count_steps(redis_url: str, prepare: Preparing) -> int:
    world, message = await build_world(redis_url, prepare)
    await world.settle(message)
    await world.close()
    return world.steps.taken


async def die_and_come_again(redis_url: str, prepare: Preparing, step: int) -> World:
    world, message = await build_world(redis_url, prepare)
    world.steps.dies_at = step
    with pytest.raises(Died):
        await world.settle(message)
    world.steps.revive()
    await world.expire_leases()
    await world.settle(message)
    await world.close()
    return world


@pytest.mark.parametrize(
    "prepare", [prepare_new, prepare_lost_answers, prepare_stale_answer, prepare_mend, prepare_recreation]
)
async def test_a_death_at_any_step_makes_neither_two_drafts_nor_none(redis_url: str, prepare: Preparing) -> None:
    steps = await count_steps(redis_url, prepare)
    assert steps > 20

    for step in range(1, steps + 1):
        world = await die_and_come_again(redis_url, prepare, step)

        assert world.bc.created == ["HUB-0001"], f"died at step {step}"
        assert len(world.bc.customers) == 1, f"died at step {step}"
        metadata = world.stripe.invoices["in_1"].metadata
        assert metadata["bc_status"] == "synced", f"died at step {step}"
        assert metadata["bc_invoice_id"] == world.bc.invoices[0].id, f"died at step {step}"


async def test_a_death_at_any_step_of_a_failed_gate_leaves_no_second_draft(redis_url: str) -> None:
    """The draft is deleted, or, where its etag was lost with the answer, kept and named."""

    async def prepare(world: World) -> StripeEventReceived:
        world.bc.tax = Decimal("19.00")
        return HEAD

    for step in range(1, await count_steps(redis_url, prepare) + 1):
        world = await die_and_come_again(redis_url, prepare, step)

        told = world.stripe.invoices["in_1"].metadata
        assert told["bc_status"] == "failed", f"died at step {step}"
        assert "came to 119.00 EUR" in told["bc_error"], f"died at step {step}"
        assert len(world.bc.invoices) == ("was kept" in told["bc_error"]), f"died at step {step}"


async def test_a_death_at_any_step_of_a_refusal_leaves_no_part_of_a_draft(redis_url: str) -> None:
    """Business Central refuses a line, and keeps the header: what a later message finds is cleared away."""

    async def prepare(world: World) -> StripeEventReceived:
        world.bc.lines_kept = 0
        world.bc.fail_next("create_invoice", Refused("The account is blocked.", code="bc.account.blocked"), "after")
        return HEAD

    for step in range(1, await count_steps(redis_url, prepare) + 1):
        world = await die_and_come_again(redis_url, prepare, step)

        told = world.stripe.invoices["in_1"].metadata["bc_status"]
        assert told in {"failed", "synced"}, f"died at step {step}"
        assert [len(one.lines) for one in world.bc.invoices] == [1] * (told == "synced"), f"died at step {step}"


async def test_a_death_at_any_step_leaves_no_new_customer_without_its_post_code(redis_url: str) -> None:
    """It follows the creation in a write of its own."""

    async def prepare(world: World) -> StripeEventReceived:
        world.stripe.put(build_invoice(customer_address={"country": "DE", "city": "Bonn", "postal_code": "53111"}))
        return HEAD

    for step in range(1, await count_steps(redis_url, prepare) + 1):
        world = await die_and_come_again(redis_url, prepare, step)

        assert [one.postal_code for one in world.bc.customers] == ["53111"], f"died at step {step}"
        assert world.bc.created == ["HUB-0001"], f"died at step {step}"
