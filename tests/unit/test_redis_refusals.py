"""What real servers say when they take no writes is understood, from commands and from scripts."""

from functools import partial
from pathlib import Path

import pytest

from hub.child_process import ChildProcess, wait_until_ready
from hub.embedded import (
    HOST,
    find_free_port,
    is_redis_ready,
    packaged_redis_binary,
    redis_command,
    system_redis_binary,
)
from hub.redis import build_redis, run
from schemas.errors import RetrySoon

SCRIPT = "return redis.call('SET', KEYS[1], ARGV[1])"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--maxmemory", "1"], "memory"),
        (["--replicaof", "127.0.0.1", "1"], "replica"),
        (["--min-replicas-to-write", "1"], "replicas"),
    ],
    ids=["memory is full", "is a replica", "too few replicas"],
)
@pytest.mark.parametrize("binary", [one for one in (system_redis_binary(), packaged_redis_binary()) if one], ids=str)
async def test_what_a_real_redis_says_is_understood(binary: Path, options: list[str], why: str, tmp_path: Path) -> None:
    port = find_free_port()
    child = ChildProcess("redis", [*redis_command(port, tmp_path, binary), *options], tmp_path / "redis.log")
    child.spawn()
    url = f"redis://{HOST}:{port}/0"
    try:
        await wait_until_ready(child, partial(is_redis_ready, url))
        async with build_redis(url) as redis:
            for command in (redis.set("key", "value"), redis.eval(SCRIPT, 1, "key", "value")):
                with pytest.raises(RetrySoon, match=why) as raised:
                    await run(command)
                assert raised.value.code == "ledger.read_only"
    finally:
        child.kill()
