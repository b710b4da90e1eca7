"""Redis is to have a replica, and none confirms: nothing goes out, and nothing left behind looks as if it had."""

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
import pytest_asyncio

from schemas.errors import InDoubt, RetrySoon
from tests.builders import build_customer, build_head, build_invoice
from tests.service_fakes import World

HEAD = build_head()


@pytest_asyncio.fixture
async def world(redis_url: str) -> AsyncGenerator[World]:
    made = World(redis_url, replicas=1)
    await made.open()
    yield made
    await made.close()


async def bring(world: World) -> None:
    error = await world.bring(HEAD)
    assert isinstance(error, RetrySoon)
    assert error.code == "ledger.replica.behind"


async def test_no_draft_is_requested_and_no_doubt_begins(world: World) -> None:
    world.stripe.put(build_invoice())
    world.bc.customers.append(build_customer())
    await bring(world)

    assert world.bc.created == []
    assert (await world.ledger.load_invoice(world.connection.id, "in_1")).state.phase == "none"
    await bring(world)  # and not: in doubt


async def test_no_customer_is_requested_and_no_doubt_begins(world: World) -> None:
    world.stripe.put(build_invoice())
    await bring(world)

    assert world.bc.customers == []
    assert [key async for key in world.plain_redis.scan_iter("*:claim:*")] == []
    await bring(world)


@pytest.mark.parametrize("window", [timedelta(minutes=19), timedelta(minutes=21)])
async def test_an_earlier_doubt_stays_what_it_was(world: World, redis_url: str, window: timedelta) -> None:
    """Taking a new intent back must not end the doubt about a request that did go out."""
    before = World(redis_url)
    before.connection = world.connection
    before.stripe.put(build_invoice())
    before.bc.customers.append(build_customer())
    before.bc.commit_late(timedelta(minutes=30))
    assert isinstance(await before.bring(HEAD), InDoubt)
    stood = (await before.ledger.load_invoice(world.connection.id, "in_1")).state
    await before.close()
    world.stripe.put(build_invoice())
    world.bc.customers.append(build_customer())
    world.clock.move(window)
    assert await world.bring(HEAD) is not None

    assert (await world.ledger.load_invoice(world.connection.id, "in_1")).state == stood
    assert world.bc.created == []
