"""From a signed webhook to a draft in Business Central and back to Stripe's metadata, through four processes."""

from decimal import Decimal

import pytest
from pydantic_core import from_json, to_json

from hub.cli.replay import build_planner
from hub.usage import Usage
from schemas.messages import InvoiceResult, MetadataUpdated
from schemas.settings import Settings
from schemas.topics import INVOICES_RESULTS, METADATA_UPDATED
from tests.builders import SETTINGS
from tests.pipeline.hub_harness import Hub, Shop, open_shop, wait_for

pytestmark = pytest.mark.broker


async def wait_for_repeats(shop: Shop, invoice_id: str, number: int) -> None:
    """Wait until duplicates of the invoice have come to their end."""

    def is_repeat(one: MetadataUpdated) -> bool:
        return one.invoice_id == invoice_id and one.reason == "Stripe says so already."

    await shop.read(METADATA_UPDATED, MetadataUpdated, lambda found: sum(map(is_repeat, found)) >= number)


async def test_a_finalized_invoice_becomes_a_draft_and_stripe_says_so(hub: Hub, unique: str) -> None:
    async with open_shop(hub) as shop:
        await shop.register_webhook()
        invoice = await shop.make_invoice(await shop.add_customer(email=f"first-{unique}@shop.example"), amount=12_345)
        metadata = await shop.wait_for_status(invoice, "synced")
        (draft,) = await shop.find_drafts(invoice)

        assert Decimal(str(draft["totalAmountIncludingTax"])) == Decimal("123.45")
        assert draft["currencyCode"] == "EUR"
        assert (metadata["bc_invoice"], metadata["bc_invoice_id"]) == (draft["number"], draft["id"])
        assert len(await shop.find_customers(f"first-{unique}@shop.example")) == 1
        usage = Usage(shop.foundation.redis)
        (month,) = await usage.list_months(shop.connection.id)
        assert [one.invoice_id for one in await usage.list_counted(shop.connection.id, month)] == [invoice["id"]]


async def test_a_known_customer_takes_two_requests_and_a_duplicate_none(hub: Hub) -> None:
    async with open_shop(hub) as shop:
        await shop.register_webhook()
        customer = await shop.add_customer()
        await shop.wait_for_status(await shop.make_invoice(customer), "synced")
        before = await shop.count_bc_requests()
        invoice = await shop.make_invoice(customer)
        await shop.wait_for_status(invoice, "synced")
        after = await shop.count_bc_requests()
        assert after - before <= 2

        (event,) = await shop.find_events(invoice, "invoice.finalized")
        for _ in range(3):
            await shop.control("stripe", "POST", "deliver", event_id=event)
        await wait_for_repeats(shop, invoice["id"], 3)

        assert await shop.count_bc_requests() == after
        assert len(await shop.find_drafts(invoice)) == 1


async def test_catch_up_alone_is_enough(hub: Hub) -> None:
    async with open_shop(hub) as shop:
        invoice = await shop.make_invoice(await shop.add_customer())
        await shop.wait_for_status(invoice, "synced")

        (result, *_) = await shop.read(INVOICES_RESULTS, InvoiceResult, bool)
        assert result.received.cause == "catch_up"
        assert len(await shop.find_drafts(invoice)) == 1


async def test_the_hubs_own_writes_cause_nothing(hub: Hub) -> None:
    async with open_shop(hub) as shop:
        await shop.register_webhook()
        invoice = await shop.make_invoice(await shop.add_customer())
        await shop.wait_for_status(invoice, "synced")
        await shop.control("stripe", "POST", "idle")
        writes = await shop.count_stripe_writes()
        second = await shop.make_invoice(await shop.add_customer())
        await shop.wait_for_status(second, "synced")

        assert await shop.count_stripe_writes() == writes + 1
        results = await shop.read(INVOICES_RESULTS, InvoiceResult, lambda found: len(found) >= 2)
        assert {one.invoice_id for one in results} == {invoice["id"], second["id"]}


async def test_a_failure_is_told_and_a_replay_from_stripe_mends_it(hub: Hub) -> None:
    async with open_shop(hub, Settings()) as shop:
        await shop.register_webhook()
        invoice = await shop.make_invoice(await shop.add_customer())
        metadata = await shop.wait_for_status(invoice, "failed")
        assert metadata["bc_error"].startswith("No account or item is set for invoice lines.")

        await shop.change_connection(SETTINGS)
        await shop.stripe("POST", f"invoices/{invoice['id']}", **{"metadata[bc_replay]": "now"})
        metadata = await shop.wait_for_status(invoice, "synced")

        assert "bc_replay" not in metadata
        assert "bc_error" not in metadata
        assert len(await shop.find_drafts(invoice)) == 1


async def test_a_replay_of_a_synced_invoice_changes_nothing_and_is_answered(hub: Hub) -> None:
    async with open_shop(hub) as shop:
        await shop.register_webhook()
        invoice = await shop.make_invoice(await shop.add_customer())
        first = await shop.wait_for_status(invoice, "synced")
        await shop.stripe("POST", f"invoices/{invoice['id']}", **{"metadata[bc_replay]": "now"})

        async def is_answered() -> bool:
            return "bc_replay" not in await shop.fetch_metadata(invoice)

        await wait_for(is_answered, "the replay to be answered")
        assert await shop.fetch_metadata(invoice) == first
        assert len(await shop.find_drafts(invoice)) == 1


async def test_sent_and_paid_make_no_second_draft(hub: Hub) -> None:
    async with open_shop(hub) as shop:
        await shop.register_webhook()
        invoice = await shop.make_invoice(await shop.add_customer())
        await shop.stripe("POST", f"invoices/{invoice['id']}/send")
        await shop.stripe("POST", f"invoices/{invoice['id']}/pay", paid_out_of_band="true")
        await shop.wait_for_status(invoice, "synced")
        results = await shop.read(INVOICES_RESULTS, InvoiceResult, lambda found: len(found) >= 3)

        assert {one.outcome for one in results} == {"synced"}
        assert len(await shop.find_drafts(invoice)) == 1


async def test_a_trigger_of_sent_waits_for_it(hub: Hub) -> None:
    async with open_shop(hub, SETTINGS.model_copy(update={"triggers": ("sent",)})) as shop:
        assert (await shop.control("stripe", "GET", "settings"))["auto_send"] is False
        await shop.register_webhook()
        invoice = await shop.make_invoice(await shop.add_customer())
        await shop.stripe("POST", f"invoices/{invoice['id']}", **{"metadata[bc_replay]": "now"})
        metadata = await shop.wait_for_status(invoice, "skipped")
        assert metadata["bc_error"] == "The draft is made when the invoice is sent; it is not yet."

        await shop.stripe("POST", f"invoices/{invoice['id']}/send")
        await shop.wait_for_status(invoice, "synced")


async def test_a_voided_invoice_needs_attention_and_its_draft_stays(hub: Hub) -> None:
    async with open_shop(hub) as shop:
        await shop.register_webhook()
        invoice = await shop.make_invoice(await shop.add_customer())
        await shop.wait_for_status(invoice, "synced")
        await shop.stripe("POST", f"invoices/{invoice['id']}/void")
        metadata = await shop.wait_for_status(invoice, "attention")

        assert "delete or credit it there" in metadata["bc_error"]
        assert len(await shop.find_drafts(invoice)) == 1


async def test_a_credited_invoice_is_found_by_catch_up_and_needs_attention(hub: Hub) -> None:
    async with open_shop(hub) as shop:
        invoice = await shop.make_invoice(await shop.add_customer(), amount=12_345)
        await shop.wait_for_status(invoice, "synced")
        before = await shop.find_drafts(invoice)
        note = await shop.stripe("POST", "credit_notes", invoice=invoice["id"], amount=2_345)
        metadata = await shop.wait_for_status(invoice, "attention")

        assert metadata["bc_error"].startswith(f"Credit note {note['number']} over 23.45 EUR was issued in Stripe.")
        assert await shop.find_drafts(invoice) == before


async def test_answers_lost_by_both_sides_make_no_second_draft(hub: Hub) -> None:
    settings = Settings.model_validate(SETTINGS.model_dump() | {"doubt_window": 6})
    async with open_shop(hub, settings) as shop:
        await shop.register_webhook()
        customer = await shop.add_customer()
        create = {"method": "POST", "path_regex": r"/salesInvoices\b"}
        update = {"method": "POST", "path_regex": r"^/v1/invoices/in_[A-Za-z0-9]+$"}
        invoice_one = await shop.make_invoice(customer)
        await shop.wait_for_status(invoice_one, "synced")
        await shop.control("bc", "POST", "faults", match=create, kind="reset_after", count=1)
        invoice = await shop.make_invoice(customer)
        await shop.control("stripe", "POST", "faults", match=update, kind="reset_after", count=1)
        metadata = await shop.wait_for_status(invoice, "synced")

        (draft,) = await shop.find_drafts(invoice)
        assert metadata["bc_invoice_id"] == draft["id"]


async def test_one_address_in_two_accounts_is_one_customer(hub: Hub) -> None:
    email = "shared@shop.example"
    async with open_shop(hub) as first, open_shop(hub) as second:
        for shop in (first, second):
            await shop.register_webhook()
        customers = [await shop.add_customer(email=email, name="Shared Inc.") for shop in (first, second)]
        invoices = [await shop.make_invoice(one) for shop, one in zip((first, second), customers, strict=True)]
        for shop, invoice in zip((first, second), invoices, strict=True):
            await shop.wait_for_status(invoice, "synced")

        assert len(await first.find_customers(email)) == 1


async def test_the_payload_sent_is_the_payload_previewed(hub: Hub) -> None:
    async with open_shop(hub) as shop:
        invoice = await shop.make_invoice(await shop.add_customer(), amount=98_765)
        await shop.wait_for_status(invoice, "synced")
        snapshot = await shop.foundation.directory.load(shop.connection.id)
        found = await shop.foundation.clients.stripe(snapshot).fetch_invoice(invoice["id"])
        assert found is not None
        previewed = (await build_planner(shop.foundation, snapshot).preview(found)).mapped

        def is_ours(one: InvoiceResult) -> bool:
            return one.invoice_id == invoice["id"] and bool(one.attempts)

        results = await shop.read(INVOICES_RESULTS, InvoiceResult, lambda told: any(map(is_ours, told)))
        sent = next(one for one in results if is_ours(one)).attempts[0].payload
        assert previewed is not None
        # As a message carries it: amounts are strings there.
        assert sent == from_json(to_json(previewed.payload))
