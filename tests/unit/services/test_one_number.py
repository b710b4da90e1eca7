"""Whose document is whose, where two invoices have one number, one customer and one total."""

from datetime import timedelta

import pytest

from hub.document_owners import DocumentOwners, name_owner
from hub.redis import document_owners_key
from schemas.errors import InDoubt, RetrySoon
from schemas.messages import InvoiceResult
from tests.builders import NOW, build_connection, build_customer, build_draft, build_head, build_invoice
from tests.service_fakes import World

NO_ANSWER = InDoubt("No answer.", code="bc.doubt")


@pytest.fixture(autouse=True)
def two_invoices(world: World) -> None:
    world.bc.customers.append(build_customer())
    for name in ("in_1", "in_2"):
        world.stripe.put(build_invoice(id=name))


async def settle(world: World, object_id: str) -> InvoiceResult:
    result = await world.settle(build_head(object_id, connection=world.connection))
    assert result is not None
    return result


async def assert_two_drafts(world: World) -> None:
    drafts = {one.id for one in world.bc.invoices}
    told = {world.stripe.invoices[name].metadata["bc_invoice_id"] for name in ("in_1", "in_2")}
    assert drafts == told
    assert len(drafts) == len(world.bc.created) == 2


async def test_two_accounts_on_one_company_may_have_the_same_numbers(world: World) -> None:
    await settle(world, "in_1")
    await world.open(build_connection(stripe_account="acct_2Other"))
    assert (await settle(world, "in_2")).outcome == "synced"

    await assert_two_drafts(world)


@pytest.mark.parametrize("lost", [("in_1",), ("in_2",), ("in_1", "in_2")])
async def test_lost_answers_mix_nothing_up(world: World, lost: tuple[str, ...]) -> None:
    for name in lost:
        world.bc.fail_next("create_invoice", NO_ANSWER, "after")
        # The second may find what the first has made, and take it: then the first makes another.
        await world.bring(build_head(name))
    for name in ("in_2", "in_1"):
        assert (await settle(world, name)).outcome == "synced"

    await assert_two_drafts(world)


async def test_another_may_be_faster_to_take_a_document(world: World) -> None:
    world.bc.fail_next("create_invoice", NO_ANSWER, "after")
    await world.bring(build_head("in_1"))
    (made,) = world.bc.invoices

    async def be_faster() -> None:
        owners = DocumentOwners(world.plain_redis, world.connection.company_key)
        await owners.claim(made.id, name_owner(world.connection.id, "in_2"))

    world.bc.do_at_next("fetch_invoice", be_faster)
    error = await world.bring(build_head("in_1"))

    assert isinstance(error, RetrySoon)
    assert error.code == "ledger.document.taken"
    for name in ("in_1", "in_2"):
        assert (await settle(world, name)).outcome == "synced"
    await assert_two_drafts(world)


async def test_what_an_older_version_has_drafted_is_claimed_by_its_records(world: World) -> None:
    await settle(world, "in_1")
    await world.plain_redis.delete(document_owners_key(world.connection.company_key))

    assert (await settle(world, "in_2")).outcome == "synced"
    await assert_two_drafts(world)


async def test_a_claim_is_made_once_and_found_by_any_spelling(world: World) -> None:
    owners = DocumentOwners(world.plain_redis, "company")

    assert await owners.claim("ABC", "con/in_1") == "con/in_1"
    assert await owners.claim("abc", "con/in_2") == "con/in_1"
    await owners.claim_all({"abc": "con/in_3", "DEF": "con/in_3"})
    assert await owners.find(["Abc", "def", "ghi"]) == {"abc": "con/in_1", "def": "con/in_3"}
    assert await owners.find([]) == {}
    await owners.claim_all({})


@pytest.mark.parametrize(("minutes", "outcome"), [(4, "synced"), (6, "failed"), (-1_000, "synced")])
async def test_what_was_there_before_the_invoice_is_not_its_draft(world: World, minutes: int, outcome: str) -> None:
    """But for the minutes that clocks may differ by."""
    world.bc.add_invoice(build_draft(id="there", lastModifiedDateTime=NOW - timedelta(minutes=minutes)))

    assert (await settle(world, "in_1")).outcome == outcome
    assert len(world.bc.invoices) == 1
