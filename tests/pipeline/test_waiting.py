"""The waiting set on a real Redis."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest

from hub.ledger import InvoiceOutcome, Ledger
from hub.redis import build_redis, waiting_entries_key, woken_key
from hub.stage.ports import Parked
from hub.waiting import RedisWaitingSet
from schemas.errors import RetrySoon
from schemas.messages import StripeEventReceived
from tests.fakes import CONNECTION, START, build_received

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Any]:
    client = build_redis(redis_url)
    yield client
    await client.connection_pool.disconnect()


@pytest.fixture
def waiting(redis: Any) -> RedisWaitingSet:
    return RedisWaitingSet(redis, in_flight=3)


async def park(
    waiting: RedisWaitingSet, object_id: str, *, after: timedelta = SECOND, counts: bool = False, **changes: Any
) -> StripeEventReceived:
    message = build_received(object_id, **changes)
    await waiting.park(Parked(message, START + after, "bc.busy", "Busy.", "invoices", counts_as_attempt=counts))
    return message


async def wake(waiting: RedisWaitingSet, after: timedelta, at_most: int | None = None) -> list[str]:
    return [entry.wakeup.object_id for entry in await waiting.wake(CONNECTION, START + after, at_most=at_most)]


async def test_nothing_is_woken_before_it_is_due(waiting: RedisWaitingSet) -> None:
    await park(waiting, "in_1", after=MINUTE)
    assert await wake(waiting, 59 * SECOND) == []
    assert await wake(waiting, MINUTE) == ["in_1"]
    assert await wake(waiting, MINUTE) == []


async def test_live_comes_before_history(waiting: RedisWaitingSet) -> None:
    await park(waiting, "in_old", cause="backfill")
    await park(waiting, "in_older", cause="sweep", after=timedelta(0))
    await park(waiting, "in_live", after=MINUTE)
    assert await wake(waiting, MINUTE) == ["in_live", "in_older", "in_old"]


async def test_history_waits_for_its_time_as_well(waiting: RedisWaitingSet) -> None:
    await park(waiting, "in_old", cause="backfill", after=MINUTE)
    assert await wake(waiting, 30 * SECOND) == []
    assert await wake(waiting, MINUTE) == ["in_old"]


async def test_no_more_is_in_flight_than_the_connection_can_take(waiting: RedisWaitingSet) -> None:
    for number in range(5):
        await park(waiting, f"in_{number}")
    assert await wake(waiting, MINUTE, at_most=2) == ["in_0", "in_1"]
    assert await wake(waiting, MINUTE) == ["in_2"]
    assert await wake(waiting, MINUTE) == []
    await waiting.settle(build_received("in_1"))
    assert await wake(waiting, MINUTE) == ["in_3"]


async def test_a_probe_wakes_one_at_most(waiting: RedisWaitingSet) -> None:
    await park(waiting, "in_1")
    await park(waiting, "in_2")
    assert await wake(waiting, MINUTE, at_most=1) == ["in_1"]


async def test_what_was_woken_and_is_not_heard_of_comes_back(waiting: RedisWaitingSet) -> None:
    await park(waiting, "in_1")
    assert await wake(waiting, SECOND) == ["in_1"]
    assert await wake(waiting, 2 * MINUTE) == []
    assert await wake(waiting, 2 * MINUTE + SECOND) == ["in_1"]


async def test_lost_history_comes_back_as_history(waiting: RedisWaitingSet) -> None:
    await park(waiting, "in_old", cause="backfill")
    assert await wake(waiting, SECOND) == ["in_old"]
    await park(waiting, "in_live", after=3 * MINUTE)
    assert await wake(waiting, 3 * MINUTE) == ["in_live", "in_old"]


async def test_what_has_arrived_does_not_come_back(waiting: RedisWaitingSet, redis: Any) -> None:
    await park(waiting, "in_1")
    await wake(waiting, SECOND)
    await waiting.settle(build_received("in_1"))
    assert await wake(waiting, timedelta(hours=1)) == []
    assert not await redis.exists(waiting_entries_key(CONNECTION), woken_key(CONNECTION))


async def test_settling_leaves_alone_what_was_parked_again(waiting: RedisWaitingSet) -> None:
    await park(waiting, "in_1")
    await wake(waiting, SECOND)
    await park(waiting, "in_1", after=MINUTE)
    await waiting.settle(build_received("in_1"))
    assert await wake(waiting, MINUTE) == ["in_1"]


async def test_settling_leaves_alone_a_newer_message_on_its_way(waiting: RedisWaitingSet) -> None:
    older = await park(waiting, "in_1")
    await wake(waiting, SECOND)
    newer = await park(waiting, "in_1", event_id="evt_2", after=MINUTE)
    await wake(waiting, MINUTE)
    await waiting.settle(older)
    assert len(await wake(waiting, 10 * MINUTE)) == 1
    await waiting.settle(newer)
    assert await wake(waiting, timedelta(hours=1)) == []


async def test_settling_what_never_waited_does_nothing(waiting: RedisWaitingSet) -> None:
    await waiting.settle(build_received("in_1"))
    assert await waiting.count(CONNECTION) == 0


async def test_a_recorded_outcome_takes_it_out(waiting: RedisWaitingSet, redis: Any) -> None:
    message = await park(waiting, "in_1")
    await wake(waiting, SECOND)
    outcome = InvoiceOutcome(outcome="failed", decided_at=START)
    await Ledger(redis).record_outcome(CONNECTION, message.build_wakeup(), outcome)
    assert await wake(waiting, timedelta(hours=1)) == []


async def test_an_object_waits_once_and_keeps_since_when(waiting: RedisWaitingSet) -> None:
    await park(waiting, "in_1")
    (first,) = await waiting.list_entries(CONNECTION)
    await wake(waiting, SECOND)
    await park(waiting, "in_1", after=MINUTE)
    (second,) = await waiting.list_entries(CONNECTION)
    assert second.since == first.since
    assert second.due == START + MINUTE
    assert await waiting.count(CONNECTION) == 1


async def test_rounds_are_counted_in_the_message_that_comes_round(waiting: RedisWaitingSet) -> None:
    await park(waiting, "in_1", counts=True, attempt=2)
    await park(waiting, "in_2", counts=False, attempt=2)
    messages = [entry.build_message(CONNECTION) for entry in await waiting.wake(CONNECTION, START + SECOND)]
    assert [(one.object_id, one.attempt, one.cause) for one in messages] == [("in_1", 3, "retry"), ("in_2", 2, "retry")]


async def test_a_persons_replay_stays_one_whatever_comes_after_it(waiting: RedisWaitingSet) -> None:
    """A webhook in between must not turn a replay with a new draft into an ordinary retry."""
    await park(waiting, "in_1", cause="replay", recreate=True)
    await park(waiting, "in_1")
    (entry,) = await waiting.wake(CONNECTION, START + SECOND)
    message = entry.build_message(CONNECTION)
    assert (message.cause, message.recreate) == ("replay", True)


async def test_a_settings_version_that_a_person_chose_stays_until_a_person_chooses_again(
    waiting: RedisWaitingSet,
) -> None:
    async def park_and_wake(**changes: Any) -> int | None:
        await park(waiting, "in_1", **changes)
        (entry,) = await waiting.wake(CONNECTION, START + SECOND)
        return entry.build_message(CONNECTION).settings_version

    assert await park_and_wake(cause="replay", settings_version=3) == 3
    assert await park_and_wake() == 3
    assert await park_and_wake(cause="replay") is None


async def test_history_does_not_take_the_place_of_something_live(waiting: RedisWaitingSet) -> None:
    await park(waiting, "in_1")
    await park(waiting, "in_1", cause="backfill")
    await park(waiting, "in_old", cause="backfill", after=timedelta(0))
    assert await wake(waiting, SECOND) == ["in_1", "in_old"]


async def test_history_stays_history_in_every_later_round(waiting: RedisWaitingSet) -> None:
    await park(waiting, "in_old", cause="backfill")
    (entry,) = await waiting.wake(CONNECTION, START + SECOND)
    again = entry.build_message(CONNECTION)
    assert (again.cause, again.history) == ("retry", True)

    await park(waiting, "in_old", cause=again.cause, history=again.history)
    await park(waiting, "in_live", after=MINUTE)
    assert await wake(waiting, MINUTE) == ["in_live", "in_old"]


async def test_something_live_takes_the_place_of_history(waiting: RedisWaitingSet) -> None:
    await park(waiting, "in_old", cause="backfill", after=timedelta(0))
    await park(waiting, "in_1", cause="backfill")
    await park(waiting, "in_1")
    assert await wake(waiting, SECOND) == ["in_1", "in_old"]


async def test_make_due_lets_all_be_due_live_still_first(waiting: RedisWaitingSet) -> None:
    await park(waiting, "in_old", cause="backfill", after=timedelta(hours=1))
    await park(waiting, "in_live", after=timedelta(hours=2))
    assert await waiting.make_due(CONNECTION, START) == 2
    assert await wake(waiting, timedelta(0)) == ["in_live", "in_old"]
    assert await waiting.make_due(CONNECTION, START) == 0


async def test_make_due_lets_the_oldest_event_come_first_whenever_it_was_put_there(waiting: RedisWaitingSet) -> None:
    for number in (2, 0, 1):
        await park(waiting, f"in_{number}", after=MINUTE, occurred_at=START - number * MINUTE)
    await waiting.make_due(CONNECTION, START)
    assert await wake(waiting, timedelta(0)) == ["in_2", "in_1", "in_0"]


async def test_make_due_leaves_alone_what_is_on_its_way(waiting: RedisWaitingSet) -> None:
    await park(waiting, "in_1")
    await wake(waiting, SECOND)
    await waiting.make_due(CONNECTION, START + SECOND)
    assert await wake(waiting, SECOND) == []


async def test_connections_wait_apart(waiting: RedisWaitingSet) -> None:
    await park(waiting, "in_1", connection="con_b")
    assert await wake(waiting, MINUTE) == []
    assert await waiting.count("con_b") == 1
    assert await waiting.list_entries(CONNECTION) == []


async def test_a_ledger_that_is_away_is_said_in_our_words(unused_redis: RedisWaitingSet) -> None:
    with pytest.raises(RetrySoon) as caught:
        await park(unused_redis, "in_1")
    assert caught.value.code == "ledger.unavailable"


@pytest.fixture
async def unused_redis() -> AsyncGenerator[RedisWaitingSet]:
    client = build_redis("redis://127.0.0.1:1/0")
    yield RedisWaitingSet(client)
    await client.connection_pool.disconnect()
