"""What alerts ask Stripe when nothing comes in, against the simulator."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.stripe.client import StripeApi
from hub.directory import Snapshot
from hub.ledger import Incarnation, Ledger
from hub.redis import INCARNATION, build_redis
from hub.waiting import RedisWaitingSet
from services.ingest.stranded import StrandedInvoices
from tests.builders import build_snapshot
from tests.contract.stripe_connector.simulated import SimulatedStripe
from tests.fakes import FakeClock


class OneAccount:
    """The client of every connection."""

    def __init__(self, api: StripeApi) -> None:
        self._api = api

    def stripe(self, snapshot: Snapshot) -> StripeApi:
        del snapshot
        return self._api


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


@pytest.fixture
async def stranded(sim: SimulatedStripe, redis_url: str, clock: FakeClock) -> AsyncIterator[StrandedInvoices]:
    redis = build_redis(redis_url)
    life = Incarnation(id="life", born_at=clock.now() - timedelta(days=1))
    await redis.set(INCARNATION, life.model_dump_json())
    yield StrandedInvoices(OneAccount(sim.build_api()), Ledger(redis), RedisWaitingSet(redis), redis, clock)
    await redis.aclose(close_connection_pool=True)


async def test_an_invoice_that_the_hub_has_not_heard_of_is_found_once_it_is_late(
    sim: SimulatedStripe, stranded: StrandedInvoices, clock: FakeClock
) -> None:
    begin = clock.now() - timedelta(days=1)
    snapshot = build_snapshot(created_at=begin, go_live=begin)
    await sim.create_invoice(finalize=False)
    invoice = await sim.build_api().fetch_invoice(await sim.create_invoice())
    assert invoice is not None
    assert await stranded.find(snapshot, timedelta(hours=1)) == ""

    clock.move(timedelta(hours=2))
    assert (await stranded.find(snapshot, timedelta(hours=1))).startswith(f"{invoice.number} of 20")
