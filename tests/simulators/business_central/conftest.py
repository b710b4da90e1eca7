"""A fresh company per test in memory; one server on real sockets per module that asks for it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from simulators.business_central.app import BusinessCentralSimulator
from tests.simulators.business_central.books import Books, Running, in_memory, running_simulator


@pytest.fixture
async def books() -> AsyncIterator[Books]:
    sim = BusinessCentralSimulator()
    async with in_memory(sim) as http:
        yield Books(sim, http)
    await sim.close()


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_simulator(tmp_path_factory.mktemp("certs")) as simulator:
        yield simulator
