"""Resetting and holding connections: what a fault does to the TCP connection below a request."""

import asyncio
import socket
import struct
from typing import Any

from uvicorn._types import ASGIReceiveCallable, HTTPScope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_EXTENSION = "simulators.transport"


class CuttableProtocol(HttpToolsProtocol):
    """uvicorn's protocol that hands its transport to the application, so that a fault can reset the connection."""

    def on_message_begin(self) -> None:
        """Add the transport to the request's scope."""
        super().on_message_begin()
        self.scope["extensions"] = {_EXTENSION: {"transport": self.transport}}


async def cut_connection(scope: HTTPScope, receive: ASGIReceiveCallable) -> None:
    """Reset the TCP connection (RST, not a clean close) and wait until the server has noticed."""
    held: Any = (scope.get("extensions") or {})[_EXTENSION]
    transport: asyncio.Transport = held["transport"]
    plug = transport.get_extra_info("socket")
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await hold_connection(receive)


async def hold_connection(receive: ASGIReceiveCallable) -> None:
    """Never answer; return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
