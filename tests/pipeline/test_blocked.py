"""A connection that can't work waits as a whole, says so in Stripe, and goes on by itself when it can."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from hub.cli.connect import release_connection
from schemas.connections import ConnectionSecrets
from schemas.messages import InvoiceResult
from schemas.topics import INVOICES_RESULTS
from tests.builders import SETTINGS
from tests.pipeline.hub_harness import Hub, Shop, open_shop, wait_for

pytestmark = pytest.mark.broker


async def break_sign_in(shop: Shop) -> None:
    """Let the app's secret be a wrong one."""
    right = shop._build_secrets()
    wrong = ConnectionSecrets(
        stripe_key=right.stripe_key, webhook_secrets=right.webhook_secrets, bc_client_secret=SecretStr("expired")
    )
    await shop.foundation.directory.add(shop.connection, wrong, SETTINGS)


async def make_invoices(shop: Shop, number: int, customer: str | None = None) -> list[dict[str, Any]]:
    customer = customer or await shop.add_customer()
    return [await shop.make_invoice(customer, amount=1_000 + index) for index in range(number)]


async def wait_until_it_waits(shop: Shop) -> dict[str, Any]:
    """Each process works with a connection's secrets for up to a second; returns the first invoice that waits."""
    while True:
        (made,) = await make_invoices(shop, 1)

        async def has_ended(invoice: dict[str, Any] = made) -> bool:
            return "bc_status" in await shop.fetch_metadata(invoice)

        await wait_for(has_ended, f"{made['id']} to be synced or pending")
        if (await shop.fetch_metadata(made))["bc_status"] == "pending":
            return made


async def wait_until_contacts_waits(shop: Shop) -> list[dict[str, Any]]:
    """Each process knows of a block within a second; returns the invoices it took."""
    made: list[dict[str, Any]] = []
    while True:
        made += await make_invoices(shop, 1)
        await shop.wait_for_status(made[-1], "pending")
        told = await shop.read(INVOICES_RESULTS, InvoiceResult, has(made[-1]["id"]))
        if next(one for one in told if one.invoice_id == made[-1]["id"]).stage == "contacts":
            return made


def has(invoice_id: str) -> Callable[[list[InvoiceResult]], bool]:
    return lambda found: any(one.invoice_id == invoice_id for one in found)


async def test_a_connection_without_credentials_waits_and_goes_on_when_it_is_connected_again(hub: Hub) -> None:
    async with open_shop(hub) as shop:
        await shop.register_webhook()
        (first,) = await make_invoices(shop, 1)
        await shop.wait_for_status(first, "synced")
        await break_sign_in(shop)
        invoices = [await wait_until_it_waits(shop), *await make_invoices(shop, 5)]
        for invoice in invoices:
            metadata = await shop.wait_for_status(invoice, "pending")
            assert metadata["bc_error"].startswith("Business Central needs to be connected again")
        invoices += await wait_until_contacts_waits(shop)
        requests = await shop.count_bc_requests()
        invoices += await make_invoices(shop, 2)
        for invoice in invoices[-2:]:
            await shop.wait_for_status(invoice, "pending")

        assert await shop.count_bc_requests() == requests
        entries = await shop.foundation.waiting.list_entries(shop.connection.id)
        assert {entry.wakeup.object_id for entry in entries} == {one["id"] for one in invoices}
        assert {entry.wakeup.attempt for entry in entries} == {0}

        await shop.change_connection()
        await release_connection(shop.foundation, shop.connection.id)
        for invoice in invoices:
            assert "bc_error" not in await shop.wait_for_status(invoice, "synced")
            assert len(await shop.find_drafts(invoice)) == 1


async def test_an_outage_of_business_central_blocks_and_ends_by_itself(hub: Hub) -> None:
    async with open_shop(hub) as shop:
        await shop.register_webhook()
        customer = await shop.add_customer()
        (first,) = await make_invoices(shop, 1, customer)
        await shop.wait_for_status(first, "synced")
        away = {"path_regex": r"/api/v2\.0/"}
        await shop.control(
            "bc", "POST", "faults", match=away, kind="status", status=503, code="Internal_ServerError", count=1000
        )
        try:
            invoices = await make_invoices(shop, 8, customer)

            async def is_blocked() -> bool:
                blocks = (await shop.foundation.directory.load(shop.connection.id)).blocks
                return "bc" in blocks and blocks["bc"].code == "bc.outage"

            await wait_for(is_blocked, "the outage to be noticed")
            metadata = await shop.wait_for_status(invoices[0], "pending")
            assert metadata["bc_error"].startswith("Business Central does not answer.")
        finally:
            await shop.control("bc", "DELETE", "faults")
        for invoice in invoices:
            await shop.wait_for_status(invoice, "synced")
            assert len(await shop.find_drafts(invoice)) == 1
