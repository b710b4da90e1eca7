"""What Stripe's metadata say: soon after the ledger, and what happens where there is no room for it."""

from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.pipeline.hub_harness import Hub, open_shop, wait_for

pytestmark = pytest.mark.broker


async def read_delays(hub: Hub) -> dict[str, float]:
    """How many changes were told within so many seconds, as metadata_writer counts them."""
    port = hub.services.services["metadata_writer"].admin_port
    async with httpx.AsyncClient(trust_env=False) as http:
        text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    return {
        sample.labels["le"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "hub_metadata_delay_seconds_bucket"
    }


async def test_stripe_says_what_the_ledger_says_within_a_minute(hub: Hub) -> None:
    before = await read_delays(hub)
    async with open_shop(hub) as shop:
        await shop.register_webhook()
        customer = await shop.add_customer()
        invoices = [await shop.make_invoice(customer) for _ in range(5)]
        for invoice in invoices:
            await shop.wait_for_status(invoice, "synced")

        async def are_counted() -> bool:
            return (await read_delays(hub))["+Inf"] >= before["+Inf"] + 5

        await wait_for(are_counted, "the delays to be counted")
    after = await read_delays(hub)
    assert after["60.0"] - before["60.0"] == after["+Inf"] - before["+Inf"]


async def test_an_invoice_without_room_keeps_its_keys_and_is_known_as_untold(hub: Hub) -> None:
    async with open_shop(hub) as shop:
        await shop.register_webhook()
        ledger, connection = shop.foundation.ledger, shop.connection.id
        own = {f"own_{number}": "x" for number in range(50)}
        form: dict[str, Any] = {f"metadata[{key}]": value for key, value in own.items()}
        invoice = await shop.make_invoice(await shop.add_customer(), **form)

        async def is_untold() -> bool:
            return "50 keys" in (await ledger.load_untold(connection)).get(invoice["id"], "")

        await wait_for(is_untold, "the refused write to be known")
        assert await shop.fetch_metadata(invoice) == own
        assert len(await shop.find_drafts(invoice)) == 1

        room = {f"metadata[own_{number}]": "" for number in range(10)}
        await shop.stripe("POST", f"invoices/{invoice['id']}", **{**room, "metadata[bc_replay]": "now"})
        await shop.wait_for_status(invoice, "synced")

        async def is_told() -> bool:
            return await ledger.load_untold(connection) == {}

        await wait_for(is_told, "the invoice to be told")
        assert len(await shop.find_drafts(invoice)) == 1
