"""Limits per user: a sliding window of requests, a few running at once, a short queue (BC facts §12)."""

import asyncio
from collections import deque
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from simulators.business_central.clock import Clock, Ids
from simulators.business_central.errors import ApiError


@dataclass(slots=True)
class Limits:
    """The numbers; `retry_after` goes with a share of the 429s, 0 by default: Microsoft promises none."""

    requests: int = 6000
    window_seconds: float = 300.0
    concurrent: int = 5
    queue: int = 95
    queue_timeout_seconds: float = 480.0
    retry_after: float = 10.0
    retry_after_share: float = 0.0
    queue_timeout_retry_after: float = 30.0
    service_ms: float = 0.0

    def change(self, given: dict[str, Any]) -> None:
        """Take over the members given; raises ValueError for unknown ones."""
        known = {entry.name: type(getattr(self, entry.name)) for entry in fields(self)}
        unknown = set(given) - set(known)
        if unknown:
            raise ValueError(f"unknown limits: {sorted(unknown)}; known: {sorted(known)}")
        for name, value in given.items():
            setattr(self, name, known[name](value))

    def shown(self) -> dict[str, Any]:
        """Render for the admin answers."""
        return asdict(self)


@dataclass(slots=True)
class _User:
    started: deque[float] = field(default_factory=deque[float])
    running: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque["asyncio.Future[None]"])


@dataclass(slots=True)
class ThrottleTally:
    """What a checker wants to know afterwards."""

    throttled: int = 0
    queue_timeouts: int = 0
    queued_peak: int = 0
    max_concurrency: int = 0


class Throttle:
    """Lets requests of each user through, makes them wait, or refuses them."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self.limits = Limits()
        self.tally = ThrottleTally()
        self._clock = clock
        self._ids = ids
        self._users: dict[str, _User] = {}

    async def enter(self, key: str) -> None:
        """Take a slot, waiting in the queue if need be; raises ApiError 429 or 503. Every entry needs one `leave`."""
        user = self._users.setdefault(key, _User())
        self._count(user)
        if user.running < self.limits.concurrent:
            user.running += 1
        else:
            await self._wait(user)
        self.tally.max_concurrency = max(self.tally.max_concurrency, user.running)

    def leave(self, key: str) -> None:
        """Give the slot to the next in the queue, or back."""
        user = self._users[key]
        while user.waiting:
            future = user.waiting.popleft()
            if not future.done():
                future.set_result(None)
                return
        user.running -= 1

    def _count(self, user: _User) -> None:
        now = self._clock.now()
        horizon = now - self.limits.window_seconds
        while user.started and user.started[0] <= horizon:
            user.started.popleft()
        if len(user.started) >= self.limits.requests:
            raise self._refusal("Too many requests reached. Actual ({}). Maximum ({}).", len(user.started))
        user.started.append(now)

    async def _wait(self, user: _User) -> None:
        if len(user.waiting) >= self.limits.queue:
            raise self._refusal("Too many requests in the queue. Actual ({}). Maximum ({}).", len(user.waiting))
        future = asyncio.get_running_loop().create_future()
        user.waiting.append(future)
        self.tally.queued_peak = max(self.tally.queued_peak, len(user.waiting))
        try:
            async with asyncio.timeout(self.limits.queue_timeout_seconds):
                await future
        except TimeoutError:
            user.waiting.remove(future)
            self.tally.queue_timeouts += 1
            headers = {"Retry-After": f"{self.limits.queue_timeout_retry_after:g}"}
            text = "The request was queued for too long and has been cancelled."
            raise ApiError(503, "Internal_ServerError", text, headers) from None

    def _refusal(self, text: str, actual: int) -> ApiError:
        self.tally.throttled += 1
        headers: dict[str, str] = {}
        if self._ids.rng.random() < self.limits.retry_after_share:
            headers["Retry-After"] = f"{self.limits.retry_after:g}"
        limit = self.limits.requests if "queue" not in text else self.limits.queue
        return ApiError(429, "Application_TooManyRequests", text.format(actual, limit), headers)
