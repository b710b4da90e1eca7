"""Look-ups at the same time travel together, and nobody pays for a neighbour."""

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from connectors.business_central.lookups import BatchLimits, CoalescedLookups, TakeValues
from schemas.errors import Refused, RetryLater
from tests.unit.business_central.fakes import FakeBusinessCentral, build_client, build_error, build_invoice, build_page


def answer_each_number(request: httpx.Request) -> httpx.Response:
    numbers = re.findall(r"eq '([^']*)'", request.url.params["$filter"])
    return build_page(*(build_invoice(externalDocumentNumber=number) for number in numbers if number != "NONE"))


async def test_concurrent_look_ups_become_one_request_and_each_gets_its_own() -> None:
    fake = FakeBusinessCentral(by=answer_each_number)
    client = build_client(fake)
    found = await asyncio.gather(*(client.find_invoices(number) for number in ("a-1", " A-2", "none", "A-1")))

    assert [[invoice.external_document_number for invoice in each] for each in found] == [
        ["A-1"],
        ["A-2"],
        [],
        ["A-1"],
    ]
    assert len(fake.requests) == 1
    assert fake.last.url.params["$filter"] == " or ".join(
        f"externalDocumentNumber eq '{number}'" for number in ("A-1", "A-2", "NONE")
    )
    assert fake.last.headers["Data-Access-Intent"] == "ReadWrite"


async def test_two_drafts_with_one_number_are_both_reported() -> None:
    fake = FakeBusinessCentral(
        build_page(build_invoice(), build_invoice(number="S-2"), build_invoice(externalDocumentNumber="WEB-20931X"))
    )
    assert [invoice.number for invoice in await build_client(fake).find_invoices("web-20931")] == [
        "S-INV102031",
        "S-2",
    ]


async def test_more_than_fifty_values_take_a_second_request() -> None:
    fake = FakeBusinessCentral(by=answer_each_number)
    client = build_client(fake)
    found = await asyncio.gather(*(client.find_invoices(f"N-{index}") for index in range(120)))
    assert all(len(each) == 1 for each in found)
    assert [request.url.params["$filter"].count(" eq ") for request in fake.requests] == [50, 50, 20]


async def test_urls_stay_short_whatever_the_numbers_look_like() -> None:
    fake = FakeBusinessCentral(by=answer_each_number)
    client = build_client(fake)
    await asyncio.gather(*(client.find_invoices(f"{index:02}" + "Ü%" * 16) for index in range(50)))
    assert len(fake.requests) > 1
    assert max(len(str(request.url)) for request in fake.requests) <= 6_000


@pytest.mark.parametrize("number", ["", "  "])
async def test_an_empty_number_is_a_defect(number: str) -> None:
    with pytest.raises(ValueError, match="identifies nothing"):
        await build_client(FakeBusinessCentral()).find_invoices(number)


async def test_a_number_too_long_for_the_field_is_refused_alone() -> None:
    fake = FakeBusinessCentral()
    with pytest.raises(Refused) as caught:
        await build_client(fake).find_invoices("X" * 36)
    assert caught.value.code == "bc.document_number.too_long"
    assert fake.requests == []


async def test_a_failed_request_fails_everyone_with_the_same_error() -> None:
    fake = FakeBusinessCentral(httpx.Response(503, json={}))
    client = build_client(fake)
    errors = await asyncio.gather(*(client.find_invoices(f"N-{i}") for i in range(3)), return_exceptions=True)
    assert all(isinstance(error, RetryLater) for error in errors)
    assert len({id(error) for error in errors}) == 1


async def test_a_value_that_business_central_refuses_does_not_fail_its_neighbours() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "BAD" in request.url.params["$filter"]:
            return build_error(400, "Application_FilterErrorException", "x")
        return answer_each_number(request)

    client = build_client(FakeBusinessCentral(by=answer))
    good, bad, other = await asyncio.gather(
        client.find_invoices("GOOD"), client.find_invoices("BAD"), client.find_invoices("OTHER"), return_exceptions=True
    )
    assert isinstance(bad, Refused)
    assert isinstance(good, tuple)
    assert isinstance(other, tuple)
    assert (len(good), len(other)) == (1, 1)


async def test_cancelling_one_waiter_hurts_nobody_else() -> None:
    fake = FakeBusinessCentral(by=answer_each_number)
    client = build_client(fake)
    cancelled = asyncio.create_task(client.find_invoices("A"))
    kept = asyncio.create_task(client.find_invoices("B"))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert len(await kept) == 1
    assert fake.last.url.params["$filter"] == "externalDocumentNumber eq 'B'"


async def test_cancelling_a_waiter_in_flight_hurts_nobody_else() -> None:
    sent, go_on = asyncio.Event(), asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        sent.set()
        await go_on.wait()
        return answer_each_number(request)

    client = build_client(answer)
    cancelled = asyncio.create_task(client.find_invoices("A"))
    kept = asyncio.create_task(client.find_invoices("B"))
    await sent.wait()
    cancelled.cancel()
    go_on.set()
    assert len(await kept) == 1
    assert cancelled.cancelled() or cancelled.cancelling()


async def test_history_does_not_travel_with_live() -> None:
    fake = FakeBusinessCentral(by=answer_each_number)
    client = build_client(fake)
    await asyncio.gather(client.find_invoices("A"), client.for_history().find_invoices("B"))
    assert len(fake.requests) == 2


async def test_a_batch_stays_open_until_its_request_has_a_slot() -> None:
    """In a backlog the wait for a slot is what gathers look-ups; a batch closed before it would hold one each."""
    slot = asyncio.Event()
    asked: list[tuple[str, ...]] = []

    async def ask(take: TakeValues, live: bool) -> dict[str, str]:
        await slot.wait()
        asked.append(take())
        return {value: value.lower() for value in asked[-1]}

    lookups = CoalescedLookups(ask, limits=BatchLimits(window=timedelta(0)))
    early = asyncio.create_task(lookups.find("A", live=True))
    for _ in range(5):
        await asyncio.sleep(0)
    late = asyncio.create_task(lookups.find("B", live=True))
    await asyncio.sleep(0)
    slot.set()
    assert (await early, await late) == ("a", "b")
    assert asked == [("A", "B")]


async def test_a_long_answer_is_read_to_its_end() -> None:
    link = "https://bc.example/v2.0/tenant/sandbox/api/v2.0/next"
    fake = FakeBusinessCentral(build_page(build_invoice(), link=link), build_page(build_invoice(number="S-2")))
    assert len(await build_client(fake).find_invoices("WEB-20931")) == 2


@pytest.mark.parametrize(
    "build",
    [
        lambda: BatchLimits(values=0),
        lambda: BatchLimits(characters=0),
        lambda: BatchLimits(window=timedelta(milliseconds=51)),
        lambda: BatchLimits(window=timedelta(-1)),
    ],
)
def test_limits_check_themselves(build: Callable[[], BatchLimits]) -> None:
    with pytest.raises(ValueError, match="a batch holds"):
        build()
