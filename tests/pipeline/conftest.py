"""One running hub for each broker, for all tests that go the whole way."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Literal

import pytest

from tests.brokers import Unavailable, forced_source, skip_missing
from tests.pipeline.hub_harness import Hub, Simulators, run_hub, run_simulators

Name = Literal["embedded", "kafka"]


@pytest.fixture(scope="session")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    with run_simulators(tmp_path_factory.mktemp("simulators")) as both:
        yield both


@pytest.fixture(scope="session")
def start_hub(simulators: Simulators, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Name], Hub]]:
    """Starts a hub when it is first asked for."""
    with ExitStack() as stack:
        running: dict[Name, Hub] = {}

        def start(name: Name) -> Hub:
            if name not in running:
                directory = tmp_path_factory.mktemp(f"hub-{name}")
                try:
                    running[name] = stack.enter_context(run_hub(name, simulators, directory))
                except Unavailable as missing:
                    skip_missing("kafka", str(missing))
            return running[name]

        yield start


@pytest.fixture(params=["embedded", "kafka"])
def hub(request: pytest.FixtureRequest, start_hub: Callable[[Name], Hub]) -> Hub:
    """The hub on each broker in turn, unless HUB_TEST_BROKER forces one."""
    forced = forced_source()
    if forced is not None and (forced == "embedded") != (request.param == "embedded"):
        pytest.skip(f"HUB_TEST_BROKER={forced}")
    return start_hub(request.param)
