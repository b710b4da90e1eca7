"""A merchant with books of its own for each test, between both simulators; all faults and readings are put back."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.advice.advice import BOOKS
from tests.pipeline.hub_harness import Simulators, run_simulators
from tests.relay import Relay, open_relay


@pytest.fixture(scope="session")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    with run_simulators(tmp_path_factory.mktemp("invoices")) as both:
        yield both


@pytest.fixture
async def shop(simulators: Simulators, redis_url: str, tmp_path: Path) -> AsyncIterator[Relay]:
    async with open_relay(simulators, redis_url, tmp_path, settings=BOOKS) as relay:
        yield relay
        await relay.control("bc", "DELETE", "faults")
        await relay.control("bc", "DELETE", "answers")
