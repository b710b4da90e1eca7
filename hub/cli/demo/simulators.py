"""The two simulators as child processes, and what is asked of them."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import httpx

from hub.child_process import ChildProcess, wait_until_ready

# The built-in company of the Business Central simulator, and its app registration.
BC_TENANT = "6f1c2c1e-93a4-4f0a-8d55-1b5a7c0f9e21"
BC_ENVIRONMENT = "sandbox"
BC_COMPANY = "CRONUS International Ltd."
BC_CLIENT_ID = "demo-client"
BC_CLIENT_SECRET = "demo-secret"  # noqa: S105 - the simulator's, opens nothing
BC_ACCOUNT = "6110"
BC_HOME = "DE"
_START_WITHIN = timedelta(seconds=20)


@dataclass(frozen=True)
class Simulators:
    """Both simulators, running."""

    stripe: Mapping[str, str]
    bc: Mapping[str, str]
    http: httpx.AsyncClient

    async def call(self, system: Mapping[str, str], method: str, path: str, body: Any = None) -> Any:
        """Use a simulator's own controls."""
        answer = await self.http.request(method, f"{system['admin']}/{path}", json=body)
        answer.raise_for_status()
        return json.loads(answer.text, parse_float=Decimal) if answer.content else None

    async def dump_stripe(self, account: str | None = None) -> list[dict[str, Any]]:
        """Return all invoices of an account of the Stripe simulator: of its first one unless named."""
        wanted = account or self.stripe["account"]
        dump = await self.call(self.stripe, "GET", f"dump/{wanted}")
        return cast("list[dict[str, Any]]", dump["accounts"][wanted]["invoices"])

    async def dump_bc(self, company: str = BC_COMPANY) -> dict[str, list[dict[str, Any]]]:
        """Return customers and sales invoices of a company, by name or id, of the Business Central simulator."""
        return cast("dict[str, list[dict[str, Any]]]", await self.call(self.bc, "GET", f"dump/{company}"))

    async def register_webhook(self, url: str, secret: str, key: str) -> None:
        """Let the Stripe simulator deliver all events of the key's account to an address."""
        answer = await self.http.post(
            f"{self.stripe['api_base']}/v1/webhook_endpoints",
            data={"url": url, "secret": secret, "enabled_events[0]": "*", "api_version": "2026-10-28.endive"},
            headers={"Authorization": f"Bearer {key}"},
        )
        answer.raise_for_status()


@asynccontextmanager
async def run_simulators(
    directory: Path, *, bc_arguments: Sequence[str] = (), stripe_arguments: Sequence[str] = ()
) -> AsyncGenerator[Simulators]:
    """Start both simulators; their logs are kept in the directory."""
    cert_dir = directory / "certificates"
    cert_dir.mkdir(parents=True, exist_ok=True)
    bc_words = ("--port", "0", "--auth-port", "0", "--cert-dir", str(cert_dir), *bc_arguments)
    bc = _Simulator("business_central", bc_words, directory)
    stripe = _Simulator("stripe", ("--port", "0", *stripe_arguments), directory)
    try:
        ready_bc, ready_stripe = await asyncio.gather(bc.start(), stripe.start())
        async with httpx.AsyncClient(timeout=60) as http:
            yield Simulators(stripe=ready_stripe, bc=ready_bc, http=http)
    finally:
        await asyncio.gather(asyncio.to_thread(bc.child.stop), asyncio.to_thread(stripe.child.stop))


class _Simulator:
    def __init__(self, name: str, words: Sequence[str], directory: Path) -> None:
        self.ready = directory / f"{name}.json"
        command = (sys.executable, "-m", f"simulators.{name}", *words, "--ready-file", str(self.ready))
        self.child = ChildProcess(f"simulated {name}", command, directory / f"{name}.log")

    async def start(self) -> dict[str, str]:
        """Start it and return what it says about itself."""
        self.ready.unlink(missing_ok=True)
        self.child.spawn()

        async def is_ready() -> bool:
            return self.ready.is_file()

        await wait_until_ready(self.child, is_ready, _START_WITHIN)
        return cast("dict[str, str]", json.loads(self.ready.read_text()))
