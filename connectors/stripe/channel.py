"""One account's way to Stripe: key, version, total deadline, and the retries that stripe-python leaves out.

stripe-python (16.1.0) repeats after connection errors, 409 and 5xx, keeping the idempotency key, but a 429 only where
Stripe says so in a header, and it ignores Retry-After. Here a 429 is repeated in place if the wait is short.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import stripe
from pydantic import ValidationError

from connectors.stripe.deadlines import Deadlines
from connectors.stripe.errors import Call, classify_failure, find_retry_after, is_advised
from connectors.stripe.transport import StripeHttp

API_VERSION = "2026-10-28.endive"
"""Pinned: the shape of `schemas.stripe_objects`. An endpoint's version is set apart, when it is registered."""

_RATE_LIMIT_TRIES = 3
_FIRST_PAUSE_S = 0.5
_SDK_RETRIES = 2


OnAnswer = Callable[[], None]
"""Called at each success: Stripe can be reached, and takes the key."""


def ignore_answer() -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class Answer:
    """A successful answer, as it came. `data` is its JSON."""

    data: object
    request_id: str | None


@dataclass(frozen=True)
class Exchange:
    """One or more requests under one deadline. `params` go into the query of a get, and the form of a post."""

    _client: stripe.StripeClient
    _http: StripeHttp
    _deadlines: Deadlines
    _timer: asyncio.Timeout
    _on_answer: OnAnswer

    async def get(self, path: str, **params: Any) -> Answer:
        """Send a get."""
        return await self._send("get", path, params)

    async def post(self, path: str, *, idempotency_key: str, **params: Any) -> Answer:
        """Send a post; all tries have the same idempotency key."""
        return await self._send("post", path, {**params, "idempotency_key": idempotency_key})

    async def _send(self, method: str, path: str, params: dict[str, Any]) -> Answer:
        tries = 1
        while True:
            try:
                response = await self._client.raw_request_async(method, path, **params)
            except stripe.RateLimitError as failure:
                wait = self._choose_wait(failure, tries)
                if wait is None:
                    raise
                await self._http.sleep_async(wait)
                tries += 1
            else:
                self._on_answer()
                return Answer(response.data, response.request_id)

    def _choose_wait(self, failure: stripe.RateLimitError, tries: int) -> float | None:
        """Seconds to wait before another try; None if there should be none, or no time is left for it."""
        asked = find_retry_after(failure)
        if tries >= _RATE_LIMIT_TRIES or is_advised(failure) or (asked and asked > self._deadlines.patience):
            return None
        pause = _FIRST_PAUSE_S * 2 ** (tries - 1) * random.uniform(0.5, 1.0)
        wait = max(pause, asked.total_seconds() if asked else 0.0)
        ends = self._timer.when()
        is_late = ends is not None and asyncio.get_running_loop().time() + wait >= ends
        return None if is_late else wait


class Channel:
    """The way to one account. Holds no connection of its own: those are the transport's."""

    def __init__(
        self,
        *,
        key: str,
        api_base: str | None,
        account: str | None,
        http: StripeHttp,
        deadlines: Deadlines,
        on_answer: OnAnswer,
    ) -> None:
        self._on_answer = on_answer
        self._http = http
        self._deadlines = deadlines
        self._client = stripe.StripeClient(
            key,
            stripe_account=account,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base.rstrip("/")} if api_base else {},
            max_network_retries=_SDK_RETRIES,
            http_client=http,
        )

    @asynccontextmanager
    async def exchange(self, call: Call) -> AsyncGenerator[Exchange]:
        """Give the requests and the reading of their answers one deadline, and translate what goes wrong.

        Raises:
            HubError: of the kind that says what to do.
        """
        limit = self._deadlines.read if call.method == "GET" else self._deadlines.write
        try:
            async with asyncio.timeout(limit.total_seconds()) as timer:
                yield Exchange(self._client, self._http, self._deadlines, timer, self._on_answer)
        except (stripe.StripeError, ValidationError, TimeoutError) as failure:
            raise classify_failure(call, failure) from failure
