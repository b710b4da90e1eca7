"""A service that waits for Kafka and Redis answers its probes and ends at once when told to, also as process 1."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.embedded import HOST, find_free_port
from tests.fakes import wait_until

pytestmark = pytest.mark.slow
NOBODY = "127.0.0.1:1"


@dataclass
class Starting:
    """A service that has nothing to begin with."""

    process: asyncio.subprocess.Process
    public: int
    admin: int

    async def ask(self, port: int, path: str, method: str = "GET") -> tuple[int, Any]:
        async with httpx.AsyncClient(timeout=10) as http:
            answer = await http.request(method, f"http://{HOST}:{port}{path}")
            is_json = answer.headers["content-type"].startswith("application/json")
            return answer.status_code, answer.json() if is_json else answer.text

    async def is_open(self) -> bool:
        try:
            await self.ask(self.admin, "/healthz")
        except httpx.HTTPError:
            return False
        return True

    async def wait_until_open(self) -> None:
        async with asyncio.timeout(60):
            while not await self.is_open():
                assert self.process.returncode is None
                await asyncio.sleep(0.1)

    async def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; return the exit code, and how long the end took."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self.process.send_signal(number)
        async with asyncio.timeout(30):
            return await self.process.wait(), loop.time() - begun


@asynccontextmanager
async def start(
    service: str = "ingest", *, kafka: str = NOBODY, redis: str = NOBODY, before: Sequence[str] = ()
) -> AsyncGenerator[Starting]:
    public, admin = find_free_port(), find_free_port()
    own = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    environment = {
        **own,
        "HUB_KAFKA_BOOTSTRAP": kafka,
        "HUB_REDIS_URL": f"redis://{redis}/0",
        "HUB_SECRET_KEYS": "a key for the tests of starts",
        "HUB_HTTP_PORT": str(public),
        "HUB_HTTP_HOST": HOST,
        "HUB_ADMIN_PORT": str(admin),
    }
    command = (*before, sys.executable, "-m", "hub", "run", service)
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield Starting(process, public, admin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def open_silence() -> AsyncGenerator[str]:
    """Listen, accept, and never say anything."""

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(keep, HOST, 0)
    async with server:
        yield f"{HOST}:{server.sockets[0].getsockname()[1]}"


async def test_probes_answer_while_a_service_waits_and_say_what_is_missing() -> None:
    async with start() as service:
        await service.wait_until_open()

        assert await service.ask(service.admin, "/healthz") == (200, {"ok": True, "problem": None})
        status, told = await service.ask(service.admin, "/readyz")
        assert status == 503
        assert told["missing"] == ["started", "broker", "ledger"]
        assert "HUB_KAFKA_BOOTSTRAP" in told["why"]
        assert (await service.ask(service.admin, "/metrics"))[0] == 200
        assert (await service.ask(service.public, "/webhooks/stripe/acct_1", "POST"))[0] == 503


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/", "/docs"])
async def test_the_public_port_shows_nothing_of_the_operators(path: str) -> None:
    async with start() as service:
        await service.wait_until_open()
        assert (await service.ask(service.public, path))[0] == 404


async def test_the_admin_port_takes_no_webhooks() -> None:
    async with start() as service:
        await service.wait_until_open()
        assert (await service.ask(service.admin, "/webhooks/stripe/acct_1", "POST"))[0] == 404


@pytest.mark.parametrize("service_name", ["ingest", "contacts", "invoices", "metadata_writer"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_wait_at_once(service_name: str, number: int) -> None:
    async with start(service_name) as service:
        await service.wait_until_open()
        code, seconds = await service.end(number)

        assert code == 0
        assert seconds < 5


async def test_a_signal_ends_the_wait_for_what_accepts_and_never_answers() -> None:
    async with open_silence() as nobody, start(kafka=nobody, redis=nobody) as service:
        await service.wait_until_open()
        code, seconds = await service.end()

        assert code == 0
        assert seconds < 5


async def test_only_ingest_has_a_public_port() -> None:
    async with start("contacts") as service:
        await service.wait_until_open()
        with pytest.raises(httpx.ConnectError):
            await service.ask(service.public, "/")


def _has_namespaces() -> bool:
    unshare = shutil.which("unshare")
    tried = [unshare or "", "--pid", "--fork", "--kill-child", "true"]
    return unshare is not None and subprocess.run(tried, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _has_namespaces(), reason="needs unshare and the right to make process namespaces")
async def test_process_1_of_a_container_ends_at_once_too() -> None:
    """The kernel gives it no default action: what is not handled is ignored."""
    async with start(before=("unshare", "--pid", "--fork", "--kill-child")) as service:
        await service.wait_until_open()
        (child,) = _list_children(service.process.pid)
        os.kill(child, signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await service.process.wait() == 0


async def test_a_command_ends_when_told_to_from_its_first_moment_on() -> None:
    """Before most of it is loaded."""
    async with start("ingest") as service:
        await wait_until(lambda: _handles(service.process.pid, signal.SIGTERM))
        code, _ = await service.end()
        assert code in {0, 128 + signal.SIGTERM}


def _list_children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _handles(pid: int, number: int) -> bool:
    """Tell whether a process has a handler for a signal."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(line for line in lines if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)
