"""Business Central's answers as they may be: stale, or another's. No right draft is deleted, no wrong one counts."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from tests.relay import Relay

READINGS: list[dict[str, Any]] = [
    {},
    {"totals": "header"},
    {"lines": "none"},
    {"lines": "blank"},
    {"nested": "never"},
    {"nested": "always"},
    {"order": "page"},
    {"decimals": "binary"},
    {"deep_insert": "parts"},
    {"location": False},
    {"statuses": {"BadRequest_InvalidToken": 428, "Request_EntityChanged": 412}},
    {"totals": "header", "lines": "blank", "order": "page", "decimals": "binary", "deep_insert": "parts"},
]
POST_INVOICE = {"method": "POST", "path_regex": "salesInvoices$"}


async def strike(shop: Relay, kind: str, match: Mapping[str, Any] = POST_INVOICE, **rule: Any) -> None:
    await shop.control("bc", "POST", "faults", kind=kind, match=dict(match), count=1, **rule)


async def count_requests(shop: Relay) -> Counter[str]:
    state = await shop.control("bc", "GET", "state")
    return Counter(state["requests"])


async def bring_one(shop: Relay, **form: Any) -> tuple[dict[str, Any], Any]:
    invoice = await shop.invoice(tax=await shop.rate("25"), **form)
    return invoice, await shop.bring(invoice)


@pytest.mark.parametrize("readings", READINGS, ids=str)
async def test_whatever_an_answer_shows_there_is_one_right_draft(shop: Relay, readings: dict[str, Any]) -> None:
    """The second is foretold by what the first has shown."""
    await shop.control("bc", "POST", "answers", **readings)
    for _ in range(2):
        invoice, result = await bring_one(shop, amount=1999)

        assert (result.outcome, result.notes) == ("synced", ()), result.reason
        (draft,) = await shop.find_drafts(invoice)
        assert round(float(draft["totalAmountIncludingTax"]), 2) == 24.99
        assert [attempt.request for attempt in result.attempts] == ["POST salesInvoices"]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "Paid"},
        {"customerId": "00000000-0000-0000-0000-000000000001", "customerNumber": "20000"},
        {"externalDocumentNumber": "ANOTHER-1"},
        {"externalDocumentNumber": ""},
        {"totalAmountIncludingTax": 0},
        {"totalAmountIncludingTax": 19.99},
        {"currencyCode": "USD"},
        {"dueDate": "0001-01-01", "sellToCity": "Elsewhere"},
    ],
    ids=str,
)
async def test_an_answer_that_says_otherwise_is_read_again(shop: Relay, changes: dict[str, Any]) -> None:
    await strike(shop, "foreign", changes=changes)
    invoice, result = await bring_one(shop)

    assert (result.outcome, result.notes) == ("synced", ())
    (draft,) = await shop.find_drafts(invoice)
    assert result.document is not None
    assert (result.document.id, result.document.number) == (draft["id"], draft["number"])


async def test_an_answer_that_can_not_be_read_is_in_doubt(shop: Relay) -> None:
    await strike(shop, "foreign", changes={"number": "x" * 100_000})
    invoice, result = await bring_one(shop)

    assert result.outcome == "synced"
    assert len(await shop.find_drafts(invoice)) == 1
    assert len((await shop.metadata(invoice))["bc_invoice"]) < 20


async def test_the_answer_of_another_invoices_document_is_no_answer(shop: Relay) -> None:
    customer = await shop.add_customer()
    tax = await shop.rate("25")
    first = await shop.invoice(customer, tax=tax)
    assert (await shop.bring(first)).outcome == "synced"
    await strike(shop, "foreign")
    second = await shop.invoice(customer, amount=5_000, tax=tax)
    result = await shop.bring(second)

    assert result.outcome == "synced"
    (one,), (other,) = await shop.find_drafts(first), await shop.find_drafts(second)
    assert result.document is not None
    assert one["id"] != other["id"] == result.document.id
    assert (one["totalAmountIncludingTax"], other["totalAmountIncludingTax"]) == (125, 62.5)


@pytest.mark.parametrize("path", [r"salesInvoices$", r"salesInvoices\("])
async def test_a_look_that_shows_another_record_is_no_look(shop: Relay, path: str) -> None:
    """Taken for an answer, it would say that our draft is not there."""
    customer = await shop.add_customer()
    tax = await shop.rate("25")
    assert (await shop.bring(await shop.invoice(customer, tax=tax))).outcome == "synced"
    invoice = await shop.invoice(customer, tax=tax)
    await strike(shop, "reset_after")
    await shop.bring(invoice, rounds=0)
    await strike(shop, "foreign", {"method": "GET", "path_regex": path})
    await shop.go_on(invoice["id"])

    assert shop.last_result(invoice["id"]).outcome == "synced"
    assert len(await shop.find_drafts(invoice)) == 1


@pytest.mark.parametrize("readings", [{}, {"totals": "header"}], ids=str)
async def test_a_draft_that_is_wrong_is_deleted_whatever_the_answer_shows(
    shop: Relay, readings: dict[str, Any]
) -> None:
    """The account carries another VAT than the settings say: BC adds 7 %, and the total is not Stripe's."""
    await shop.set(invoices__tax={"rules": [{"percent": 25, "code": "REDUCED"}], "zero_code": "ZERO"})
    await shop.control("bc", "POST", "answers", **readings)
    invoice, result = await bring_one(shop)

    assert (result.outcome, result.code) in {
        ("failed", "invoice.total.different"),
        ("failed", "invoice.total.unreachable"),
    }
    assert await shop.find_drafts(invoice) == []


@pytest.mark.parametrize("readings", [{}, {"totals": "header"}, {"deep_insert": "parts"}], ids=str)
async def test_a_refused_line_leaves_nothing_behind(shop: Relay, readings: dict[str, Any]) -> None:
    await bring_one(shop)  # the hub has read the accounts, and reads them anew only later
    await shop.control("bc", "POST", "answers", **readings)
    await shop.seed(accounts=[{"number": "6110", "blocked": True}])
    invoice, result = await bring_one(shop)
    assert (result.outcome, result.code) == ("failed", "bc.account.blocked")
    assert await shop.find_drafts(invoice) == []

    await shop.seed(accounts=[{"number": "6110", "blocked": False}])
    assert (await shop.replay(invoice)).outcome == "synced"
    assert len(await shop.find_drafts(invoice)) == 1


async def test_the_cost_of_a_fresh_answer_is_one_request_and_of_a_stale_one_two(shop: Relay) -> None:
    shop.foretells = False
    customer, tax = await shop.add_customer(), await shop.rate("25")
    assert (await shop.bring(await shop.invoice(customer, tax=tax))).outcome == "synced"
    costs: list[int] = []
    for readings in ({}, {"totals": "header"}):
        await shop.control("bc", "POST", "answers", **readings)
        invoice = await shop.invoice(customer, tax=tax)
        before = await count_requests(shop)
        assert (await shop.bring(invoice)).outcome == "synced"
        costs.append((await count_requests(shop) - before).total())

    # The look before the POST is one more; in a backlog 50 invoices share it.
    assert costs == [2, 3]
