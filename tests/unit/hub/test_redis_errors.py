"""Whatever Redis raises, the message tries again; a defect of ours stays one."""

import asyncio
from typing import Any

import pytest
import uvloop
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from hub.redis import build_redis, run
from schemas.errors import RetrySoon


async def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    "error",
    [
        ResponseError("LOADING Redis is loading the dataset in memory"),
        ConnectionResetError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_ledger_that_does_not_answer_is_tried_again(error: Exception) -> None:
    with pytest.raises(RetrySoon) as raised:
        await run(_raise(error))
    assert raised.value.code == "ledger.unavailable"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", "memory"),
        ("MISCONF Errors writing to the AOF file: No space left on device", "disk"),
        ("READONLY You can't write against a read only replica.", "replica"),
        ("NOREPLICAS Not enough good replicas to write.", "replicas"),
    ],
)
async def test_a_ledger_that_takes_no_writes_says_why_and_is_tried_again(said: str, why: str) -> None:
    with pytest.raises(RetrySoon, match=why) as raised:
        await run(_raise(ResponseError(said)))
    assert raised.value.code == "ledger.read_only"


async def test_a_defect_is_not_taken_for_an_outage() -> None:
    with pytest.raises(RuntimeError, match="dictionary changed"):
        await run(_raise(RuntimeError("dictionary changed size during iteration")))


async def _reset_and_ask(url: str) -> str:
    """Ask over a connection that was reset since it was used last."""
    redis = build_redis(url)
    await redis.set("kept", "value")
    connection = await redis.connection_pool.get_connection()
    connection._writer.transport.abort()
    await redis.connection_pool.release(connection)
    try:
        return await redis.get("kept")
    finally:
        await redis.aclose(close_connection_pool=True)


def test_a_connection_that_was_reset_is_made_anew(redis_url: str) -> None:
    """On uvloop, as the services run, and where nobody translates errors."""
    assert uvloop.run(_reset_and_ask(redis_url)) == "value"


async def _cancel_as_it_is_sent(url: str, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Ask, cancel at the worst moment, and tell whether that came through."""
    async with build_redis(url) as redis:
        await redis.set("kept", "value")
        asking = asyncio.create_task(redis.get("kept"))
        send = AbstractConnection._send_packed_command

        async def send_and_cancel(self: AbstractConnection, command: Any) -> None:
            await send(self, command)
            asking.cancel()

        monkeypatch.setattr(AbstractConnection, "_send_packed_command", send_and_cancel)
        await asyncio.wait([asking])
        monkeypatch.undo()
        assert await redis.set("other", "1") is True, "the lost answer must not be taken for this command's"
    return asking.cancelled()


def test_a_cancellation_that_comes_as_a_command_is_sent_is_not_lost(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.11's `asyncio.wait_for`, within redis-py, forgets it; a time-out around the command never came again."""
    assert uvloop.run(_cancel_as_it_is_sent(redis_url, monkeypatch))
