"""A signed-in client of one simulated company, and a simulator on real sockets."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from simulators.business_central.app import BusinessCentralSimulator
from simulators.business_central.default_seed import CLIENT_ID, COMPANY_ID, TENANT
from simulators.business_central.server import Listening, serving

Json = dict[str, Any]
ROOT = f"/v2.0/{TENANT}/sandbox/api/v2.0"
COMPANY = f"{ROOT}/companies({COMPANY_ID})"
ANY = {"If-Match": "*"}
PLAIN = {"lineType": "Account", "lineObjectNumber": "6110", "quantity": 1, "unitPrice": 100}


class Books:
    """The API of the built-in company, as the built-in app sees it."""

    def __init__(self, sim: BusinessCentralSimulator, http: httpx.AsyncClient) -> None:
        self.sim = sim
        self.http = http
        self.token = sim.tokens.issue(TENANT, CLIENT_ID, CLIENT_ID)

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Send one request; `path` is relative to the company unless it starts with a slash."""
        url = path if path.startswith("/") else f"{COMPANY}/{path}"
        sent = {"Authorization": f"Bearer {self.token}"} | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        return await self.http.request(method, url, json=body, headers=sent)

    async def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Json:
        """Send a request that must succeed; changes go through without an etag."""
        if method in {"PATCH", "DELETE"}:
            headers.setdefault("If_Match", "*")
        answer = await self.call(method, path, body, **headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else {}

    async def refused(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str, str]:
        """Send a request that must fail; returns status, code and message without the correlation id."""
        if method in {"PATCH", "DELETE"}:
            headers.setdefault("If_Match", "*")
        answer = await self.call(method, path, body, **headers)
        assert answer.is_error, answer.text
        error = answer.json()["error"]
        message, separator, tail = error["message"].partition("  CorrelationId:  ")
        assert separator
        assert tail == f"{answer.headers['request-id']}."
        return answer.status_code, error["code"], message

    async def rows(self, path: str, **headers: str) -> list[Json]:
        """Read a list."""
        return (await self.ok("GET", path, **headers))["value"]

    async def customer(self, **fields: Any) -> Json:
        """Make a customer."""
        return await self.ok("POST", "customers", {"displayName": "Fjordlys Kontor AS", "country": "DE"} | fields)

    async def invoice(self, *lines: Json, **header: Any) -> Json:
        """Make an invoice for customer 10000 by deep insert and return it with its lines."""
        body = {"customerNumber": "10000"} | header | {"salesInvoiceLines": list(lines)}
        return await self.ok("POST", "salesInvoices?$expand=salesInvoiceLines", body)

    async def read(self, invoice: Json) -> Json:
        """Read an invoice again, with its lines."""
        return await self.ok("GET", f"salesInvoices({invoice['id']})?$expand=salesInvoiceLines")

    async def post(self, invoice: Json) -> Json:
        """Post an invoice and read it."""
        await self.ok("POST", f"salesInvoices({invoice['id']})/Microsoft.NAV.post")
        return await self.read(invoice)

    async def control(self, method: str, name: str, body: Any = None) -> Json:
        """Use a control under /_sim."""
        answer = await self.http.request(method, f"/_sim/{name}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def seed(self, **sections: Any) -> None:
        """Extend the built-in company."""
        company = {"name": "CRONUS International Ltd."} | sections
        await self.control("POST", "seed", {"companies": [company]})


def in_memory(sim: BusinessCentralSimulator, client: str = "127.0.0.1") -> httpx.AsyncClient:
    """Return a client that calls the application without sockets."""
    # httpx types scope and messages as mappings, uvicorn as the typed dictionaries they are.
    transport = httpx.ASGITransport(sim, client=(client, 1))  # pyright: ignore[reportArgumentType]
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")


@dataclass(frozen=True, slots=True)
class Running:
    """A simulator on real sockets."""

    sim: BusinessCentralSimulator
    listening: Listening

    def token(self) -> str:
        """Return a valid token."""
        return self.sim.tokens.issue(TENANT, CLIENT_ID, CLIENT_ID)

    @property
    def company(self) -> str:
        """Return the URL of the built-in company."""
        return f"http://127.0.0.1:{self.listening.port}{COMPANY}"

    @property
    def authority(self) -> str:
        """Return the authority of the built-in tenant."""
        return f"https://127.0.0.1:{self.listening.auth_port}/{TENANT}"


@contextmanager
def running_simulator(directory: Path) -> Generator[Running]:
    """Serve from a thread with a loop of its own."""
    ready: list[Running] = []
    started, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        sim = BusinessCentralSimulator()
        async with serving(sim, "127.0.0.1", 0, 0, directory) as listening:
            ready.append(Running(sim, listening))
            started.set()
            await stop.wait()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert started.wait(10)
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
