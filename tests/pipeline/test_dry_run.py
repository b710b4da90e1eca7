"""A dry run does everything but write, and what follows it does write."""

import pytest

from schemas.messages import InvoiceResult, MetadataUpdated
from schemas.topics import INVOICES_RESULTS, METADATA_UPDATED
from tests.pipeline.hub_harness import Hub, open_shop

pytestmark = pytest.mark.broker


async def test_a_dry_run_writes_nothing_and_says_what_it_would(hub: Hub, unique: str) -> None:
    async with open_shop(hub, dry_run=True) as shop:
        await shop.register_webhook()
        writes = (await shop.control("bc", "GET", "state"))["writes"]
        invoice = await shop.make_invoice(await shop.add_customer(email=f"dry-{unique}@shop.example"))
        (updated, *_) = await shop.read(METADATA_UPDATED, MetadataUpdated, bool)
        (result, *_) = await shop.read(INVOICES_RESULTS, InvoiceResult, bool)

        assert (updated.dry_run, updated.written) == (True, {})
        assert (result.outcome, result.dry_run) == ("skipped", True)
        assert result.reason == (
            f"Dry run: a draft {invoice['number']} of 123.45 EUR for a new customer would be created."
        )
        assert await shop.fetch_metadata(invoice) == {}
        assert await shop.find_drafts(invoice) == []
        assert await shop.find_customers(f"dry-{unique}@shop.example") == []
        assert (await shop.control("bc", "GET", "state"))["writes"] == writes


async def test_after_the_dry_run_a_replay_makes_customer_and_draft(hub: Hub, unique: str) -> None:
    async with open_shop(hub, dry_run=True) as shop:
        await shop.register_webhook()
        invoice = await shop.make_invoice(await shop.add_customer(email=f"wet-{unique}@shop.example"))
        await shop.read(METADATA_UPDATED, MetadataUpdated, bool)
        await shop.change_connection(dry_run=False)
        await shop.stripe("POST", f"invoices/{invoice['id']}", **{"metadata[bc_replay]": "now"})
        await shop.wait_for_status(invoice, "synced")

        assert len(await shop.find_drafts(invoice)) == 1
        assert len(await shop.find_customers(f"wet-{unique}@shop.example")) == 1
