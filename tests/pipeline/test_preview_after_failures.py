"""What has just failed for Business Central's VAT is not promised a moment later."""

import pytest

from tests.pipeline.cli_harness import Ended, HubProcess
from tests.pipeline.hub_harness import Hub, Shop, open_shop

pytestmark = pytest.mark.broker


async def run(shop: Shop, *words: str) -> Ended:
    return await HubProcess(dict(shop.hub.environment))(*words, "--connection", shop.connection.id, "--json")


async def test_a_total_that_was_just_proved_wrong_is_foretold_so(hub: Hub) -> None:
    """25 % for a customer abroad, to whom Business Central adds none."""
    async with open_shop(hub) as shop:
        await shop.register_webhook()
        rate = await shop.stripe("POST", "tax_rates", display_name="VAT", percentage="25", inclusive="false")
        taxed = {"default_tax_rates[0]": rate["id"]}
        customer = await shop.add_customer()
        failed = await shop.make_invoice(customer, **taxed)
        told = await shop.wait_for_status(failed, "failed")

        shown = await run(shop, "preview", failed["id"])
        planned = await run(shop, "replay", "--failed", "--dry-run")

        (one,) = shown.json["invoices"]
        assert "Business Central" in told["bc_error"]
        assert (shown.code, one["verdict"]) == (1, "fail")
        assert "Business Central adds 0 %" in one["refusal"]["message"]
        assert planned.code == 1
        assert {row["verdict"] for row in planned.json["invoices"]} == {"fail"}
        assert all("unless that was mended since" in row["words"] for row in planned.json["invoices"])
