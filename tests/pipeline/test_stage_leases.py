"""Leases on a real Redis: one at a time, fenced, gone by themselves."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest

from hub.lease import Lease, hold_lease, hold_leases, try_role
from hub.ledger import InvoiceState, Ledger
from hub.redis import build_redis, invoice_lease_key
from schemas.errors import InDoubt, RetrySoon
from tests.brokers import RedisServer
from tests.fakes import CONNECTION

LIFE = timedelta(seconds=30)


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Any]:
    client = build_redis(redis_url)
    yield client
    await client.connection_pool.disconnect()


async def expire(redis: Any, key: str) -> None:
    """Let a lease's life be over, without waiting for it."""
    await redis.delete(key)


async def test_one_holder_at_a_time(redis: Any) -> None:
    async with hold_lease(redis, "lease", LIFE):
        with pytest.raises(RetrySoon) as caught:
            async with hold_lease(redis, "lease", LIFE):
                pass
        assert caught.value.code == "ledger.lease.taken"
    async with hold_lease(redis, "lease", LIFE):
        pass


async def test_it_ends_by_itself(redis: Any) -> None:
    async with hold_lease(redis, "lease", LIFE):
        assert 0 < await redis.pttl("lease") <= 30_000


async def test_it_is_given_back_when_the_block_fails_and_the_error_stands(redis: Any) -> None:
    with pytest.raises(InDoubt):
        async with hold_lease(redis, "lease", LIFE):
            raise InDoubt("Maybe.", code="bc.doubt")
    assert not await redis.exists("lease")


async def test_a_holder_that_slept_does_not_release_what_is_anothers_now(redis: Any) -> None:
    async with hold_lease(redis, "lease", LIFE) as sleeper:
        await expire(redis, "lease")
        other = Lease(redis, "lease", "other", LIFE)
        await redis.set("lease", other.token, px=30_000)
        await sleeper.release()
        assert await redis.get("lease") == "other"


async def test_a_write_under_a_lost_lease_is_refused(redis: Any) -> None:
    ledger = Ledger(redis)
    async with ledger.hold_invoice(CONNECTION, "in_1") as lease:
        await ledger.save_state(lease, CONNECTION, "in_1", InvoiceState(phase="intent"))
        await expire(redis, invoice_lease_key(CONNECTION, "in_1"))
        with pytest.raises(RetrySoon):
            await ledger.save_state(lease, CONNECTION, "in_1", InvoiceState(phase="created"))
    assert (await ledger.load_invoice(CONNECTION, "in_1")).state.phase == "intent"


async def test_a_repeated_command_whose_first_answer_was_lost_still_holds(redis: Any) -> None:
    """The client repeats a command after a broken connection, and the first may have been done."""
    assert await try_role(redis, "lease", "token", LIFE)
    assert await try_role(redis, "lease", "token", LIFE)


async def test_two_who_want_the_same_keys_do_not_wait_for_each_other(redis: Any) -> None:
    async def hold(keys: list[str]) -> str:
        try:
            async with hold_leases(redis, keys, LIFE):
                await asyncio.sleep(0)
                return "held"
        except RetrySoon:
            return "refused"

    outcomes = await asyncio.gather(hold(["a", "b"]), hold(["b", "a"]))
    assert "held" in outcomes
    assert not await redis.exists("a", "b")


async def test_several_are_taken_once_each_and_in_order(redis: Any) -> None:
    async with hold_leases(redis, ["b", "a", "b"], LIFE) as leases:
        assert [lease.key for lease in leases] == ["a", "b"]


async def test_of_several_none_is_kept_when_one_is_taken(redis: Any) -> None:
    async with hold_lease(redis, "b", LIFE):
        with pytest.raises(RetrySoon):
            async with hold_leases(redis, ["a", "b", "c"], LIFE):
                pass
        assert not await redis.exists("a", "c")


async def test_a_role_is_one_replicas_and_falls_to_another_when_it_ends(redis: Any) -> None:
    assert await try_role(redis, "role", "first", LIFE)
    assert not await try_role(redis, "role", "second", LIFE)
    assert await try_role(redis, "role", "first", LIFE)
    await expire(redis, "role")
    assert await try_role(redis, "role", "second", LIFE)
    assert not await try_role(redis, "role", "first", LIFE)


async def test_work_that_is_done_stands_when_its_lease_cannot_be_given_back(
    redis: Any, redis_server: RedisServer
) -> None:
    done = False
    async with hold_lease(redis, "lease", LIFE):
        done = True
        await asyncio.to_thread(redis_server.kill)
    assert done
