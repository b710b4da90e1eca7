"""The world of one run: Apache Kafka, Redis, both simulators, two replicas of each service, a door on every line."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from benchmarks.chaos.cuts import Door, open_doors
from benchmarks.chaos.fleet import Replica, Site, build_replica, plan_doors
from benchmarks.chaos.schedule import (
    DOUBT_SECONDS,
    LEASE_SECONDS,
    LONGEST_OPERATION,
    SERVICES,
    SESSION_SECONDS,
    Plan,
    list_replicas,
    name_extra,
)
from hub.broker import apply_topics
from hub.cli.demo.scene import add_connection, name_simulators
from hub.cli.demo.simulators import BC_COMPANY, BC_HOME, Simulators, run_simulators
from hub.embedded import HOST, find_free_port
from simulators.business_central.default_seed import COMPANY_ID
from tests.brokers import Server, run_kafka_from_jars, run_redis

_READY_WITHIN = 90.0
_STOP_WITHIN = timedelta(seconds=15)
_PACE = {
    "HUB_RETRY_WAITS": ",".join(["0.5", "1", "2", "4", *["5"] * 100]),
    "HUB_CATCH_UP_SECONDS": "3",
    "HUB_LEASE_SECONDS": str(LEASE_SECONDS),
    "HUB_KAFKA_SESSION_SECONDS": str(SESSION_SECONDS),
    "HUB_LOG_FORMAT": "json",
    "HUB_LOG_LEVEL": "debug",
    "HUB_HTTP_HOST": HOST,
}


@dataclass(frozen=True)
class Account:
    """One Stripe account of the run, connected with the one company."""

    id: str
    key: str
    connection: str


@dataclass
class World:
    """Everything that runs."""

    directory: Path
    simulators: Simulators
    kafka: Server
    redis_server: Server
    redis: Any
    """A client of the bench's own, past all doors; it answers in bytes."""
    bootstrap: str
    environment: Mapping[str, str]
    accounts: tuple[Account, ...]
    replicas: dict[str, Replica]
    front: Door
    crashes: Counter[str] = field(default_factory=Counter[str])
    """Replicas that ended by themselves, with nobody's help."""
    illnesses: list[str] = field(default_factory=list[str])
    """What replicas said that had to be restarted because they were not healthy any more."""

    def list_of(self, service: str) -> list[Replica]:
        """List a service's replicas, those that do not run too."""
        return [one for one in self.replicas.values() if one.service == service]

    def find_door(self, line: str) -> Door:
        """Find the door of a line named `replica>far end`, or `stripe>ingest`."""
        near, _, far = line.partition(">")
        return self.front if near == "stripe" else self.replicas[near].doors[far]

    def list_doors(self) -> list[Door]:
        """List all doors."""
        return [self.front, *(door for one in self.replicas.values() for door in one.doors.values())]

    async def keep_up(self) -> None:
        """Start what ought to run and does not, for ever, as an orchestrator does."""
        while True:
            for replica in self.replicas.values():
                if replica.is_wanted and not replica.child.alive and time.monotonic() >= replica.not_before:
                    if not replica.expected_end:
                        self.crashes[replica.name] += 1
                    replica.expected_end = False
                    await asyncio.to_thread(replica.child.spawn)
            await asyncio.sleep(0.1)

    async def keep_healthy(self) -> None:
        """Restart what says that it is not healthy, for ever, as an orchestrator does by its liveness probe."""
        async with httpx.AsyncClient(timeout=5) as http:
            while True:
                for replica in self.replicas.values():
                    if (problem := await replica.find_illness(http)) is not None:
                        self.illnesses.append(f"{replica.name}: {problem}")
                        replica.expected_end = True
                        await asyncio.to_thread(replica.child.kill)
                await asyncio.sleep(1.0)

    async def wait_until_ready(self, within: float = _READY_WITHIN) -> None:
        """Return once every replica that ought to run says it is ready."""
        async with httpx.AsyncClient(timeout=5) as http, asyncio.timeout(within):
            for replica in self.replicas.values():
                # Another process's state rings no bell.
                while replica.is_wanted and not await replica.is_ready(http):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """Let all replicas drain at the same time."""
        for replica in self.replicas.values():
            replica.is_wanted = False
        stops = (asyncio.to_thread(one.child.stop, _STOP_WITHIN) for one in self.replicas.values())
        await asyncio.gather(*stops)


@asynccontextmanager
async def open_world(
    directory: Path, plan: Plan, *, service_words: tuple[str, ...] = (), environ: Mapping[str, str] | None = None
) -> AsyncGenerator[World]:
    """Build the world in a directory of its own, and tear it down.

    Args:
        directory: Where logs, data and certificates go.
        plan: Who has a wrong clock.
        service_words: Passed to every service, see service.py.
        environ: Changes to the services' environment.
    """
    names = [*list_replicas(), *(name_extra(service) for service in SERVICES)]
    ports = {name: find_free_port() for name in names}
    front = Door("stripe>ingest", [ports[name] for name in names if name.startswith("ingest-")])
    async with AsyncExitStack() as stack:
        doors, entrances = plan_doors(names)
        (directory / "kafka").mkdir(parents=True)
        kafka = stack.enter_context(run_kafka_from_jars(directory / "kafka", entrances))
        redis_server = stack.enter_context(run_redis(directory))
        words = ("--long-operation-seconds", str(LONGEST_OPERATION))
        hooks = ("--webhook-retry-base-ms", "300", "--webhook-max-attempts", "4", "--webhook-timeout-ms", "3000")
        simulators = await stack.enter_async_context(
            run_simulators(directory, bc_arguments=words, stripe_arguments=hooks)
        )
        if plan.as_shipped:
            await _put_shipped_company(simulators, plan.seed)
        outside = {
            **_PACE,
            **name_simulators(simulators),
            "HUB_SECRET_KEYS": secrets.token_urlsafe(32),
            "HUB_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "HUB_REDIS_URL": f"{redis_server.url}/0",
            "HUB_DATA_DIR": str(directory),
            **(environ or {}),
        }
        site = Site(outside, directory / "logs", service_words)
        replicas = {
            name: build_replica(name, ports[name], doors[name], site, plan.skews.get(name, 0.0)) for name in names
        }
        await stack.enter_async_context(open_doors([front, *(one for its in doors.values() for one in its.values())]))
        await apply_topics(kafka.bootstrap)
        accounts = await _connect_accounts(simulators, outside, front)
        # Restarts break its connections.
        again = Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), 5, supported_errors=(RedisConnectionError,))
        client = Redis.from_url(f"{redis_server.url}/0", socket_timeout=5, retry=again)
        stack.push_async_callback(client.aclose)
        world = World(
            directory, simulators, kafka, redis_server, client, kafka.bootstrap, outside, accounts, replicas, front
        )
        stack.push_async_callback(world.stop)
        for name in list_replicas():
            replicas[name].is_wanted = True
            replicas[name].expected_end = True
        keepers = [asyncio.create_task(world.keep_up()), asyncio.create_task(world.keep_healthy())]
        for keeper in keepers:
            stack.callback(keeper.cancel)
        await world.wait_until_ready()
        yield world


async def _put_shipped_company(simulators: Simulators, seed: int) -> None:
    """Put a company as Microsoft ships it in the place of the built-in one, and read what is open the other way."""
    company = {"name": BC_COMPANY, "id": COMPANY_ID, "as_shipped": BC_HOME, "replace": True}
    await simulators.call(simulators.bc, "POST", "seed", {"companies": [company]})
    answers = {"totals": "header", "order": ("body", "page")[seed % 2]}
    await simulators.call(simulators.bc, "POST", "answers", answers)


async def _connect_accounts(simulators: Simulators, environment: Mapping[str, str], front: Door) -> tuple[Account, ...]:
    """Connect two Stripe accounts with one company: their customers are the same people."""
    second = f"sk_test_{secrets.token_hex(8)}"
    opened = await simulators.call(simulators.stripe, "POST", "accounts", {"api_keys": [second]})
    accounts: list[Account] = []
    for account, key in ((simulators.stripe["account"], simulators.stripe["api_key"]), (opened["account"], second)):
        secret = f"whsec_{secrets.token_hex(16)}"
        told = await asyncio.to_thread(add_connection, account, key, secret, environment, doubt_seconds=DOUBT_SECONDS)
        accounts.append(Account(account, key, told["connection"]))
        await simulators.register_webhook(f"http://{HOST}:{front.port}/webhooks/stripe/{account}", secret, key)
    return tuple(accounts)


async def make_invoices(world: World, plan: Plan) -> list[str]:
    """Let the Stripe simulator make the invoices of both accounts in the background; returns the jobs.

    The same seed makes the same customers in both accounts, so each is to be created once for two who ask.
    """
    jobs: list[str] = []
    share = plan.invoices // len(world.accounts)
    for account in world.accounts:
        order = {
            "account": account.id,
            "invoices": share,
            "customers": max(1, share // 3),
            "seed": plan.seed,
            "per_second": plan.per_second / len(world.accounts),
            "mode": "finalize",
            "country": BC_HOME,
            "wait": False,
        }
        jobs.append(str((await world.simulators.call(world.simulators.stripe, "POST", "bulk", order))["job"]))
    return jobs
