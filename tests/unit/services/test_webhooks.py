"""The webhook endpoint, answer by answer: without a broker, on a real ledger."""

import hashlib
import hmac
import json
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY
from pydantic import SecretStr

from hub.directory import Directory
from hub.redis import account_key, build_redis
from hub.refused_signatures import Refusals, RefusedSignatures
from hub.secrets import SecretBox
from schemas.errors import RetrySoon
from schemas.ids import ConnectionId
from schemas.messages import StripeEventReceived
from services.ingest.webhooks import MAX_BODY_BYTES, Webhooks
from tests.builders import ACCOUNT, NOW, WEBHOOK_SECRET, build_connection, build_event, build_secrets, load_sample
from tests.fakes import FakePublisher
from tests.service_fakes import World

PATH = f"/webhooks/stripe/{ACCOUNT}"


def sign(body: bytes, secret: str = WEBHOOK_SECRET, at: datetime = NOW) -> dict[str, str]:
    stamp = int(at.timestamp())
    digest = hmac.digest(secret.encode(), b"%d.%b" % (stamp, body), hashlib.sha256).hex()
    return {"Stripe-Signature": f"t={stamp},v1={digest}"}


def build_thin_event(event_type: str = "v1.invoice.finalized", **changes: Any) -> dict[str, Any]:
    """Build a thin event as Stripe sends it: it names its object, and its time is text."""
    related = {"id": "in_1", "type": "invoice", "url": "/v1/invoices/in_1"}
    return {
        "id": "evt_test_65ThinEvent",
        "object": "v2.core.event",
        "type": event_type,
        "created": "2026-03-01T12:00:00.000Z",
        "livemode": False,
        "context": changes.get("context"),
        "reason": None,
        "related_object": changes.get("related", related),
    }


def count_ignored(reason: str) -> float:
    return REGISTRY.get_sample_value("hub_ingest_ignored_total", {"reason": reason}) or 0


@pytest.fixture
def publisher() -> FakePublisher:
    return FakePublisher()


@pytest_asyncio.fixture
async def http(world: World, publisher: FakePublisher) -> AsyncGenerator[httpx.AsyncClient]:
    webhooks = Webhooks(
        world.directory, world.build_head_writer(publisher), RefusedSignatures(world.plain_redis), world.clock
    )
    transport = httpx.ASGITransport(webhooks)  # pyright: ignore[reportArgumentType] - both are plain ASGI
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        yield client


async def post(
    http: httpx.AsyncClient, event: Any, *, path: str = PATH, secret: str = WEBHOOK_SECRET
) -> httpx.Response:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return await http.post(path, content=body, headers=sign(body, secret))


async def test_a_signed_event_is_published_under_its_invoice(
    http: httpx.AsyncClient, publisher: FakePublisher, world: World
) -> None:
    answer = await post(http, build_event())

    assert (answer.status_code, answer.json()) == (200, {"received": True, "published": 1, "ignored": None})
    (outgoing,) = publisher.published
    assert outgoing.key == f"{world.connection.id}/in_1"
    assert isinstance(outgoing.message, StripeEventReceived)
    assert outgoing.message.cause == "webhook"


async def test_the_sending_is_in_the_ledger_before_it_is_published(
    http: httpx.AsyncClient, publisher: FakePublisher, world: World
) -> None:
    publisher.fail_next(RetrySoon("Broker down.", code="broker.publish"))
    answer = await post(http, build_event("invoice.sent"))

    assert answer.status_code == 503
    assert (await world.ledger.load_invoice(world.connection.id, "in_1")).sent_at == NOW


async def test_refused_signatures_are_counted_by_reason_for_a_day(http: httpx.AsyncClient, world: World) -> None:
    refused = RefusedSignatures(world.plain_redis)
    name, labels = "hub_ingest_signatures_refused_total", {"account": ACCOUNT, "reason": "wrong_signature"}
    counted = REGISTRY.get_sample_value(name, labels) or 0
    for secret in ("whsec_other", "whsec_other", WEBHOOK_SECRET):
        await post(http, build_event(), secret=secret)
    world.clock.move(timedelta(hours=1))
    await post(http, build_event())
    await post(http, build_event(), path="/webhooks/stripe/acct_nobody", secret="whsec_other")

    found = await refused.load(ACCOUNT)

    assert found == Refusals({"wrong_signature": 2, "too_old": 1}, NOW, NOW + timedelta(hours=1))
    assert 86_000 < await world.plain_redis.ttl(f"hub:account:{ACCOUNT}:refused") <= 86_400
    assert REGISTRY.get_sample_value(name, labels) == counted + 2
    assert await refused.load("acct_nobody") is None
    await refused.forget(ACCOUNT)
    assert await refused.load(ACCOUNT) is None


async def test_a_webhook_is_refused_as_well_where_the_refusal_can_not_be_counted(world: World) -> None:
    nowhere = build_redis("redis://127.0.0.1:1/0")
    webhooks = Webhooks(
        world.directory, world.build_head_writer(FakePublisher()), RefusedSignatures(nowhere), world.clock
    )
    transport = httpx.ASGITransport(webhooks)  # pyright: ignore[reportArgumentType] - both are plain ASGI
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        assert (await post(client, build_event(), secret="whsec_other")).status_code == 400


@pytest.mark.parametrize("sample", ["08", "12", "13", "14", "24", "27"])
async def test_events_of_no_concern_are_taken_and_said_to_be(
    http: httpx.AsyncClient, publisher: FakePublisher, sample: str
) -> None:
    event = load_sample(sample) | {"livemode": False, "account": None}
    answer = await post(http, event)

    assert answer.status_code == 200
    assert answer.json()["published"] == 0
    assert answer.json()["ignored"]
    assert publisher.published == []


@pytest.mark.parametrize("version", ["2024-06-20", "2030-01-01.zebra", None])
async def test_any_api_version_is_taken(http: httpx.AsyncClient, version: str | None) -> None:
    """The invoice is fetched again with the hub's own."""
    event = build_event(api_version=version, request=None, pending_webhooks=None, context=None)
    assert (await post(http, event)).json()["published"] == 1


async def test_an_unknown_type_is_taken(http: httpx.AsyncClient) -> None:
    assert (await post(http, build_event("invoice.teleported"))).status_code == 200


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "no Stripe-Signature header"),
        ({"Stripe-Signature": "nonsense"}, "has not the form"),
        ({"Stripe-Signature": "t=1,v0=abc"}, "has not the form"),
        ({"Stripe-Signature": f"t={int(NOW.timestamp())},v1={'0' * 64}"}, "fits none"),
        (sign(json.dumps(build_event()).encode(), "whsec_other"), "fits none"),
        (sign(json.dumps(build_event()).encode(), at=NOW - timedelta(minutes=6)), "too old"),
        (sign(json.dumps(build_event()).encode(), at=NOW + timedelta(minutes=6)), "from the future"),
    ],
)
async def test_what_is_not_proved_to_come_from_stripe_is_refused(
    http: httpx.AsyncClient, publisher: FakePublisher, headers: dict[str, str], reason: str
) -> None:
    answer = await http.post(PATH, content=json.dumps(build_event()).encode(), headers=headers)

    assert answer.status_code == 400
    assert reason in answer.json()["reason"]
    assert publisher.published == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe{}",
        b"[]",
        b"null",
        b"42",
        b"{}",
        b'{"id": "evt_1", "object": "event", "type": "invoice.paid", "created": 1, "livemode": false}',
        b'{"object": "v2.core.event", "id": "evt_1", "type": "v1.invoice.paid"}',
        json.dumps(build_event()).encode().replace(b'"in_1"', b"NaN"),
    ],
)
async def test_what_is_signed_and_no_event_is_taken_and_counted(http: httpx.AsyncClient, body: bytes) -> None:
    """Stripe would repeat for days what it is refused, and then switch the endpoint off."""
    answer = await post(http, body)

    assert (answer.status_code, answer.json()["published"]) == (200, 0)
    assert answer.json()["ignored"] == "the body is no event that the hub can read"


async def test_anything_but_a_post_is_refused(http: httpx.AsyncClient) -> None:
    assert (await http.get(PATH)).status_code == 405


async def test_an_object_id_longer_than_any_is_of_no_concern(http: httpx.AsyncClient) -> None:
    assert (await post(http, build_event(object_id="in_" + "x" * 300, id="evt_1"))).json()["published"] == 0


async def test_an_account_that_nobody_has_connected_is_not_found(http: httpx.AsyncClient) -> None:
    assert (await post(http, build_event(), path="/webhooks/stripe/acct_unknown")).status_code == 404


@pytest.mark.parametrize("thin", [False, True])
async def test_a_connect_event_of_an_account_that_nobody_connected_is_taken_and_said_to_be(
    http: httpx.AsyncClient, publisher: FakePublisher, thin: bool
) -> None:
    reason = "it belongs to an account that no connection with this signing secret has"
    counted = count_ignored(reason)
    event = build_thin_event(context="acct_other") if thin else build_event(account="acct_other")
    answer = await post(http, event)

    assert (answer.status_code, answer.json()) == (200, {"received": True, "published": 0, "ignored": reason})
    assert count_ignored(reason) == counted + 1
    assert publisher.published == []


@pytest.mark.parametrize("shares_the_secret", [True, False])
async def test_a_connect_event_goes_to_the_connection_of_its_account_if_it_names_the_secret(
    http: httpx.AsyncClient, publisher: FakePublisher, world: World, shares_the_secret: bool
) -> None:
    """The platform's endpoint brings the events of many accounts, all signed with its one secret."""
    other = build_connection(stripe_account="acct_2Shop", bc_company="Shop")
    settings = (await world.directory.load(world.connection.id)).settings
    secrets = build_secrets() if shares_the_secret else build_secrets("whsec_of_its_own")
    await world.directory.add(other, secrets, settings)
    answer = await post(http, build_event(account="acct_2Shop"))

    assert answer.status_code == 200
    expected = [other.id] if shares_the_secret else []
    assert [one.connection for one in publisher.on("stripe.events")] == expected


async def test_an_event_that_names_the_account_of_its_address_is_its(http: httpx.AsyncClient) -> None:
    assert (await post(http, build_event(account=ACCOUNT))).json()["published"] == 1


@pytest.mark.parametrize("event_type", ["v1.invoice.finalized", "v1.invoice.paid", "v1.invoice.voided"])
@pytest.mark.parametrize("context", [None, ACCOUNT, f"org_1/{ACCOUNT}", "workspace_1"])
async def test_a_thin_event_has_its_invoice_looked_at(
    http: httpx.AsyncClient, publisher: FakePublisher, world: World, event_type: str, context: str | None
) -> None:
    answer = await post(http, build_thin_event(event_type, context=context))

    assert (answer.status_code, answer.json()["published"]) == (200, 1)
    (outgoing,) = publisher.published
    assert outgoing.key == f"{world.connection.id}/in_1"
    assert isinstance(outgoing.message, StripeEventReceived)
    assert outgoing.message.event_type == event_type.removeprefix("v1.")


@pytest.mark.parametrize(
    "event",
    [
        build_thin_event("v1.invoice.updated"),
        build_thin_event("v1.credit_note.created", related={"id": "cn_1", "type": "credit_note"}),
        build_thin_event("v1.billing.meter.error_report_triggered", related=None),
        build_thin_event("v2.core.account.updated", related={"id": "acct_1", "type": "v2.core.account", "url": None}),
        build_thin_event(related={"id": None, "type": None}),
        build_event(account=None, livemode=True),
        build_event("account.application.deauthorized", object_id="ca_1"),
        build_event("invoice.updated", previous={"metadata": None}),
        build_event("invoice.upcoming") | {"data": {"object": {"id": None, "metadata": None}}},
        build_event("credit_note.created") | {"data": {"object": {"invoice": None}, "previous_attributes": None}},
        build_event("customer.tax_id.created") | {"data": {"object": {"customer": None}}},
        build_event("invoice.finalized") | {"data": {"object": {"id": {"deep": []}}}},
        build_event("x" * 5_000),
        build_event(account=7),
        {"id": None, "object": "event"},
    ],
)
async def test_whatever_stripe_signs_is_taken_with_the_reason(
    http: httpx.AsyncClient, publisher: FakePublisher, event: dict[str, Any]
) -> None:
    answer = await post(http, event)

    assert (answer.status_code, answer.json()["published"]) == (200, 0)
    assert answer.json()["ignored"]
    assert publisher.published == []


async def test_an_event_of_the_other_mode_is_nobodys(http: httpx.AsyncClient, publisher: FakePublisher) -> None:
    answer = await post(http, build_event(livemode=True))

    assert (answer.status_code, answer.json()["published"]) == (200, 0)
    assert publisher.published == []


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/webhooks/stripe/acct_unknown", sign(b"{}"), 404),
        ("/webhooks/stripe/" + "x" * 5_000, sign(b"{}"), 404),
        (PATH, {}, 400),
        (PATH, {"Stripe-Signature": "t=now"}, 400),
        (PATH, sign(b"{}", at=NOW - timedelta(minutes=6)), 400),
        (PATH, sign(b"{}", at=NOW + timedelta(minutes=6)), 400),
        (PATH, sign(b"{}") | {"Content-Length": str(MAX_BODY_BYTES + 1)}, 413),
        (PATH, sign(b"{}") | {"Content-Length": "9" * 5_000}, 413),
    ],
)
async def test_what_is_refused_by_its_head_is_refused_before_a_body_is_read(
    http: httpx.AsyncClient, path: str, headers: dict[str, str], status: int
) -> None:
    async def send_nothing() -> AsyncGenerator[bytes]:
        pytest.fail("the body was asked for")
        yield b""

    assert (await http.post(path, content=send_nothing(), headers=headers)).status_code == status


async def test_a_body_larger_than_any_event_is_refused_unread(http: httpx.AsyncClient) -> None:
    answer = await post(http, b"x" * (MAX_BODY_BYTES + 1))

    assert answer.status_code == 413


async def test_the_secret_decides_which_connections_get_the_event(
    http: httpx.AsyncClient, publisher: FakePublisher, world: World
) -> None:
    first = world.connection
    second = build_connection(bc_company="Second")
    third = build_connection(bc_company="Third")
    await world.directory.add(second, build_secrets(), (await world.directory.load(first.id)).settings)
    await world.directory.add(third, build_secrets("whsec_third"), (await world.directory.load(first.id)).settings)
    world.clock.move(timedelta(seconds=2))
    body = json.dumps(build_event()).encode()
    answer = await http.post(PATH, content=body, headers=sign(body, at=world.clock.now()))

    assert answer.json()["published"] == 2
    assert {one.key for one in publisher.published} == {f"{first.id}/in_1", f"{second.id}/in_1"}


async def test_a_connection_that_can_not_be_read_does_not_stand_in_the_others_way(
    http: httpx.AsyncClient, publisher: FakePublisher, world: World
) -> None:
    """Its secrets were encrypted with a key that is gone: Stripe comes again with its events, for days."""
    lost = build_connection(bc_company="Lost")
    settings = (await world.directory.load(world.connection.id)).settings
    elsewhere = Directory(world.plain_redis, SecretBox([SecretStr("a key that is gone")]), world.clock)
    await elsewhere.add(lost, build_secrets("whsec_lost"), settings)

    assert (await post(http, build_event())).status_code == 200
    assert [one.connection for one in publisher.on("stripe.events")] == [world.connection.id]
    assert (await post(http, build_event(), secret="whsec_lost")).status_code == 503
    unsigned = await http.post(PATH, json=build_event())
    assert unsigned.status_code == 400


async def test_a_connection_that_was_removed_is_left_out_within_a_second(
    http: httpx.AsyncClient, publisher: FakePublisher, world: World
) -> None:
    other = build_connection(bc_company="Other")
    settings = (await world.directory.load(world.connection.id)).settings
    await world.directory.add(other, build_secrets("whsec_other"), settings)
    assert (await post(http, build_event(), secret="whsec_other")).status_code == 200
    await world.directory.remove(other.id)
    world.clock.move(timedelta(seconds=1))

    assert (await post(http, build_event())).status_code == 200
    assert (await post(http, build_event(), secret="whsec_other")).status_code == 400


async def test_a_connection_that_is_removed_after_it_was_listed_is_left_out(
    http: httpx.AsyncClient, world: World
) -> None:
    other = build_connection(bc_company="Other")
    settings = (await world.directory.load(world.connection.id)).settings
    await world.directory.add(other, build_secrets("whsec_other"), settings)
    await world.directory.remove(other.id)
    await world.plain_redis.sadd(account_key(ACCOUNT), other.id)

    assert (await post(http, build_event())).status_code == 200
    assert (await post(http, build_event(), secret="whsec_other")).status_code == 400


async def test_what_is_known_of_an_account_is_asked_of_the_ledger_once_a_second(
    http: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await post(http, build_event())).status_code == 200
    listed: list[str] = []
    find = world.directory.find_account

    async def count(account: str) -> list[ConnectionId]:
        listed.append(account)
        return await find(account)

    monkeypatch.setattr(world.directory, "find_account", count)
    for _ in range(3):
        assert (await post(http, build_event())).status_code == 200
    assert listed == []

    world.clock.move(timedelta(seconds=1))
    assert (await post(http, build_event())).status_code == 200
    assert listed == [ACCOUNT]


async def test_without_a_ledger_stripe_is_asked_to_come_again(
    http: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_account: str) -> list[str]:
        raise RetrySoon("Redis does not answer.", code="ledger.unavailable")

    monkeypatch.setattr(world.directory, "find_account", fail)
    answer = await post(http, build_event())

    assert (answer.status_code, answer.json()["received"]) == (503, False)


async def test_what_the_broker_does_not_take_stripe_is_asked_to_send_again(
    http: httpx.AsyncClient, publisher: FakePublisher
) -> None:
    publisher.fail_next(RetrySoon("The message broker did not take a message.", code="broker.publish"))

    assert (await post(http, build_event())).status_code == 503
    assert publisher.published == []
    assert (await post(http, build_event())).status_code == 200
