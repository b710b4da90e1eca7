"""Many customers of the product on one hub: each with a Stripe account, and a Business Central tenant, app and company.

So each has Business Central's limits for itself, as customers of the product have. All is as in `hub demo` but for the
pace: waits, leases and probes are those of production.
"""

import asyncio
import secrets
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from hub.app import Foundation, build_foundation
from hub.cli.connect import ConnectionRequest, prepare_connection, release_connection, save_connection
from hub.cli.demo.count import Count, count
from hub.cli.demo.scene import Scene, open_scene
from hub.cli.demo.simulators import BC_ACCOUNT, BC_ENVIRONMENT, BC_HOME
from hub.clients import Clients
from hub.config import HubConfig, load_config
from hub.directory import Directory
from schemas.connections import Connection
from schemas.errors import ConfigurationError

# Stripe customers of each tenant: known after the first invoices, as most are in practice.
_CUSTOMERS = 3
_NAMESPACE = uuid.UUID("5d0c1f6e-6a43-4b59-9c43-4e4b4b1f7a10")
_POLL = 0.5


@dataclass(frozen=True)
class Tenant:
    """One customer of the product."""

    account: str
    client_id: str
    company: str
    """The company's id."""
    connection: str


@dataclass(frozen=True)
class Progress:
    """By tenant, in their order: how many invoices are finalized, how many drafts there are. And requests in all."""

    at: float
    made: tuple[int, ...]
    drafts: tuple[int, ...]
    requests: int
    statuses: Mapping[str, int]

    @property
    def backlog(self) -> tuple[int, ...]:
        """How many invoices of each tenant have no draft yet."""
        return tuple(made - drafts for made, drafts in zip(self.made, self.drafts, strict=True))


@dataclass(frozen=True)
class Tenants:
    """All of them, and what the bench asks of the simulators."""

    scene: Scene
    foundation: Foundation
    all: tuple[Tenant, ...]

    async def order(self, numbers: Mapping[Tenant, int], *, per_second: float | None = None) -> None:
        """Let Stripe finalize this many invoices of each tenant, in the background."""
        for tenant, number in numbers.items():
            if number > 0:
                await self._order(tenant, number, per_second)

    async def _order(self, tenant: Tenant, number: int, per_second: float | None) -> None:
        order = {
            "account": tenant.account,
            "invoices": number,
            "customers": _CUSTOMERS,
            "reuse": True,
            "seed": 11,
            "per_second": per_second,
            "country": BC_HOME,
        }
        await self.scene.simulators.call(self.scene.simulators.stripe, "POST", "bulk", order)

    async def look(self) -> Progress:
        """Count on both sides. Business Central is counted last, so a backlog is never counted too large."""
        simulators = self.scene.simulators
        stripe = await simulators.call(simulators.stripe, "GET", "state")
        bc = await simulators.call(simulators.bc, "GET", "state")
        return Progress(
            at=asyncio.get_running_loop().time(),
            made=tuple(stripe["invoices_by_account"][tenant.account]["open"] for tenant in self.all),
            drafts=tuple(bc["drafts_by_company"][tenant.company] for tenant in self.all),
            requests=sum(bc["requests"].values()),
            statuses=bc["statuses"],
        )

    async def wait_for(self, is_reached: Callable[[Progress], bool], *, within: float, what: str) -> Progress:
        """Look again and again until it is so.

        Raises:
            ConfigurationError: it was not so in time.
        """
        try:
            async with asyncio.timeout(within):
                while True:
                    if is_reached(progress := await self.look()):
                        return progress
                    await asyncio.sleep(_POLL)
        except TimeoutError as error:
            raise ConfigurationError(f"not within {within:g} s: {what}", code="benchmark.late") from error

    async def warm_up(self) -> None:
        """Take a few invoices of each through: customers are known, and drafts were proved to be readable."""
        await self.order(dict.fromkeys(self.all, 3 * _CUSTOMERS))
        await self.wait_for(
            lambda seen: min(seen.made) >= 3 * _CUSTOMERS and not any(seen.backlog),
            within=300,
            what="the first invoices of all tenants have drafts",
        )

    async def set_limits(self, *, latency_ms: int) -> None:
        """Let each request to Business Central take this long; all other limits are its own."""
        simulators = self.scene.simulators
        await simulators.call(simulators.bc, "POST", "limits", {"service_ms": latency_ms})

    async def expel(self, tenant: Tenant, *, is_out: bool) -> None:
        """Take the tenant's app off Business Central's list, as its administrator may: 401 from now on. Or back on."""
        simulators = self.scene.simulators
        await simulators.call(simulators.bc, "POST", "app", {"client_id": tenant.client_id, "registered": not is_out})
        if not is_out:
            await release_connection(self.foundation, tenant.connection)

    async def is_blocked(self, tenant: Tenant) -> bool:
        """Whether the hub has noticed that the tenant's connection does not work."""
        return "bc" in (await self.foundation.directory.load(tenant.connection)).blocks

    async def count_when_told(self, *, within: float) -> list[Count]:
        """Compare both sides, tenant by tenant, once all is right and Stripe says so; or as it is when time is up."""
        ends = asyncio.get_running_loop().time() + within
        return [await self._count_when_told(tenant, ends) for tenant in self.all]

    async def _count_when_told(self, tenant: Tenant, ends: float) -> Count:
        simulators, loop = self.scene.simulators, asyncio.get_running_loop()
        while True:
            bc = await simulators.dump_bc(tenant.company)
            counted = count(await simulators.dump_stripe(tenant.account), bc)
            if counted.is_perfect or loop.time() > ends:
                return counted
            await asyncio.sleep(_POLL)

    async def count_waiting(self) -> Counter[str]:
        """Count what waits in the hub, by the code of the reason."""
        waiting = self.foundation.waiting
        return Counter([entry.code for tenant in self.all for entry in await waiting.list_entries(tenant.connection)])


@asynccontextmanager
async def open_tenants(
    directory: Path, environ: Mapping[str, str], number: int, *, doubt_window: timedelta
) -> AsyncGenerator[Tenants]:
    """Build the scene in a directory of its own, and connect the tenants. The scene's own connection stays idle."""
    standard = {name: HubConfig.model_fields[name].default for name in ("lease_seconds", "catch_up_seconds")}
    waits = ",".join(f"{wait.total_seconds():g}" for wait in HubConfig.model_fields["retry_waits"].default)
    pace = {f"HUB_{name.upper()}": f"{value:g}" for name, value in standard.items()} | {"HUB_RETRY_WAITS": waits}
    async with open_scene(directory, {**environ, **pace}) as scene:
        foundation = build_foundation(load_config(dict(scene.environment)), "benchmark")
        try:
            made = [await _connect(scene, foundation, index, doubt_window) for index in range(number)]
            yield Tenants(scene, foundation, tuple(made))
        finally:
            await foundation.clients.close()
            await foundation.redis.aclose()


async def _connect(scene: Scene, foundation: Foundation, index: int, doubt_window: timedelta) -> Tenant:
    """Make a tenant in both simulators, and connect them as `hub connections add` does."""
    simulators = scene.simulators
    tenant, client, company = str(uuid.uuid5(_NAMESPACE, str(index))), f"app-{index}", f"Company {index}"
    key, client_secret, hook = (secrets.token_hex(16) for _ in range(3))
    app = {"tenant": tenant, "client_id": client, "client_secret": client_secret}
    seed = {"apps": [app], "companies": [{"tenant": tenant, "environment": BC_ENVIRONMENT, "name": company}]}
    await simulators.call(simulators.bc, "POST", "seed", seed)
    opened = await simulators.call(simulators.stripe, "POST", "accounts", {"api_keys": [f"sk_test_{key}"]})
    request = ConnectionRequest(
        stripe_account=opened["account"],
        stripe_key=SecretStr(f"sk_test_{key}"),
        webhook_secrets=(SecretStr(f"whsec_{hook}"),),
        bc_tenant=tenant,
        bc_environment=BC_ENVIRONMENT,
        bc_company=company,
        bc_client_id=client,
        bc_client_secret=SecretStr(client_secret),
        settings_changes={
            "doubt_window": doubt_window,
            "invoices": {"lines": {"type": "Account", "number": BC_ACCOUNT}},
        },
    )
    prepared = await prepare_connection(foundation, request, say=_say_nothing, sign_in_by_code=_refuse_sign_in)
    await save_connection(foundation, prepared)
    address = f"http://127.0.0.1:{scene.services.services['ingest'].port}"
    await simulators.register_webhook(
        f"{address}/webhooks/stripe/{opened['account']}", f"whsec_{hook}", f"sk_test_{key}"
    )
    connection = prepared.connection
    return Tenant(opened["account"], client, connection.bc_company_id, connection.id)


def _say_nothing(_sentence: str) -> None:
    """What goes well needs no word here."""


async def _refuse_sign_in(_clients: Clients, _connection: Connection, _directory: Directory) -> None:
    raise ConfigurationError("apps sign in by their secret here", code="benchmark.sign_in")


def show(result: Mapping[str, Any]) -> str:
    """Render a result for people."""
    width = max(len(name) for name in result)
    return "\n".join(f"{name:{width}}  {value}" for name, value in result.items())
