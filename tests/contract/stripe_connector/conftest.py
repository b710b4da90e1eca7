"""The Stripe simulator as a process of its own, and a fresh account in it for each test."""

import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.contract.stripe_connector.simulated import SimulatedStripe, waiting_shortly

PATIENCE_S = 20.0


@pytest.fixture(scope="session")
def stripe_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    ready = tmp_path_factory.mktemp("stripe") / "ready.json"
    command = [sys.executable, "-m", "simulators.stripe", "--port", "0", "--ready-file", str(ready)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + PATIENCE_S
            while not ready.exists():
                assert process.poll() is None, "the simulator did not start"
                assert time.monotonic() < until, "the simulator is not ready in time"
                time.sleep(0.02)
            yield json.loads(ready.read_text())
        finally:
            process.terminate()


@pytest.fixture
async def sim(stripe_simulator: dict[str, str]) -> AsyncIterator[SimulatedStripe]:
    async with waiting_shortly() as http, httpx.AsyncClient(trust_env=False) as admin:
        simulated = SimulatedStripe(stripe_simulator["api_base"], stripe_simulator["admin"], http, admin)
        await simulated.open_account()
        yield simulated
        await simulated.control("DELETE", "faults")
