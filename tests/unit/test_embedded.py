"""The embedded parts start, answer, survive what tests do to them, and never outlive the hub."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from hub import embedded
from hub.child_process import ChildProcess
from hub.embedded import (
    EmbeddedBroker,
    EmbeddedProcess,
    EmbeddedRedis,
    find_free_port,
    is_broker_ready,
    is_redis_ready,
    packaged_redis_binary,
    system_redis_binary,
)
from schemas.errors import ConfigurationError

BUILDERS = [EmbeddedBroker, EmbeddedRedis]
REPOSITORY = Path(__file__).parents[2]

STARTS_A_BROKER_AND_WAITS = """
import asyncio, sys
from pathlib import Path
from hub.embedded import EmbeddedBroker

async def main():
    async with EmbeddedBroker(Path(sys.argv[1])) as broker:
        print(broker.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def answers(part: EmbeddedProcess) -> bool:
    if isinstance(part, EmbeddedRedis):
        return await is_redis_ready(part.url)
    assert isinstance(part, EmbeddedBroker)
    return await is_broker_ready(part.bootstrap)


def write_program(path: Path, shell: str) -> Path:
    path.write_text(f"#!/bin/sh\n{shell}\n")
    path.chmod(0o755)
    return path


def find_nothing(package: str) -> None:
    """Stand in for `find_spec` where the packages are not installed."""


@pytest.mark.parametrize("build", BUILDERS)
async def test_it_answers_inside_the_block_and_is_gone_after(
    build: Callable[[Path], EmbeddedProcess], tmp_path: Path
) -> None:
    async with build(tmp_path) as part:
        assert await answers(part)

    assert not part.alive
    assert not await answers(part)


@pytest.mark.parametrize("build", BUILDERS)
async def test_after_a_crash_it_starts_again_at_the_same_address(
    build: Callable[[Path], EmbeddedProcess], tmp_path: Path
) -> None:
    async with build(tmp_path) as part:
        first = part.pid
        await part.kill()
        assert not part.alive

        await part.start()
        assert part.pid != first
        assert await answers(part)


@pytest.mark.parametrize("build", BUILDERS)
async def test_it_can_be_paused_and_stopped_while_paused(
    build: Callable[[Path], EmbeddedProcess], tmp_path: Path
) -> None:
    async with build(tmp_path) as part:
        part.pause()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(answers(part), timeout=0.3)
        part.resume()
        assert await answers(part)

        part.pause()
        await part.stop()
        assert not part.alive


async def test_redis_keeps_its_data_over_a_stop(tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path) as part:
        async with Redis.from_url(part.url) as before:
            await before.set("invoice", "synced")
        await part.stop()
        await part.start()
        async with Redis.from_url(part.url) as after:
            assert await after.get("invoice") == b"synced"


async def test_redis_never_evicts_a_key(tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path) as part, Redis.from_url(part.url) as client:
        info = await client.info()
        assert info["maxmemory_policy"] == "noeviction"
        assert info["aof_enabled"] == 1


def list_open_to_others(directory: Path) -> list[Path]:
    kept = [path for path in directory.rglob("*") if not path.is_socket()]
    assert len(kept) >= 3
    return [path for path in kept if path.stat().st_mode & 0o077]


REDIS_BINARIES = [found for found in (system_redis_binary(), packaged_redis_binary()) if found]


@pytest.mark.parametrize("binary", REDIS_BINARIES, ids=str)
async def test_redis_is_its_own_users_alone(binary: Path, tmp_path: Path) -> None:
    """Over a port any local user could have it write a file of their choosing as the hub's user."""
    async with EmbeddedRedis(tmp_path, binary=binary) as part, Redis.from_url(part.url) as client:
        await client.set("invoice", "synced")
        assert part.pid is not None
        server = psutil.Process(part.pid)
        assert [one for one in server.net_connections("inet") if one.status == psutil.CONN_LISTEN] == []
        assert stat.S_IMODE(part.address.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(part.address.stat().st_mode) & 0o077 == 0
        assert await asyncio.to_thread(list_open_to_others, tmp_path) == []


@pytest.mark.parametrize("binary", REDIS_BINARIES, ids=str)
@pytest.mark.parametrize(
    "command",
    [
        ("CONFIG", "SET", "dir", "/tmp"),
        ("DEBUG", "SLEEP", "0"),
        ("MODULE", "LOAD", "/tmp/x.so"),
        ("REPLICAOF", "NO", "ONE"),
        ("SLAVEOF", "NO", "ONE"),
        ("MIGRATE", "127.0.0.1", "1", "key", "0", "10"),
        ("ACL", "LIST"),
    ],
    ids=lambda one: one[0],
)
async def test_dangerous_commands_are_off(binary: Path, command: tuple[str, ...], tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path, binary=binary) as part, Redis.from_url(part.url) as client:
        with pytest.raises(ResponseError, match="unknown command"):
            await client.execute_command(*command)


async def test_a_path_too_long_for_a_socket_gets_a_directory_of_its_own(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("é" * 40)
    async with EmbeddedRedis(deep) as part:
        assert await answers(part)
        place = part.address.parent
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        await part.kill()
        await part.start()
        assert await answers(part)
    assert not place.exists()


async def test_a_path_with_odd_characters_is_found_by_its_url(tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path / "my hub 100% & ü?") as part:
        assert await answers(part)


async def test_what_an_earlier_release_left_open_is_closed(tmp_path: Path) -> None:
    left = [tmp_path / "appendonlydir", tmp_path / "appendonlydir" / "x.aof", tmp_path / "redis.log", tmp_path / "run"]
    (tmp_path / "appendonlydir").mkdir(mode=0o755)
    (tmp_path / "run").mkdir(mode=0o777)
    for path in left[1:3]:
        path.touch(mode=0o644)
    async with EmbeddedRedis(tmp_path):
        assert [path for path in left if path.stat().st_mode & 0o077] == []


async def test_a_socket_directory_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "run").symlink_to(elsewhere)
    with pytest.raises(ConfigurationError, match="another user's"):
        await EmbeddedRedis(tmp_path / "data").start()


async def test_two_redis_never_share_a_data_directory(tmp_path: Path) -> None:
    """Two servers appending to one file would destroy the ledger; and the first must stay in reach."""
    async with EmbeddedRedis(tmp_path) as first:
        with pytest.raises(ConfigurationError, match="Another redis runs in"):
            await EmbeddedRedis(tmp_path).start()
        assert await answers(first)


@pytest.mark.parametrize(
    ("build", "finder", "advice"),
    [
        (EmbeddedBroker, "find_broker_binary", "Set HUB_KAFKA_BOOTSTRAP"),
        (EmbeddedRedis, "find_redis_binary", "Install Redis, or set HUB_REDIS_URL"),
    ],
)
async def test_a_missing_binary_says_what_to_do(
    build: Callable[[Path], EmbeddedProcess], finder: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded, "find_spec", find_nothing)

    with pytest.raises(ConfigurationError, match=advice):
        getattr(embedded, finder)()
    with pytest.raises(ConfigurationError, match=advice):
        await build(tmp_path).start()


async def test_a_program_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    broken = write_program(tmp_path / "broken", "echo 'the disk is on fire'; exit 3")

    with pytest.raises(ConfigurationError, match=r"ended while starting.*\n.*the disk is on fire"):
        await EmbeddedRedis(tmp_path, binary=broken).start()


async def test_a_program_that_never_answers_is_killed_at_the_deadline(tmp_path: Path) -> None:
    silent = write_program(tmp_path / "silent", "exec sleep 600")
    part = EmbeddedBroker(tmp_path, binary=silent, timeout=timedelta(seconds=0.5))

    with pytest.raises(ConfigurationError, match=r"did not answer within 0\.5 s"):
        await part.start()
    assert not part.alive


async def test_a_part_started_in_a_worker_thread_outlives_the_thread(tmp_path: Path) -> None:
    child = ChildProcess("sleeper", ["/bin/sleep", "600"], tmp_path / "sleeper.log")
    await asyncio.to_thread(child.spawn)
    await asyncio.get_running_loop().shutdown_default_executor()

    assert child.alive
    child.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_the_child_dies_with_a_killed_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTS_A_BROKER_AND_WAITS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        os.kill(parent.pid, signal.SIGKILL)

        psutil.wait_procs([child], timeout=10)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_port_is_given_once() -> None:
    """Many are asked for before the first of them is listened on."""
    ports = [find_free_port() for _ in range(300)]
    assert len(set(ports)) == len(ports)
