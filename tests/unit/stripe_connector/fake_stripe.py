"""A few lines of Stripe: scripted answers, in order, and what was asked. Waits are written down, not waited."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.test_utils import TestServer

from connectors.stripe.client import StripeApi
from connectors.stripe.deadlines import Deadlines
from connectors.stripe.transport import StripeHttp, TransportLimits

KEY = "sk_test_fake"
RECORDED = Path(__file__).parents[2] / "recorded" / "stripe"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def load_sample(number: str) -> dict[str, Any]:
    """Load the recorded event whose file name starts with this number."""
    return json.loads(next(RECORDED.glob(f"{number}_*.*_*.json")).read_bytes())


@dataclass(frozen=True)
class Reply:
    """One scripted answer."""

    body: object = field(default_factory=dict[str, Any])
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    async def __call__(self, _request: web.Request) -> web.Response:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return web.Response(body=body, status=self.status, headers={"Request-Id": "req_fake", **self.headers})


def fail(status: int, code: str | None = None, *, headers: Mapping[str, str] | None = None, **error: str) -> Reply:
    """Build an error as Stripe words it."""
    kind = "api_error" if status >= 500 else "invalid_request_error"
    body = {"type": kind, "message": "Something is wrong.", **({"code": code} if code else {}), **error}
    return Reply({"error": body}, status, headers or {})


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: list[tuple[str, str]]
    form: list[tuple[str, str]]
    headers: Mapping[str, str]


@dataclass
class FakeStripe:
    """Answers with the scripted replies, the last one for ever."""

    script: list[Handler] = field(default_factory=list[Handler])
    asked: list[Asked] = field(default_factory=list[Asked])
    base: str = ""
    slept: list[float] = field(default_factory=list[float])
    answered: list[str] = field(default_factory=list[str])
    """Successes, as the client tells of them."""

    def answer(self, *replies: Handler) -> Self:
        self.script = list(replies)
        return self

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = parse_qsl((await request.text()), keep_blank_values=True)
        self.asked.append(Asked(request.method, request.path, list(request.query.items()), form, request.headers))
        return await (self.script.pop(0) if len(self.script) > 1 else self.script[0])(request)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def build_api(
        self, http: StripeHttp, *, deadlines: Deadlines | None = None, account: str | None = None, key: str = KEY
    ) -> StripeApi:
        return StripeApi(
            key=key,
            api_base=self.base,
            account=account,
            http=http,
            deadlines=deadlines,
            on_answer=lambda: self.answered.append("stripe"),
        )


def build_app(fake: FakeStripe) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.handle)
    return app


@asynccontextmanager
async def running_fake() -> AsyncGenerator[FakeStripe]:
    fake = FakeStripe()
    async with TestServer(build_app(fake), host="127.0.0.1") as server:
        fake.base = str(server.make_url("/")).rstrip("/")
        yield fake


def build_http(fake: FakeStripe, limits: TransportLimits | None = None) -> StripeHttp:
    return StripeHttp(sleep=fake.sleep, limits=limits)
