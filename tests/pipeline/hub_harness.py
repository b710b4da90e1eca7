"""The whole hub as it runs, four processes on a broker and a Redis of its own, between the two simulators."""

import asyncio
import hashlib
import hmac
import json
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic import SecretStr

from hub.app import Foundation, build_foundation
from hub.broker import apply_topics
from hub.cli.processes import ServiceProcesses
from hub.cli.up import EMBEDDED_BROKER_ENVIRONMENT
from hub.config import load_config
from hub.directory import Snapshot
from schemas.connections import Connection, ConnectionSecrets
from schemas.contract import Contract
from schemas.settings import Settings
from schemas.topics import PARTITIONS, Topic
from tests.brokers import Broker, run_embedded_broker, run_kafka, run_redis
from tests.builders import SETTINGS

T = TypeVar("T")
M = TypeVar("M", bound=Contract)

SERVICES = ("ingest", "contacts", "invoices", "metadata_writer")
TENANT = "6f1c2c1e-93a4-4f0a-8d55-1b5a7c0f9e21"
COMPANY = "CRONUS International Ltd."
# Two cores may be shared with others; what is waited for takes about a second on an idle machine.
PATIENCE = 40.0
_PACE = {
    "HUB_RETRY_WAITS": ",".join(["0.3", "0.5", *["1"] * 60]),
    "HUB_CATCH_UP_SECONDS": "2",
    "HUB_LEASE_SECONDS": "20",
    "HUB_KAFKA_SESSION_SECONDS": "3",
    "HUB_LOG_FORMAT": "json",
    "HUB_SECRET_KEYS": "a key for the pipeline tests",
}


def run_in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run async work from a synchronous fixture, whether or not a loop runs."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(lambda: asyncio.run(work)).result()


@dataclass(frozen=True)
class Simulators:
    """What the simulators say about themselves."""

    stripe: Mapping[str, str]
    bc: Mapping[str, str]


@contextmanager
def run_simulators(directory: Path) -> Generator[Simulators]:
    bc_words = ("--auth-port", "0", "--cert-dir", str(directory))
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(
                    (sys.executable, "-m", f"simulators.{name}", "--port", "0", *words),
                    stdout=subprocess.PIPE,
                    stderr=stack.enter_context((directory / f"{name}.log").open("w")),
                    text=True,
                )
            )
            for name, words in (("stripe", ()), ("business_central", bc_words))
        ]
        for process in started:
            stack.callback(process.terminate)
        stripe, bc = (json.loads(process.stdout.readline()) for process in started if process.stdout)
        yield Simulators(stripe, bc)


@dataclass
class Hub:
    """A running hub."""

    broker: Broker
    simulators: Simulators
    environment: Mapping[str, str]
    services: ServiceProcesses

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.services.services['ingest'].port}"


@contextmanager
def run_hub(name: Literal["embedded", "kafka"], simulators: Simulators, directory: Path) -> Generator[Hub]:
    """Run the hub on a broker of its own: other tests disturb theirs."""
    with ExitStack() as stack:
        run_broker = run_embedded_broker if name == "embedded" else run_kafka
        broker = stack.enter_context(run_broker(directory))
        redis = stack.enter_context(run_redis(directory))
        environment = {
            **_PACE,
            **(EMBEDDED_BROKER_ENVIRONMENT if name == "embedded" else {}),
            "HUB_KAFKA_BOOTSTRAP": broker.bootstrap,
            "HUB_REDIS_URL": redis.flush(0),
            "HUB_STRIPE_API_BASE": simulators.stripe["api_base"],
            "HUB_BC_API_BASE": simulators.bc["api_base"],
            "HUB_ENTRA_AUTHORITY": simulators.bc["authority"],
            "HUB_CA_BUNDLE": simulators.bc["ca_bundle"],
            "HUB_DATA_DIR": str(directory),
        }
        run_in_thread(apply_topics(broker.bootstrap))
        services = ServiceProcesses(environment, directory / "logs")
        services.start(SERVICES)
        stack.callback(lambda: run_in_thread(services.stop()))
        run_in_thread(services.wait_until_ready())
        yield Hub(broker, simulators, environment, services)


@dataclass
class Shop:
    """A merchant of one test: a Stripe account of its own, joined with the simulated company."""

    hub: Hub
    foundation: Foundation
    http: httpx.AsyncClient
    account: str
    key: str
    webhook_secret: str
    connection: Connection
    _begun: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def webhook_url(self) -> str:
        return f"{self.hub.address}/webhooks/stripe/{self.account}"

    async def stripe(self, method: str, path: str, **form: Any) -> dict[str, Any]:
        """Do something as the merchant, by Stripe's API."""
        answer = await self.http.request(
            method,
            f"{self.hub.simulators.stripe['api_base']}/v1/{path}",
            data=form or None,
            headers={"Authorization": f"Bearer {self.key}"},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def control(self, system: Literal["stripe", "bc"], method: str, path: str, **given: Any) -> Any:
        """Use a simulator's controls."""
        admin = getattr(self.hub.simulators, system)["admin"]
        answer = await self.http.request(method, f"{admin}/{path}", json=given)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def register_webhook(self) -> None:
        await self.stripe(
            "POST",
            "webhook_endpoints",
            **{
                "url": self.webhook_url,
                "secret": self.webhook_secret,
                "enabled_events[0]": "*",
                "api_version": "2026-10-28.endive",
            },
        )

    async def add_customer(self, **form: Any) -> str:
        mark = secrets.token_hex(4)
        values = {"name": f"Shop {mark} Inc.", "email": f"{mark}@shop.example", "address[country]": "US"}
        return (await self.stripe("POST", "customers", **(values | form)))["id"]

    async def make_invoice(self, customer: str, *, amount: int = 12_345, **form: Any) -> dict[str, Any]:
        """Make and finalize an invoice of one line."""
        terms = {"customer": customer, "collection_method": "send_invoice", "days_until_due": 14, "currency": "eur"}
        draft = await self.stripe("POST", "invoices", **(terms | form))
        line = {"customer": customer, "invoice": draft["id"], "amount": amount, "currency": "eur"}
        await self.stripe("POST", "invoiceitems", **line, description="Consulting")
        return await self.stripe("POST", f"invoices/{draft['id']}/finalize")

    async def fetch_metadata(self, invoice: Mapping[str, Any]) -> dict[str, str]:
        return (await self.stripe("GET", f"invoices/{invoice['id']}"))["metadata"]

    async def wait_for_status(self, invoice: Mapping[str, Any], status: str) -> dict[str, str]:
        """Wait until Stripe's metadata of the invoice say so, and return them."""

        async def is_told() -> bool:
            return (await self.fetch_metadata(invoice)).get("bc_status") == status

        await wait_for(is_told, f"{invoice['id']} to be {status}")
        return await self.fetch_metadata(invoice)

    async def find_drafts(self, invoice: Mapping[str, Any]) -> list[dict[str, Any]]:
        dump = await self.control("bc", "GET", f"dump/{COMPANY}")
        return [one for one in dump["salesInvoices"] if one["externalDocumentNumber"] == invoice["number"]]

    async def find_customers(self, email: str) -> list[dict[str, Any]]:
        dump = await self.control("bc", "GET", f"dump/{COMPANY}")
        return [one for one in dump["customers"] if one["email"] == email]

    async def count_bc_requests(self) -> int:
        return sum((await self.control("bc", "GET", "state"))["requests"].values())

    async def count_stripe_writes(self) -> int:
        return (await self.control("stripe", "GET", "state"))["metadata_writes"]

    async def find_events(self, invoice: Mapping[str, Any], type_: str) -> list[str]:
        found = await self.stripe("GET", f"events?type={type_}&limit=100")
        return [one["id"] for one in found["data"] if one["data"]["object"]["id"] == invoice["id"]]

    async def post_webhook(self, body: bytes, **headers: str) -> httpx.Response:
        return await self.http.post(self.webhook_url, content=body, headers=headers)

    def sign(self, body: bytes, *, secret: str | None = None, age: timedelta = timedelta(0)) -> dict[str, str]:
        stamp = int(time.time() - age.total_seconds())
        key = (secret or self.webhook_secret).encode()
        digest = hmac.digest(key, b"%d.%b" % (stamp, body), hashlib.sha256).hex()
        return {"Stripe-Signature": f"t={stamp},v1={digest}"}

    async def change_connection(self, settings: Settings = SETTINGS, **changes: Any) -> None:
        """Write the connection anew, as `hub connections add` does."""
        self.connection = self.connection.model_copy(update=changes)
        await self.foundation.directory.add(self.connection, self._build_secrets(), settings)

    def _build_secrets(self) -> ConnectionSecrets:
        return ConnectionSecrets(
            stripe_key=SecretStr(self.key),
            webhook_secrets=(SecretStr(self.webhook_secret),),
            bc_client_secret=SecretStr("demo-secret"),
        )

    async def read(self, topic: Topic, message: type[M], enough: Callable[[list[M]], bool]) -> list[M]:
        """Return this shop's messages on a topic, in order, as soon as they are enough."""
        found: list[M] = []
        async with self._consume(topic) as consumer, asyncio.timeout(PATIENCE):
            while not enough(found):
                record = await consumer.getone()
                if (record.key or b"").startswith(self.connection.id.encode()):
                    found.append(message.model_validate_json(record.value or b""))
        return found

    @asynccontextmanager
    async def _consume(self, topic: Topic) -> AsyncGenerator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.hub.broker.bootstrap, auto_offset_reset="earliest")
        async with consumer:
            partitions = [TopicPartition(topic.name, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            yield consumer

    async def produce(
        self, topic: Topic, value: bytes | None, *, key: bytes | None, headers: list[tuple[str, bytes]] | None = None
    ) -> None:
        """Put a record on a topic, whatever it is."""
        async with AIOKafkaProducer(bootstrap_servers=self.hub.broker.bootstrap) as producer:
            await producer.send_and_wait(topic.name, value, key=key, headers=headers)


async def wait_for(condition: Callable[[], Awaitable[bool]], what: str, within: float = PATIENCE) -> None:
    """Return once the condition holds; another process's state rings no bell, so it is asked."""
    deadline = time.monotonic() + within
    while not await condition():
        assert time.monotonic() < deadline, f"waited {within:g} s for {what}"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def open_shop(hub: Hub, settings: Settings = SETTINGS, **connection: Any) -> AsyncGenerator[Shop]:
    """Open a Stripe account and join it with the company."""
    mark = secrets.token_hex(4)
    key, secret = f"sk_test_{mark}", f"whsec_{mark}"
    foundation = build_foundation(load_config(dict(hub.environment)), "tests")
    admin = hub.simulators.stripe["admin"]
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        opened = await http.post(f"{admin}/accounts", json={"api_keys": [key], "invoice_prefix": mark.upper()})
        now = datetime.now(UTC)
        values: dict[str, Any] = {
            "stripe_account": opened.json()["account"],
            "livemode": False,
            "bc_tenant": TENANT,
            "bc_environment": "sandbox",
            "bc_company": COMPANY,
            "bc_company_id": "",
            "bc_client_id": "demo-client",
            "created_at": now,
            "go_live": now - timedelta(hours=1),
        }
        joined = Connection.model_validate(values | connection)
        shop = Shop(hub, foundation, http, joined.stripe_account, key, secret, joined)
        await shop.change_connection(settings, bc_company_id=await _find_company(shop, settings))
        await _outgrow_birth(foundation)
        try:
            yield shop
        finally:
            await shop.change_connection(settings, paused=True)
            await foundation.clients.close()
            await foundation.redis.aclose(close_connection_pool=True)


async def _outgrow_birth(foundation: Foundation) -> None:
    """Wait until Stripe's whole seconds are past the ledger's birth: what is older than it waits for a doubt window."""
    born_at = (await foundation.ledger.load_incarnation()).born_at

    async def is_over() -> bool:
        return datetime.now(UTC).replace(microsecond=0) > born_at

    await wait_for(is_over, "the second of the ledger's birth to end")


async def _find_company(shop: Shop, settings: Settings) -> str:
    snapshot = Snapshot(shop.connection, shop._build_secrets(), settings, 1, {})
    companies = await shop.foundation.clients.build_business_central(snapshot).fetch_companies()
    return next(one.id for one in companies if one.name == COMPANY)
