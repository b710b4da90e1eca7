"""Each connection's clients: whose answers they tell of, and for whom they leave room."""

from collections.abc import AsyncGenerator

import pytest
from pydantic import SecretStr

from hub.clients import Clients
from hub.config import load_config
from hub.directory import Directory
from hub.redis import build_redis
from hub.secrets import SecretBox
from tests.builders import build_connection, build_snapshot

ENVIRONMENT = {
    "HUB_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "HUB_REDIS_URL": "redis://127.0.0.1:1/0",
    "HUB_SECRET_KEYS": "a key for the tests",
}


@pytest.fixture
def heard() -> list[tuple[str, str]]:
    return []


@pytest.fixture
async def clients(heard: list[tuple[str, str]]) -> AsyncGenerator[Clients]:
    redis = build_redis(ENVIRONMENT["HUB_REDIS_URL"])
    directory = Directory(redis, SecretBox([SecretStr("a key for the tests")]))

    def note(connection: str, system: str) -> None:
        heard.append((connection, system))

    made = Clients(load_config(ENVIRONMENT), redis, directory, note)
    yield made
    await made.close()


async def test_an_answer_is_told_with_its_connection_and_system(clients: Clients, heard: list[tuple[str, str]]) -> None:
    first, second = build_snapshot(), build_snapshot(bc_company="Another")
    clients.business_central(first)._channel.on_answer()
    clients.business_central(second, live=False)._channel.on_answer()
    clients.stripe(second)._channel._on_answer()

    assert heard == [(first.connection.id, "bc"), (second.connection.id, "bc"), (second.connection.id, "stripe")]


async def test_live_and_history_share_a_client_but_for_their_place(clients: Clients) -> None:
    snapshot = build_snapshot()
    live, history = clients.business_central(snapshot), clients.business_central(snapshot, live=False)

    assert live._channel is history._channel
    assert (live._live, history._live, clients.business_central(snapshot)._live) == (True, False, True)


async def test_both_spellings_of_a_tenant_share_one_set_of_limits(clients: Clients) -> None:
    """Business Central counts by app and tenant, whatever the hub calls it."""
    guid = "6f1c2c1e-93a4-4f0a-8d55-1b5a7c0f9e21"
    by_guid = build_connection(bc_tenant=guid.upper())
    by_domain = build_connection(bc_tenant="contoso.onmicrosoft.com", bc_tenant_id=guid)

    assert clients._get_limiter(by_guid) is clients._get_limiter(by_domain)
    assert clients._get_limiter(build_connection(bc_tenant="other.example")) is not clients._get_limiter(by_domain)
