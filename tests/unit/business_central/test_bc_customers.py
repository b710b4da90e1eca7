"""Customers as the client reads and changes them: in bulk, by what has changed, and never over another's change."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from connectors.business_central.client import BusinessCentralClient
from connectors.business_central.models import Customer, CustomerPage
from schemas.errors import InDoubt, Refused, RetryLater, RetrySoon
from tests.unit.business_central.fakes import (
    COMPANY,
    CUSTOMER_ID,
    ROOT,
    FakeBusinessCentral,
    FakeLimiter,
    build_client,
    build_customer,
    build_error,
    build_page,
)

ANSWERED = {"Date": "Tue, 03 Mar 2026 08:00:07 GMT"}
MOMENT = datetime(2026, 3, 2, 9, 15, 4, 213_999, tzinfo=UTC)


def read_options(request: httpx.Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(str(request.url)).query).items()}


async def list_pages(client: BusinessCentralClient, since: datetime | None = None) -> list[CustomerPage]:
    return [page async for page in client.list_customers(since)]


async def test_customers_are_fetched_by_id_fifty_at_a_time() -> None:
    ids = [f"7d0e1f52-63de-ee11-a1f9-{number:012d}" for number in range(51)]
    fake = FakeBusinessCentral(build_page(build_customer(id=ids[0])), build_page(build_customer(id=ids[50])))
    found = await build_client(fake).fetch_customers([*ids, "no guid"])

    assert [one.id for one in found] == [ids[0], ids[50]]
    assert read_options(fake.requests[0])["$filter"].count(" or ") == 49
    assert read_options(fake.requests[1])["$filter"] == f"id eq {ids[50]}"
    assert fake.last.headers["Data-Access-Intent"] == "ReadWrite"


async def test_of_no_ids_nothing_is_asked() -> None:
    fake = FakeBusinessCentral()
    assert await build_client(fake).fetch_customers(["none", ""]) == ()
    assert fake.requests == []


async def test_all_customers_are_listed_over_pages_with_the_time_of_the_answer() -> None:
    first = build_page(build_customer(), link=f"{ROOT}/companies({COMPANY})/customers?$skiptoken=1")
    first.headers.update(ANSWERED)
    fake = FakeBusinessCentral(first, build_page(build_customer(id="other")))
    pages = await list_pages(build_client(fake))

    assert [[one.id for one in page.customers] for page in pages] == [[CUSTOMER_ID], ["other"]]
    assert [page.as_of for page in pages] == [datetime(2026, 3, 3, 8, 0, 7, tzinfo=UTC), None]
    assert {request.headers["Prefer"] for request in fake.requests} == {"odata.maxpagesize=5000"}
    assert "$filter" not in read_options(fake.requests[0])


async def test_what_was_changed_is_asked_for_to_the_millisecond_and_not_later() -> None:
    fake = FakeBusinessCentral(build_page())
    await list_pages(build_client(fake), MOMENT)

    assert read_options(fake.last)["$filter"] == "lastModifiedDateTime gt 2026-03-02T09:15:04.213Z"
    assert fake.last.headers["Data-Access-Intent"] == "ReadWrite"


async def test_a_customer_is_changed_under_the_etag_it_was_read_with() -> None:
    fake = FakeBusinessCentral(httpx.Response(200, json=build_customer(email="new@fjordlys.example")))
    changed = await build_client(fake).update_customer(CUSTOMER_ID, {"email": "new@fjordlys.example"}, etag='W/"1"')

    assert isinstance(changed, Customer)
    assert changed.email == "new@fjordlys.example"
    assert (fake.last.method, fake.last.headers["If-Match"]) == ("PATCH", 'W/"1"')
    assert fake.last.content == b'{"email":"new@fjordlys.example"}'


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        (build_error(409, "Request_EntityChanged", "Another user has already changed the record."), "changed"),
        (build_error(412, "", "?"), "changed"),
        (build_error(404, "Internal_RecordNotFound", "The Customer does not exist."), "gone"),
    ],
)
async def test_a_customer_that_is_not_what_it_was_is_left_alone(answer: httpx.Response, ending: str) -> None:
    assert await build_client(FakeBusinessCentral(answer)).update_customer(CUSTOMER_ID, {}, etag="old") == ending


async def test_a_change_without_answer_is_in_doubt_and_keeps_its_slot() -> None:
    limiter = FakeLimiter()
    fake = FakeBusinessCentral(httpx.ReadError("reset"))
    with pytest.raises(InDoubt) as caught:
        await build_client(fake, limiter=limiter).update_customer(CUSTOMER_ID, {}, etag="old")

    assert caught.value.code == "bc.customer.in_doubt"
    assert "whether changing the customer worked" in caught.value.message
    assert limiter.the_slot.holds


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (build_error(400, "Internal_InvalidTableRelation", "The field Country contains a value (XX)."), Refused),
        (build_error(429, "", "Too many requests"), RetryLater),
        (httpx.ConnectError("refused"), RetrySoon),
    ],
)
async def test_a_change_that_was_not_carried_out_says_why(
    answer: httpx.Response | Exception, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        await build_client(FakeBusinessCentral(answer)).update_customer(CUSTOMER_ID, {}, etag="old")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (build_error(503, "", "Busy", {"Retry-After": "7"}), RetryLater),
        (httpx.ReadTimeout("slow"), RetryLater),
        (httpx.Response(200, content=b"{"), RetrySoon),
    ],
)
async def test_a_list_that_can_not_be_read_is_no_empty_list(
    answer: httpx.Response | Exception, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        await list_pages(build_client(FakeBusinessCentral(answer)))
    fake = FakeBusinessCentral(httpx.Response(200, json={"value": [{"number": "no id"}]}))
    with pytest.raises(RetrySoon):
        await build_client(fake).fetch_customers([CUSTOMER_ID])
