"""What anybody may do to the public port: on real sockets, with small limits where the real ones would take long."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from hub.http_limits import HttpLimits, Lobby, build_protocol
from hub.port import open_port
from hub.serving import serve_http
from tests.fakes import wait_until

HEAD = b"POST /hook HTTP/1.1\r\nHost: hub\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Port:
    """A port within limits, whose application reads bodies whole and answers with their length."""

    number: int
    kept: dict[int, int] = field(default_factory=dict[int, int])
    """Bytes that the application holds, by request."""
    most: int = 0

    async def connect(self, sent: bytes = b"") -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        writer.write(sent)
        with suppress(ConnectionError):
            await writer.drain()
        return reader, writer

    async def ask(self, sent: bytes) -> bytes:
        """Send, and return all that is answered until the connection is closed."""
        reader, writer = await self.connect(sent)
        answer = await _read(reader)
        writer.close()
        return answer

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/early":
            await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        me = id(scope)
        self.kept[me] = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                self.kept[me] += len(message.get("body", b""))
                self.most = max(self.most, sum(self.kept.values()))
                if not message.get("more_body"):
                    break
            body = b"%d" % self.kept[me]
        finally:
            del self.kept[me]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def open_limited(limits: HttpLimits) -> AsyncGenerator[Port]:
    with open_port("127.0.0.1", 0) as listener:
        port = Port(listener.getsockname()[1])
        async with serve_http(port.app, listener, limits):
            yield port


class ClosingTransport(asyncio.Transport):
    """A transport that is closing, and has not told its protocol yet."""

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def is_closing(self) -> bool:
        return True

    def close(self) -> None:
        """It does already."""


async def _read(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(20):
        with suppress(ConnectionError):
            return await reader.read()
    return b""


def get_status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


async def test_a_request_within_the_limits_is_answered_again_and_again() -> None:
    async with open_limited(HttpLimits()) as port:
        reader, writer = await port.connect()
        for size in (0, 10, 8_192, 100_000, 1_900_000):
            writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)
            assert get_status(await reader.readuntil(b"\r\n\r\n")) == 200
            assert await reader.readexactly(len(str(size))) == b"%d" % size
        writer.close()


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"X: " + b"x" * 20_000_000,
        HEAD + b"x" * 20_000_000,
        HEAD + b"X: y\r\n" * 1_000_000,
        b"POST /" + b"x" * 20_000_000,
        b"\r\n" * 1_000_000,
        HEAD + b"X: " + b"x" * 8_192 + b"\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 1_000_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: " + b"x" * 1_000_000,
    ],
    ids=["value", "name", "number", "path", "blank lines", "just too large", "chunk extension", "trailer"],
)
async def test_a_head_that_is_too_large_is_answered_431_and_not_read(head: bytes) -> None:
    async with open_limited(HttpLimits()) as port:
        started = asyncio.get_running_loop().time()
        reader, writer = await port.connect(head[:200_000])
        assert get_status(await _read(reader)) == 431
        writer.write(head[200_000:])
        with suppress(ConnectionError):
            async with asyncio.timeout(10):
                await writer.drain()
        writer.close()
        assert asyncio.get_running_loop().time() - started < 5


async def test_a_head_of_just_under_the_limit_is_taken() -> None:
    async with open_limited(HttpLimits()) as port:
        head = HEAD + b"Connection: close\r\nX: "
        assert get_status(await port.ask(head + b"x" * (8_192 - len(head) - 5) + b"\r\n\r\n")) == 200


@pytest.mark.parametrize(
    "begun",
    [b"", b"\r\n", b"POST", HEAD, HEAD + b"Content-Length: 5\r\n\r\n", HEAD + b"Content-Length: 5\r\n\r\nab"],
    ids=["nothing", "blank line", "method", "headers", "no body", "half a body"],
)
async def test_what_makes_no_progress_is_closed(begun: bytes) -> None:
    async with open_limited(HttpLimits(request_seconds=0.3)) as port:
        assert get_status(await port.ask(begun)) == 408
        assert port.kept == {}


async def test_a_byte_now_and_then_is_no_progress() -> None:
    async with open_limited(HttpLimits(request_seconds=0.5)) as port:
        reader, writer = await port.connect(HEAD + b"Content-Length: 1000\r\n\r\n")
        answered = asyncio.create_task(_read(reader))
        while not answered.done():
            with suppress(ConnectionError):
                writer.write(b"x")
                await writer.drain()
            await asyncio.wait([answered], timeout=0.05)
        assert get_status(answered.result()) == 408
        writer.close()


async def test_a_second_request_that_does_not_come_whole_is_closed_too() -> None:
    async with open_limited(HttpLimits(request_seconds=0.3)) as port:
        reader, writer = await port.connect(HEAD + b"Content-Length: 1\r\n\r\nx")
        assert get_status(await reader.readuntil(b"\r\n\r\n1")) == 200
        writer.write(HEAD)
        assert get_status(await _read(reader)) == 408
        writer.close()


async def test_bodies_together_hold_no_more_than_allowed_and_honest_requests_pass() -> None:
    """Many that never end; each new byte pushes out those that have waited longest."""
    limits = HttpLimits(bytes_in_flight=1_000_000, request_seconds=30)
    async with open_limited(limits) as port, AsyncExitStack() as stack:
        for _ in range(60):
            _, writer = await port.connect(HEAD + b"Content-Length: 200000\r\n\r\n" + b"x" * 190_000)
            stack.callback(writer.close)
            assert (
                get_status(await port.ask(HEAD + b"Connection: close\r\nContent-Length: 10\r\n\r\n" + b"y" * 10)) == 200
            )
        # Who is pushed out lets go a moment later.
        assert port.most <= 1_200_000
        assert sum(port.kept.values()) > 0


async def test_more_connections_than_allowed_push_out_the_oldest_and_honest_requests_pass() -> None:
    async with open_limited(HttpLimits(connections=20, request_seconds=30)) as port:
        idle = [await port.connect() for _ in range(100)]
        assert get_status(await port.ask(HEAD + b"Connection: close\r\nContent-Length: 1\r\n\r\nx")) == 200
        answers = [await _read(reader) for reader, _ in idle[:80]]
        assert all(get_status(answer) == 503 for answer in answers)
        assert not idle[-1][0].at_eof()
        for _, writer in idle:
            writer.close()


async def test_what_is_no_http_takes_no_room() -> None:
    """One that uvicorn has refused is closing, and still there for a moment."""
    async with open_limited(HttpLimits(connections=3, request_seconds=30)) as port:
        sent = [b"\x16\x03\x01\x02\x00" * 100, b"NONSENSE\r\n\r\n", HEAD, b""] * 20
        opened = await asyncio.gather(*(port.connect(one) for one in sent))
        assert get_status(await port.ask(HEAD + b"Connection: close\r\nContent-Length: 1\r\n\r\nx")) == 200
        for _, writer in opened:
            writer.close()


async def test_a_connection_that_closes_gives_way_once() -> None:
    """Making room ends, though its transport is not gone yet."""
    lobby = Lobby(HttpLimits(connections=1))
    one = build_protocol(lobby.limits)
    one.lobby = lobby
    transport = ClosingTransport()
    config = uvicorn.Config(Port(0).app, interface="asgi3", lifespan="off")
    for _ in range(3):
        protocol = one(config, ServerState(), {})
        protocol.connection_made(transport)

    assert lobby.open <= 1


async def test_many_requests_at_once_on_one_connection_are_cut() -> None:
    async with open_limited(HttpLimits()) as port:
        answer = await port.ask(b"GET /hook HTTP/1.1\r\n\r\n" * 5_000)
        assert answer.count(b"HTTP/1.1 200") < 100


async def test_a_few_requests_at_once_are_answered_in_order() -> None:
    async with open_limited(HttpLimits()) as port:
        last = HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nxx"
        answer = await port.ask((HEAD + b"Content-Length: 1\r\n\r\nx") * 3 + last)
        assert [part[-1:] for part in answer.split(b"HTTP/1.1 200 OK")[1:]] == [b"1", b"1", b"1", b"2"]


@pytest.mark.parametrize("rest", [b"", b"x" * 3, b"x" * 90_000, b"x" * 1_000_000], ids=len)
async def test_what_is_answered_before_its_end_is_closed_whether_it_comes_to_an_end_or_not(rest: bytes) -> None:
    async with open_limited(HttpLimits(leave_seconds=0.5, idle_seconds=1)) as port:
        reader, writer = await port.connect(b"POST /early HTTP/1.1\r\nContent-Length: 90000\r\n\r\n")
        assert get_status(await reader.readuntil(b"\r\n\r\n")) == 404
        writer.write(rest)
        async with asyncio.timeout(10):
            await _read(reader)
        writer.close()


async def test_a_connection_goes_on_after_an_early_answer() -> None:
    async with open_limited(HttpLimits()) as port:
        reader, writer = await port.connect(b"POST /early HTTP/1.1\r\nContent-Length: 3\r\n\r\n")
        assert get_status(await reader.readuntil(b"\r\n\r\n")) == 404
        writer.write(b"abc" + HEAD + b"Content-Length: 1\r\n\r\nx")
        assert get_status(await reader.readuntil(b"\r\n\r\n1")) == 200
        writer.close()


async def test_at_the_end_nothing_that_is_half_there_is_waited_for() -> None:
    async with asyncio.timeout(5):
        async with open_limited(HttpLimits()) as port:
            reader, writer = await port.connect(HEAD + b"Content-Length: 5\r\n\r\nab")
            await wait_until(lambda: sum(port.kept.values()) == 2)
        assert get_status(await _read(reader)) == 503
        writer.close()
