"""Serving: uvicorn's HTTP protocol on two listening sockets of one event loop, with a way to reset connections."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from simulators.business_central.app import BusinessCentralSimulator
from simulators.business_central.certificates import make_certificates
from simulators.resets import CuttableProtocol

_BACKLOG = 2048
_KEEP_ALIVE_S = 75
_CLOSING_STEPS = 10


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the simulator was bound."""

    host: str
    port: int
    auth_port: int
    ca_bundle: Path

    def announcement(self) -> dict[str, str]:
        """Return what callers need to know."""
        base = f"http://{self.host}:{self.port}"
        return {
            "api_base": f"{base}/v2.0",
            "authority": f"https://{self.host}:{self.auth_port}",
            "ca_bundle": str(self.ca_bundle),
            "admin": f"{base}/_sim",
        }


@asynccontextmanager
async def serving(
    simulator: BusinessCentralSimulator, host: str, port: int, auth_port: int, cert_dir: Path
) -> AsyncGenerator[Listening]:
    """Serve until left; yields the ports that were bound."""
    bundle, context = make_certificates(cert_dir)
    state = ServerState()
    servers = [
        await _listen(simulator, state, host, port, None),
        await _listen(simulator.sign_in_app, state, host, auth_port, context),
    ]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    try:
        yield Listening(host, ports[0], ports[1], bundle)
    finally:
        for server in servers:
            server.close()
        await _close_connections(state)
        await simulator.close()


async def _listen(
    app: Callable[..., Any], state: ServerState, host: str, port: int, context: ssl.SSLContext | None
) -> asyncio.Server:
    config = uvicorn.Config(
        app,
        http=CuttableProtocol,
        interface="asgi3",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    config.load()

    def build() -> CuttableProtocol:
        return CuttableProtocol(config=config, server_state=state, app_state={})

    return await asyncio.get_running_loop().create_server(build, host, port, ssl=context, backlog=_BACKLOG)


async def _close_connections(state: ServerState) -> None:
    for task in list(state.tasks):
        task.cancel()
    await asyncio.gather(*state.tasks, return_exceptions=True)
    for connection in list(state.connections):
        transport: asyncio.Transport | None = getattr(connection, "transport", None)
        if transport is not None:
            transport.abort()
    for _ in range(_CLOSING_STEPS):
        if not state.connections:
            break
        await asyncio.sleep(0)
    # One step more: the socket below TLS closes after the protocol has heard of it.
    await asyncio.sleep(0)
