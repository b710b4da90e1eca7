"""Accounts and items as the client finds them: merged into few requests, and compared again."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from connectors.business_central.client import BusinessCentralClient
from schemas.errors import Refused, RetryLater, RetrySoon
from tests.unit.business_central.fakes import FakeBusinessCentral, FakeLimiter, build_client, build_error, build_page

ITEM = {"number": "SVC-100", "displayName": "Consulting", "gtin": ""}
SELECT = ("number", "displayName", "gtin")


def answer_each(request: httpx.Request) -> httpx.Response:
    """Answer each value asked for with a record that has it; none to NONE."""
    field = re.findall(r"(\w+)\)? eq", request.url.params["$filter"])[0]
    values = re.findall(r"eq '((?:[^']|'')*)'", request.url.params["$filter"])
    return build_page(*(ITEM | {field: value.replace("''", "'")} for value in values if value.upper() != "NONE"))


async def find(client: BusinessCentralClient, *values: str, field: str = "number") -> list[list[Any]]:
    found = await asyncio.gather(*(client.find_rows("items", field, value, SELECT) for value in values))
    return [[row[field] for row in rows] for rows in found]


def read_filters(fake: FakeBusinessCentral) -> list[str]:
    return [request.url.params["$filter"] for request in fake.requests]


async def test_items_looked_for_at_the_same_time_take_one_request() -> None:
    fake = FakeBusinessCentral(by=answer_each)
    found = await find(build_client(fake), "svc-100", " SVC-200 ", "none", "svc-100")
    assert found == [["SVC-100"], ["SVC-200"], [], ["SVC-100"]]
    assert read_filters(fake) == ["number eq 'SVC-100' or number eq 'SVC-200' or number eq 'NONE'"]
    assert fake.last.url.params["$select"] == "number,displayName,gtin"
    assert fake.last.headers["Data-Access-Intent"] == "ReadOnly"


async def test_each_table_and_field_is_asked_for_on_its_own_for_or_joins_only_one() -> None:
    fake = FakeBusinessCentral(by=answer_each)
    client = build_client(fake)
    await asyncio.gather(
        client.find_rows("items", "number", "A", SELECT),
        client.find_rows("items", "gtin", "4012345678901", SELECT),
        client.find_rows("accounts", "number", "6110", SELECT),
    )
    assert sorted(read_filters(fake)) == ["gtin eq '4012345678901'", "number eq '6110'", "number eq 'A'"]


async def test_more_than_fifty_take_a_second_request() -> None:
    fake = FakeBusinessCentral(by=answer_each)
    found = await find(build_client(fake), *(f"N-{at}" for at in range(60)))
    assert found == [[f"N-{at}"] for at in range(60)]
    assert [one.count(" eq ") for one in read_filters(fake)] == [50, 10]


async def test_names_are_compared_without_regard_to_case() -> None:
    fake = FakeBusinessCentral(build_page(ITEM, ITEM | {"displayName": "Consulting 2"}))
    assert await find(build_client(fake), "CONSULTING", field="displayName") == [["Consulting"]]
    assert read_filters(fake) == ["tolower(displayName) eq 'consulting'"]


async def test_a_name_with_signs_of_the_filter_language_is_asked_for_plainly_too() -> None:
    fake = FakeBusinessCentral(build_page(), build_page(ITEM | {"displayName": "R&D (50%)"}))
    found = await find(build_client(fake), "R&D (50%)", "None", field="displayName")
    assert found == [["R&D (50%)"], []]
    assert read_filters(fake) == [
        "tolower(displayName) eq 'r&d (50%)' or tolower(displayName) eq 'none'",
        "displayName eq 'R&D (50%)'",
    ]


@pytest.mark.parametrize("value", ["SVC*", "SVC-10?", "*"])
async def test_a_wildcard_finds_only_what_really_equals_it_and_asks_alone(value: str) -> None:
    fake = FakeBusinessCentral(by=lambda _request: build_page(ITEM, ITEM | {"number": value}))
    assert await find(build_client(fake), value, "SVC-100") == [[value], ["SVC-100"]]
    assert sorted(request.url.params.get("$top", "") for request in fake.requests) == ["", "200"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("number", ""), ("number", "  "), ("number", "X" * 21), ("gtin", "1" * 15), ("displayName", "x" * 101)],
)
async def test_an_empty_or_over_long_value_finds_nothing_and_asks_nothing(field: str, value: str) -> None:
    fake = FakeBusinessCentral()
    assert await find(build_client(fake), value, field=field) == [[]]
    assert fake.requests == []


async def test_a_long_answer_is_read_to_its_end() -> None:
    link = "https://bc.example/v2.0/tenant/sandbox/api/v2.0/next"
    fake = FakeBusinessCentral(build_page(ITEM, link=link), build_page(ITEM))
    assert await find(build_client(fake), "SVC-100") == [["SVC-100", "SVC-100"]]


async def test_a_look_up_of_the_past_leaves_room_for_live_traffic() -> None:
    limiter = FakeLimiter()
    client = build_client(FakeBusinessCentral(by=answer_each), limiter=limiter).for_history()
    await find(client, "A", "B?", field="displayName")
    assert set(limiter.asked) == {False}


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (build_error(503, "", "busy"), RetryLater),
        (httpx.Response(200, content=b"{"), RetrySoon),
        (httpx.ReadError("reset"), RetrySoon),
    ],
)
async def test_a_look_up_that_fails_fails_all_that_travel_with_it(
    failure: httpx.Response | Exception, kind: type[Exception]
) -> None:
    client = build_client(FakeBusinessCentral(failure))
    found = await asyncio.gather(
        *(client.find_rows("items", "number", value, SELECT) for value in "AB"), return_exceptions=True
    )
    assert [type(one) for one in found] == [kind, kind]


async def test_a_value_that_business_central_refuses_does_not_fail_its_neighbours() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "bad" in request.url.params["$filter"]:
            return build_error(400, "Application_FilterErrorException", "x")
        return answer_each(request)

    client = build_client(FakeBusinessCentral(by=answer))
    good, bad = await asyncio.gather(
        client.find_rows("items", "displayName", "good", SELECT),
        client.find_rows("items", "displayName", "bad", SELECT),
        return_exceptions=True,
    )
    assert isinstance(bad, Refused)
    assert isinstance(good, tuple)
