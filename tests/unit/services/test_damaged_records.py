"""What is damaged in Redis, or not the hub's, is named; it stops the invoice or connection it is of, and no other."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from hub.backfill import Backfills
from hub.customer_sync import CustomerSyncs
from hub.ledger import InvoiceOutcome
from hub.redis import (
    backfill_key,
    connection_key,
    customer_link_key,
    customer_sync_key,
    invoice_key,
    waiting_entries_key,
    waiting_key,
)
from hub.stage.ports import Parked
from hub.waiting import RedisWaitingSet
from schemas.errors import Blocked, HubError, Refused
from tests.builders import NOW, SETTINGS, build_connection, build_head, build_secrets
from tests.service_fakes import World

DAMAGES = ["", "{", "null", "[]", "7", '"text"', '{"phase": 9}', '{"outcome": "splendid"}', "\x00\xff"]
Read = Callable[[World, str], Awaitable[Any]]


async def read_invoice(world: World, connection: str) -> Any:
    return await world.ledger.load_invoice(connection, "in_1")


async def read_link(world: World, connection: str) -> Any:
    return await world.ledger.load_customer_link(connection, "cus_1")


async def read_sync(world: World, connection: str) -> Any:
    return await CustomerSyncs(world.plain_redis).load(connection, "cus_1")


async def read_backfill(world: World, connection: str) -> Any:
    return await Backfills(world.plain_redis).load(connection)


PLACES: list[tuple[Read, Callable[[str], str], str | None]] = [
    (read_invoice, lambda connection: invoice_key(connection, "in_1"), "state"),
    (read_invoice, lambda connection: invoice_key(connection, "in_1"), "outcome"),
    (read_invoice, lambda connection: invoice_key(connection, "in_1"), "metadata"),
    (read_invoice, lambda connection: invoice_key(connection, "in_1"), "sent_at"),
    (read_link, customer_link_key, "cus_1"),
    (read_sync, customer_sync_key, "cus_1"),
    (read_backfill, backfill_key, None),
]


@pytest.mark.parametrize("text", [one for one in DAMAGES if one])
@pytest.mark.parametrize(("read", "key", "field"), PLACES)
async def test_a_damaged_record_is_named(
    world: World, read: Read, key: Callable[[str], str], field: str | None, text: str
) -> None:
    name = key(world.connection.id)
    if field is None:
        await world.plain_redis.set(name, text)
    else:
        await world.plain_redis.hset(name, field, text)
    error = await meet(read(world, world.connection.id))
    if error is None:
        # Some texts are a record by chance: one with nothing in it that this field knows.
        assert text in {"null", '{"phase": 9}', '{"outcome": "splendid"}'}
        return
    assert (type(error), error.code) == (Refused, "ledger.record.damaged")
    assert name in error.message


async def meet(reading: Awaitable[Any]) -> HubError | None:
    try:
        await reading
    except HubError as error:
        return error
    return None


@pytest.mark.parametrize(("read", "key"), [(read, key) for read, key, _ in PLACES])
async def test_a_key_of_another_type_is_named(world: World, read: Read, key: Callable[[str], str]) -> None:
    name = key(world.connection.id)
    await world.plain_redis.delete(name)
    await world.plain_redis.rpush(name, "not ours")
    with pytest.raises(Refused, match="another program's") as caught:
        await read(world, world.connection.id)
    assert name in caught.value.message


async def test_an_outcome_over_a_key_of_another_type_is_no_outage(world: World) -> None:
    """Taken for one it was tried for ever."""
    await world.plain_redis.set(invoice_key(world.connection.id, "in_1"), "not ours")
    outcome = InvoiceOutcome(outcome="failed", decided_at=NOW)
    with pytest.raises(Refused) as caught:
        await world.ledger.record_outcome(world.connection.id, build_head().build_wakeup(), outcome)
    assert caught.value.code == "ledger.record.damaged"


@pytest.mark.parametrize("field", ["connection", "secrets", "settings", "settings_version", "blocked:bc"])
@pytest.mark.parametrize("text", DAMAGES)
async def test_a_damaged_connection_is_blocked_alone(world: World, field: str, text: str) -> None:
    await world.plain_redis.hset(connection_key(world.connection.id), field, text)
    other = build_connection(stripe_account="acct_other")
    await world.directory.add(other, build_secrets(), SETTINGS)
    error = await meet(world.directory.load(world.connection.id))
    if error is None:
        # Settings may leave everything out.
        assert (field, text) in {("settings_version", "7"), *(("settings", one) for one in DAMAGES if "{" in one)}
    else:
        assert isinstance(error, Blocked)
        assert error.code in {"connection.damaged", "secrets.key.missing"}
    assert (await world.directory.load(other.id)).connection == other


async def test_a_connection_of_another_type_is_blocked(world: World) -> None:
    await world.plain_redis.delete(connection_key(world.connection.id))
    await world.plain_redis.set(connection_key(world.connection.id), "not ours")
    with pytest.raises(Blocked) as caught:
        await world.directory.load(world.connection.id)
    assert caught.value.code == "connection.damaged"


def build_parked(number: int) -> Parked:
    return Parked(build_head(f"in_{number}"), NOW, "bc.limit.reached", "x", "contacts", counts_as_attempt=False)


@pytest.mark.parametrize("text", DAMAGES)
async def test_a_damaged_entry_of_the_waiting_set_comes_round_all_the_same(world: World, text: str) -> None:
    """One of them kept 63 others from being woken."""
    connection, waiting = world.connection.id, RedisWaitingSet(world.plain_redis)
    for number in range(3):
        await waiting.park(build_parked(number))
    await world.plain_redis.hset(waiting_entries_key(connection), "in_1", text)

    assert {one.wakeup.object_id for one in await waiting.list_entries(connection)} == {"in_0", "in_1", "in_2"}
    assert await waiting.make_due(connection, NOW) == 3
    woken = await waiting.wake(connection, NOW + timedelta(days=400))
    assert {one.build_message(connection).object_id for one in woken} == {"in_0", "in_1", "in_2"}
    await waiting.settle(build_head("in_1"))
    await waiting.park(build_parked(1))
    (again,) = [one for one in await waiting.list_entries(connection) if one.wakeup.object_id == "in_1"]
    assert again.code == "bc.limit.reached"


async def test_an_outcome_ends_a_damaged_entry(world: World) -> None:
    connection, waiting = world.connection.id, RedisWaitingSet(world.plain_redis)
    await waiting.park(build_parked(1))
    await world.plain_redis.hset(waiting_entries_key(connection), "in_1", "{")
    outcome = InvoiceOutcome(outcome="failed", decided_at=NOW)
    assert await world.ledger.record_outcome(connection, build_head("in_1").build_wakeup(), outcome)
    assert await waiting.count(connection) == 0


async def test_a_waiting_set_of_another_type_is_named_by_whoever_asks(world: World) -> None:
    await world.plain_redis.set(waiting_key(world.connection.id), "not ours")
    waiting = RedisWaitingSet(world.plain_redis)
    for ask in (
        waiting.count(world.connection.id),
        waiting.wake(world.connection.id, NOW),
        waiting.park(build_parked(1)),
    ):
        with pytest.raises(HubError) as caught:
            await ask
        assert caught.value.code == "ledger.record.damaged"


async def test_ten_thousand_that_wait_are_woken_no_more_at_a_time_than_can_be_in_hand(world: World) -> None:
    connection, waiting = world.connection.id, RedisWaitingSet(world.plain_redis)
    await waiting.park(build_parked(0))
    entry = await world.plain_redis.hget(waiting_entries_key(connection), "in_0")
    ids = [f"in_{number}" for number in range(10_000)]
    await world.plain_redis.hset(
        waiting_entries_key(connection), mapping={one: entry.replace('"in_0"', f'"{one}"') for one in ids}
    )
    await world.plain_redis.zadd(waiting_key(connection), dict.fromkeys(ids, NOW.timestamp()))

    assert len(await waiting.wake(connection, NOW)) == 64
    assert len(await waiting.wake(connection, NOW)) == 0
    assert await waiting.count(connection) == 10_000 - 64
    assert len(await waiting.list_entries(connection)) == 10_000 - 64
