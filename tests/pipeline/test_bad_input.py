"""What must not come through, on the running hub: bad webhooks are answered, bad messages are kept whole."""

import base64
import json
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from hub.broker import build_broker
from hub.config import load_config
from hub.refused_signatures import RefusedSignatures
from hub.stage.publisher import KafkaPublisher
from schemas.ids import build_message_key
from schemas.messages import DeadMessage, InvoiceResult
from schemas.topics import CONTACTS_RESOLVED, DEAD, INVOICES_RESULTS, STRIPE_EVENTS, Topic
from services.ingest.webhooks import MAX_BODY_BYTES, Webhooks
from tests.brokers import Broker
from tests.builders import ACCOUNT, build_event, build_head, build_resolved, load_sample
from tests.pipeline.hub_harness import Hub, Shop, open_shop, wait_for
from tests.service_fakes import World
from tests.unit.services.test_webhooks import sign

pytestmark = pytest.mark.broker


@pytest_asyncio.fixture
async def shop(hub: Hub) -> AsyncGenerator[Shop]:
    async with open_shop(hub) as opened:
        yield opened


def encode(event: Any) -> bytes:
    return event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode()


async def test_bad_webhooks_are_refused_and_change_nothing(shop: Shop) -> None:
    """One table over one running hub: each row is the answer, and why."""
    good = encode(build_event(object_id="in_never"))
    stale, future = timedelta(minutes=6), timedelta(minutes=-6)
    rows: list[tuple[str, bytes, dict[str, str], int]] = [
        ("unsigned", good, {}, 400),
        ("wrongly signed", good, shop.sign(good, secret="whsec_other"), 400),
        ("another body's signature", good + b" ", shop.sign(good), 400),
        ("stale", good, shop.sign(good, age=stale), 400),
        ("from the future", good, shop.sign(good, age=future), 400),
        ("a header that is none", good, {"Stripe-Signature": "t=now,v1=nothing"}, 400),
        *((name, body, shop.sign(body), 200) for name, body in _list_bad_bodies()),
        ("of another account", *_sign(shop, build_event(object_id="in_never", account="acct_other")), 200),
        ("of the other mode", *_sign(shop, build_event(object_id="in_never", livemode=True)), 200),
        ("of an unknown type", *_sign(shop, build_event("invoice.teleported")), 200),
        ("without an id", *_sign(shop, load_sample("27")), 200),
        ("a customer", *_sign(shop, load_sample("24")), 200),
        ("a deleted customer", *_sign(shop, load_sample("25")), 200),
    ]
    before = await shop.count_bc_requests()
    answers = {name: (await shop.post_webhook(body, **headers)).status_code for name, body, headers, _ in rows}

    assert answers == {name: status for name, _, _, status in rows}
    assert await shop.count_bc_requests() == before


def _list_bad_bodies() -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "no JSON", b"invoice=1"
    yield "no UTF-8", b'{"id": "\xff\xfe"}'
    yield "no object", b"[]"
    yield "no event", b"{}"


def _sign(shop: Shop, event: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    body = encode(event)
    return body, shop.sign(body)


async def test_a_body_larger_than_any_event_is_refused(shop: Shop) -> None:
    try:
        answer = await shop.post_webhook(b"x" * (MAX_BODY_BYTES + 1), **shop.sign(b""))
    except httpx.TransportError:
        return  # answered and closed while the body was still being sent
    assert answer.status_code == 413


async def test_an_account_that_nobody_has_connected_is_not_found(shop: Shop) -> None:
    body = encode(build_event())
    answer = await shop.http.post(
        f"{shop.hub.address}/webhooks/stripe/acct_unknown", content=body, headers=shop.sign(body)
    )

    assert answer.status_code == 404


@pytest.mark.parametrize("version", ["2024-06-20", "2031-01-01.zebra"])
async def test_an_event_of_any_api_version_leads_to_the_invoice_as_it_is(shop: Shop, version: str) -> None:
    invoice = await shop.make_invoice(await shop.add_customer())
    event: dict[str, Any] = load_sample("28") | {
        "account": None,
        "livemode": False,
        "api_version": version,
        "created": invoice["created"],
    }
    event["data"]["object"]["id"] = invoice["id"]
    body = encode(event)

    assert (await shop.post_webhook(body, **shop.sign(body))).json()["published"] == 1
    await shop.wait_for_status(invoice, "synced")
    assert len(await shop.find_drafts(invoice)) == 1


async def test_a_deleted_invoice_is_skipped(shop: Shop) -> None:
    body = encode(build_event("invoice.deleted", object_id="in_gone"))
    await shop.post_webhook(body, **shop.sign(body))
    (result, *_) = await shop.read(INVOICES_RESULTS, InvoiceResult, bool)

    assert (result.outcome, result.reason) == ("skipped", "The invoice was deleted in Stripe.")


async def test_an_invoice_of_a_deleted_customer_is_booked_by_what_it_froze(shop: Shop, unique: str) -> None:
    customer = await shop.add_customer(email=f"gone-{unique}@shop.example")
    invoice = await shop.make_invoice(customer)
    await shop.stripe("DELETE", f"customers/{customer}")
    await shop.register_webhook()
    await shop.wait_for_status(invoice, "synced")

    assert len(await shop.find_customers(f"gone-{unique}@shop.example")) == 1


async def test_an_invoice_whose_customer_has_neither_name_nor_address_is_told(shop: Shop) -> None:
    await shop.register_webhook()
    invoice = await shop.make_invoice(await shop.add_customer(name="", email=""))
    metadata = await shop.wait_for_status(invoice, "failed")

    assert "Stripe has no email; or tax_id; or name together with address.postal_code for it" in metadata["bc_error"]
    assert await shop.find_drafts(invoice) == []


# ---- messages on the topics ----

Build = Callable[[Shop], bytes | None]


def build_future_head(shop: Shop) -> bytes:
    values = build_head(connection=shop.connection).model_dump(mode="json") | {"version": 99}
    return encode(values)


def build_future_resolved(shop: Shop) -> bytes:
    head = build_head(connection=shop.connection)
    return encode(build_resolved(head=head).model_dump(mode="json") | {"version": 99})


BAD_VALUES: list[tuple[str, Build]] = [
    ("no JSON", lambda _: b"\x00\xff not json"),
    ("an empty value", lambda _: b""),
    ("no value", lambda _: None),
    ("another shape", lambda _: b'{"version": 1}'),
    ("a future version", build_future_head),
    ("a future version of the next", build_future_resolved),
]


@pytest.mark.parametrize("topic", [STRIPE_EVENTS, CONTACTS_RESOLVED, INVOICES_RESULTS], ids=lambda topic: topic.name)
async def test_what_can_not_be_understood_goes_whole_to_the_dead_topic(shop: Shop, topic: Topic) -> None:
    headers = [("traceparent", b"\xff\xfe no trace"), ("", b""), ("x", b"\x00")]
    for name, build in BAD_VALUES:
        key = build_message_key(shop.connection.id, f"in_{name.replace(' ', '_')}").encode()
        await shop.produce(topic, build(shop), key=key, headers=headers)
    dead = await shop.read(DEAD, DeadMessage, lambda found: _count(found, topic) >= len(BAD_VALUES))
    ours = {base64.b64decode(one.key or ""): one for one in dead if one.topic == topic.name}

    for name, build in BAD_VALUES:
        one = ours[build_message_key(shop.connection.id, f"in_{name.replace(' ', '_')}").encode()]
        value = build(shop)
        assert one.reason == "poison", name
        assert one.value == (None if value is None else base64.b64encode(value).decode()), name
        assert one.headers == tuple((header, base64.b64encode(raw).decode()) for header, raw in headers), name


def _count(found: list[DeadMessage], topic: Topic) -> int:
    return sum(one.topic == topic.name for one in found)


async def test_bad_neighbours_hold_nobody_up(shop: Shop) -> None:
    """The very partition of the invoice is full of what nobody can read."""
    invoice = await shop.make_invoice(await shop.add_customer())
    key = build_message_key(shop.connection.id, invoice["id"]).encode()
    for value in (b"", b"{", None, b"[]"):
        await shop.produce(STRIPE_EVENTS, value, key=key)
    await shop.register_webhook()

    await shop.wait_for_status(invoice, "synced")


# ---- a broker that does not answer ----


@contextmanager
def paused(broker: Broker) -> Generator[None]:
    broker.pause()
    try:
        yield
    finally:
        broker.resume()


async def test_while_the_broker_is_down_stripe_is_asked_to_come_again(
    broker: Broker, redis_url: str, unique: str
) -> None:
    world = World(redis_url)
    await world.open()
    environment = {
        "HUB_KAFKA_BOOTSTRAP": broker.bootstrap,
        "HUB_REDIS_URL": redis_url,
        "HUB_SECRET_KEYS": "a key for the pipeline tests",
    }
    kafka = build_broker(load_config(environment), f"tests-{unique}")
    publisher = KafkaPublisher(kafka, deadline=timedelta(seconds=3))
    webhooks = Webhooks(
        world.directory, world.build_head_writer(publisher), RefusedSignatures(world.plain_redis), world.clock
    )
    body = encode(build_event())
    transport = httpx.ASGITransport(webhooks)  # pyright: ignore[reportArgumentType] - both are plain ASGI
    async with kafka, httpx.AsyncClient(transport=transport, base_url="http://hub") as http:
        await kafka.start()

        async def post() -> int:
            answer = await http.post(f"/webhooks/stripe/{ACCOUNT}", content=body, headers=sign(body))
            return answer.status_code

        with paused(broker):
            assert await post() == 503

        async def is_taken() -> bool:
            return await post() == 200

        await wait_for(is_taken, "the broker to take it")
    await world.close()
