"""Customers through the whole hub: two that look alike, a person's choice, changes in Stripe, and the number told."""

import json

from hub.cli.contacts import NAME
from schemas.customer_settings import CustomerSettings
from schemas.settings import Settings
from tests.builders import SETTINGS
from tests.pipeline.cli_harness import Ended, HubProcess
from tests.pipeline.hub_harness import COMPANY, Hub, Shop, open_shop, wait_for

KEPT = CustomerSettings(
    number_key="debtor", write_number=True, keep_in_step=("displayName", "email", "phoneNumber", "country", "city")
)
IN_STEP: Settings = SETTINGS.model_copy(update={"customers": KEPT})


async def run_contacts(shop: Shop, *words: str) -> Ended:
    environment = HubProcess(dict(shop.hub.environment))
    return await environment(NAME, *words, "--connection", shop.connection.id, "--json")


async def add_twins(shop: Shop, mark: str) -> None:
    rows = [
        {"number": f"{mark}{n}", "displayName": f"{mark} Inc.", "email": f"{mark}@twins.example", "country": "US"}
        for n in (1, 2)
    ]
    await shop.control("bc", "POST", "seed", companies=[{"name": COMPANY, "customers": rows}])


async def test_a_person_chooses_between_two_and_the_choice_stands(hub: Hub) -> None:
    async with open_shop(hub) as shop:
        mark = f"T{shop.account[-6:].upper()}"
        await add_twins(shop, mark)
        await shop.register_webhook()
        customer = await shop.add_customer(name=f"{mark} Inc.", email=f"{mark.upper()}@TWINS.example")
        invoice = await shop.make_invoice(customer)
        metadata = await shop.wait_for_status(invoice, "failed")
        assert f"({mark}1 {mark} Inc.; {mark}2 {mark} Inc.)" in metadata["bc_error"]

        linked = await run_contacts(shop, "link", customer, f"{mark}2".lower())
        assert (linked.code, linked.json["number"]) == (0, f"{mark}2")
        await shop.stripe("POST", f"invoices/{invoice['id']}", **{"metadata[bc_replay]": "now"})
        await shop.wait_for_status(invoice, "synced")
        assert [one["customerNumber"] for one in await shop.find_drafts(invoice)] == [f"{mark}2"]

        shown = await run_contacts(shop, "show", customer)
        assert (shown.json[0]["pinned"], shown.json[0]["number"]) == (True, f"{mark}2")
        assert (await run_contacts(shop, "unlink", customer)).code == 0
        assert (await run_contacts(shop, "show", customer)).code == 4
        assert (await run_contacts(shop, "link", customer, "NOBODY")).code == 4
        assert (await run_contacts(shop, "link", "cus_nobody", f"{mark}2")).code == 4


async def test_a_customer_follows_stripe_and_stripe_knows_its_number(hub: Hub) -> None:
    async with open_shop(hub, IN_STEP) as shop:
        await shop.register_webhook()
        mark = shop.account[-6:].lower()
        customer = await shop.add_customer(email=f"{mark}@old.example")
        await shop.wait_for_status(await shop.make_invoice(customer), "synced")
        (made,) = await shop.find_customers(f"{mark}@old.example")

        async def knows_its_number() -> bool:
            found = await shop.stripe("GET", f"customers/{customer}")
            return found["metadata"] == {"debtor": made["number"]}

        await wait_for(knows_its_number, "the number in Stripe")
        changes = {"email": f"{mark}@new.example", "phone": "+1 555 123 4567", "address[city]": "Boston"}
        await shop.stripe("POST", f"customers/{customer}", **changes)

        async def has_followed() -> bool:
            return bool(await shop.find_customers(f"{mark}@new.example"))

        await wait_for(has_followed, "the new address in Business Central")
        (followed,) = await shop.find_customers(f"{mark}@new.example")
        assert (followed["id"], followed["phoneNumber"], followed["city"]) == (made["id"], "+1 555 123 4567", "Boston")

        await change_by_hand(shop, made["id"], "by-hand")
        await shop.stripe("POST", f"customers/{customer}", name="Renamed Inc.")

        async def is_said() -> bool:
            shown = await run_contacts(shop, "show")
            return [one["field"] for contact in json.loads(shown.out) for one in contact["differences"]] == [
                "displayName"
            ]

        await wait_for(is_said, "the difference to be shown")
        (kept,) = await shop.find_customers(f"{mark}@new.example")
        assert kept["displayName"] == "by-hand"


async def change_by_hand(shop: Shop, customer_id: str, name: str) -> None:
    snapshot = await shop.foundation.directory.get(shop.connection.id)
    bc = shop.foundation.clients.business_central(snapshot)
    assert not isinstance(await bc.update_customer(customer_id, {"displayName": name}, etag="*"), str)
