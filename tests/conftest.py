"""Fixtures every test may use: the brokers and the Redis this machine has, and a name of its own for each test.

Session fixtures are synchronous on purpose: they belong to no event loop.
"""

import secrets
from collections.abc import Iterator
from itertools import count

import pytest
import structlog

from tests.brokers import (
    Broker,
    RedisServer,
    Server,
    Unavailable,
    forced_source,
    required,
    run_embedded_broker,
    run_kafka,
    run_redis,
    skip_missing,
)

_database = count()


def pytest_configure(config: pytest.Config) -> None:
    """Stop at once on a mistyped HUB_TEST_REQUIRE or HUB_TEST_BROKER."""
    required()
    forced_source()
    config.addinivalue_line("markers", "redis: needs a Redis; set by itself on whatever uses the fixtures")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what uses the Redis fixtures, so that those tests can be run again on another version."""
    if "redis_server" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.redis)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `broker` on the embedded one and on Apache Kafka, unless HUB_TEST_BROKER forces one."""
    if "broker" in metafunc.fixturenames:
        forced = forced_source()
        names = ["embedded", "kafka"] if forced is None else ["embedded" if forced == "embedded" else "kafka"]
        metafunc.parametrize("broker", names, indirect=True)


@pytest.fixture(autouse=True)
def _fresh_logging() -> Iterator[None]:
    """A test that sets logging up leaves it on a stream that is closed when the test ends; the next begins anew."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def started_servers() -> list[Server]:
    """What the session has started so far."""
    return []


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, started_servers: list[Server]) -> Iterator[Broker]:
    """Real Apache Kafka, or a skip that says what is missing."""
    try:
        with run_kafka(tmp_path_factory.mktemp("kafka")) as broker:
            started_servers.append(broker)
            yield broker
    except Unavailable as exc:
        skip_missing("kafka", str(exc))


@pytest.fixture(scope="session")
def embedded_broker(tmp_path_factory: pytest.TempPathFactory, started_servers: list[Server]) -> Iterator[Broker]:
    """The broker that `hub demo` runs on."""
    with run_embedded_broker(tmp_path_factory.mktemp("embedded")) as broker:
        started_servers.append(broker)
        yield broker


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each broker in turn."""
    fixture = {"embedded": "embedded_broker", "kafka": "kafka"}[request.param]
    return request.getfixturevalue(fixture)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory, started_servers: list[Server]) -> Iterator[RedisServer]:
    """A Redis with an append-only file."""
    try:
        with run_redis(tmp_path_factory.mktemp("redis")) as server:
            started_servers.append(server)
            yield server
    except Unavailable as exc:
        skip_missing("redis", str(exc))


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """An empty database; the next test gets another one where there are several."""
    return redis_server.flush(next(_database))


@pytest.fixture
def unique() -> str:
    """A suffix that makes names of topics, groups and keys this test's own."""
    return secrets.token_hex(4)


@pytest.fixture(autouse=True)
def _healed_servers(started_servers: list[Server]) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """Leave the shared servers running for the next test, whatever this one did to them."""
    yield
    for server in started_servers:
        server.heal()
