"""Intents on a real Redis: at its time, under all leases or not at all, and known to its replica before they count."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from hub.intent import write_intent
from hub.lease import Lease, hold_lease, hold_leases
from hub.ledger import InvoiceState, Ledger
from hub.redis import build_redis
from schemas.errors import RetrySoon
from services.contacts.claims import Claim
from tests.brokers import OurRedis, Unavailable, run_redis_pair, skip_missing
from tests.fakes import CONNECTION, START

LIFE = timedelta(seconds=30)
DAY = timedelta(days=1)


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Any]:
    client = build_redis(redis_url)
    yield client
    await client.connection_pool.disconnect()


async def claim(redis: Any, leases: Sequence[Lease]) -> Claim:
    return (await write_intent(redis, leases, ["claim:a", "claim:b"], Claim(), life=DAY)).record


async def test_an_intent_carries_the_time_of_redis_and_is_read_as_it_was_written(redis: Any) -> None:
    ledger = Ledger(redis)
    seconds, _ = await redis.time()
    async with ledger.hold_invoice(CONNECTION, "in_1") as lease:
        written = (await ledger.write_intent(lease, CONNECTION, "in_1", START)).record

    assert written.phase == "intent"
    assert written.synced_at == START
    assert written.intent_at is not None
    assert timedelta(0) <= written.intent_at - datetime.fromtimestamp(seconds, UTC) < timedelta(seconds=10)
    assert (await ledger.load_invoice(CONNECTION, "in_1")).state == written


async def test_what_the_ledger_takes_for_now_is_later_than_what_it_wrote(redis: Any) -> None:
    ledger = Ledger(redis)
    async with ledger.hold_invoice(CONNECTION, "in_1") as lease:
        written = (await ledger.write_intent(lease, CONNECTION, "in_1", None)).record
    life, now = await ledger.load_life()

    assert written.intent_at is not None
    assert written.intent_at <= now == life.born_at


async def test_an_intent_begins_the_lives_of_its_leases_anew(redis: Any) -> None:
    async with hold_leases(redis, ["a", "b"], LIFE) as leases:
        for lease in leases:
            await redis.pexpire(lease.key, 500)
        written = await claim(redis, leases)
        assert min([await redis.pttl(lease.key) for lease in leases]) > 20_000

    for key in ("claim:a", "claim:b"):
        assert Claim.model_validate_json(await redis.get(key)) == written
        assert 86_000 < await redis.ttl(key) <= 86_400


async def test_where_one_lease_is_anothers_nothing_is_written_and_none_lives_longer(redis: Any) -> None:
    async with hold_leases(redis, ["a", "b"], LIFE) as leases:
        await redis.pexpire("a", 5_000)
        await redis.set("b", "another's token", px=5_000)
        with pytest.raises(RetrySoon) as caught:
            await claim(redis, leases)
        assert caught.value.code == "ledger.lease.lost"
        assert not await redis.exists("claim:a", "claim:b")
        assert max([await redis.pttl("a"), await redis.pttl("b")]) <= 5_000


async def test_an_intent_for_an_invoice_stays(redis: Any) -> None:
    async with hold_lease(redis, "lease", LIFE) as lease:
        await write_intent(redis, [lease], ["invoice"], InvoiceState(phase="intent"))
    assert await redis.ttl("invoice") == -1


async def write(redis: Any, *, replicas: int = 1) -> bool:
    async with Ledger(redis, replicas=replicas).hold_invoice(CONNECTION, "in_1") as lease:
        return (await Ledger(redis, replicas=replicas).write_intent(lease, CONNECTION, "in_1", None)).is_replicated


async def write_until_confirmed(redis: Any) -> None:
    """On a busy machine a replica may take longer than the ledger waits for it."""
    async with asyncio.timeout(20):
        while not await write(redis):
            pass


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncGenerator[tuple[OurRedis, OurRedis]]:
    """A Redis and its replica, in step."""
    try:
        with run_redis_pair(tmp_path) as (primary, replica):
            async with Redis.from_url(primary.url) as client, asyncio.timeout(20):
                while not await client.wait(1, 500):
                    await client.set("probe", 1)
            yield primary, replica
    except Unavailable as exc:
        skip_missing("redis", str(exc))


async def test_an_intent_outlives_a_failover_when_the_replica_has_confirmed_it(pair: tuple[OurRedis, OurRedis]) -> None:
    primary, replica = pair
    redis, successor = build_redis(primary.url), build_redis(replica.url)
    await write_until_confirmed(redis)
    await asyncio.to_thread(primary.kill)
    await successor.replicaof("NO", "ONE")

    assert (await Ledger(successor).load_invoice(CONNECTION, "in_1")).state.phase == "intent"
    for client in (redis, successor):
        await client.connection_pool.disconnect()


async def test_an_intent_that_the_replica_does_not_confirm_is_no_leave_to_send(pair: tuple[OurRedis, OurRedis]) -> None:
    primary, replica = pair
    redis = build_redis(primary.url)
    await asyncio.to_thread(replica.pause)
    assert not await write(redis)
    await asyncio.to_thread(replica.resume)

    await write_until_confirmed(redis)
    await redis.connection_pool.disconnect()


async def test_without_replicas_nobody_is_waited_for(redis: Any) -> None:
    assert await write(redis, replicas=0)
    assert not await write(redis)
