"""Lists against a small server with Stripe's cursors: newest first, `starting_after` and `ending_before`."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.stripe.client import StripeApi
from connectors.stripe.errors import CursorExpired
from connectors.stripe.pages import Page, walk_newer
from schemas.errors import Refused
from schemas.stripe_objects import Event
from tests.unit.stripe_connector.fake_stripe import FakeStripe, Reply, fail, load_sample

TYPES = ["invoice.finalized", "invoice.updated"]
DAY = 86_400
NEWEST = 1_795_000_000
TEMPLATE = load_sample("12")


def build_event(number: int, created: int) -> dict[str, Any]:
    return {**TEMPLATE, "id": f"evt_{number}", "created": created}


@dataclass
class Shelf:
    """Events, oldest first."""

    events: list[dict[str, Any]]
    limit: int = 100
    fetched: int = 0
    late: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def take(self, params: dict[str, Any]) -> dict[str, Any]:
        self.fetched += 1
        created: dict[str, int] = params.get("created", {})
        newest_first = [
            event
            for event in reversed(self.events)
            if created.get("gte", 0) <= event["created"] < created.get("lt", 9e9)
        ]
        place = {event["id"]: index for index, event in enumerate(newest_first)}
        if "ending_before" in params:
            # The cursor need not pass the filter itself.
            cursor = next(i for i, event in enumerate(reversed(self.events)) if event["id"] == params["ending_before"])
            newer = [event for event in list(reversed(self.events))[:cursor] if event["id"] in place]
            page, more = newer[-self.limit :], len(newer) > self.limit
        else:
            begin = place[params["starting_after"]] + 1 if "starting_after" in params else 0
            page, more = newest_first[begin : begin + self.limit], len(newest_first) > begin + self.limit
        self.events += self.late
        self.late = []
        return {"object": "list", "data": page, "has_more": more}

    async def fetch(self, **params: Any) -> Page[Event]:
        return Page[Event].model_validate(self.take(params))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert sorted(request.query.getall("types[0]") + request.query.getall("types[1]")) == TYPES
        assert request.query["limit"] == "100"
        created = {key[8:-1]: int(value) for key, value in request.query.items() if key.startswith("created[")}
        cursors = {key: request.query[key] for key in ("ending_before", "starting_after") if key in request.query}
        return await Reply(self.take({**cursors, "created": created}))(request)


def build_shelf(count: int, spread: int = 30 * DAY) -> Shelf:
    return Shelf([build_event(n, NEWEST - spread + n * spread // max(count, 1)) for n in range(count)])


async def list_ids(api: StripeApi, **options: Any) -> list[str]:
    return [event.id async for event in api.list_events(types=TYPES, **options)]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 450])
async def test_events_come_oldest_first_and_whole(fake: FakeStripe, api: StripeApi, count: int) -> None:
    fake.answer(build_shelf(count).handle)
    assert await list_ids(api) == [f"evt_{n}" for n in range(count)]


@pytest.mark.parametrize("after", [0, 5, 349, 350, 449])
async def test_after_an_event_only_newer_ones_come_oldest_first(fake: FakeStripe, api: StripeApi, after: int) -> None:
    fake.answer(build_shelf(450).handle)
    assert await list_ids(api, after=f"evt_{after}") == [f"evt_{n}" for n in range(after + 1, 450)]


async def test_a_look_that_fits_one_page_takes_one_request(fake: FakeStripe, api: StripeApi) -> None:
    shelf = build_shelf(1000)
    fake.answer(shelf.handle)
    since = NEWEST - DAY
    assert await list_ids(api, created_gte=since) == [e["id"] for e in shelf.events if e["created"] >= since]
    assert shelf.fetched == 1


async def test_a_long_history_needs_few_requests_more_than_it_has_pages(fake: FakeStripe, api: StripeApi) -> None:
    shelf = build_shelf(1000)
    fake.answer(shelf.handle)
    assert len(await list_ids(api, created_gte=NEWEST - 30 * DAY)) == 1000
    assert shelf.fetched <= 10 + 8


async def test_pages_can_be_limited_and_gone_on_with(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(build_shelf(450).handle)
    first = await list_ids(api, after="evt_0", limit_pages=2)
    assert first == [f"evt_{n}" for n in range(1, 201)]
    assert (await list_ids(api, after=first[-1], limit_pages=1))[0] == "evt_201"


async def test_more_events_in_one_second_than_fit_a_page_are_all_read(fake: FakeStripe, api: StripeApi) -> None:
    shelf = Shelf([build_event(n, NEWEST) for n in range(350)])
    fake.answer(shelf.handle)
    assert await list_ids(api, created_gte=NEWEST - 30 * DAY) == [f"evt_{n}" for n in range(350)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 40) | st.integers(0, 100_000), max_size=40),
    st.integers(1, 7),
    st.integers(0, 50),
    st.none() | st.integers(0, 39),
)
async def test_whatever_the_times_and_page_sizes_nothing_is_left_out_doubled_or_misplaced(
    times: list[int], limit: int, since: int, after: int | None
) -> None:
    shelf = Shelf([build_event(n, created) for n, created in enumerate(sorted(times))], limit)
    cursor = None if after is None or after >= len(times) else f"evt_{after}"
    pages = [page async for page in walk_newer(shelf.fetch, after=cursor, created_gte=since)]
    wanted = [
        e["id"] for e in shelf.events if e["created"] >= since and (cursor is None or int(e["id"][4:]) > (after or 0))
    ]
    assert [event.id for event in itertools.chain(*pages)] == wanted


async def test_events_made_while_reading_come_last(fake: FakeStripe, api: StripeApi) -> None:
    shelf = build_shelf(150)
    shelf.late = [build_event(999, NEWEST)]
    fake.answer(shelf.handle)
    assert (await list_ids(api))[-1] == "evt_999"


async def test_a_cursor_that_stripe_has_forgotten_is_told_apart(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(fail(400, "resource_missing", param="ending_before"))
    with pytest.raises(CursorExpired):
        await list_ids(api, after="evt_old")


async def test_another_refusal_is_no_forgotten_cursor(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(fail(400, "parameter_invalid", param="types"))
    with pytest.raises(Refused):
        await list_ids(api, after="evt_old")


@pytest.mark.parametrize("types", [[], [f"t{n}" for n in range(21)]])
async def test_one_to_twenty_types_can_be_asked_for(api: StripeApi, types: list[str]) -> None:
    with pytest.raises(ValueError, match="1 to 20"):
        await anext(api.list_events(types=types))


async def test_invoices_come_newest_first_over_all_pages_with_every_filter(fake: FakeStripe, api: StripeApi) -> None:
    invoice = load_sample("06")["data"]["object"]
    first, second = ({"data": [{**invoice, "id": f"in_{n}"}], "has_more": n == 2} for n in (2, 1))
    fake.answer(Reply(first), Reply(second))
    found = [
        one
        async for one in api.list_invoices(
            created_gte=1, created_lt=2, status="open", customer="cus_1", collection_method="send_invoice"
        )
    ]
    assert [one.id for one in found] == ["in_2", "in_1"]
    assert found[0].lines.has_more
    filters = {"created[gte]": "1", "created[lt]": "2", "status": "open", "customer": "cus_1"}
    expected = {**filters, "collection_method": "send_invoice", "limit": "100"}
    assert [dict(one.query) for one in fake.asked] == [expected, {**expected, "starting_after": "in_2"}]
