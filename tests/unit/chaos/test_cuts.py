"""A door carries bytes both ways, unless it is cut, each cut in its own way."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from benchmarks.chaos.cuts import Door, open_doors
from hub.embedded import HOST, find_free_port
from tests.fakes import wait_until

# What ought not to arrive has this long to do so.
NEVER = 0.05


@asynccontextmanager
async def echo() -> AsyncGenerator[tuple[int, list[bytes]]]:
    """Run a server that answers each line with itself, and keeps what it heard."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            heard.append(line)
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


@asynccontextmanager
async def line_through(door: Door) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with open_doors([door]):
        reader, writer = await asyncio.open_connection(HOST, door.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def say(line: tuple[asyncio.StreamReader, asyncio.StreamWriter], words: bytes) -> None:
    line[1].write(words)
    await line[1].drain()


async def hear(line: tuple[asyncio.StreamReader, asyncio.StreamWriter], within: float = 2.0) -> bytes:
    return await asyncio.wait_for(line[0].readline(), within)


async def is_broken(line: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bool:
    try:
        return await hear(line) == b""
    except ConnectionResetError:
        return True


async def test_a_whole_line_carries_both_ways() -> None:
    async with echo() as (port, _), line_through(Door("a>b", [port])) as line:
        await say(line, b"hello\n")
        assert await hear(line) == b"hello\n"


async def test_a_refusing_cut_resets_what_is_connected_and_what_comes() -> None:
    door = Door("a>b")
    async with echo() as (port, _):
        door.targets = [port]
        async with line_through(door) as line:
            await say(line, b"hello\n")
            assert await hear(line) == b"hello\n"
            door.cut("refuse")
            assert await is_broken(line)
            assert await is_broken(await asyncio.open_connection(HOST, door.port))
            door.mend()
            again = await asyncio.open_connection(HOST, door.port)
            await say(again, b"again\n")
            assert await hear(again) == b"again\n"


async def test_a_held_line_delivers_late_also_for_a_sender_who_has_gone() -> None:
    door = Door("a>b")
    async with echo() as (port, heard):
        door.targets = [port]
        async with line_through(door) as line:
            door.cut("hold")
            await say(line, b"late\n")
            line[1].close()
            await asyncio.sleep(NEVER)
            assert heard == []
            door.mend()
            await wait_until(lambda: heard == [b"late\n"])


@pytest.mark.parametrize(("kind", "arrives"), [("drop", []), ("deaf", [b"lost\n"])])
async def test_bytes_that_are_lost_break_the_line_once_it_is_mended(kind: str, arrives: list[bytes]) -> None:
    door = Door("a>b")
    async with echo() as (port, heard):
        door.targets = [port]
        async with line_through(door) as line:
            door.cut(kind)  # type: ignore[arg-type]
            await say(line, b"lost\n")
            with pytest.raises(TimeoutError):
                await hear(line, NEVER)
            assert heard == arrives
            door.mend()
            assert await is_broken(line)


async def test_a_door_to_several_takes_the_next_that_answers() -> None:
    async with echo() as (port, _), line_through(Door("balancer", [find_free_port(), port])) as line:
        await say(line, b"hello\n")
        assert await hear(line) == b"hello\n"
