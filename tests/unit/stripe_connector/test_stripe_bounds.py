"""Answers without bounds, from a server that is not Stripe: each has a limit, and is read later, never a defect."""

import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from connectors.bounded import LONGEST_ANSWER, LONGEST_ERROR
from connectors.stripe.client import StripeApi
from connectors.stripe.pages import Page, walk_newer, walk_older
from schemas.errors import Refused, RetryLater, RetrySoon
from schemas.stripe_objects import Event
from tests.unit.stripe_connector.fake_stripe import FakeStripe, Reply, load_sample

TEMPLATE = load_sample("12")
CUSTOMER = {"id": "cus_1", "object": "customer", "name": "Hansen"}
BOMB = gzip.compress(b" " * (2 * LONGEST_ANSWER), compresslevel=9)


async def drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(2 * LONGEST_ANSWER // 2**20):
        await response.write(b" " * 2**20)
    return response


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (drip, "stripe.answer.too_large"),
        (Reply(BOMB, headers={"Content-Encoding": "gzip"}), "stripe.answer.too_large"),
        (Reply(b"no gzip", headers={"Content-Encoding": "gzip"}), "stripe.answer.too_large"),
        (Reply(b"[" * 100_000), "stripe.answer.unreadable"),
        (Reply(b'{"id": ' + b"9" * 5000 + b"}"), "stripe.answer.unreadable"),
        (Reply({**CUSTOMER, "created": 10**300}), "stripe.answer.unreadable"),
        (Reply({**CUSTOMER, "balance": -(10**300)}), "stripe.answer.unreadable"),
        (Reply({**CUSTOMER, "name": "x" * 100_000}), "stripe.answer.unreadable"),
        (Reply(b"<html>Sign in</html>"), "stripe.answer.unreadable"),
        (Reply(b"\xff\xfe"), "stripe.answer.unreadable"),
    ],
    ids=lambda one: repr(one)[:40],
)
async def test_an_answer_beyond_all_bounds_is_read_later(
    fake: FakeStripe, api: StripeApi, reply: Any, code: str
) -> None:
    fake.answer(reply)
    with pytest.raises((RetryLater, RetrySoon)) as caught:
        await api.fetch_customer("cus_1")
    assert caught.value.code == code


async def test_what_is_too_long_is_not_asked_for_again_at_once(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(Reply(BOMB, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(RetryLater):
        await api.fetch_customer("cus_1")
    assert len(fake.asked) == 1


async def test_a_refusal_of_any_length_stays_one(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(Reply({"error": {"message": "x" * 2 * LONGEST_ERROR}}, status=400))
    with pytest.raises(Refused):
        await api.fetch_customer("cus_1")


async def test_a_packed_answer_is_read(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(Reply(gzip.compress(json.dumps(CUSTOMER).encode()), headers={"Content-Encoding": "gzip"}))
    found = await api.fetch_customer("cus_1")
    assert found is not None
    assert found.name == "Hansen"


def build_page(*ids: str, created: int = 1_795_000_000) -> Page[Event]:
    events = [{**TEMPLATE, "id": one, "created": created} for one in ids]
    return Page[Event].model_validate({"data": events, "has_more": True})


Walk = Callable[[Callable[..., Awaitable[Page[Event]]]], Any]


def walk_up(fetch: Any) -> Any:
    return walk_newer(fetch, after="evt_0", created_gte=None)


@pytest.mark.parametrize("walk", [walk_older, walk_up])
async def test_a_list_that_goes_round_comes_to_an_end(walk: Walk) -> None:
    asked = 0

    async def fetch(**_: Any) -> Page[Event]:
        nonlocal asked
        asked += 1
        return build_page(f"evt_{asked % 3}")

    with pytest.raises(RetrySoon):
        _ = [page async for page in walk(fetch)]
    assert asked < 6


@pytest.mark.parametrize("created", [0, 1_795_000_000, 2**62])
async def test_looking_for_the_oldest_ends_whatever_the_times_say(created: int) -> None:
    asked = 0

    async def fetch(**_: Any) -> Page[Event]:
        nonlocal asked
        asked += 1
        return build_page(f"evt_{asked % 7}", created=created)

    with pytest.raises(RetrySoon):
        _ = [page async for page in walk_newer(fetch, after=None, created_gte=1_700_000_000)]
    assert asked < 200
