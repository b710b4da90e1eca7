"""A machine whose clock is wrong makes no second draft or customer: only Redis's clock is asked about doubts."""

from datetime import timedelta

import pytest

from schemas.errors import InDoubt, Queued
from tests.builders import NOW, build_customer, build_head, build_invoice, build_resolved
from tests.service_fakes import World

HEAD = build_head()
HOUR = timedelta(hours=1)


@pytest.fixture
def invoice_of_known_customer(world: World) -> None:
    world.bc.customers.append(build_customer())
    world.stripe.put(build_invoice())


@pytest.mark.usefixtures("invoice_of_known_customer")
@pytest.mark.parametrize(("sender", "successor"), [(-HOUR, timedelta(0)), (timedelta(0), HOUR)])
async def test_a_draft_in_doubt_is_made_once_whoevers_clock_is_wrong(
    world: World, sender: timedelta, successor: timedelta
) -> None:
    """One that believes the doubt window to be over would make the draft again while the first is under way."""
    world.own_clock.ahead = sender
    world.bc.commit_late(timedelta(minutes=16))
    assert isinstance(await world.bring(HEAD), InDoubt)
    world.own_clock.ahead = successor
    world.clock.move(timedelta(minutes=5))
    error = await world.bring(HEAD)

    assert isinstance(error, InDoubt)
    assert error.retry_after == timedelta(minutes=5)  # as long as the doubt has lasted
    result = await world.settle(HEAD)
    assert result is not None
    assert result.outcome == "synced"
    assert len(world.bc.created) == 1


@pytest.mark.parametrize(("sender", "successor"), [(-HOUR, timedelta(0)), (timedelta(0), HOUR)])
async def test_a_customer_in_doubt_is_made_once_whoevers_clock_is_wrong(
    world: World, sender: timedelta, successor: timedelta
) -> None:
    world.stripe.put(build_invoice())
    world.own_clock.ahead = sender
    world.bc.commit_late(timedelta(minutes=16))
    assert isinstance(await world.bring(HEAD), InDoubt)
    world.own_clock.ahead = successor
    world.clock.move(timedelta(minutes=5))
    assert isinstance(await world.bring(HEAD), InDoubt)

    await world.settle(HEAD)
    assert len(world.bc.customers) == 1
    assert world.bc.calls.count("create_customer") == 1


@pytest.mark.usefixtures("invoice_of_known_customer")
async def test_a_young_ledger_is_young_for_a_clock_that_is_ahead(world: World) -> None:
    world.clock.move(HOUR)
    await world.lose_ledger()
    world.own_clock.ahead = HOUR
    error = await world.bring(HEAD)

    assert isinstance(error, Queued)
    assert (error.code, error.retry_after) == ("ledger.young", timedelta(minutes=20))
    assert world.bc.created == []


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
async def test_an_invoice_of_another_clock_is_looked_at_again(world: World, ahead: timedelta) -> None:
    world.stripe.put(build_invoice(status="void"))
    world.own_clock.ahead = ahead
    await world.bring(build_resolved(at=NOW))

    assert world.results[-1].outcome == "skipped"
    assert world.bc.created == []
