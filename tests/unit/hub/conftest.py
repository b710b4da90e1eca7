"""Time that is never waited for: retries, pauses and deadlines of the runtime pass at once. And no log."""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.fakes import SkippingLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], AbstractEventLoop]] | None:
    return {"skipping": SkippingLoop} if "tests/unit/hub" in item.nodeid else None


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged; tracebacks are costly to print."""
    with capture_logs() as lines:
        yield lines
