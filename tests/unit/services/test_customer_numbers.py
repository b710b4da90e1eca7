"""A customer's BC number, told in one metadata key of the Stripe customer; the key is otherwise its owner's."""

import pytest

from hub.ledger import CustomerLink
from schemas.customer_settings import CustomerSettings
from schemas.errors import Blocked, HubError, Refused, RetryLater, RetrySoon
from services.metadata_writer.decide import decide_number
from tests.builders import NOW, SETTINGS, build_connection, build_customer, build_head, build_invoice, build_match
from tests.service_fakes import World

TOLD = SETTINGS.model_copy(update={"customers": CustomerSettings(number_key="debtor", write_number=True)})


async def sync(world: World, invoice_id: str = "in_1") -> None:
    number = f"HUB-{invoice_id}"
    world.stripe.put(build_invoice(id=invoice_id, number=number))
    assert await world.bring(build_head(invoice_id)) is None


async def begin(world: World, **metadata: str) -> None:
    await world.open(settings=TOLD)
    world.stripe.put_customer(metadata=metadata)


async def test_the_number_of_a_new_customer_is_told_once(world: World) -> None:
    await begin(world, vat="1")
    await sync(world)
    await sync(world, "in_2")

    number = world.bc.customers[0].number
    assert world.stripe.customer_writes == [("cus_1", {"debtor": number})]
    assert world.stripe.customers["cus_1"].metadata == {"vat": "1", "debtor": number}


async def test_the_number_names_the_customer_when_the_ledger_is_lost(world: World) -> None:
    await begin(world)
    await sync(world)
    world.bc.edit_customer(world.bc.customers[0].id, email="other@x.example", displayName="Other")
    await world.lose_ledger()
    await world.open(settings=TOLD)
    await sync(world, "in_2")

    assert len(world.bc.customers) == 1
    assert world.bc.invoices[-1].customer_id == world.bc.customers[0].id
    assert len(world.stripe.customer_writes) == 1


async def test_what_somebody_else_wrote_there_is_kept(world: World) -> None:
    await begin(world)
    world.bc.customers.append(build_customer())
    link = CustomerLink(customer=build_match(), linked_at=NOW, pinned=True)
    await world.ledger.save_customer_link(world.connection.id, "cus_1", link)
    world.stripe.put_customer(metadata={"debtor": "10023"})
    await sync(world)
    assert world.stripe.customer_writes == []


async def test_a_persons_choice_replaces_what_the_hub_told(world: World) -> None:
    await begin(world)
    await sync(world)
    world.bc.customers.append(build_customer(id="chosen", number="C77"))
    link = CustomerLink(customer=build_match(id="chosen", number="C77"), linked_at=NOW, pinned=True)
    await world.ledger.save_customer_link(world.connection.id, "cus_1", link)
    await sync(world, "in_2")
    assert world.stripe.customers["cus_1"].metadata == {"debtor": "C77"}


async def test_a_number_that_nobody_has_stops_the_invoice_before_any_rule(world: World) -> None:
    await begin(world, debtor="C99")
    world.bc.customers.append(build_customer())
    await sync(world)
    error = world.results[-1].error
    assert error is not None
    assert error.code == "contact.contradiction"

    world.bc.customers.clear()
    world.stripe.change("in_1", customer_email="new@x.example")
    await world.bring(build_head(cause="replay"))
    error = world.results[-1].error
    assert error is not None
    assert error.code == "contact.number.unknown"
    assert world.bc.customers == []


async def test_a_number_in_stripe_may_be_that_of_a_new_customer(world: World) -> None:
    new = CustomerSettings.model_validate({"number_key": "debtor", "new": {"number": "metadata.debtor"}})
    await world.open(settings=SETTINGS.model_copy(update={"customers": new}))
    world.stripe.put_customer(metadata={"debtor": "K 100"})
    await sync(world)
    assert [one.number for one in world.bc.customers] == ["K 100"]


@pytest.mark.parametrize("where", ["dry run", "off", "gone"])
async def test_nothing_is_told_where_nothing_may_or_can_be(world: World, where: str) -> None:
    await begin(world)
    if where == "dry run":
        await world.open(build_connection(dry_run=True), TOLD)
    elif where == "off":
        await world.open(settings=SETTINGS)
    else:
        world.stripe.customers.clear()
    await sync(world)
    assert world.stripe.customer_writes == []


@pytest.mark.parametrize(
    "error",
    [
        Refused("50 keys are in use.", code="stripe.request.refused"),
        Blocked("Give it Customers: Write.", code="stripe.credentials.forbidden"),
    ],
)
async def test_what_stripe_does_not_take_stops_nothing_else(world: World, error: HubError) -> None:
    await begin(world)
    world.stripe.fail_next("update_customer_metadata", error)
    await sync(world)
    assert world.results[-1].outcome == "synced"
    assert world.stripe.invoices["in_1"].metadata["bc_status"] == "synced"

    await sync(world, "in_2")
    assert len(world.stripe.customer_writes) == 1


@pytest.mark.parametrize("method", ["update_customer_metadata", "fetch_customer"])
@pytest.mark.parametrize(
    "error",
    [
        RetryLater("Busy.", code="stripe.rate"),
        RetrySoon("Reset.", code="stripe.reset"),
        Blocked("No.", code="stripe.credentials.rejected"),
    ],
)
async def test_what_fails_for_now_is_told_later(world: World, method: str, error: HubError) -> None:
    await begin(world)
    world.stripe.put(build_invoice())

    async def fail_then() -> None:
        world.stripe.fail_next(method, error)

    # `fetch_customer` is asked by contacts too; only the writer's call fails.
    world.stripe.do_at_next("update_invoice_metadata", fail_then)
    assert await world.bring(build_head()) is error
    await world.bring(build_head(cause="retry"))
    assert len(world.stripe.customer_writes) == 1


def test_only_what_is_empty_or_the_hubs_own_is_written() -> None:
    assert decide_number("", "C1", None) == "write"
    assert decide_number("C1", "C1", None) == "same"
    assert decide_number("C9", "C1", "C9") == "write"
    assert decide_number("C9", "C1", None) == "kept"
    assert decide_number("C9", "C1", "C8") == "kept"
