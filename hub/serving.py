"""HTTP servers of a process: uvicorn within limits, on ports that were opened before."""

import asyncio
import resource
import signal
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp

from hub.http_limits import HttpLimits, build_protocol
from hub.log import get_logger

_MOST_FILES = 65_536
_ENDINGS = (signal.SIGINT, signal.SIGTERM)


class _Server(uvicorn.Server):
    """Signals are the service's: it has more than a server to end."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serve_http(
    app: ASGIApp, listener: socket.socket, limits: HttpLimits, *, patience: int = 10
) -> AsyncGenerator[None]:
    """Serve an application for as long as the block runs; at its end what is being answered has so many seconds."""
    config = uvicorn.Config(
        app,
        http=build_protocol(limits),
        interface="asgi3",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=limits.idle_seconds,
        timeout_graceful_shutdown=patience,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


@contextmanager
def stop_on_signals() -> Generator[asyncio.Event]:
    """Yield what SIGTERM and SIGINT set. Process 1 of a container ignores what it does not handle."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _ENDINGS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in _ENDINGS:
            loop.remove_signal_handler(number)


def open_many_files() -> None:
    """Allow this process as many open files as its user may have: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def tell_port(what: str, listener: socket.socket) -> None:
    """Log where a port is: 0 picks one."""
    get_logger().info("service.port.opened", what=what, port=listener.getsockname()[1])
