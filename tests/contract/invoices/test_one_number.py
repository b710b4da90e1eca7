"""Two Stripe invoices with one number: each has its own document, whatever they have in common."""

from collections.abc import Mapping
from typing import Any

import pytest

from schemas.messages import SWEPT_DOUBLED, InvoiceResult
from tests.relay import Relay


async def make(shop: Relay, customer: str, number: str = "2026-17", **form: Any) -> dict[str, Any]:
    draft = await shop.draft(customer, number=number, **form)
    await shop.line(draft, tax=await shop.rate("25"))
    return await shop.finalize(draft)


async def forget(shop: Relay, *names: str) -> None:
    """Lose keys of the ledger, by a part of their names."""
    redis = shop.foundation.redis
    for name in names:
        if keys := [key async for key in redis.scan_iter(f"*{name}*")]:
            await redis.delete(*keys)


def get_id(result: InvoiceResult) -> str:
    assert result.outcome == "synced", result.reason
    assert result.document is not None
    return result.document.id


async def assert_each_has_its_own(shop: Relay, *invoices: Mapping[str, Any]) -> None:
    told = [(await shop.metadata(one))["bc_invoice_id"] for one in invoices]
    drafts = await shop.find_drafts(invoices[0])
    assert sorted(told) == sorted(one["id"] for one in drafts)
    assert len(set(told)) == len(invoices)


async def test_a_corrected_invoice_with_the_number_of_a_voided_one_has_a_draft_of_its_own(shop: Relay) -> None:
    customer = await shop.add_customer()
    first = await make(shop, customer)
    one = get_id(await shop.bring(first))
    await shop.stripe("POST", f"invoices/{first['id']}/void")
    await shop.bring(first, event_type="invoice.voided")
    second = await make(shop, customer)
    result = await shop.bring(second)

    assert get_id(result) != one
    assert "has another document with the external document number 2026-17" in result.notes[0]
    assert (await shop.metadata(first))["bc_status"] == "attention"


@pytest.mark.parametrize("numbers", [("2026-17", "2026-17"), ("inv-a17", "INV-A17")])
async def test_two_that_stand_have_two(shop: Relay, numbers: tuple[str, str]) -> None:
    """Business Central keeps external document numbers in upper case."""
    customer = await shop.add_customer()
    invoices = [await make(shop, customer, number) for number in numbers]
    for one in invoices:
        get_id(await shop.bring(one))
    await assert_each_has_its_own(shop, *invoices)

    for one in invoices:
        get_id(await shop.replay(one))
        get_id(await shop.bring(one, event_type=SWEPT_DOUBLED, event_id=None))
    await assert_each_has_its_own(shop, *invoices)


async def test_one_that_is_posted_is_not_taken_for_the_other(shop: Relay) -> None:
    customer = await shop.add_customer()
    first = await make(shop, customer)
    posted = get_id(await shop.bring(first))
    await shop.bc("POST", f"salesInvoices({posted})/Microsoft.NAV.post")

    assert get_id(await shop.bring(await make(shop, customer))) != posted


async def test_after_a_loss_of_the_ledger_each_keeps_its_own(shop: Relay) -> None:
    customer = await shop.add_customer()
    invoices = [await make(shop, customer) for _ in range(2)]
    for one in invoices:
        get_id(await shop.bring(one))
    await forget(shop, ":invoice:", ":documents", "hub:incarnation")

    for one in reversed(invoices):
        get_id(await shop.replay(one))
    await assert_each_has_its_own(shop, *invoices)


async def test_a_draft_of_an_older_version_of_the_hub_is_known_by_its_record(shop: Relay) -> None:
    customer = await shop.add_customer()
    invoices = [await make(shop, customer) for _ in range(2)]
    get_id(await shop.bring(invoices[0]))
    await forget(shop, ":documents")
    get_id(await shop.bring(invoices[1]))

    await assert_each_has_its_own(shop, *invoices)


async def test_a_forgotten_draft_is_not_taken_for_a_later_invoices(shop: Relay) -> None:
    """The ledger does not know whose it is; but it was there before the later invoice was issued."""
    customer = await shop.add_customer()
    first = await make(shop, customer)
    get_id(await shop.bring(first))
    await forget(shop, ":documents", ":invoice:")
    await shop.control("stripe", "POST", "clock", advance_seconds=3600)
    second = await make(shop, customer)
    await shop.control("stripe", "POST", "clock", advance_seconds=-3600)
    result = await shop.bring(second)

    assert (result.outcome, result.code) == ("failed", "invoice.number.taken")
    assert len(await shop.find_drafts(first)) == 1
