"""After posting: why the total is another than Stripe's, told by the sweep and on a replay, with nobody blamed."""

from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

from hub.learned import LearnedFacts
from hub.waiting import RedisWaitingSet
from schemas.messages import InvoiceResult
from schemas.stripe_objects import Invoice
from services.ingest.findings import Finding
from services.ingest.sweeper import Sweeper
from tests.relay import Relay

SWISS = {"invoice_rounding": True, "local_invoice_precision": "0.05"}


async def sweep(shop: Relay, invoice: Mapping[str, Any]) -> Finding:
    foundation, snapshot = shop.foundation, await shop.snapshot()
    bc = foundation.clients.business_central(snapshot, live=False)
    learned = LearnedFacts(foundation.redis)
    sweeper = Sweeper(snapshot, bc, foundation.ledger, RedisWaitingSet(foundation.redis), learned, shop.clock)

    async def list_one() -> AsyncIterator[Invoice]:
        found = await foundation.clients.stripe(snapshot).fetch_invoice(str(invoice["id"]))
        assert found is not None
        yield found

    (finding,) = [one async for one in sweeper.sweep(list_one())]
    return finding


async def load_precision(shop: Relay) -> Decimal | None:
    return await LearnedFacts(shop.foundation.redis).load_posting_precision(shop.connection.company_key, "EUR")


async def draft(shop: Relay, amount: int = 1594) -> tuple[dict[str, Any], InvoiceResult]:
    invoice = await shop.invoice(amount=amount, tax=await shop.rate("25"))
    result = await shop.bring(invoice)
    assert result.outcome == "synced", result.reason
    return invoice, result


async def post(shop: Relay, result: InvoiceResult) -> str:
    """Post a draft; returns the number that it has then."""
    assert result.document is not None
    path = f"salesInvoices({result.document.id})"
    await shop.bc("POST", f"{path}/Microsoft.NAV.post")
    return (await shop.bc("GET", path))["number"]


async def test_what_business_central_rounds_when_it_posts_is_nobodys_change(shop: Relay) -> None:
    await shop.seed(setup=SWISS)
    invoice, result = await draft(shop)
    number = await post(shop, result)

    found = await sweep(shop, invoice)
    assert (found.kind, found.code) == ("rounded", "invoice.posted.rounded")
    assert found.words.startswith(f"Business Central rounded the total of {number} to 0.05 when")
    assert found.words.endswith("posted: 19.95 in Business Central, 19.93 in Stripe.")
    assert found.event_type is None
    assert await load_precision(shop) == Decimal("0.05")

    again = await shop.replay(invoice)
    assert (again.outcome, again.code) == ("synced", "")
    assert found.words in again.notes
    assert not any("changed" in note or note.startswith("When it is posted") for note in again.notes)

    # What one has shown is told of the next before it is posted.
    other, told = await draft(shop)
    assert told.code == "invoice.total.rounded_when_posted"
    assert "rounds it to 19.95 EUR, 0.02 EUR more than in Stripe" in told.reason
    assert (await shop.metadata(other))["bc_note"] == told.reason


async def test_a_replay_learns_it_too(shop: Relay) -> None:
    await shop.seed(setup=SWISS)
    invoice, result = await draft(shop)
    await post(shop, result)
    await shop.replay(invoice)

    assert await load_precision(shop) == Decimal("0.05")


async def test_a_total_that_stays_as_it_was_drafted_shows_that_nothing_is_rounded(shop: Relay) -> None:
    invoice, result = await draft(shop)
    assert (await sweep(shop, invoice)).kind == "fine"
    assert await load_precision(shop) is None
    await post(shop, result)

    assert (await sweep(shop, invoice)).kind == "fine"
    assert await load_precision(shop) == Decimal("0.01")


async def test_what_a_person_changed_is_told_as_a_change(shop: Relay) -> None:
    await shop.seed(setup=SWISS)
    invoice, result = await draft(shop)
    assert result.document is not None
    (line,) = (await shop.bc("GET", f"salesInvoices({result.document.id})/salesInvoiceLines"))["value"]
    await shop.bc("PATCH", f"salesInvoiceLines({line['id']})", {"unitPrice": 12})

    found = await sweep(shop, invoice)
    assert (found.kind, found.code) == ("changed", "invoice.draft.changed")

    await post(shop, result)
    found = await sweep(shop, invoice)
    assert (found.kind, found.code) == ("changed", "invoice.posted.changed")
    assert "15.00 in Business Central, 19.93 in Stripe" in found.words
    assert await load_precision(shop) is None
    assert any("was changed in Business Central since" in note for note in (await shop.replay(invoice)).notes)
