"""All replicas together stay under Business Central's limits, whatever dies, waits or goes wrong."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from connectors.business_central.limiter import LimiterPolicy, RedisLimiter, Slot, Unlimited, build_limiter_key
from hub.redis import build_redis
from schemas.errors import RetryLater, RetrySoon
from tests.brokers import RedisServer

KEY = build_limiter_key("Tenant", "Sandbox", "App")
# Room for everything but slots, and short times.
ROOMY = LimiterPolicy(
    requests=100_000, burst=50_000, reserve=0, longest_wait=timedelta(seconds=10), silence=timedelta(milliseconds=50)
)
HASTY = replace(ROOMY, longest_wait=timedelta(milliseconds=60))


@pytest_asyncio.fixture
async def redis(redis_url: str) -> AsyncGenerator["Redis"]:
    async with build_redis(redis_url) as client:
        yield client


@dataclass
class CountingBusinessCentral:
    """Counts what runs at once, and when each request came."""

    running: int = 0
    most: int = 0
    came: list[float] = field(default_factory=list[float])

    async def serve(self, seconds: float) -> None:
        self.came.append(time.monotonic())
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(seconds)
        self.running -= 1

    def most_within(self, seconds: float) -> int:
        return max(sum(start <= other < start + seconds for other in self.came) for start in self.came)


async def take(stack: AsyncExitStack, limiter: RedisLimiter, count: int, *, live: bool = True) -> list[Slot]:
    return [await stack.enter_async_context(limiter.slot(live=live)) for _ in range(count)]


async def has_room(redis: "Redis", *, live: bool = True) -> bool:
    """Tell whether another replica gets a slot at once."""
    try:
        async with RedisLimiter(redis, KEY, policy=HASTY).slot(live=live):
            return True
    except RetryLater:
        return False


async def test_several_replicas_never_run_more_than_five_at_once(redis_url: str) -> None:
    central = CountingBusinessCentral()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(build_redis(redis_url)) for _ in range(4)]
        limiters = [RedisLimiter(client, KEY, policy=ROOMY) for client in clients]

        async def call(index: int) -> None:
            async with limiters[index % 4].slot(live=index % 3 == 0):
                await central.serve(0.005)

        await asyncio.gather(*(call(index) for index in range(120)))
    assert len(central.came) == 120
    assert central.most == 5


async def test_several_replicas_never_exceed_the_window_together(redis_url: str) -> None:
    policy = replace(ROOMY, requests=40, burst=20, window=timedelta(seconds=1))
    central = CountingBusinessCentral()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(build_redis(redis_url)) for _ in range(3)]
        limiters = [RedisLimiter(client, KEY, policy=policy) for client in clients]

        async def call(index: int) -> None:
            async with limiters[index % 3].slot():
                await central.serve(0)

        await asyncio.gather(*(call(index) for index in range(60)))
    assert central.most_within(1.0) <= 40
    assert 1.5 < central.came[-1] - central.came[0] < 4


async def test_history_leaves_a_slot_to_live_traffic(redis: "Redis") -> None:
    limiter = RedisLimiter(redis, KEY, policy=HASTY)
    async with AsyncExitStack() as stack:
        await take(stack, limiter, 4, live=False)
        assert not await has_room(redis, live=False)
        await take(stack, limiter, 1)
        assert not await has_room(redis)


async def test_history_leaves_part_of_the_burst_to_live_traffic(redis: "Redis") -> None:
    slow = replace(HASTY, requests=6, burst=5, reserve=3)
    limiter = RedisLimiter(redis, KEY, policy=slow)
    for _ in range(2):
        async with limiter.slot(live=False):
            pass
    with pytest.raises(RetryLater):
        async with limiter.slot(live=False):
            pass
    for _ in range(3):
        async with limiter.slot():
            pass


async def test_live_traffic_that_waits_goes_before_history(redis: "Redis") -> None:
    replicas = [RedisLimiter(redis, KEY, policy=ROOMY) for _ in range(3)]
    order: list[str] = []

    async def call(limiter: RedisLimiter, name: str, *, live: bool) -> None:
        async with limiter.slot(live=live):
            order.append(name)

    async with AsyncExitStack() as stack:
        await take(stack, replicas[0], 5)
        history = asyncio.create_task(call(replicas[1], "history", live=False))
        await until(lambda: has_ticket(redis, "history"))
        live = asyncio.create_task(call(replicas[2], "live", live=True))
        await until(lambda: has_ticket(redis, "live"))
    await asyncio.gather(history, live)
    assert order == ["live", "history"]


async def has_ticket(redis: "Redis", queue: str) -> bool:
    return bool(await redis.zcard(f"{KEY}:{queue}"))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110 - another process's state rings no bell
            await asyncio.sleep(0.005)


async def test_waiters_of_one_process_are_served_in_order(redis: "Redis") -> None:
    limiter = RedisLimiter(redis, KEY, policy=ROOMY)
    order: list[int] = []

    async def call(index: int) -> None:
        async with limiter.slot():
            order.append(index)

    async with AsyncExitStack() as stack:
        await take(stack, limiter, 5)
        tasks = [asyncio.create_task(call(index)) for index in range(10)]
        await until(lambda: has_ticket(redis, "live"))
    await asyncio.gather(*tasks)
    assert order == list(range(10))


async def test_waiting_asks_redis_seldom(redis: "Redis") -> None:
    limiter = RedisLimiter(redis, KEY, policy=ROOMY)
    async with AsyncExitStack() as stack:
        await take(stack, limiter, 5)
        tasks = [asyncio.create_task(enter_and_leave(limiter)) for _ in range(50)]
        await until(lambda: has_ticket(redis, "live"))
        before = await count_scripts(redis)
        await asyncio.sleep(0.3)
        asked = await count_scripts(redis) - before
    await asyncio.gather(*tasks)
    assert asked <= 20


async def enter_and_leave(limiter: RedisLimiter, *, live: bool = True) -> None:
    async with limiter.slot(live=live):
        pass


async def test_a_busy_limiter_says_so_after_a_bounded_wait(redis: "Redis") -> None:
    limiter = RedisLimiter(redis, KEY, policy=HASTY)
    async with AsyncExitStack() as stack:
        await take(stack, limiter, 5)
        with pytest.raises(RetryLater) as caught:
            await enter_and_leave(limiter)
        assert caught.value.code == "bc.limiter.busy"
        assert not await has_ticket(redis, "live")


async def test_a_waiter_that_is_cancelled_leaves_no_place_behind(redis: "Redis") -> None:
    limiter = RedisLimiter(redis, KEY, policy=ROOMY)
    async with AsyncExitStack() as stack:
        await take(stack, limiter, 5)
        task = asyncio.create_task(enter_and_leave(limiter))
        await until(lambda: has_ticket(redis, "live"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not await has_ticket(redis, "live")
    assert await has_room(redis)


async def test_a_slot_is_given_back_after_an_error(redis: "Redis") -> None:
    limiter = RedisLimiter(redis, KEY, policy=HASTY)
    for _ in range(6):
        with pytest.raises(KeyError):
            async with limiter.slot():
                raise KeyError
    assert await redis.zcard(f"{KEY}:slots") == 0


async def test_a_killed_process_frees_its_slots_when_their_lease_ends(redis: "Redis") -> None:
    dying = RedisLimiter(redis, KEY, policy=replace(ROOMY, lease=timedelta(seconds=1)))
    for _ in range(5):
        await dying._acquire(live=True)  # never given back, and nobody left to renew them
    assert not await has_room(redis)
    await enter_and_leave(RedisLimiter(redis, KEY, policy=ROOMY))


async def test_a_living_process_keeps_its_slots_longer_than_a_lease(redis: "Redis") -> None:
    living = RedisLimiter(redis, KEY, policy=replace(ROOMY, lease=timedelta(milliseconds=600)))
    async with AsyncExitStack() as stack:
        await take(stack, living, 5)
        first_end = max(float(score) for _, score in await redis.zrange(f"{KEY}:slots", 0, -1, withscores=True))
        async with asyncio.timeout(10):
            while (
                min(float(score) for _, score in await redis.zrange(f"{KEY}:slots", 0, -1, withscores=True))
                <= first_end
            ):
                pass  # each look is a request of its own
        assert await redis.zcard(f"{KEY}:slots") == 5
    assert await redis.zcard(f"{KEY}:slots") == 0


async def test_a_killed_waiter_does_not_block_the_queue_for_ever(redis: "Redis") -> None:
    now = int((await redis.time())[0]) * 1000
    await redis.zadd(f"{KEY}:live", {"dead": now - 60_000})
    await redis.zadd(f"{KEY}:seen", {"dead": now - 6_000})
    await enter_and_leave(RedisLimiter(redis, KEY, policy=HASTY), live=False)


async def test_a_write_in_doubt_keeps_its_slot_but_never_more_than_three(redis: "Redis") -> None:
    limiter = RedisLimiter(redis, KEY, policy=HASTY)
    held: list[bool] = []
    names: list[str] = []
    for _ in range(4):
        async with limiter.slot() as slot:
            held.append(await slot.hold(timedelta(minutes=20)))
            names.append(slot.name)
    assert held == [True, True, True, False]

    async with AsyncExitStack() as stack:
        await take(stack, limiter, 2)
        assert not await has_room(redis)
        await limiter.release(names[0])
        assert await has_room(redis)


async def test_a_held_slot_comes_free_when_the_doubt_window_ends(redis: "Redis") -> None:
    limiter = RedisLimiter(redis, KEY, policy=ROOMY)
    for _ in range(3):
        async with limiter.slot() as slot:
            await slot.hold(timedelta(milliseconds=100))
    async with AsyncExitStack() as stack:
        await take(stack, limiter, 2)
        await enter_and_leave(limiter)


async def test_holding_twice_counts_once(redis: "Redis") -> None:
    limiter = RedisLimiter(redis, KEY, policy=ROOMY)
    async with limiter.slot() as slot:
        assert await slot.hold(timedelta(minutes=1))
        assert await slot.hold(timedelta(minutes=20))
    assert await redis.zcard(f"{KEY}:held") == 1


async def test_a_429_silences_everyone_and_halves_the_pace_once_for_all_in_flight(redis: "Redis") -> None:
    limiter = RedisLimiter(redis, KEY, policy=ROOMY)
    other = RedisLimiter(redis, KEY, policy=ROOMY)
    async with AsyncExitStack() as stack:
        for slot in await take(stack, limiter, 3):
            await slot.throttled(timedelta(milliseconds=200))
    began = time.monotonic()
    await enter_and_leave(other)
    assert time.monotonic() - began >= 0.15
    state = await redis.hgetall(f"{KEY}:state")
    assert 0.5 <= float(state["pace"]) < 0.55


async def test_the_pace_recovers_by_itself(redis: "Redis") -> None:
    quick = replace(ROOMY, recovery=10.0, silence=timedelta(milliseconds=1))
    limiter = RedisLimiter(redis, KEY, policy=quick)
    async with limiter.slot() as slot:
        await slot.throttled(None)
    await asyncio.sleep(0.06)
    await enter_and_leave(limiter)
    assert float((await redis.hgetall(f"{KEY}:state"))["pace"]) == 1


async def test_the_pace_never_falls_below_its_floor(redis: "Redis") -> None:
    policy = replace(ROOMY, silence=timedelta(milliseconds=1), floor=0.3)
    limiter = RedisLimiter(redis, KEY, policy=policy)
    async with limiter.slot() as slot:
        for _ in range(4):
            await slot.throttled(None)
            await asyncio.sleep(0.002)
    assert float((await redis.hgetall(f"{KEY}:state"))["pace"]) >= 0.3


async def test_acquiring_and_releasing_take_one_round_trip_each(redis: "Redis") -> None:
    limiter = RedisLimiter(redis, KEY, policy=ROOMY)
    await enter_and_leave(limiter)
    before = await count_scripts(redis)
    await enter_and_leave(limiter)
    assert await count_scripts(redis) - before == 2


async def count_scripts(redis: "Redis") -> int:
    return int((await redis.info("commandstats"))["cmdstat_evalsha"]["calls"])


async def test_nothing_is_left_in_redis_for_ever(redis: "Redis") -> None:
    limiter = RedisLimiter(redis, KEY, policy=ROOMY)
    async with limiter.slot() as slot:
        await slot.throttled(None)
        await slot.hold(timedelta(minutes=20))
    keys = await redis.keys("*")
    assert keys
    assert all([await redis.pttl(key) > 0 for key in keys])


async def test_different_apps_do_not_share_limits(redis: "Redis") -> None:
    async with AsyncExitStack() as stack:
        await take(stack, RedisLimiter(redis, KEY, policy=HASTY), 5)
        await enter_and_leave(RedisLimiter(redis, build_limiter_key("tenant", "sandbox", "other"), policy=HASTY))
    assert build_limiter_key("TENANT", "sandbox", "APP") == KEY


async def test_without_redis_nothing_is_sent_and_it_is_tried_again_soon() -> None:
    gone = build_redis("redis://127.0.0.1:1/0")
    limiter = RedisLimiter(gone, KEY, policy=ROOMY)
    with pytest.raises(RetrySoon) as caught:
        await enter_and_leave(limiter)
    assert caught.value.code == "ledger.unavailable"
    await limiter.release("x")
    assert not await limiter.hold("x", timedelta(minutes=1))
    await limiter.slow_down(None)
    await gone.aclose()


async def test_losing_redis_on_the_way_does_not_hide_the_answer(redis: "Redis", redis_server: RedisServer) -> None:
    limiter = RedisLimiter(redis, KEY, policy=ROOMY)
    async with limiter.slot() as slot:
        await asyncio.to_thread(redis_server.kill)
        assert not await slot.hold(timedelta(minutes=20))
        await slot.throttled(None)


async def test_without_limits_everything_passes() -> None:
    limiter = Unlimited()
    async with limiter.slot(live=False) as slot:
        assert not await slot.hold(timedelta(minutes=1))
        await slot.throttled(None)
    await limiter.release(slot.name)


@pytest.mark.parametrize(
    "build",
    [
        lambda: LimiterPolicy(history_at_once=6),
        lambda: LimiterPolicy(held_at_most=5),
        lambda: LimiterPolicy(reserve=200),
        lambda: LimiterPolicy(burst=6_000),
        lambda: LimiterPolicy(floor=0),
        lambda: LimiterPolicy(lease=timedelta(0)),
    ],
)
def test_a_policy_checks_itself(build: Callable[[], LimiterPolicy]) -> None:
    with pytest.raises(ValueError, match="must"):
        build()


def test_the_standard_policy_stays_below_six_thousand_in_any_five_minutes() -> None:
    policy = LimiterPolicy()
    assert policy.burst + policy.rate * policy.window.total_seconds() <= 5_900
    assert policy.rate == 19
