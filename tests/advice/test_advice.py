"""For every code whose advice a person can carry out: it fails, they do just that, they replay, and it is synced.

Without the advice followed, a replay fails again: so it is the advice that helps.
"""

from collections.abc import AsyncGenerator, Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

import pytest

from schemas.catalogue import CATALOGUE, find_entry
from schemas.catalogue.entry import WAIT
from schemas.messages import InvoiceResult
from schemas.money import to_decimal
from tests.advice.advice import SCENARIOS, Advice
from tests.advice.elsewhere import ELSEWHERE
from tests.advice.scenarios import business_central, invoices, stripe
from tests.relay import Relay

assert {business_central, invoices, stripe}  # they fill SCENARIOS


FOLLOWED = [one for one in SCENARIOS if one.outcome != "pending"]
WAITED = [one for one in SCENARIOS if one.outcome == "pending"]


@pytest.mark.parametrize("one", FOLLOWED, ids=lambda one: f"{one.code}-{one.way}")
async def test_advice_followed_leads_to_a_draft(shop: Relay, one: Advice) -> None:
    steps = one.scenario(shop)
    invoice = await anext(steps)
    first = await (shop.replay if one.asked else shop.bring)(invoice)
    assert (first.outcome, first.code) == (one.outcome, one.code), first.reason
    if not one.replay_helps:
        again = await shop.replay(invoice)
        assert (again.outcome, again.code) == (one.outcome, one.again), again.reason

    await finish(steps)

    await assert_drafted(shop, invoice, await shop.replay(invoice, recreate=one.recreate))


@pytest.mark.parametrize("one", WAITED, ids=lambda one: f"{one.code}-{one.way}")
async def test_a_connection_that_waits_goes_on_once_the_advice_is_followed(shop: Relay, one: Advice) -> None:
    steps = one.scenario(shop)
    invoice = await anext(steps)
    first = await shop.bring(invoice, rounds=0)
    assert (first.outcome, first.code) == ("pending", one.code), first.reason

    await finish(steps)
    await shop.go_on(invoice["id"])

    await assert_drafted(shop, invoice, shop.last_result(invoice["id"]))


async def finish(steps: AsyncGenerator[Mapping[str, Any]]) -> None:
    """Follow the advice."""
    async for _ in steps:
        raise AssertionError("a scenario yields one invoice")


async def assert_drafted(shop: Relay, invoice: Mapping[str, Any], ended: InvoiceResult) -> None:
    """One right draft, and Stripe says so."""
    assert ended.outcome == "synced", ended.reason
    (draft,) = await shop.find_drafts(invoice)
    current = await shop.stripe("GET", f"invoices/{invoice['id']}")
    total = to_decimal(abs(current["total"]), current["currency"])
    assert Decimal(str(draft["totalAmountIncludingTax"])) == total
    assert current["metadata"]["bc_status"] == "synced"
    assert "bc_error" not in current["metadata"]


def test_each_code_is_followed_here_or_said_why_not() -> None:
    """Before somebody has to follow the advice of a new code, somebody has to have tried."""
    tried = {entry.code for one in SCENARIOS if (entry := find_entry(one.code)) is not None}
    passing = {entry.code for entry in CATALOGUE if entry.fix == WAIT or entry.fix.startswith("Nothing")}
    elsewhere = {entry.code for entry in CATALOGUE if any(fnmatchcase(entry.code, name) for name in ELSEWHERE)}
    unused = [name for name in ELSEWHERE if not any(fnmatchcase(entry.code, name) for entry in CATALOGUE)]

    assert not (missing := sorted({entry.code for entry in CATALOGUE} - tried - passing - elsewhere)), missing
    assert not unused
