"""What a merchant does in the simulated Stripe, and the controls of the simulator."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from connectors.stripe.client import StripeApi
from connectors.stripe.deadlines import Deadlines
from connectors.stripe.transport import StripeHttp

waits: list[float] = []


async def _note_wait(seconds: float) -> None:
    waits.append(seconds)


@asynccontextmanager
async def waiting_shortly() -> AsyncGenerator[StripeHttp]:
    """Run a transport that notes its waits instead of waiting."""
    waits.clear()
    async with StripeHttp(sleep=_note_wait) as http:
        yield http


@dataclass
class SimulatedStripe:
    """One account in test mode."""

    base: str
    admin_url: str
    http: StripeHttp
    admin: httpx.AsyncClient
    account: str = ""
    key: str = field(default_factory=lambda: "sk_test_" + secrets.token_hex(8))
    live_key: str = field(default_factory=lambda: "sk_live_" + secrets.token_hex(8))

    async def open_account(self, **more: str) -> str:
        """Open the account of this test; returns its id."""
        given = {"api_keys": [self.key, self.live_key], **more}
        self.account = (await self.control("POST", "accounts", given))["account"]
        return self.account

    async def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self.admin.request(method, f"{self.admin_url}/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def break_next(self, kind: str, *, method: str | None = None, count: int = 1, **more: Any) -> None:
        rule = {"kind": kind, "count": count, "match": {"method": method, "path_regex": "/v1/"}, **more}
        await self.control("POST", "faults", rule)

    async def post(self, path: str, **form: Any) -> dict[str, Any]:
        """Act as the merchant, by the API."""
        answer = await self.admin.post(
            f"{self.base}/v1/{path}", data=form, headers={"Authorization": f"Bearer {self.key}"}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def delete(self, path: str) -> None:
        answer = await self.admin.delete(f"{self.base}/v1/{path}", headers={"Authorization": f"Bearer {self.key}"})
        assert answer.status_code == 200, answer.text

    async def create_invoice(self, lines: int = 1, *, customer: str | None = None, finalize: bool = True) -> str:
        customer = customer or (await self.post("customers", name="Ada", email="ada@example.com"))["id"]
        invoice = await self.post("invoices", customer=customer, collection_method="send_invoice", days_until_due="14")
        for number in range(lines):
            await self.post(
                "invoiceitems", customer=customer, invoice=invoice["id"], amount=str(100 + number), currency="eur"
            )
        if finalize:
            await self.post(f"invoices/{invoice['id']}/finalize")
        return invoice["id"]

    def build_api(
        self, key: str | None = None, *, account: str | None = None, deadlines: Deadlines | None = None
    ) -> StripeApi:
        return StripeApi(key=key or self.key, api_base=self.base, account=account, http=self.http, deadlines=deadlines)
