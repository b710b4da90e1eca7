"""One exchange with Business Central: slot, token, request, answer. All calls of the client go through here."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import quote

import httpx

from connectors.bounded import ACCEPTED_ENCODING, read_bounded
from connectors.business_central.deadlines import Deadlines
from connectors.business_central.errors import Call, RawAnswer, classify_failure, parse_retry_after
from connectors.business_central.exact_json import build_json
from connectors.business_central.limiter import Limiter, Slot, Unlimited
from connectors.business_central.sign_in import TokenSource
from schemas.errors import HubError, InDoubt

BeforeSend = Callable[[], Awaitable[None]]
"""Awaited when slot and token are held, right before the request goes out: renew the lease, record the intent."""

OnAnswer = Callable[[], None]
"""Called at each success: Business Central can be reached, and takes the token."""


def ignore_answer() -> None:
    """Nobody wants to know."""


_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": ACCEPTED_ENCODING,
    # Error texts come in this language, and the table of refusals matches on them.
    "Accept-Language": "en-US",
    "User-Agent": "stripe-bc-hub",
}


@dataclass(frozen=True)
class Request:
    """What goes out. `url` is absolute; `body` may hold Decimals."""

    call: Call
    url: str
    headers: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Channel:
    """The way to one environment: where it is, who signs in, who limits, how long an exchange may take."""

    http: httpx.AsyncClient
    api_base: str
    tenant: str
    environment: str
    tokens: TokenSource
    limiter: Limiter | None
    deadlines: Deadlines
    on_answer: OnAnswer = ignore_answer

    @property
    def root(self) -> str:
        """Return the address that all paths of the environment start with."""
        base = self.api_base.rstrip("/")
        return f"{base}/{quote(self.tenant, safe='')}/{quote(self.environment, safe='')}/api/v2.0"

    @asynccontextmanager
    async def turn(self, *, live: bool) -> AsyncGenerator["Turn"]:
        """Wait for a slot, then for a token, so that nothing stands between the caller and its request.

        Raises:
            RetryLater, RetrySoon, Blocked: no slot or no token; nothing was sent.
        """
        slots: AbstractAsyncContextManager[Slot] = (self.limiter or Unlimited()).slot(live=live)
        async with slots as slot:
            yield Turn(self, slot, await self.tokens.get_token())

    async def send(self, request: Request, *, live: bool, before_send: BeforeSend | None = None) -> RawAnswer:
        """Take a turn and send one request; see `Turn.send`."""
        async with self.turn(live=live) as turn:
            return await turn.send(request, before_send=before_send)


class Turn:
    """A slot and a token in hand, for one exchange."""

    def __init__(self, channel: Channel, slot: Slot, token: str) -> None:
        self._channel = channel
        self._slot = slot
        self._token = token

    async def send(self, request: Request, *, before_send: BeforeSend | None = None) -> RawAnswer:
        """Send the request and return the answer, which is a success.

        A token that is refused is renewed once. A write in doubt, or cancelled on its way, keeps the slot for the doubt
        window: Business Central may still be at it. The error's context then names the slot (`limiter_slot`).

        Raises:
            HubError: what went wrong, translated.
        """
        content = None if request.body is None else build_json(request.body).encode()
        answer = await self._exchange(request, content, before_send)
        if answer.status == 401:  # noqa: PLR2004
            await self._channel.tokens.invalidate(self._token)
            self._token = await self._channel.tokens.get_token()
            answer = await self._exchange(request, content, before_send)
        if not 200 <= answer.status < 300:  # noqa: PLR2004
            raise await self.fail(request.call, answer)
        self._channel.on_answer()
        return answer

    async def fail(self, call: Call, failure: RawAnswer | BaseException) -> HubError:
        """Translate a failure for raising, and let the slot know of it."""
        error = classify_failure(call, failure)
        if isinstance(failure, RawAnswer) and failure.status == 429:  # noqa: PLR2004
            await self._slot.throttled(parse_retry_after(failure.headers))
        if isinstance(error, InDoubt) and await self._slot.hold(self._channel.deadlines.doubt):
            error.context = {**error.context, "limiter_slot": self._slot.name}
        return error

    async def _exchange(self, request: Request, content: bytes | None, before_send: BeforeSend | None) -> RawAnswer:
        if before_send is not None:
            await before_send()
        deadlines = self._channel.deadlines
        deadline = deadlines.write if request.call.writes else deadlines.read
        try:
            async with asyncio.timeout(deadline.total_seconds()):
                return await self._post(request, content)
        except asyncio.CancelledError:
            if request.call.writes:
                await self._slot.hold(deadlines.doubt)
            raise
        except Exception as failure:  # whatever it is: a write that went out may not look like a mere defect
            raise await self.fail(request.call, failure) from failure

    async def _post(self, request: Request, content: bytes | None) -> RawAnswer:
        headers = {**_HEADERS, **(request.headers or {}), "Authorization": f"Bearer {self._token}"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        http = self._channel.http
        async with http.stream(request.call.method, request.url, headers=headers, content=content) as response:
            lowered = {name.lower(): text for name, text in response.headers.items()}
            # Past httpx, which would unpack a chunk to whatever it makes.
            body = await read_bounded(
                cast("httpx.AsyncByteStream", response.stream),
                encoding=lowered.get("content-encoding", ""),
                is_success=response.is_success,
            )
        return RawAnswer(response.status_code, lowered, body)


def follow(request: Request, url: str) -> Request:
    """Build the request for the next page: same headers, the server's own link."""
    return replace(request, url=url)
