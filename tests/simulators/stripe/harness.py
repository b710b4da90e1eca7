"""Runs the simulator in a thread, so that the synchronous SDK can be its client, and receives its webhooks."""

import asyncio
import json
import queue
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import requests
import stripe

from simulators.stripe.accounts import add_account
from simulators.stripe.app import StripeSimulator
from simulators.stripe.server import serving
from simulators.stripe.state import Settings, World

ACCOUNT = "acct_1TNordLichtHub00"
TEST_KEY = "sk_test_nordlicht"
LIVE_KEY = "sk_live_nordlicht"
PATIENCE = 10.0


@dataclass
class Simulator:
    """A running simulator as its clients see it."""

    base: str
    world: World
    session: requests.Session
    http: httpx.Client

    def client(self, key: str = TEST_KEY, *, account: str | None = None, retries: int = 0) -> stripe.StripeClient:
        transport = stripe.RequestsClient(session=self.session, timeout=PATIENCE)
        return stripe.StripeClient(
            key,
            base_addresses={"api": self.base},
            http_client=transport,
            stripe_account=account,
            max_network_retries=retries,
        )

    def admin(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.http.request(method, f"{self.base}/_sim/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def call(self, method: str, path: str, data: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        sent = {"Authorization": f"Bearer {TEST_KEY}"} | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        return self.http.request(method, self.base + path, data=data, headers=sent)

    def event_types(self) -> list[str]:
        """All event types of the test realm, oldest first."""
        return [event.type for event in self.world.accounts[ACCOUNT].test.events]


@contextmanager
def running_simulator() -> Generator[Simulator]:
    world = World(Settings(retry_base_ms=10, timeout_ms=2000))
    add_account(world, {"account": ACCOUNT, "api_keys": [TEST_KEY, LIVE_KEY], "invoice_prefix": "NLS"})
    simulator = StripeSimulator(world)
    started: queue.Queue[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = queue.Queue()

    async def serve() -> None:
        stop = asyncio.Event()
        async with serving(simulator, "127.0.0.1", 0) as port:
            started.put((port, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    port, loop, stop = started.get(timeout=PATIENCE)
    with requests.Session() as session, httpx.Client(timeout=PATIENCE, trust_env=False) as http:
        session.trust_env = False
        yield Simulator(f"http://127.0.0.1:{port}", world, session, http)
    loop.call_soon_threadsafe(stop.set)
    thread.join(PATIENCE)
    assert not thread.is_alive()


@dataclass
class Received:
    """One webhook as it arrived."""

    body: bytes
    signature: str

    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class Inbox:
    """A webhook endpoint of ours; `statuses` are given out in turn, then 200."""

    url: str
    statuses: list[int] = field(default_factory=list[int])
    arrived: "queue.Queue[Received]" = field(default_factory=queue.Queue[Received])

    def take(self) -> Received:
        return self.arrived.get(timeout=PATIENCE)

    def take_all(self, count: int) -> list[Received]:
        return [self.take() for _ in range(count)]


@contextmanager
def listening_inbox() -> Generator[Inbox]:
    inbox = Inbox("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = inbox.statuses.pop(0) if inbox.statuses else 200
            inbox.arrived.put(Received(body, self.headers["Stripe-Signature"]))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    inbox.url = f"http://127.0.0.1:{server.server_address[1]}/webhooks"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield inbox
    server.shutdown()
    server.server_close()
    thread.join(PATIENCE)


def make_customer(client: stripe.StripeClient, name: str = "Müller & Söhne GmbH") -> str:
    made = client.v1.customers.create({"name": name, "email": "rechnung@mueller.example", "address": {"country": "DE"}})
    return made.id


def make_draft(
    client: stripe.StripeClient, customer: str, amounts: tuple[int, ...] = (1000,), currency: str = "eur"
) -> str:
    invoice = client.v1.invoices.create({
        "customer": customer,
        "collection_method": "send_invoice",
        "days_until_due": 14,
        "currency": currency,
    })  # fmt: skip
    for number, amount in enumerate(amounts):
        client.v1.invoice_items.create({
            "customer": customer,
            "invoice": invoice.id,
            "amount": amount,
            "currency": currency,
            "description": f"Line {number:02d}",
        })  # fmt: skip
    return invoice.id


def make_open(client: stripe.StripeClient, customer: str, amounts: tuple[int, ...] = (1000,)) -> stripe.Invoice:
    return client.v1.invoices.finalize_invoice(make_draft(client, customer, amounts))
