"""What Business Central changes of a draft by itself: written once more where that is safe, else told."""

from typing import Any

import pytest

from tests.relay import Relay

COUNTRIES = [{"code": code, "displayName": code} for code in ("DE", "DK", "NO")]
LILLESTROM = {
    "shipping[name]": "Lager",
    "shipping[address][country]": "NO",
    "shipping[address][postal_code]": "2000",
    "shipping[address][city]": "Lillestrøm",
    "shipping[address][line1]": "Storgata 1",
}


async def bring_elsewhere(shop: Relay) -> tuple[Any, dict[str, Any]]:
    customer = await shop.add_customer(**LILLESTROM)
    invoice = await shop.invoice(customer, tax=await shop.rate("25"))
    result = await shop.bring(invoice)
    (draft,) = await shop.find_drafts(invoice)
    return result, draft


@pytest.fixture
async def danish(shop: Relay) -> Relay:
    """The list of post codes has Danish ones only, and 2000 is Frederiksberg there."""
    await shop.seed(countriesRegions=COUNTRIES, postCodes={"DK": "2000=Frederiksberg"})
    return shop


@pytest.mark.parametrize("readings", [{}, {"order": "page"}, {"totals": "header"}], ids=str)
async def test_goods_for_norway_do_not_go_to_denmark(danish: Relay, readings: dict[str, Any]) -> None:
    await danish.control("bc", "POST", "answers", **readings)
    result, draft = await bring_elsewhere(danish)

    assert result.outcome == "synced"
    assert (draft["shipToCountry"], draft["shipToCity"]) == ("NO", "Lillestrøm")
    assert draft["totalAmountIncludingTax"] == 125


@pytest.mark.parametrize("kind", ["stale", "foreign"])
async def test_the_answer_to_the_second_write_may_be_wrong_too(danish: Relay, kind: str) -> None:
    match = {"method": "PATCH", "path_regex": "salesInvoices"}
    await danish.control("bc", "POST", "faults", kind=kind, match=match, count=1)
    result, draft = await bring_elsewhere(danish)

    assert result.outcome == "synced"
    assert (draft["shipToCountry"], draft["shipToCity"]) == ("NO", "Lillestrøm")
    assert not any("Frederiksberg" in note for note in result.notes)


async def test_what_can_not_be_written_again_is_told(danish: Relay) -> None:
    match = {"method": "PATCH", "path_regex": "salesInvoices"}
    refusal = {"status": 400, "code": "Application_DialogException", "text": "Ask Lise first."}
    await danish.control("bc", "POST", "faults", kind="status", match=match, **refusal)
    result, draft = await bring_elsewhere(danish)

    assert result.outcome == "synced"
    assert draft["shipToCity"] == "Frederiksberg"
    assert any("Frederiksberg, and not Lillestrøm" in note for note in result.notes)


async def test_a_second_write_whose_answer_is_lost_is_looked_at_again(danish: Relay) -> None:
    match = {"method": "PATCH", "path_regex": "salesInvoices"}
    await danish.control("bc", "POST", "faults", kind="reset_after", match=match, count=1)
    result, draft = await bring_elsewhere(danish)

    assert result.outcome == "synced"
    assert (draft["shipToCountry"], draft["shipToCity"]) == ("NO", "Lillestrøm")
