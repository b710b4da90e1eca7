"""The HTTP port is opened first, and a port that can't be had is said with what to change."""

import socket
from collections.abc import Iterator

import pytest

from hub.app import Service, build_foundation, run_service
from hub.config import load_config
from hub.port import open_port
from schemas.errors import ConfigurationError

LOOPBACK = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that someone listens on."""
    with socket.create_server((LOOPBACK, 0)) as other:
        yield other.getsockname()[1]


def test_a_free_port_is_listened_on_at_once() -> None:
    with open_port(LOOPBACK, 0) as listener:
        port = listener.getsockname()[1]
        socket.create_connection((LOOPBACK, port), timeout=5).close()
    with open_port(LOOPBACK, port):
        pass  # and is free again as soon as it was closed


def test_a_taken_port_is_said_with_what_to_change(taken: int) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_port(LOOPBACK, taken)

    assert caught.value.code == "http.port.unavailable"
    assert caught.value.message == (
        f"Port {taken} on 127.0.0.1 is taken by another program. Stop that, or set HUB_HTTP_PORT to a free port."
    )


def test_an_address_of_another_machine_is_said_to_be_one() -> None:
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1 is no address of this machine.*HUB_HTTP_HOST"):
        open_port("192.0.2.1", 0)


async def test_a_service_on_a_taken_port_ends_before_it_asks_for_anything(taken: int) -> None:
    """Neither broker nor ledger is there; it would wait for them for a minute."""
    config = load_config(
        {
            "HUB_KAFKA_BOOTSTRAP": "127.0.0.1:1",
            "HUB_REDIS_URL": "redis://127.0.0.1:1/0",
            "HUB_SECRET_KEYS": "a key for the tests",
            "HUB_HTTP_HOST": LOOPBACK,
            "HUB_HTTP_PORT": str(taken),
        }
    )
    with pytest.raises(ConfigurationError, match="is taken"):
        await run_service(Service("ingest", build_foundation(config, "ingest")))
