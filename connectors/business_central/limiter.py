"""Keeps all replicas and stages together under Business Central's limits, by a bucket and leases in Redis.

Business Central counts per app or user: 6,000 requests in any 5 minutes, 5 at once. A token bucket refilled at 19 a
second with a burst of 200 lets through at most 200 + 19 x 300 = 5,900 in any 5 minutes, and never makes anyone wait for
minutes as a window that is used up would.
"""

import asyncio
import contextlib
import random
import uuid
from collections.abc import AsyncGenerator, Awaitable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from connectors.business_central import limiter_scripts as scripts
from schemas.errors import HubError, Queued, RetrySoon

_PATIENCE = timedelta(seconds=2)

# How soon one that found no slot asks again, behind what came since.
_BUSY_WAIT = timedelta(seconds=2)


class Slot(Protocol):
    """One of the few places at Business Central, taken. None of its methods raises."""

    @property
    def name(self) -> str:
        """Name the slot for `Limiter.release`."""
        ...

    async def hold(self, duration: timedelta) -> bool:
        """Keep the slot taken after exit, for a write that may still be running. False: too many are kept already."""
        ...

    async def throttled(self, retry_after: timedelta | None) -> None:
        """Tell the limiter of a 429: everyone is silent for a while, and then slower."""
        ...


class Limiter(Protocol):
    """Hands out slots."""

    def slot(self, *, live: bool = True) -> AbstractAsyncContextManager[Slot]:
        """Wait for a slot, and give it back on exit.

        Raises:
            Queued: none came free in time (`bc.limiter.busy`).
            RetrySoon: the limiter itself can't be reached (`ledger.unavailable`).
        """
        ...

    async def release(self, name: str) -> None:
        """Free a slot that was held, before its time. Does nothing if it is free; never raises."""
        ...


@dataclass(frozen=True)
class LimiterPolicy:
    """What Business Central allows, less a margin."""

    requests: int = 5_900
    """In any `window`. Business Central's own number is 6,000, counted by its own clock."""
    window: timedelta = timedelta(minutes=5)
    burst: int = 200
    """Of `requests`, how many may go at once after a pause; the rest is spread evenly."""
    reserve: int = 20
    """History leaves this much of the burst to live traffic."""
    at_once: int = 5
    history_at_once: int = 4
    held_at_most: int = 3
    """Slots kept by writes in doubt. At least two stay, for only looking ends a doubt."""
    lease: timedelta = timedelta(seconds=15)
    """A killed process frees its slots after this; a living one renews them for as long as its requests take."""
    longest_wait: timedelta = timedelta(seconds=20)
    """No record holds its offset for more than 30 s."""
    silence: timedelta = timedelta(seconds=2)
    """After a 429 that names no time; Business Central mostly names none."""
    floor: float = 0.1
    """The pace never falls below this share: two requests a second still show when the trouble is over."""
    recovery: float = 0.02
    """Share of the full pace regained each second: from half to full in 25 s, from the floor in 45."""

    def __post_init__(self) -> None:
        if not 0 < self.history_at_once <= self.at_once or not 0 <= self.held_at_most < self.at_once:
            raise ValueError("history and held slots must leave room within the slots there are")
        if not 0 <= self.reserve < self.burst < self.requests or not 0 < self.floor <= 1 or self.recovery <= 0:
            raise ValueError("reserve, burst and requests must be in this order, pace between 0 and 1")
        if min(self.window, self.lease, self.longest_wait) <= timedelta(0):
            raise ValueError("times must be longer than nothing")

    @property
    def rate(self) -> float:
        """Requests per second in the long run."""
        return (self.requests - self.burst) / self.window.total_seconds()


def build_limiter_key(tenant: str, environment: str, principal: str) -> str:
    """Name what Business Central counts by: principal is the app's client id, or the user.

    The tenant by its GUID where it is known: under a domain, the same app would have a second set of limits.
    """
    return f"hub:bc_limiter:{{{tenant.lower()}/{environment.lower()}/{principal.lower()}}}"


class RedisLimiter:
    """See `Limiter`. One per key and process; all with the same key share the limits.

    In a process, waiters queue in order and only the first of each class asks Redis, so waiting is cheap. Among
    processes, tickets in Redis keep the order. Acquiring takes one round trip when there is room, releasing one.
    """

    def __init__(self, redis: "Redis", key: str, *, policy: LimiterPolicy | None = None) -> None:
        self._policy = policy or LimiterPolicy()
        self._state, self._slots, self._held, self._live, self._history, self._seen = (
            f"{key}:{part}" for part in ("state", "slots", "held", "live", "history", "seen")
        )
        self._acquire_script = redis.register_script(scripts.ACQUIRE)
        self._release_script = redis.register_script(scripts.RELEASE)
        self._renew_script = redis.register_script(scripts.RENEW)
        self._hold_script = redis.register_script(scripts.HOLD)
        self._throttled_script = redis.register_script(scripts.THROTTLED)
        self._queues = {True: asyncio.Lock(), False: asyncio.Lock()}
        self._freed = {True: asyncio.Event(), False: asyncio.Event()}

    @asynccontextmanager
    async def slot(self, *, live: bool = True) -> AsyncGenerator[Slot]:
        """See `Limiter.slot`."""
        slot = RedisSlot(self, await self._acquire(live=live))
        keeper = asyncio.create_task(self._keep(slot))
        try:
            yield slot
        finally:
            keeper.cancel()
            if not slot.is_held:
                await self.release(slot.name)

    async def _keep(self, slot: "RedisSlot") -> None:
        """Renew the slot's lease until it is given back, or kept for a doubt and so past its lease already."""
        pause = self._policy.lease.total_seconds() / 3
        while True:
            await asyncio.sleep(pause)
            if not slot.is_held:
                async with _best_effort():
                    await self._renew_script(keys=[self._slots], args=[slot.name, _to_ms(self._policy.lease)])

    async def release(self, name: str) -> None:
        """See `Limiter.release`. If Redis can't be reached, the lease ends by itself."""
        async with _best_effort():
            keys = [self._slots, self._held, self._live, self._history, self._seen]
            await self._release_script(keys=keys, args=[name])
        for freed in self._freed.values():
            freed.set()

    async def hold(self, name: str, duration: timedelta) -> bool:
        """Keep a slot for a time; see `Slot.hold`. Also false if Redis can't be reached."""
        args = [name, _to_ms(duration), self._policy.held_at_most]
        async with _best_effort():
            return await _to_int(self._hold_script(keys=[self._slots, self._held], args=args)) == 1
        return False

    async def slow_down(self, retry_after: timedelta | None) -> None:
        """Halve the pace, once for the requests in flight together; see `Slot.throttled`."""
        policy = self._policy
        silence = max(policy.silence, retry_after or timedelta(0))
        args = [_to_ms(silence), policy.floor, _to_ms(policy.silence), _to_ms(policy.window), policy.recovery]
        async with _best_effort():
            await self._throttled_script(keys=[self._state], args=args)

    async def _acquire(self, *, live: bool) -> str:
        ticket = uuid.uuid4().hex
        try:
            async with asyncio.timeout(self._policy.longest_wait.total_seconds()), self._queues[live]:
                await self._wait(ticket, live=live)
        except BaseException as error:
            # The slot may have been given at the last moment; and the place in the queue must not block the others.
            await self.release(ticket)
            translated = _translate(error)
            if translated is None:
                raise
            raise translated from error
        return ticket

    async def _wait(self, ticket: str, *, live: bool) -> None:
        freed = self._freed[live]
        while True:
            freed.clear()
            wait_ms = await _to_int(self._acquire_script(keys=self._keys, args=self._build_args(ticket, live=live)))
            if wait_ms == 0:
                return
            # Jitter keeps replicas from asking in step. A slot freed in this process rings before the time is up.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_ms / 1000 * random.uniform(0.8, 1.2)):
                    await freed.wait()

    @property
    def _keys(self) -> list[str]:
        return [self._state, self._slots, self._held, self._live, self._history, self._seen]

    def _build_args(self, ticket: str, *, live: bool) -> list[str | int | float]:
        policy = self._policy
        return [
            ticket,
            int(live),
            policy.at_once,
            policy.history_at_once,
            policy.burst,
            policy.rate,
            policy.reserve,
            _to_ms(policy.lease),
            _to_ms(policy.window),
            policy.recovery,
        ]


class RedisSlot:
    """See `Slot`."""

    def __init__(self, limiter: RedisLimiter, name: str) -> None:
        self._limiter = limiter
        self._name = name
        self.is_held = False

    @property
    def name(self) -> str:
        """See `Slot.name`."""
        return self._name

    async def hold(self, duration: timedelta) -> bool:
        """See `Slot.hold`."""
        self.is_held = await self._limiter.hold(self._name, duration)
        return self.is_held

    async def throttled(self, retry_after: timedelta | None) -> None:
        """See `Slot.throttled`."""
        await self._limiter.slow_down(retry_after)


class Unlimited:
    """A limiter that lets everything through, for tests and one-off calls."""

    @asynccontextmanager
    async def slot(self, *, live: bool = True) -> AsyncGenerator[Slot]:  # noqa: ARG002 - the port's
        """See `Limiter.slot`; never waits."""
        yield _UnlimitedSlot()

    async def release(self, name: str) -> None:
        """See `Limiter.release`; there is nothing to free."""


class _UnlimitedSlot:
    name = ""

    async def hold(self, duration: timedelta) -> bool:  # noqa: ARG002 - the port's
        return False

    async def throttled(self, retry_after: timedelta | None) -> None:
        """Nothing to slow down."""


@asynccontextmanager
async def _best_effort() -> AsyncGenerator[None]:
    """For what comes after an exchange: its answer matters more, and must not wait for a Redis that hangs."""
    with contextlib.suppress(RedisError, OSError):
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            yield


def _to_ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)


async def _to_int(answer: Awaitable[Any]) -> int:
    return int(cast("int", await answer))


def _translate(error: BaseException) -> HubError | None:
    if isinstance(error, (RedisError, ConnectionError)):
        return RetrySoon(
            "The hub's own store (Redis) can't be reached at the moment.",
            code="ledger.unavailable",
            context={"error": type(error).__name__},
        )
    if isinstance(error, TimeoutError):
        return Queued(
            "Many requests are waiting for Business Central; this one comes round again.",
            code="bc.limiter.busy",
            retry_after=_BUSY_WAIT,
        )
    return None
