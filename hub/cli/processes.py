"""Services as child processes of one machine: for `hub up`, `hub demo` and the tests that kill them."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx

from hub.child_process import ChildProcess
from hub.embedded import HOST, find_free_port
from hub.log import get_logger

# Kafka and Redis are up already; what is waited for is the consumer group.
_READY_WITHIN = timedelta(seconds=60)
# The drain of a stage (20 s) and room for the rest.
_STOP_WITHIN = timedelta(seconds=28)


@dataclass
class ServiceProcess:
    """One `hub run SERVICE` and its ports: the public one, which only ingest opens, and the admin's."""

    name: str
    port: int
    admin_port: int
    child: ChildProcess

    async def is_ready(self, client: httpx.AsyncClient) -> bool:
        """Ask /readyz."""
        try:
            return (await client.get(f"http://127.0.0.1:{self.admin_port}/readyz")).is_success
        except httpx.HTTPError:
            return False


@dataclass
class ServiceProcesses:
    """A set of services under one environment, started, watched and stopped together."""

    environment: Mapping[str, str]
    logs: Path
    services: dict[str, ServiceProcess] = field(default_factory=dict[str, ServiceProcess])

    def start(self, names: Sequence[str], *, ports: Mapping[str, int] | None = None) -> None:
        """Start the services; each gets ports of its own."""
        for name in names:
            self.add(name, name, (ports or {}).get(name) or find_free_port())

    def add(self, label: str, service: str, port: int) -> ServiceProcess:
        """Start one more process of a service, under a label of its own."""
        admin_port = find_free_port()
        env = {
            **self.environment,
            "HUB_HTTP_PORT": str(port),
            "HUB_HTTP_HOST": HOST,
            "HUB_ADMIN_PORT": str(admin_port),
            "HUB_ADMIN_HOST": HOST,
        }
        command = (sys.executable, "-m", "hub", "run", service)
        process = ServiceProcess(
            service, port, admin_port, ChildProcess(label, command, self.logs / f"{label}.log", env)
        )
        process.child.spawn()
        self.services[label] = process
        return process

    async def wait_until_ready(self, within: timedelta = _READY_WITHIN) -> None:
        """Return once every service says that it is ready.

        Raises:
            ConfigurationError: one ended, or was not ready in time; its last words are in the message.
        """
        async with httpx.AsyncClient(timeout=3) as client:
            for process in self.services.values():
                await self._wait_for(process, client, within)

    async def _wait_for(self, process: ServiceProcess, client: httpx.AsyncClient, within: timedelta) -> None:
        try:
            async with asyncio.timeout(within.total_seconds()):
                while not await process.is_ready(client):
                    if not process.child.alive:
                        raise process.child.build_failure("ended while starting")
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise process.child.build_failure(f"was not ready within {within.total_seconds():g} s") from error

    async def supervise(self) -> None:
        """Start again what ends, for ever: a crash of one service is not the end of the others."""
        while True:
            for process in self.services.values():
                if not process.child.alive:
                    get_logger().error("up.service.restarted", service=process.name, log=str(process.child.log))
                    process.child.spawn()
            await asyncio.sleep(1.0)

    async def stop(self) -> None:
        """Let all drain at the same time, and return when all have ended."""
        stops = (asyncio.to_thread(one.child.stop, _STOP_WITHIN) for one in self.services.values())
        await asyncio.gather(*stops)
