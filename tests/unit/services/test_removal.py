"""A connection that was removed: what goes, what stays, and what happens when it is added again."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from hub.directory import Directory
from hub.ending import end_all
from hub.gate import Answers, ConnectionGate
from hub.stage.ports import Parked
from hub.waiting import RedisWaitingSet
from schemas.connections import BlockedState
from schemas.errors import Gone, Poison
from services.ingest.waker import Waker
from tests.builders import NOW, SETTINGS, build_head, build_invoice, build_secrets
from tests.fakes import FakePublisher, wait_until
from tests.service_fakes import World


async def park(world: World, invoice_id: str) -> None:
    head = build_head(invoice_id).model_copy(update={"connection": world.connection.id})
    await RedisWaitingSet(world.plain_redis).park(Parked(head, NOW, "bc.x", "x", "contacts", counts_as_attempt=True))


async def add_again(world: World) -> None:
    await world.directory.add(world.connection, build_secrets(), SETTINGS)


async def read_all(world: World) -> dict[str, str]:
    """Everything in the ledger, as text."""
    found: dict[str, str] = {}
    redis: Any = world.plain_redis
    async for key in redis.scan_iter("*"):
        match await redis.type(key):
            case "hash":
                found[key] = str(await redis.hgetall(key))
            case "string":
                found[key] = await redis.get(key)
            case _:
                found[key] = ""
    return found


async def test_secrets_and_sign_in_go_and_what_waits_is_forgotten_with_its_count(world: World) -> None:
    connection = world.connection.id
    await world.directory.build_token_store(connection).save("a sign-in")
    for invoice_id in ("in_1", "in_2"):
        await park(world, invoice_id)
    await RedisWaitingSet(world.plain_redis).wake(connection, NOW, at_most=1)
    before = await read_all(world)
    secrets = await world.plain_redis.hget(f"hub:{{{connection}}}:connection", "secrets")
    kept_settings = f"hub:{{{connection}}}:settings"

    assert await world.directory.remove(connection) == 2

    after = await read_all(world)
    assert any(secrets in value for value in before.values())
    assert not any(secrets in value for value in after.values())
    assert {key for key in before if connection in key} - set(after) == {
        f"hub:{{{connection}}}:{name}" for name in ("tokens", "waiting", "waiting:entries", "woken")
    }
    assert after[kept_settings] == before[kept_settings]
    assert await world.directory.list_ids() == []


async def test_other_processes_forget_it_within_a_second(world: World) -> None:
    connection = world.connection.id
    await world.directory.get(connection)
    await Directory(world.plain_redis, world.directory.box, world.clock).remove(connection)

    world.clock.move(timedelta(seconds=1))

    with pytest.raises(Gone, match=r"was removed on 2026-11-24\."):
        await world.directory.get(connection)
    assert await world.directory.find_account(world.connection.stripe_account) == []


async def test_it_is_removed_once_and_what_never_was_is_not(world: World) -> None:
    await world.directory.remove(world.connection.id)

    with pytest.raises(Gone):
        await world.directory.remove(world.connection.id)
    with pytest.raises(Poison):
        await world.directory.remove("con_nobody")


async def test_added_again_it_makes_no_second_draft(world: World) -> None:
    world.stripe.put(build_invoice())
    assert await world.bring(build_head()) is None
    await world.directory.remove(world.connection.id)
    await add_again(world)

    for head in (build_head(), build_head(cause="replay")):
        assert await world.bring(head) is None

    assert world.results[-1].outcome == "synced"
    assert len(world.bc.created) == len(world.bc.customers) == 1


async def test_added_again_it_knows_its_old_settings_but_nothing_of_what_blocked_it(world: World) -> None:
    connection = world.connection.id
    await world.directory.remove(connection)
    # What was in hand just then, and came to its end after.
    state = BlockedState(code="bc.x", message="x", since=NOW, next_probe_at=NOW)
    await world.directory.save_block(connection, "bc", state)
    await world.directory.save_proved(connection)
    await park(world, "in_1")

    await add_again(world)

    snapshot = await world.directory.load(connection)
    assert (snapshot.blocks, snapshot.proved, snapshot.settings_version) == ({}, False, 2)
    assert await world.directory.load_settings(connection, 1) == SETTINGS
    assert await RedisWaitingSet(world.plain_redis).count(connection) == 0


async def test_its_waiting_count_leaves_the_metrics(world: World) -> None:
    waiting = RedisWaitingSet(world.plain_redis)
    waker = Waker(
        directory=world.directory,
        waiting=waiting,
        publisher=FakePublisher(),
        gate=ConnectionGate(world.directory, world.clock, Answers(), waiting),
        redis=world.plain_redis,
        clock=world.clock,
        interval=timedelta(milliseconds=1),
    )

    def count() -> float | None:
        return REGISTRY.get_sample_value("hub_waiting_messages", {"connection": world.connection.id})

    running = asyncio.create_task(waker.run())
    try:
        await wait_until(lambda: count() == 0)
        await world.directory.remove(world.connection.id)
        await wait_until(lambda: count() is None)
    finally:
        await end_all([running])
