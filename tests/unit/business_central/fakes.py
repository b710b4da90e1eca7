"""A Business Central on httpx.MockTransport, tokens, slots and stores that do as they are told."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from connectors.business_central.channel import OnAnswer, ignore_answer
from connectors.business_central.client import BusinessCentralClient
from connectors.business_central.deadlines import Deadlines
from connectors.business_central.limiter import Limiter, Slot
from connectors.business_central.sign_in import TokenSource

API_BASE = "https://bc.example/v2.0"
COMPANY = "c2a9b7f0-51de-ee11-a1f9-6045bd8e1a10"
ROOT = f"{API_BASE}/tenant/sandbox/api/v2.0"
INVOICE_ID = "b41f77d3-82df-ee11-a1f9-6045bd8e1a10"
CUSTOMER_ID = "7d0e1f52-63de-ee11-a1f9-6045bd8e1a10"
CORRELATION = "0f2b7c1d-8a4e-4b5a-9c39-3f6f0d5b2e77"

Answering = Callable[[httpx.Request], httpx.Response]


class FakeTokens:
    """Counts, and hands out token-1, token-2, …: a new one after each invalidation."""

    def __init__(self) -> None:
        self.generation = 1

    async def get_token(self) -> str:
        return f"token-{self.generation}"

    async def invalidate(self, refused: str) -> None:
        assert refused == f"token-{self.generation}"
        self.generation += 1


@dataclass
class FakeSlot:
    name: str = "slot-1"
    can_hold: bool = True
    holds: list[timedelta] = field(default_factory=list[timedelta])
    throttles: list[timedelta | None] = field(default_factory=list["timedelta | None"])

    async def hold(self, duration: timedelta) -> bool:
        self.holds.append(duration)
        return self.can_hold

    async def throttled(self, retry_after: timedelta | None) -> None:
        self.throttles.append(retry_after)


class FakeLimiter:
    """One slot for all; remembers who asked as what, and what was released."""

    def __init__(self) -> None:
        self.the_slot = FakeSlot()
        self.asked: list[bool] = []
        self.released: list[str] = []

    @asynccontextmanager
    async def slot(self, *, live: bool = True) -> AsyncGenerator[Slot]:
        self.asked.append(live)
        yield self.the_slot

    async def release(self, name: str) -> None:
        self.released.append(name)


class FakeBusinessCentral:
    """Answers with what the test says, in order or by a function, and keeps the requests."""

    def __init__(self, *answers: httpx.Response | Exception, by: Answering | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = list(answers)
        self._by = by

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self._by is not None:
            return self._by(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]


async def send_nothing_first() -> None:
    """The plainest before_send."""


def build_client(
    fake: Callable[[httpx.Request], Any],
    *,
    company_id: str | None = COMPANY,
    tokens: TokenSource | None = None,
    limiter: Limiter | None = None,
    deadlines: Deadlines | None = None,
    on_answer: OnAnswer = ignore_answer,
) -> BusinessCentralClient:
    return BusinessCentralClient(
        http=httpx.AsyncClient(transport=httpx.MockTransport(fake)),
        api_base=API_BASE,
        tenant="tenant",
        environment="sandbox",
        company_id=company_id,
        tokens=tokens or FakeTokens(),
        limiter=limiter,
        deadlines=deadlines,
        on_answer=on_answer,
    )


def build_error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> httpx.Response:
    text = f"{message}  CorrelationId:  {CORRELATION}."
    return httpx.Response(status, json={"error": {"code": code, "message": text}}, headers=headers)


def build_page(*rows: dict[str, Any], link: str | None = None) -> httpx.Response:
    return httpx.Response(200, json={"value": list(rows)} | ({"@odata.nextLink": link} if link else {}))


def build_customer(**changes: Any) -> dict[str, Any]:
    return {
        "@odata.etag": 'W/"1"',
        "id": CUSTOMER_ID,
        "number": "C00120",
        "displayName": "Fjordlys Kontor AS",
        "email": "faktura@fjordlys.example",
        "currencyCode": "USD",
        "blocked": "_x0020_",
    } | changes


def build_invoice(**changes: Any) -> dict[str, Any]:
    return {
        "@odata.etag": 'W/"1"',
        "id": INVOICE_ID,
        "number": "S-INV102031",
        "externalDocumentNumber": "WEB-20931",
        "customerId": CUSTOMER_ID,
        "customerNumber": "C00120",
        "currencyCode": "EUR",
        "status": "Draft",
        "totalAmountExcludingTax": 360,
        "totalTaxAmount": 90,
        "totalAmountIncludingTax": 450,
        "promisedPayDate": "0001-01-01",
        "lastModifiedDateTime": "2026-03-02T09:15:04.213Z",
    } | changes


def get_body(request: httpx.Request) -> dict[str, Any]:
    return json.loads(request.content)
