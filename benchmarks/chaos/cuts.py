"""Doors: TCP proxies between any two parts, which can be cut."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Literal, get_args

from hub.embedded import HOST, find_free_port

CutKind = Literal["refuse", "hold", "drop", "deaf"]
"""How a line is cut.

`refuse`: connections are reset, new ones too. `hold`: nothing passes, and all of it arrives when the line is back, also
what its sender has given up on. `drop`: nothing passes, and nobody notices before the end. `deaf`: requests arrive, and
their answers do not.
"""
CUTS: tuple[CutKind, ...] = get_args(CutKind)

_CHUNK = 1 << 16
_RESET = struct.pack("ii", 1, 0)


class Door:
    """A port that leads to one of some others, in turn: a line that can be cut, or a balancer."""

    def __init__(self, name: str, targets: Sequence[int] = (), port: int | None = None) -> None:
        self.name = name
        self.port = port or find_free_port()
        self.targets = list(targets)
        self._turn = count()
        self._cut: CutKind | None = None
        self._closed = asyncio.Event()
        self._whole = asyncio.Event()
        self._whole.set()
        self._lines: dict[_Line, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, HOST, self.port, limit=_CHUNK, backlog=512)

    async def close(self) -> None:
        """Stop listening, and reset what is connected."""
        if self._server is not None:
            self._server.close()
        self.mend()
        self._reset()
        await asyncio.gather(*self._lines.values(), return_exceptions=True)

    def cut(self, kind: CutKind) -> None:
        """Cut the line until it is mended."""
        self._cut = kind
        self._whole.clear()
        if kind == "refuse":
            self._reset()

    def mend(self) -> None:
        """Let everything pass again. Connections that have lost bytes meanwhile are reset."""
        kind, self._cut = self._cut, None
        self._whole.set()
        if kind in {"drop", "deaf"}:
            self._reset()

    def _reset(self) -> None:
        for line in list(self._lines):
            line.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut == "refuse" or (far := await self._connect()) is None:
            _abort(writer)
            return
        line = _Line(self, (reader, writer), far)
        self._lines[line] = asyncio.create_task(line.run())
        try:
            await asyncio.wait({self._lines[line]})
        finally:
            del self._lines[line]

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Connect to the next target that answers."""
        for _ in self.targets:
            target = self.targets[next(self._turn) % len(self.targets)]
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(HOST, target, limit=_CHUNK)
        return None

    async def may_pass(self, *, is_answer: bool) -> bool:
        """Wait while bytes are held; False if they are lost."""
        if self._cut == "drop" or (self._cut == "deaf" and is_answer):
            return False
        if self._cut == "hold":
            await self._whole.wait()
        return True


class _Line:
    """One connection through a door."""

    def __init__(
        self,
        door: Door,
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._door = door
        self._near, self._far = near, far

    async def run(self) -> None:
        """Carry bytes both ways until both sides have ended, or one breaks."""
        (near_in, near_out), (far_in, far_out) = self._near, self._far
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(near_in, far_out, is_answer=False))
                group.create_task(self._carry(far_in, near_out, is_answer=True))
        except* OSError:
            self.reset()
        finally:
            near_out.close()
            far_out.close()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_answer: bool) -> None:
        while chunk := await source.read(_CHUNK):
            if await self._door.may_pass(is_answer=is_answer):
                if sink.is_closing():
                    raise ConnectionResetError
                sink.write(chunk)
                await sink.drain()
        # A side that has gone takes the other along only after what it had sent has arrived.
        if await self._door.may_pass(is_answer=is_answer) and not sink.is_closing():
            sink.write_eof()

    def reset(self) -> None:
        """Break the connection on both sides."""
        for _, writer in (self._near, self._far):
            _abort(writer)


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close with a reset, as a cut does, not in good order."""
    plug = writer.get_extra_info("socket")
    if plug is not None:
        # uvloop says ValueError of a socket that has gone.
        with contextlib.suppress(OSError, ValueError):
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@asynccontextmanager
async def open_doors(doors: Sequence[Door]) -> AsyncGenerator[None]:
    """Let all doors listen for the length of the block."""
    try:
        for door in doors:
            await door.open()
        yield
    finally:
        for door in doors:
            await door.close()
