"""The scene of the demonstration: broker, ledger, simulators, four services and one connection, all for one run."""

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hub.broker import apply_topics
from hub.cli.context import Exit
from hub.cli.demo.faults import build_bc_faults, build_stripe_faults, build_webhook_faults
from hub.cli.demo.simulators import (
    BC_ACCOUNT,
    BC_CLIENT_ID,
    BC_CLIENT_SECRET,
    BC_COMPANY,
    BC_ENVIRONMENT,
    BC_HOME,
    BC_TENANT,
    Simulators,
    run_simulators,
)
from hub.cli.processes import ServiceProcesses
from hub.cli.run import SERVICES
from hub.cli.up import open_parts
from schemas.errors import ConfigurationError

# Minutes in production, seconds here: the simulator's longest operation takes 1.5 s.
DOUBT_SECONDS = 6
_PACE = {
    "HUB_RETRY_WAITS": ",".join(["0.5", "1", "2", "4", *["5"] * 60]),
    "HUB_CATCH_UP_SECONDS": "3",
    "HUB_LEASE_SECONDS": "12",
    "HUB_LOG_FORMAT": "json",
}


# What of a shell's HUB_ names a demo may follow: where files go, and what logs look like.
_HARMLESS = frozenset({"HUB_DATA_DIR", "HUB_LOG_FORMAT", "HUB_LOG_LEVEL"})


def leave_out_hub(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Take a real hub's addresses and keys out of an environment; returns what is left, and the names taken out."""
    ignored = sorted(name for name in environ if name.startswith("HUB_") and name not in _HARMLESS)
    return {name: value for name, value in environ.items() if name not in ignored}, ignored


@dataclass(frozen=True)
class Company:
    """The Business Central company that the demonstration connects, by its name in the simulator."""

    name: str = BC_COMPANY
    line_account: str = BC_ACCOUNT
    seed: Mapping[str, Any] | None = None
    """How the simulator makes it; None: it is built in."""
    settings: Mapping[str, Any] | None = None
    """As `hub settings import` takes them; None: as the connection begins."""


@dataclass(frozen=True)
class Scene:
    """Everything that runs."""

    simulators: Simulators
    services: ServiceProcesses
    environment: Mapping[str, str]
    company: Company = Company()

    async def make_invoices(
        self, number: int, *, seed: int, per_second: float | None, customers: int | None = None
    ) -> str:
        """Let the Stripe simulator make and finalize invoices in the background; returns the job."""
        order = {
            "invoices": number,
            "customers": customers or max(1, number // 10),
            "seed": seed,
            "per_second": per_second,
            "mode": "finalize",
            # The simulated company charges VAT at home alone: elsewhere in the EU it is reverse charge.
            "country": BC_HOME,
            "wait": False,
        }
        return str((await self.simulators.call(self.simulators.stripe, "POST", "bulk", order))["job"])

    async def is_made(self, job: str) -> bool:
        """Tell whether all invoices of a job are finalized."""
        return bool((await self.simulators.call(self.simulators.stripe, "GET", f"bulk/{job}"))["finished"])

    async def lift_bc_limits(self) -> None:
        """Let the simulator take any number of requests: for measuring the hub alone."""
        limits = {"requests": 1_000_000_000, "concurrent": 1000, "queue": 10_000}
        await self.simulators.call(self.simulators.bc, "POST", "limits", limits)

    async def begin_faults(self, seed: int) -> None:
        """Turn the seeded faults on."""
        simulators = self.simulators
        for system, rules in ((simulators.bc, build_bc_faults()), (simulators.stripe, build_stripe_faults())):
            await simulators.call(system, "POST", "seed_rng", {"seed": seed})
            for rule in rules:
                await simulators.call(system, "POST", "faults", rule)
        await simulators.call(simulators.stripe, "POST", "webhook_faults", build_webhook_faults())

    async def read_answers(self, **switches: str) -> None:
        """Let Business Central answer in one of the ways that its documentation leaves open."""
        await self.simulators.call(self.simulators.bc, "POST", "answers", switches)

    async def dump_bc(self) -> dict[str, list[dict[str, Any]]]:
        """Return customers and sales invoices of the company."""
        return await self.simulators.dump_bc(self.company.name)

    async def post_all(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Post drafts, as a bookkeeper does."""
        for one in documents:
            order = {"company": self.company.name, "id": one["id"], "action": "post"}
            await self.simulators.call(self.simulators.bc, "POST", "document", order)

    async def reconcile(self) -> dict[str, str]:
        """Compare both sides as `hub reconcile` does; returns what it says, by Stripe invoice."""
        words = ("reconcile", "--from", "2000-01-01", "--json")
        allowed = frozenset({int(Exit.OK), int(Exit.PROBLEM)})
        printed = await asyncio.to_thread(_run_hub, words, self.environment, allowed=allowed)
        found = json.loads(printed.splitlines()[-1])["found"]
        return {one["invoice_id"]: f"{one['finding']}: {one['words']}" for one in found}

    async def restart(self, service: str) -> None:
        """Kill a service as a crash would, and start it again."""
        process = self.services.services[service]
        await asyncio.to_thread(process.child.kill)
        process.child.spawn()


@asynccontextmanager
async def open_scene(
    directory: Path, environ: Mapping[str, str], company: Company | None = None
) -> AsyncGenerator[Scene]:
    """Build the scene in a directory of its own. Kafka and Redis are embedded unless the environment names them."""
    books = company or Company()
    given = {name: value for name, value in environ.items() if name != "HUB_SECRET_KEYS"}
    async with run_simulators(directory) as simulators, open_parts(directory, given, quiet=True) as parts:
        environment = {**_PACE, **parts, **name_simulators(simulators)}
        await apply_topics(environment["HUB_KAFKA_BOOTSTRAP"])
        webhook_secret = f"whsec_{secrets.token_hex(16)}"
        account, key = simulators.stripe["account"], simulators.stripe["api_key"]
        if books.seed is not None:
            made = {"companies": [{"name": books.name, **books.seed}]}
            await simulators.call(simulators.bc, "POST", "seed", made)
        await asyncio.to_thread(add_connection, account, key, webhook_secret, environment, company=books)
        if books.settings is not None:
            await asyncio.to_thread(_import_settings, books.settings, directory, environment)
        services = ServiceProcesses(environment, directory / "logs")
        services.start(SERVICES)
        try:
            await services.wait_until_ready()
            address = f"http://127.0.0.1:{services.services['ingest'].port}"
            await simulators.register_webhook(f"{address}/webhooks/stripe/{account}", webhook_secret, key)
            yield Scene(simulators, services, environment, books)
        finally:
            await services.stop()


def name_simulators(simulators: Simulators) -> dict[str, str]:
    """Return the part of the environment that leads to the simulators."""
    return {
        "HUB_STRIPE_API_BASE": simulators.stripe["api_base"],
        "HUB_BC_API_BASE": simulators.bc["api_base"],
        "HUB_ENTRA_AUTHORITY": simulators.bc["authority"],
        "HUB_CA_BUNDLE": simulators.bc["ca_bundle"],
    }


def add_connection(
    account: str,
    key: str,
    webhook_secret: str,
    environment: Mapping[str, str],
    *,
    doubt_seconds: int = DOUBT_SECONDS,
    company: Company | None = None,
) -> dict[str, Any]:
    """Connect a Stripe account with the simulated company, by the same command that a user types. Blocks."""
    books = company or Company()
    words = (
        *("connections", "add"),
        *("--stripe-account", account, "--stripe-key", key, "--webhook-secret", webhook_secret),
        *("--bc-tenant", BC_TENANT),
        *("--bc-environment", BC_ENVIRONMENT, "--bc-company", books.name),
        *("--bc-client-id", BC_CLIENT_ID, "--bc-client-secret", BC_CLIENT_SECRET),
        *("--line-account", books.line_account, "--doubt-window", str(doubt_seconds), "--json"),
    )
    return dict(json.loads(_run_hub(words, environment).splitlines()[-1]))


def _import_settings(settings: Mapping[str, Any], directory: Path, environment: Mapping[str, str]) -> None:
    given = directory / "settings.yaml"
    given.write_text(yaml.safe_dump(dict(settings)))
    _run_hub(("settings", "import", str(given), "--yes"), environment)


def _run_hub(words: Sequence[str], environment: Mapping[str, str], *, allowed: frozenset[int] = frozenset({0})) -> str:
    """Run a command as a user does, and return what it prints. Blocks."""
    done = subprocess.run(  # noqa: S603 - the command is ours
        (sys.executable, "-m", "hub", *words),
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode not in allowed:
        raise ConfigurationError(f"hub {' '.join(words[:2])} failed: {done.stderr.strip()}", code="demo.command")
    return done.stdout
