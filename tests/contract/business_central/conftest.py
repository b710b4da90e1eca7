"""The simulated Business Central as a process of its own, and clients that sign in to it as the hub does."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from connectors.business_central.client import BusinessCentralClient
from connectors.business_central.deadlines import Deadlines
from connectors.business_central.entra import EntraApp
from connectors.business_central.limiter import Limiter
from connectors.business_central.sign_in import ClientCredentialsTokens, TokenSource
from connectors.business_central.transport import build_http_client

TENANT = "6f1c2c1e-93a4-4f0a-8d55-1b5a7c0f9e21"
COMPANY_NAME = "CRONUS International Ltd."
_POSTING_GROUPS = ("genBusPostingGroup", "vatBusPostingGroup", "customerPostingGroup")


@dataclass(frozen=True)
class Simulator:
    """Where it listens, and its controls."""

    api_base: str
    authority: str
    ca_bundle: Path
    admin: str

    def control(self, name: str, given: dict[str, Any] | None = None, *, method: str = "POST") -> dict[str, Any]:
        response = httpx.request(method, f"{self.admin}/{name}", json=given or {}, trust_env=False)
        assert response.status_code == 200, response.text
        return response.json()

    def look(self, name: str) -> dict[str, Any]:
        return self.control(name, method="GET")

    def fail(self, kind: str, *, method: str | None = None, path: str = "", **more: Any) -> None:
        """Let the next matching request suffer a fault."""
        match = {"method": method, "path_regex": path}
        self.control("faults", {"match": match, "kind": kind, "count": 1, **more})

    def build_app(self, *, secret: str | None = "demo-secret", client_id: str = "demo-client") -> EntraApp:
        held = None if secret is None else SecretStr(secret)
        return EntraApp(self.authority, TENANT, client_id, held, self.ca_bundle)


@pytest.fixture(scope="session")
def simulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    certificates = tmp_path_factory.mktemp("bc")
    command = [sys.executable, "-m", "simulators.business_central", "--cert-dir", str(certificates)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        simulator = Simulator(ready["api_base"], ready["authority"], Path(ready["ca_bundle"]), ready["admin"])
        # As one is that was made while no configuration template fitted its country.
        bare = {"number": "50000", "displayName": "No groups", "posting": dict.fromkeys(_POSTING_GROUPS, "")}
        simulator.control("seed", {"companies": [{"name": COMPANY_NAME, "customers": [bare]}]})
        yield simulator
        process.terminate()


@pytest.fixture
def simulator(simulator_process: Simulator) -> Iterator[Simulator]:
    """The simulator, with all faults and switches as they were."""
    limits = simulator_process.look("limits")
    yield simulator_process
    simulator_process.control("faults", method="DELETE")
    simulator_process.control("limits", limits)
    simulator_process.control("outage", {"on": False})
    simulator_process.control("replica", {"lag_seconds": 0})
    simulator_process.control("answers", {"nested": "asked"})
    simulator_process.control("app", {"client_id": "demo-client", "client_secret": "demo-secret"})
    simulator_process.control("app", {"client_id": "demo-client", "secret_expired": False, "registered": True})


@pytest_asyncio.fixture
async def http(simulator: Simulator) -> AsyncGenerator[httpx.AsyncClient]:
    async with build_http_client(ca_bundle=simulator.ca_bundle) as client:
        yield client


BuildClient = Callable[..., BusinessCentralClient]


@pytest_asyncio.fixture
async def company_id(simulator: Simulator, http: httpx.AsyncClient) -> str:
    companies = await _build(simulator, http, company_id=None).fetch_companies()
    return next(company.id for company in companies if company.name == COMPANY_NAME)


@pytest.fixture
def build(simulator: Simulator, http: httpx.AsyncClient, company_id: str) -> BuildClient:
    """Build clients of the demo company, with one thing or other changed."""

    def build_client(**changes: Any) -> BusinessCentralClient:
        whole: dict[str, Any] = {"company_id": company_id, **changes}
        return _build(simulator, http, **whole)

    return build_client


@pytest.fixture
def client(build: BuildClient) -> BusinessCentralClient:
    return build()


@pytest.fixture
def hasty(build: BuildClient) -> BusinessCentralClient:
    """A client that gives up soon."""
    return build(deadlines=Deadlines(read=timedelta(milliseconds=300), write=timedelta(milliseconds=300)))


def _build(
    simulator: Simulator,
    http: httpx.AsyncClient,
    *,
    company_id: str | None,
    environment: str = "sandbox",
    tokens: TokenSource | None = None,
    limiter: Limiter | None = None,
    deadlines: Deadlines | None = None,
) -> BusinessCentralClient:
    return BusinessCentralClient(
        http=http,
        api_base=simulator.api_base,
        tenant=TENANT,
        environment=environment,
        company_id=company_id,
        tokens=tokens or ClientCredentialsTokens(simulator.build_app()),
        limiter=limiter,
        deadlines=deadlines,
    )
