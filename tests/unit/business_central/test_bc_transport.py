"""What the wire does, told honestly: whether anything was sent decides whether a write may be sent again."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import trustme

from connectors.business_central.client import BusinessCentralClient
from connectors.business_central.transport import ConnectionLimits, build_http_client
from schemas.errors import Blocked, InDoubt, RetrySoon
from tests.raw_server import OK, Behaviour, reset, run_server, send, send_and_close
from tests.unit.business_central.fakes import COMPANY, CUSTOMER_ID, FakeTokens, send_nothing_first


def build_real_client(http: httpx.AsyncClient, url: str) -> BusinessCentralClient:
    return BusinessCentralClient(
        http=http,
        api_base=url,
        tenant="tenant",
        environment="sandbox",
        company_id=COMPANY,
        tokens=FakeTokens(),
        limiter=None,
    )


BREAKS = {
    "closed before answering": send_and_close(b""),
    "reset before answering": reset,
    "closed within the head": send_and_close(b"HTTP/1.1 201 Crea"),
    "closed within the body": send_and_close(b"HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\n{"),
    "no HTTP at all": send_and_close(b"SMTP ready\r\n\r\n"),
    "broken chunks": send_and_close(b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
}


@pytest.mark.parametrize("behaviour", BREAKS.values(), ids=BREAKS.keys())
async def test_whatever_breaks_after_a_post_was_sent_leaves_it_in_doubt_and_sent_once(behaviour: Behaviour) -> None:
    async with run_server(behaviour) as server, build_http_client() as http:
        with pytest.raises(InDoubt):
            await build_real_client(http, server.url).create_invoice({}, before_send=send_nothing_first)
        assert server.methods == ["POST"]


@pytest.mark.parametrize("behaviour", BREAKS.values(), ids=BREAKS.keys())
async def test_the_transport_never_calls_it_a_failure_to_connect(behaviour: Behaviour) -> None:
    async with run_server(behaviour) as server, build_http_client() as http:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)) as caught:
            await http.post(server.url, content=b"{}")
        assert caught.value.request.method == "POST"


async def test_a_post_on_a_connection_that_died_while_idle_is_in_doubt_and_not_sent_again() -> None:
    """Nobody can know whether the server read it: so it is not sent again, and looked for instead."""
    async with run_server(send(OK), send_and_close(b"")) as server, build_http_client() as http:
        await http.get(server.url)
        with pytest.raises(InDoubt):
            await build_real_client(http, server.url).create_customer({}, before_send=send_nothing_first)
        assert server.methods == ["GET", "POST"]
        assert server.connections == 1


async def test_a_get_on_a_connection_that_died_while_idle_is_sent_again() -> None:
    async with run_server(send(OK), send_and_close(b""), send(OK)) as server, build_http_client() as http:
        await http.get(server.url)
        assert (await http.get(server.url)).status_code == 200
        assert server.methods == ["GET", "GET", "GET"]


async def test_a_server_that_is_not_there_was_sent_nothing() -> None:
    async with run_server() as server:
        url = server.url
    async with build_http_client() as http:
        with pytest.raises(RetrySoon) as caught:
            await build_real_client(http, url).create_invoice({}, before_send=send_nothing_first)
    assert caught.value.code == "bc.connection.failed"


async def test_a_server_that_does_not_get_around_to_tls_was_sent_nothing() -> None:
    limits = ConnectionLimits(connect=timedelta(milliseconds=50))
    async with run_server() as server, build_http_client(limits=limits) as http:
        with pytest.raises(httpx.ConnectTimeout):
            await http.post(server.url.replace("http:", "https:"), content=b"{}")


async def test_a_full_pool_was_sent_nothing() -> None:
    begun, hanging = asyncio.Event(), asyncio.Event()

    async def hang(_: asyncio.StreamWriter) -> None:
        begun.set()
        await hanging.wait()

    limits = ConnectionLimits(connections=1, connect=timedelta(milliseconds=50))
    async with run_server(hang) as server, build_http_client(limits=limits) as http:
        first = asyncio.create_task(http.get(server.url))
        await begun.wait()
        with pytest.raises(httpx.ConnectTimeout):
            await http.post(server.url, content=b"{}")
        first.cancel()
        hanging.set()


async def test_slow_answers_to_some_hold_no_others_up() -> None:
    """Five at once of each of fifty apps; with a pool of fewer, Business Central's pace for one was that of all."""
    slow = 5 * 50
    begun, hanging = asyncio.Semaphore(0), asyncio.Event()

    async def hang(_: asyncio.StreamWriter) -> None:
        begun.release()
        await hanging.wait()

    async with run_server(*[hang] * slow, send(OK)) as server, build_http_client() as http:
        waiting = [asyncio.create_task(http.get(server.url)) for _ in range(slow)]
        for _ in range(slow):
            await begun.acquire()
        assert (await http.get(server.url)).status_code == 200
        for one in waiting:
            one.cancel()
        hanging.set()


async def test_redirects_are_not_followed() -> None:
    moved = b"HTTP/1.1 307 Moved\r\nlocation: https://evil.example/\r\ncontent-length: 0\r\n\r\n"
    async with run_server(send(moved)) as server, build_http_client() as http:
        with pytest.raises(Blocked) as caught:
            await build_real_client(http, server.url).fetch_customer(CUSTOMER_ID)
        assert caught.value.code == "bc.connection.address"
        assert server.methods == ["GET"]


async def test_only_the_given_certificates_are_trusted(tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)

    async with run_server(send(OK), tls=tls) as server:
        async with build_http_client(ca_bundle=bundle) as http:
            assert (await http.get(server.url)).status_code == 200
        async with build_http_client() as http:
            with pytest.raises(Blocked) as caught:
                await build_real_client(http, server.url).create_customer({}, before_send=send_nothing_first)
    assert caught.value.code == "bc.connection.untrusted"


async def test_an_address_that_is_no_http_is_said_to_be_wrong() -> None:
    async with build_http_client() as http:
        with pytest.raises(Blocked) as caught:
            await build_real_client(http, "ftp://bc.example").create_customer({}, before_send=send_nothing_first)
    assert caught.value.code == "bc.connection.address"


async def test_special_characters_in_a_filter_arrive_as_they_were_meant() -> None:
    targets: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        targets.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
        await send_and_close(b'HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{"value":[]}')(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, build_http_client() as http:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await build_real_client(http, url).find_rows(
            "items", "displayName", "o'neil+a&b#1%20@ü.example", ("displayName",)
        )
    query = httpx.URL(f"http://x{targets[0].decode()}").params
    assert query["$filter"] == "tolower(displayName) eq 'o''neil+a&b#1%20@ü.example'"


@pytest.mark.parametrize(
    "build", [lambda: ConnectionLimits(connections=0), lambda: ConnectionLimits(connect=timedelta(0))]
)
def test_limits_check_themselves(build: Callable[[], ConnectionLimits]) -> None:
    with pytest.raises(ValueError, match="positive"):
        build()
