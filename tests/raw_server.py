"""A server that speaks just enough HTTP to break it."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """Speaks just enough HTTP to break it; behaviours are used up in order, one for each request."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self.behaviours = list(behaviours)
        self.methods: list[str] = []
        self.connections = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head.lower())
                await reader.readexactly(int(length.group(1)) if length else 0)
                self.methods.append(head.split()[0].decode())
                await self.behaviours.pop(0)(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def run_server(*behaviours: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncGenerator[RawServer]:
    raw = RawServer(*behaviours)
    connections: set[asyncio.Task[None]] = set()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(raw.serve(reader, writer)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    raw.url = f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield raw
        # The clients are gone, so each connection comes to its end.
        await asyncio.gather(*connections)


def send(content: bytes) -> Behaviour:
    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()

    return behave


def send_and_close(content: bytes) -> Behaviour:
    async def behave(writer: asyncio.StreamWriter) -> None:
        await send(content)(writer)
        writer.close()

    return behave


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def build_answer(body: bytes, *, status: str = "200 OK", **headers: str) -> bytes:
    """Write an answer; `headers` in snake case."""
    lines = [
        f"{name.replace('_', '-')}: {text}" for name, text in {"content_length": str(len(body)), **headers}.items()
    ]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body
