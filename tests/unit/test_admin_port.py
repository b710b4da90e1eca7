"""What the admin port says of a service before it has started, while it runs, and while it drains."""

import asyncio

import httpx
from starlette.types import ASGIApp

from hub.app import Service, build_admin, build_foundation, build_public
from hub.config import load_config


def build_service() -> Service:
    names = {
        "HUB_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "HUB_REDIS_URL": "redis://127.0.0.1:1/0",
        "HUB_SECRET_KEYS": "a key for the tests",
    }
    return Service("ingest", build_foundation(load_config(names), "ingest"))


async def ask(app: ASGIApp, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)  # pyright: ignore[reportArgumentType] - both are plain ASGI
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as http, asyncio.timeout(20):
        return await http.get(path)


async def test_readiness_says_what_is_missing_and_why() -> None:
    service = build_service()
    service.waits_for = "Kafka does not answer."
    answer = await ask(build_admin(service), "/readyz")

    assert answer.status_code == 503
    assert {"started", "broker", "ledger"} <= set(answer.json()["missing"])
    assert answer.json()["why"] == "Kafka does not answer."
    assert (await ask(build_admin(service), "/healthz")).status_code == 200


async def test_a_service_that_drains_is_not_ready_and_takes_no_new_webhooks() -> None:
    service = build_service()
    service.direct = {"/webhooks/": build_admin(service)}
    service.ready.set()
    assert "started" not in (await ask(build_admin(service), "/readyz")).json()["missing"]
    service.ready.clear()

    assert "started" in (await ask(build_admin(service), "/readyz")).json()["missing"]
    assert (await ask(build_public(service), "/webhooks/stripe/acct_1")).status_code == 503
    assert (await ask(build_public(service), "/metrics")).status_code == 404
