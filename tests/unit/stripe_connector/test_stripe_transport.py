import asyncio
import logging
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
import stripe
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from connectors.stripe.client import StripeApi
from connectors.stripe.transport import StripeHttp, TransportLimits
from schemas.errors import Blocked, RetrySoon
from tests.unit.stripe_connector.fake_stripe import FakeStripe, Reply, build_app, build_http

ACCOUNT = Reply({"id": "acct_1"})


async def cut_short(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"id": ')
    assert request.transport is not None
    request.transport.close()
    return response


async def drop(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@pytest.mark.parametrize("fault", [cut_short, drop])
async def test_a_connection_that_breaks_is_tried_again(fake: FakeStripe, api: StripeApi, fault: object) -> None:
    fake.answer(fault, fault, ACCOUNT)  # type: ignore[arg-type]
    assert (await api.fetch_account()).id == "acct_1"
    assert len(fake.slept) <= 2


@pytest.mark.parametrize("fault", [cut_short, drop])
async def test_a_write_whose_connection_breaks_is_tried_again_under_its_key(
    fake: FakeStripe, api: StripeApi, fault: object
) -> None:
    fake.answer(fault, Reply({"metadata": {"a": "b"}}))  # type: ignore[arg-type]
    await api.update_invoice_metadata("in_1", {"a": "b"}, idempotency_key="hub:1")
    assert [one.headers["Idempotency-Key"] for one in fake.asked] == ["hub:1", "hub:1"]


async def test_a_connection_that_always_breaks_is_for_later(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(cut_short)
    with pytest.raises(RetrySoon) as raised:
        await api.fetch_account()
    assert raised.value.code == "stripe.connection.failed"
    assert raised.value.context["transport_error"] == "ClientPayloadError"


async def test_nobody_listening_is_for_later(fake: FakeStripe, http: StripeHttp) -> None:
    api = StripeApi(key="sk_test_1", api_base=f"http://127.0.0.1:{unused_port()}", account=None, http=http)
    with pytest.raises(RetrySoon) as raised:
        await api.fetch_account()
    assert raised.value.code == "stripe.connection.failed"
    assert len(fake.slept) == 2


@pytest.mark.parametrize("base", ["nonsense", "http://", "ftp://127.0.0.1"])
async def test_an_address_that_can_not_be_called_blocks_at_once(fake: FakeStripe, http: StripeHttp, base: str) -> None:
    with pytest.raises(Blocked) as raised:
        await StripeApi(key="sk_test_1", api_base=base, account=None, http=http).fetch_account()
    assert raised.value.code == "stripe.connection.address"
    assert fake.slept == []


async def test_silence_ends_a_try_before_the_deadline(fake: FakeStripe) -> None:
    hung = asyncio.Event()

    async def hang(_request: web.Request) -> web.StreamResponse:
        await hung.wait()
        return web.Response()

    fake.answer(hang)
    async with build_http(fake, TransportLimits(silence=timedelta(milliseconds=20))) as http:
        with pytest.raises(RetrySoon) as raised:
            await fake.build_api(http).fetch_account()
    hung.set()
    assert raised.value.code == "stripe.connection.timeout"
    assert len(fake.asked) == 3


async def test_redirects_are_not_followed_for_the_key_must_not_travel(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(Reply({}, 307, {"Location": fake.base + "/elsewhere"}), ACCOUNT)
    with pytest.raises(Blocked):
        await api.fetch_account()
    assert len(fake.asked) == 1


async def test_cookies_are_not_kept(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(Reply({"id": "acct_1"}, headers={"Set-Cookie": "a=b"}))
    await api.fetch_account()
    await api.fetch_account()
    assert "Cookie" not in fake.asked[1].headers


async def test_a_cancelled_call_gives_its_connection_back(fake: FakeStripe) -> None:
    arrived = asyncio.Event()

    async def stall(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        arrived.set()
        await asyncio.sleep(5)
        return response

    async with build_http(fake, TransportLimits(connections=1)) as http:
        api = fake.answer(stall).build_api(http)
        task = asyncio.create_task(api.fetch_account())
        await arrived.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        fake.answer(ACCOUNT)
        assert (await asyncio.wait_for(api.fetch_account(), 2)).id == "acct_1"


async def test_connections_are_used_again_by_all_clients_of_the_process(fake: FakeStripe, http: StripeHttp) -> None:
    ports: set[object] = set()

    async def note(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername"))
        return await ACCOUNT(request)

    fake.answer(note)
    for key in ("sk_test_1", "sk_test_2", "sk_live_3"):
        await fake.build_api(http, key=key).fetch_account()
    assert len(ports) == 1


async def test_closing_twice_or_unused_does_no_harm(fake: FakeStripe) -> None:
    http = build_http(fake)
    await http.close()
    fake.answer(ACCOUNT)
    await fake.build_api(http).fetch_account()
    await http.close()
    await http.close_async()


async def test_only_a_trusted_certificate_is_taken(fake: FakeStripe, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    server = TestServer(build_app(fake.answer(ACCOUNT)), host="127.0.0.1", scheme="https")
    await server.start_server(ssl=context)
    fake.base = f"https://127.0.0.1:{server.port}"
    async with StripeHttp(ca_bundle=bundle) as trusting, build_http(fake) as usual:
        assert await fake.build_api(trusting).fetch_account()
        with pytest.raises(Blocked) as raised:
            await fake.build_api(usual).fetch_account()
    await server.close()
    assert raised.value.code == "stripe.connection.untrusted"
    assert fake.slept == []


async def test_neither_bodies_nor_keys_are_logged(
    fake: FakeStripe, api: StripeApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.answer(Reply({"id": "acct_1", "email": "a@example.com"}))
    await api.fetch_account()
    assert "a@example.com" not in caplog.text
    assert "sk_test_fake" not in caplog.text


async def test_streams_are_not_offered(http: StripeHttp) -> None:
    with pytest.raises(NotImplementedError):
        await http.request_stream_async("get", "http://127.0.0.1", {})


@pytest.mark.parametrize("limits", [{"connections": 0}, {"silence": timedelta(0)}, {"connect": timedelta(0)}])
def test_limits_check_themselves(limits: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="positive"):
        TransportLimits(**limits)  # type: ignore[arg-type]


def test_building_a_transport_switches_the_sdks_telemetry_off() -> None:
    StripeHttp()
    assert stripe.enable_telemetry is False
