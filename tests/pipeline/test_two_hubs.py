"""Two whole hubs joined with one Stripe account by mistake: neither takes the other's writes for a request."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hub.app import build_foundation
from hub.config import load_config
from schemas.messages import MetadataUpdated, StripeEventReceived
from schemas.topics import METADATA_UPDATED, STRIPE_EVENTS
from tests.builders import SETTINGS
from tests.pipeline.hub_harness import Hub, Shop, Simulators, open_shop, run_hub, wait_for

pytestmark = [pytest.mark.broker, pytest.mark.slow]


@asynccontextmanager
async def join(hub: Hub, shop: Shop) -> AsyncGenerator[Shop]:
    """Join a shop with another hub, too."""
    foundation = build_foundation(load_config(dict(hub.environment)), "tests")
    other = Shop(hub, foundation, shop.http, shop.account, shop.key, f"{shop.webhook_secret}_2", shop.connection)
    await other.change_connection(SETTINGS)
    try:
        yield other
    finally:
        await foundation.clients.close()
        await foundation.redis.aclose(close_connection_pool=True)


async def read_until_told(shop: Shop, invoice_id: str) -> list[MetadataUpdated]:
    """Return all that was told of the shop's invoices until this one is."""
    return await shop.read(
        METADATA_UPDATED, MetadataUpdated, lambda told: any(one.invoice_id == invoice_id for one in told)
    )


def count_answers(invoice_id: str, told: list[MetadataUpdated]) -> int:
    """Count the writes that answer a replay of the invoice. Partitions are read in any order."""
    return sum(one.invoice_id == invoice_id and "bc_replay" in one.written for one in told)


def count_replays(invoice_id: str, heads: list[StripeEventReceived]) -> int:
    """Count the replays of the invoice that began."""
    return sum(one.object_id == invoice_id and one.cause == "replay" for one in heads)


async def test_two_hubs_answer_one_replay_once_each(simulators: Simulators, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with (
        run_hub("embedded", simulators, tmp_path / "one") as hub,
        run_hub("embedded", simulators, tmp_path / "two") as two,
    ):
        async with open_shop(hub) as first:
            await first.register_webhook()
            invoice = await first.make_invoice(await first.add_customer())
            synced = await first.wait_for_status(invoice, "synced")
            async with join(two, first) as second:
                await second.register_webhook()
                await read_until_told(second, invoice["id"])
                await first.stripe("POST", f"invoices/{invoice['id']}", **{"metadata[bc_replay]": "now"})

                async def is_answered() -> bool:
                    return "bc_replay" not in await first.fetch_metadata(invoice)

                await wait_for(is_answered, "the replay to be answered")
                later = await first.make_invoice(await first.add_customer())
                for shop in (first, second):
                    await read_until_told(shop, later["id"])
                    told = await shop.read(
                        METADATA_UPDATED, MetadataUpdated, lambda seen: count_answers(invoice["id"], seen) > 0
                    )
                    assert count_answers(invoice["id"], told) == 1
                    heads = await shop.read(
                        STRIPE_EVENTS, StripeEventReceived, lambda seen: count_replays(invoice["id"], seen) > 0
                    )
                    assert count_replays(invoice["id"], heads) == 1
                assert await first.fetch_metadata(invoice) == synced
                assert len(await first.find_drafts(invoice)) == 1
