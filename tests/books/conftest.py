"""Both simulators, and for each test a company as Microsoft ships it, with the answers that are open read as asked."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.advice.advice import BOOKS
from tests.pipeline.hub_harness import Simulators, run_simulators
from tests.relay import Relay, open_relay


class OpenShop(Protocol):
    """Opens a merchant with books."""

    def __call__(self, **changes: Any) -> AbstractAsyncContextManager[Relay]: ...


@pytest.fixture(scope="session")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    with run_simulators(tmp_path_factory.mktemp("books")) as both:
        yield both


@pytest.fixture
def open_shop(simulators: Simulators, redis_url: str, tmp_path: Path) -> OpenShop:
    """Open a merchant whose company has its books in Danish kroner, unless asked for another."""

    def opened(**changes: Any) -> AbstractAsyncContextManager[Relay]:
        given: dict[str, Any] = {"company": {"as_shipped": "DK"}, "settings": BOOKS} | changes
        return open_relay(simulators, redis_url, tmp_path, **given)

    return opened


@pytest.fixture
async def shop(open_shop: OpenShop) -> AsyncIterator[Relay]:
    async with open_shop() as relay:
        yield relay
