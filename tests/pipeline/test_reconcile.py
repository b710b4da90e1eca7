"""`hub reconcile`: what went wrong behind the hub's back is found, and repaired by the normal path."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from hub.directory import Snapshot
from hub.redis import cursor_key
from schemas.messages import InvoiceResult
from schemas.topics import INVOICES_RESULTS
from tests.builders import SETTINGS
from tests.pipeline.cli_harness import Ended, HubProcess
from tests.pipeline.hub_harness import Hub, Shop, open_shop, wait_for

pytestmark = pytest.mark.broker


async def reconcile(shop: Shop, *words: str) -> Ended:
    own = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    hub = HubProcess({**own, "COLUMNS": "200", **shop.hub.environment})
    since = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    return await hub("reconcile", "--from", since, "--connection", shop.account, *words)


def list_findings(ended: Ended) -> dict[str, str]:
    return {one["invoice_id"]: one["finding"] for one in ended.json["found"]}


async def deafen(shop: Shop) -> None:
    """Let catch-up believe that it has read Stripe's events of the next hour."""
    life = (await shop.foundation.ledger.load_incarnation()).id
    ahead = int((datetime.now(UTC) + timedelta(hours=1)).timestamp())
    await shop.foundation.redis.set(cursor_key(shop.connection.id), f"{ahead} {life}")


def open_bc(shop: Shop) -> Any:
    snapshot = Snapshot(shop.connection, shop._build_secrets(), SETTINGS, 1, {})
    return shop.foundation.clients.build_business_central(snapshot)


async def sync_one(shop: Shop, customer: str) -> dict[str, Any]:
    invoice = await shop.make_invoice(customer)
    await shop.wait_for_status(invoice, "synced")
    return invoice


async def make_double(shop: Shop, invoice: Mapping[str, Any]) -> None:
    """Make the draft once more, as the last request of a process that was frozen for long does."""

    def is_there(found: list[InvoiceResult]) -> bool:
        return any(one.invoice_id == invoice["id"] and one.attempts for one in found)

    results = await shop.read(INVOICES_RESULTS, InvoiceResult, is_there)
    (result,) = [one for one in results if one.invoice_id == invoice["id"] and one.attempts]

    payload = result.attempts[0].payload or {}
    for line in payload["salesInvoiceLines"]:
        line |= {name: Decimal(line[name]) for name in ("quantity", "unitPrice")}

    async def before_send() -> None: ...

    await open_bc(shop).create_invoice(payload, before_send=before_send)


async def test_what_went_wrong_behind_the_hubs_back_is_found_and_repaired(hub: Hub) -> None:
    async with open_shop(hub) as shop:
        await shop.register_webhook()
        customer = await shop.add_customer()
        fine, doubled, deleted = [await sync_one(shop, customer) for _ in range(3)]
        (kept,) = await shop.find_drafts(doubled)
        await make_double(shop, doubled)
        (draft,) = await shop.find_drafts(deleted)
        bc = open_bc(shop)
        etag = (await bc.fetch_invoice(draft["id"])).etag
        assert await bc.delete_invoice(draft["id"], etag=etag) == "deleted"
        await deafen(shop)
        for endpoint in (await shop.stripe("GET", "webhook_endpoints"))["data"]:
            await shop.stripe("DELETE", f"webhook_endpoints/{endpoint['id']}")
        missing = await shop.make_invoice(customer)

        expected = {doubled["id"]: "doubled", deleted["id"]: "deleted", missing["id"]: "missing"}
        told = await reconcile(shop, "--json")
        assert list_findings(told) == expected
        assert (told.code, told.json["looked_at"]) == (1, 4)
        assert await shop.find_drafts(missing) == []

        fixed = await reconcile(shop, "--fix")
        assert fixed.code == 0
        assert "3 go round again" in fixed.out
        await shop.wait_for_status(missing, "synced")
        metadata = await shop.wait_for_status(deleted, "failed")

        async def is_alone() -> bool:
            return len(await shop.find_drafts(doubled)) == 1

        await wait_for(is_alone, "the double to be deleted")
        assert [one["id"] for one in await shop.find_drafts(doubled)] == [kept["id"]]
        assert await shop.find_drafts(deleted) == []
        assert "--recreate" in metadata["bc_error"]
        assert len(await shop.find_drafts(missing)) == len(await shop.find_drafts(fine)) == 1

        async def is_quiet() -> bool:
            return (await reconcile(shop, "--json")).json["found"] == []

        await wait_for(is_quiet, "nothing to be found any more")
