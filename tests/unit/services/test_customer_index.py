"""The index of customers: filled once, kept fresh, shared by processes, and never a copy of personal data."""

import asyncio
from datetime import timedelta

import pytest

from connectors.business_central.models import Customer
from hub.lease import hold_lease
from hub.redis import customer_index_key, customer_index_rows_key, customer_lease_key
from schemas.errors import RetryLater, RetrySoon
from services.contacts.index import Company, CustomerIndex, IndexBusy
from tests.builders import NOW, build_customer
from tests.service_fakes import World

REST = timedelta(minutes=6)
DAY = timedelta(days=1, minutes=1)
BY_EMAIL = [frozenset({"email:billing@acme.example"})]
BY_NAME = [frozenset({"displayName:acme gmbh"})]


def build_index(world: World) -> CustomerIndex:
    return CustomerIndex(world.ledger.redis, world.clock, timedelta(seconds=60))


def build_company(world: World, home: str = "DE") -> Company:
    return Company("bc_1", home, world.bc)


async def find(world: World, index: CustomerIndex, wanted: list[frozenset[str]] = BY_EMAIL) -> frozenset[str]:
    (found,) = await index.find(build_company(world), [wanted])
    return found


def stamp(customer: Customer, seconds: int) -> Customer:
    return customer.model_copy(update={"last_modified": NOW + timedelta(seconds=seconds)})


async def test_it_is_filled_once_for_all_processes(world: World) -> None:
    world.bc.customers.append(build_customer(id="a"))
    for _ in range(2):
        index = build_index(world)
        await index.prepare(build_company(world))
        assert await find(world, index) == await find(world, index, BY_NAME) == {"a"}

    assert world.bc.calls == ["list_customers"]


async def test_in_a_process_many_wait_for_one_read(world: World) -> None:
    index = build_index(world)
    await asyncio.gather(*(index.prepare(build_company(world)) for _ in range(20)))
    assert world.bc.calls == ["list_customers"]


async def test_every_group_of_keys_must_be_met(world: World) -> None:
    index = build_index(world)
    await index.put(build_company(world), [build_customer(id="a"), build_customer(id="b", displayName="Other")])

    assert await find(world, index) == {"a", "b"}
    assert await find(world, index, [*BY_EMAIL, *BY_NAME]) == {"a"}
    assert await find(world, index, [frozenset({"email:x", "email:billing@acme.example"})]) == {"a", "b"}
    assert await index.find(build_company(world), []) == []


async def test_after_a_rest_only_what_has_changed_is_read(world: World) -> None:
    world.bc.customers += [build_customer(id="a"), build_customer(id="b")]
    index = build_index(world)
    await index.prepare(build_company(world))
    world.clock.move(REST)
    await index.prepare(build_company(world))
    world.clock.move(REST)
    world.bc.customers[1] = build_customer(id="b", email="new@acme.example")
    await index.prepare(build_company(world))

    # The second read goes over the last minutes again, for what became visible late.
    assert world.bc.listed == [2, 2, 1]
    assert await find(world, index) == {"a"}
    assert await find(world, index, [frozenset({"email:new@acme.example"})]) == {"b"}


async def test_once_a_day_it_is_made_anew_and_forgets_who_is_gone(world: World) -> None:
    world.bc.customers += [build_customer(id="a"), build_customer(id="b")]
    index = build_index(world)
    await index.prepare(build_company(world))
    del world.bc.customers[0]
    world.clock.move(REST)
    await index.prepare(build_company(world))
    assert await find(world, index) == {"a", "b"}

    world.clock.move(DAY)
    await index.prepare(build_company(world))
    assert await find(world, index) == {"b"}


async def test_an_older_read_does_not_cover_a_newer_one(world: World) -> None:
    index, company = build_index(world), build_company(world)
    await index.put(company, [stamp(build_customer(id="a", email="new@acme.example"), 2)])
    await index.put(company, [stamp(build_customer(id="a"), 1)])

    assert await find(world, index) == frozenset()
    assert await find(world, index, [frozenset({"email:new@acme.example"})]) == {"a"}


async def test_one_that_is_created_while_all_are_read_stays(world: World) -> None:
    index, company = build_index(world), build_company(world)
    made = build_customer(id="new")

    async def create_meanwhile() -> None:
        await build_index(world).put(company, [made])

    world.bc.do_at_next("list_customers", create_meanwhile)
    await index.prepare(company)
    assert await find(world, index) == {"new"}


async def test_before_nobody_is_found_what_has_changed_is_read_but_not_for_each_of_many(world: World) -> None:
    index, company = build_index(world), build_company(world)
    mark = await index.prepare(company)
    asked = world.clock.now()
    assert not await index.catch_up(company, mark, asked)
    world.clock.move(timedelta(seconds=6))
    assert await index.catch_up(company, mark, asked)
    assert await index.catch_up(company, mark, asked)
    assert world.bc.calls == ["list_customers"] * 2

    await index.catch_up(company, mark, None)
    assert world.bc.calls == ["list_customers"] * 3


async def test_who_was_there_when_it_was_asked_is_found_however_young_the_last_read_is(world: World) -> None:
    index, company = build_index(world), build_company(world)
    mark = await index.prepare(company)
    world.clock.move(timedelta(seconds=1))
    world.bc.customers.append(build_customer(id="b", last_modified=world.clock.now()))
    world.clock.move(timedelta(seconds=1))

    assert await index.catch_up(company, mark, world.clock.now())
    assert await find(world, index) == {"b"}


async def test_while_another_process_reads_for_the_first_time_there_is_a_wait(world: World) -> None:
    index, company = build_index(world), build_company(world)
    async with hold_lease(world.plain_redis, customer_lease_key("bc_1", "index"), timedelta(seconds=60)):
        with pytest.raises(IndexBusy) as caught:
            await index.prepare(company)
    assert (caught.value.code, caught.value.retry_after) == ("contact.index.busy", timedelta(seconds=1))

    await index.prepare(company)
    world.clock.move(REST)
    async with hold_lease(world.plain_redis, customer_lease_key("bc_1", "index"), timedelta(seconds=60)):
        # What there is does, until somebody would be found by nothing else.
        mark = await index.prepare(company)
        with pytest.raises(IndexBusy):
            await index.catch_up(company, mark, None)


@pytest.mark.parametrize("error", [RetryLater("Busy.", code="bc.busy"), RetrySoon("Reset.", code="bc.reset")])
async def test_a_read_that_fails_makes_no_index(world: World, error: RetryLater | RetrySoon) -> None:
    world.bc.customers.append(build_customer(id="a"))
    index, company = build_index(world), build_company(world)
    world.bc.fail_next("list_customers", error)
    with pytest.raises(type(error)):
        await index.prepare(company)

    await index.prepare(company)
    assert world.bc.calls == ["list_customers"] * 2
    assert await find(world, index) == {"a"}


async def test_a_company_of_another_country_is_read_anew(world: World) -> None:
    """What a local telephone number is depends on it."""
    world.bc.customers.append(build_customer(id="a", phoneNumber="12345678"))
    index = build_index(world)
    await index.prepare(build_company(world))
    await index.prepare(build_company(world, "DK"))

    assert world.bc.calls == ["list_customers"] * 2
    assert await find(world, index, [frozenset({"phoneNumber:+4512345678"})]) == {"a"}


async def test_redis_holds_digests_alone(world: World) -> None:
    index = build_index(world)
    await index.put(build_company(world), [build_customer(id="a", phoneNumber="+4930123456")])
    kept = str(await world.plain_redis.zrange(customer_index_key("bc_1"), 0, -1))
    kept += str(await world.plain_redis.hgetall(customer_index_rows_key("bc_1")))

    assert len(kept) > 100
    for text in ("acme", "Acme", "C00010", "4930123456"):
        assert text not in kept


async def test_who_is_dropped_leaves_nothing(world: World) -> None:
    index, company = build_index(world), build_company(world)
    await index.put(company, [build_customer(id="a"), build_customer(id="b")])
    await index.drop(company, ["a", "unknown"])
    await index.drop(company, ["b"])

    assert await world.plain_redis.exists(customer_index_key("bc_1"), customer_index_rows_key("bc_1")) == 0
