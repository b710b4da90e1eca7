"""`hub backfill`: what lies before the go-live date is drafted, behind live traffic and at little cost."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.pipeline.cli_harness import Ended, HubProcess
from tests.pipeline.hub_harness import Hub, Shop, open_shop, wait_for

pytestmark = pytest.mark.broker

NUMBER = 60
MOST_REQUESTS = 1.1


async def backfill(shop: Shop, *words: str) -> Ended:
    own = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    hub = HubProcess({**own, "COLUMNS": "200", **shop.hub.environment})
    return await hub("backfill", "--connection", shop.account, *words)


async def begin_second() -> str:
    """Wait until a second begins: Stripe tells times in whole ones."""
    begun = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)

    async def is_there() -> bool:
        return datetime.now(UTC) >= begun

    await wait_for(is_there, "the next second")
    return begun.isoformat()


async def wait_until_synced(shop: Shop, invoices: Sequence[dict[str, Any]]) -> None:
    for invoice in invoices:
        await shop.wait_for_status(invoice, "synced")

    async def has_ended() -> bool:
        return (await backfill(shop, "--json")).json["backfill"]["ended_at"] is not None

    await wait_for(has_ended, "the backfill to have looked at everything")


async def test_old_invoices_are_drafted_when_somebody_asks(hub: Hub) -> None:
    """The go-live date lies ahead, so that all of them are of before it."""
    now = datetime.now(UTC)
    async with open_shop(hub, go_live=now + timedelta(hours=1)) as shop:
        await shop.register_webhook()
        customer = await shop.add_customer()
        first = await shop.make_invoice(customer)
        await shop.wait_for_status(first, "skipped")
        between = await begin_second()
        others = [await shop.make_invoice(customer) for _ in range(NUMBER)]
        await shop.wait_for_status(others[-1], "skipped")
        whole = ("--from", f"{now - timedelta(days=1):%Y-%m-%d}")
        told = await backfill(shop, *whole, "--dry-run", "--json")
        assert [one["verdict"] for one in told.json["invoices"]] == ["create"] * (NUMBER + 1)

        # The first reads the lists that the others share.
        asked = await backfill(shop, *whole, "--to", between, "--yes")
        assert (asked.code, "The services carry it out" in asked.out) == (0, True)
        await wait_until_synced(shop, [first])
        assert await shop.find_drafts(others[0]) == []
        before = await shop.count_bc_requests()
        assert (await backfill(shop, "--from", between, "--yes")).code == 0
        await wait_until_synced(shop, others)
        requests = await shop.count_bc_requests() - before

        assert [len(await shop.find_drafts(one)) for one in (first, *others)] == [1] * (NUMBER + 1)
        assert requests <= MOST_REQUESTS * NUMBER, f"{requests} requests for {NUMBER} invoices"
        assert (await backfill(shop, "--json")).json["backfill"]["sent_round"] == NUMBER
        assert (await backfill(shop, "--stop")).code != 0
