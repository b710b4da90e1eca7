"""Serving: uvicorn's HTTP protocol on a listening socket, with a way to reset connections."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from uvicorn.server import ServerState

from simulators.resets import CuttableProtocol
from simulators.stripe.app import StripeSimulator

_BACKLOG = 2048
_KEEP_ALIVE_S = 75


@asynccontextmanager
async def serving(simulator: StripeSimulator, host: str, port: int) -> AsyncGenerator[int]:
    """Serve until left; yields the port that was bound."""
    config = uvicorn.Config(
        simulator,  # pyright: ignore[reportArgumentType] - uvicorn's union of ASGI 2 and 3 defeats the checker
        http=CuttableProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    config.load()
    state = ServerState()
    state.default_headers = [(b"server", b"nginx")]
    loop = asyncio.get_running_loop()
    await simulator.open()
    server = await loop.create_server(
        lambda: CuttableProtocol(config=config, server_state=state, app_state={}), host, port, backlog=_BACKLOG
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await _close_connections(state)
        await simulator.close()


async def _close_connections(state: ServerState) -> None:
    for connection in list(state.connections):
        connection.shutdown()
    for task in list(state.tasks):
        task.cancel()
    await asyncio.gather(*state.tasks, return_exceptions=True)
