"""What Business Central answers of a write is lost, or names no record: what stands there counts, and is told."""

from typing import Any

import pytest

from tests.relay import Relay

NORWAY: dict[str, Any] = {
    "address[country]": "NO",
    "address[city]": "Lillestrøm",
    "address[postal_code]": "2000",
}
"""With a post code that Microsoft's Danish table has for Frederiksberg."""


@pytest.mark.parametrize("fault", [{"kind": "reset_after"}, {"kind": "foreign", "changes": {"id": ""}}])
async def test_a_change_whose_answer_is_lost_moves_nobody_to_denmark(shop: Relay, fault: dict[str, Any]) -> None:
    """The post code was written, and brought its country along, though nobody was told so."""
    invoice = await shop.invoice(await shop.add_customer(**NORWAY))
    match = {"method": "PATCH", "path_regex": "customers"}
    await shop.control("bc", "POST", "faults", match=match, count=1, **fault)
    result = await shop.bring(invoice)
    await shop.control("bc", "DELETE", "faults")

    assert result.outcome == "synced", result.reason
    (card,) = [one for one in (await shop.dump())["customers"] if one["number"] != "10000"]
    assert (card["country"], card["city"]) == ("NO", "Lillestrøm")
    assert "2000" in " ".join(result.notes)


@pytest.mark.parametrize("path", ["customers$", "salesInvoices$"])
@pytest.mark.parametrize("name", ["", "00000000-0000-0000-0000-000000000000"])
async def test_an_answer_that_names_no_record_is_no_answer(shop: Relay, path: str, name: str) -> None:
    """What was written is looked for: one customer, one draft, and nothing that a person must do."""
    invoice = await shop.invoice(await shop.add_customer())
    match = {"method": "POST", "path_regex": path}
    await shop.control("bc", "POST", "faults", kind="foreign", match=match, count=1, changes={"id": name})
    result = await shop.bring(invoice)
    await shop.control("bc", "DELETE", "faults")

    assert result.outcome == "synced", result.reason
    assert len(await shop.find_drafts(invoice)) == 1
    assert len((await shop.dump())["customers"]) == 2
