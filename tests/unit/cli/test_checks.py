"""What doctor and `connections test` make of what they find."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.cli.checks import (
    Check,
    Verdict,
    count_problems,
    judge_new_customers,
    judge_untold,
    judge_webhooks,
    tell_count,
    try_check,
)
from hub.cli.doctor import examine_redis, judge_clock
from hub.refused_signatures import Refusals
from schemas.customer_settings import CustomerSettings
from schemas.errors import Blocked, Refused

GOOD = {"redis_version": "7.4.1", "aof_enabled": 1, "maxmemory_policy": "noeviction"}


class FakeRedis:
    """Tells about itself."""

    def __init__(self, info: dict[str, Any] | Exception) -> None:
        self._info = info

    async def info(self) -> dict[str, Any]:
        if isinstance(self._info, Exception):
            raise self._info
        return self._info


async def judge(**changes: Any) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in await examine_redis(FakeRedis(GOOD | changes))}


async def test_a_redis_as_it_must_be_is_in_order() -> None:
    assert set((await judge()).values()) == {"ok"}


@pytest.mark.parametrize(
    ("change", "name", "verdict"),
    [
        ({"aof_enabled": 0}, "Redis persistence", "problem"),
        ({"maxmemory_policy": "allkeys-lru"}, "Redis eviction", "problem"),
        ({"maxmemory_policy": None}, "Redis eviction", "skipped"),
        ({"redis_version": "6.0.9"}, "Redis", "problem"),
        ({"redis_version": "6.2.0"}, "Redis", "ok"),
        ({"role": "slave"}, "Redis writes", "problem"),
        ({"aof_last_write_status": "err"}, "Redis writes", "problem"),
        ({"used_memory": 200, "maxmemory": 100}, "Redis writes", "problem"),
        ({"used_memory": 200, "maxmemory": 0}, "Redis writes", "ok"),
    ],
)
async def test_a_redis_that_could_lose_the_ledger_is_a_problem(
    change: dict[str, Any], name: str, verdict: Verdict
) -> None:
    assert (await judge(**change))[name] == verdict


async def test_a_redis_that_does_not_answer_ends_the_questions() -> None:
    (check,) = await examine_redis(FakeRedis(ConnectionError("no")))

    assert check.verdict == "problem"
    assert "HUB_REDIS_URL" in check.fix


@pytest.mark.parametrize(
    ("seconds", "verdict", "words"),
    [(0, "ok", "within"), (-59, "ok", "within"), (61, "problem", "61 s behind"), (-400, "problem", "400 s ahead")],
)
def test_a_clock_that_is_off_by_more_than_a_minute_is_a_problem(seconds: int, verdict: Verdict, words: str) -> None:
    check = judge_clock(timedelta(seconds=seconds))

    assert check.verdict == verdict
    assert words in check.words


@pytest.mark.parametrize(
    ("untold", "verdict", "words"),
    [
        ({}, "ok", "Stripe takes"),
        ({"in_1": "No room. Delete some.", "in_2": "Gone."}, "warning", "2 invoices do not say what became of them"),
        ({"in_1": "No room. Delete some.", "in_2": "Gone."}, "warning", "one is in_1: No room. Delete some."),
    ],
)
def test_invoices_that_stripe_says_nothing_of_are_a_warning(
    untold: dict[str, str], verdict: Verdict, words: str
) -> None:
    check = judge_untold(untold, "con_1")

    assert check.verdict == verdict
    assert words in check.words


async def test_an_error_becomes_a_problem_with_its_own_fix_or_the_usual_one() -> None:
    async def refuse() -> str:
        raise Refused("The account is blocked.", code="a.b.c", fix="Unblock it.")

    async def block() -> str:
        raise Blocked("No permission.", code="a.b.c")

    async def say() -> str:
        return "is there"

    assert await try_check("A", refuse, "usual") == Check("A", "problem", "The account is blocked.", "Unblock it.")
    assert await try_check("A", block, "usual") == Check("A", "problem", "No permission.", "usual")
    assert await try_check("A", say, "usual") == Check("A", "ok", "is there")


async def test_a_defect_is_not_taken_for_a_finding() -> None:
    async def break_down() -> str:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await try_check("A", break_down)


@pytest.mark.parametrize(("count", "words"), [(0, "none"), (1, "1"), (499, "499"), (500, "at least 500")])
async def test_events_are_counted_up_to_a_bound_and_the_bound_is_said_to_be_one(count: int, words: str) -> None:
    async def find() -> AsyncIterator[int]:
        for number in range(count):
            yield number
        if count == 500:
            raise AssertionError("no page is asked for beyond the bound")

    assert await tell_count(find()) == words


SINCE = datetime(2026, 11, 24, 9, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("secrets", "counts", "verdict", "words"),
    [
        (1, {}, "ok", "1 stored"),
        (2, {"no_header": 7, "malformed_header": 1}, "ok", "2 stored"),
        (0, {}, "warning", "none stored: webhooks are refused, invoices arrive by polling"),
        (0, {"no_secret": 3}, "warning", "3 webhooks came since 2026-11-24 09:12 UTC, last 10:00"),
        (1, {"wrong_signature": 12, "too_old": 1}, "warning", "1 stored; 12 webhooks signed with another one since"),
        (1, {"too_old": 1, "from_the_future": 2}, "warning", "1 stored; 3 webhooks too late or from the future"),
    ],
)
def test_a_wrong_webhook_secret_is_seen_by_what_was_refused(
    secrets: int, counts: dict[str, int], verdict: Verdict, words: str
) -> None:
    refusals = Refusals(counts, SINCE, SINCE.replace(hour=10, minute=0)) if counts else None

    check = judge_webhooks(secrets, refusals)

    assert check.verdict == verdict
    assert words in check.words
    assert bool(check.fix) == (verdict == "warning")


def test_only_problems_count() -> None:
    verdicts: tuple[Verdict, ...] = ("ok", "warning", "problem", "skipped")

    assert count_problems([Check("A", verdict, "") for verdict in verdicts]) == 1


@pytest.mark.parametrize(
    ("changes", "unbillable", "verdict", "words"),
    [
        ({"create_missing": False}, ["/Company"], "ok", "none are created"),
        ({}, [], "ok", "one without a country may get no posting groups"),
        ({"new": {"without_country": "DE"}}, [], "ok", "are created where nobody matches"),
        ({}, ["/Company", "/Person"], "warning", "the last new one with no country no posting groups"),
        ({}, ["/Company", "JP/Company"], "warning", "with no country, country JP no posting groups"),
    ],
)
def test_new_customers_that_business_central_can_not_bill_are_told(
    changes: dict[str, Any], unbillable: list[str], verdict: Verdict, words: str
) -> None:
    check = judge_new_customers(CustomerSettings.model_validate(changes), unbillable)

    assert (check.verdict, words in check.words) == (verdict, True), check
    assert ("without_country" in check.fix) == (verdict == "warning")
