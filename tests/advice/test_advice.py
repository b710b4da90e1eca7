"""For every code whose advice a person can carry out: it fails, they do just that, they replay, and it is synced.

Without the advice followed, a replay fails again: so it is the advice that helps.
"""

from decimal import Decimal

import pytest

from schemas.money import to_decimal
from tests.advice.advice import SCENARIOS, Advice
from tests.advice.scenarios import business_central, invoices, operations, stripe
from tests.relay import Relay

assert {business_central, invoices, operations, stripe}  # they fill SCENARIOS


@pytest.mark.parametrize("one", SCENARIOS, ids=lambda one: f"{one.code}-{one.way}")
async def test_advice_followed_leads_to_a_draft(shop: Relay, one: Advice) -> None:
    steps = one.scenario(shop)
    invoice = await anext(steps)
    first = await (shop.replay if one.asked else shop.bring)(invoice)
    assert (first.outcome, first.code) == (one.outcome, one.code), first.reason
    again = await shop.replay(invoice)
    assert (again.outcome, again.code) == (one.outcome, one.again), again.reason

    async for _ in steps:
        raise AssertionError("a scenario yields one invoice")
    ended = await shop.replay(invoice, recreate=one.recreate)

    assert ended.outcome == "synced", ended.reason
    (draft,) = await shop.find_drafts(invoice)
    current = await shop.stripe("GET", f"invoices/{invoice['id']}")
    total = to_decimal(abs(current["total"]), current["currency"])
    assert Decimal(str(draft["totalAmountIncludingTax"])) == total
    assert current["metadata"]["bc_status"] == "synced"
    assert "bc_error" not in current["metadata"]
