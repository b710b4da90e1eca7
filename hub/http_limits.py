"""What one HTTP port may be made to hold and to wait for by anybody who can reach it: limits of size, number and time.

uvicorn bounds none of this with httptools: a head of 120 MB is taken, and copied for each piece that comes, and a body
that never ends is kept for ever. Here a request is closed that is too large or too slow; and where all requests
together hold too much, the one that has waited longest for the rest of itself gives way: those of Stripe come within
milliseconds, so an attack pushes out itself.
"""

import asyncio
import ctypes
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from hub.metrics import HTTP_CLOSED

# More than a burst of honest requests holds.
_FLOOD = 8_000_000
# Seconds until the applications of closed connections have let go too.
_SETTLED = 1.0


@dataclass(frozen=True)
class HttpLimits:
    """The limits of one port."""

    head_bytes: int = 8_192
    """Request line and headers; also what comes between or behind the pieces of a body."""
    request_seconds: float = 15
    """From the first byte, or the opening of the connection, until the request is whole."""
    idle_seconds: int = 5
    """Between two requests of one connection."""
    bytes_in_flight: int = 32_000_000
    """Of the bodies of all requests that have not been answered."""
    connections: int = 500
    """A soft limit of 1,024 open files is usual, and the service needs some for itself."""
    pipelined: int = 16
    """Requests that may be sent before the first is answered; more are an attack."""
    leave_seconds: float = 2
    """How long a closed connection may go on sending, so that the answer is read before it is cut."""


@dataclass
class Lobby:
    """The connections of one port, and what they hold together."""

    limits: HttpLimits
    held: int = 0
    open: int = 0
    _most: int = 0
    """Bytes held at once since all was let go of the last time."""
    _waiting: dict["LimitedProtocol", None] = field(default_factory=dict["LimitedProtocol", None])
    """Those whose request is not whole yet, or that have sent none; the one that has waited longest first."""

    def wait(self, one: "LimitedProtocol") -> None:
        """Note that a connection waits for the rest of its request."""
        self._waiting.setdefault(one)

    def leave(self, one: "LimitedProtocol") -> None:
        """Note that it waits no longer."""
        self._waiting.pop(one, None)

    def hold(self, size: int) -> None:
        """Count bytes of a body."""
        self.held += size
        self._most = max(self._most, self.held)

    def let_go(self, size: int) -> None:
        """Count them no more; after a flood, the allocator's memory goes back to the system."""
        self.held -= size
        if not self.held and self._most > _FLOOD:
            self._most = 0
            asyncio.get_running_loop().call_later(_SETTLED, _trim_memory)

    def make_room(self, newest: "LimitedProtocol") -> None:
        """Close those that have waited longest until the limits hold; the newest, if there are no others."""
        while self.held > self.limits.bytes_in_flight or self.open > self.limits.connections:
            one = next(iter(self._waiting), newest)
            one.give_way()
            if one is newest:
                return


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol within limits. A request that comes whole in one piece costs nothing more."""

    lobby: Lobby
    _unread = 0
    """Bytes since the last piece of a body or the end of a head."""
    _held = 0
    _is_whole = True
    _is_counted = False
    _is_dismissed = False
    _deadline: asyncio.TimerHandle | None = None

    # What uvicorn's protocol is told by the transport.

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as uvicorn's
        """Wait for the first request."""
        super().connection_made(transport)
        self.lobby.open += 1
        self._is_counted = True
        self._wait()
        self.lobby.make_room(self)

    def data_received(self, data: bytes) -> None:
        """Feed the parser no more than a head at a time."""
        size = self.lobby.limits.head_bytes
        for start in range(0, len(data), size):
            if self._is_dismissed or self.transport.is_closing():
                return
            part = data if len(data) <= size else data[start : start + size]
            self._unread += len(part)
            super().data_received(part)
            if self._unread >= size:
                self.dismiss(431, "The head of the request is too large.")
            elif len(self.pipeline) > self.lobby.limits.pipelined:
                self.transport.abort()
        if self._is_whole and not self._unread:
            self._stop_waiting()
            self._idle()
        elif not self._is_dismissed:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back what was held."""
        super().connection_lost(exc)
        self.pipeline.clear()
        self._depart()

    # What it is told by the parser.

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._is_whole = False

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._unread = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hold a piece of the body."""
        self._unread = 0
        super().on_body(body)
        if not self.cycle.response_complete:
            self._held += len(body)
            self.lobby.hold(len(body))
            self.lobby.make_room(self)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._unread = 0
        self._is_whole = True
        super().on_message_complete()

    # What it is told by the request's cycle, and by the server.

    def on_response_complete(self) -> None:
        """Nothing more is kept; what is left of a body that was answered early is thrown away, for a moment."""
        self._release()
        super().on_response_complete()
        if self.cycle.response_complete and not self._is_whole and not self.transport.is_closing():
            self._stop_waiting()
            self._deadline = self.loop.call_later(self.lobby.limits.leave_seconds, self.transport.abort)

    def shutdown(self) -> None:
        """Wait for no request that is not whole."""
        super().shutdown()
        if not self._is_whole:
            self.dismiss(503, "The hub is stopping; please send it again.")

    def give_way(self) -> None:
        """Answer and close at once: others need the room."""
        self.dismiss(503, "The hub is busy with other requests; please send it again.")
        self._depart()  # also one that is closing already
        self.transport.close()

    def dismiss(self, status: int, reason: str) -> None:
        """Answer, if no answer has begun, and close: at once for the application, a moment later for the sender.

        A connection that is cut while its sender sends shows an error there instead of the answer.
        """
        if self._is_dismissed or self.transport.is_closing():
            return
        self._is_dismissed = True
        HTTP_CLOSED.labels(str(status)).inc()
        self._depart()
        cycle: Any = self.cycle  # None before the first request
        if not cycle or cycle.response_complete or not cycle.response_started:
            self.transport.write(_build_answer(status, reason))
        self._end_cycle()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._deadline = self.loop.call_later(self.lobby.limits.leave_seconds, self.transport.abort)

    def _end_cycle(self) -> None:
        """Let the application know that nobody is there any more."""
        cycle: Any = self.cycle
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()

    def _idle(self) -> None:
        """Wait for another request, where the last was answered before it was whole: uvicorn forgot to."""
        cycle: Any = self.cycle  # None before the first request
        if cycle and cycle.response_complete and self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _wait(self) -> None:
        if self._deadline is None:
            self.lobby.wait(self)
            self._deadline = self.loop.call_later(self.lobby.limits.request_seconds, self._be_late)

    def _be_late(self) -> None:
        self.dismiss(408, "The request did not come whole in time.")

    def _stop_waiting(self) -> None:
        self.lobby.leave(self)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _depart(self) -> None:
        """Count no more, and hold nothing."""
        self.lobby.open -= self._is_counted
        self._is_counted = False
        self._stop_waiting()
        self._release()

    def _release(self) -> None:
        if self._held:
            self.lobby.let_go(self._held)
            self._held = 0


def _trim_memory() -> None:
    """Give freed memory back: glibc keeps it otherwise. Other allocators have no such call, and need none."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def build_protocol(limits: HttpLimits) -> type[LimitedProtocol]:
    """Build the protocol of one port, whose connections share its limits."""

    class Protocol(LimitedProtocol):
        lobby = Lobby(limits)

    return Protocol


def _build_answer(status: int, reason: str) -> bytes:
    return STATUS_LINE[status] + (
        f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(reason)}\r\nconnection: close\r\n\r\n{reason}"
    ).encode("ascii")
