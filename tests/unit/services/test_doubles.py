"""Two documents of one invoice: one is kept, another deleted only if it is the hub's own, else a person is called."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from connectors.business_central.models import SalesInvoice
from schemas.errors import RetryLater
from schemas.messages import SWEPT_DOUBLED, InvoiceResult
from tests.builders import build_head, build_invoice, build_line
from tests.service_fakes import World

LINES = [build_line(6_000, id="il_1"), build_line(4_000, id="il_2", description="Support")]


async def bring(world: World, event_type: str = "invoice.finalized", **head: Any) -> InvoiceResult:
    result = await world.settle(build_head(connection=world.connection, event_type=event_type, **head))
    assert result is not None
    return result


async def sweep(world: World) -> InvoiceResult:
    return await bring(world, SWEPT_DOUBLED, cause="sweep")


@pytest.fixture
async def double(world: World) -> SalesInvoice:
    """A synced invoice, and a second draft just like its own, as a zombie's last request leaves it."""
    world.stripe.put(build_invoice(lines=LINES))
    await bring(world)
    own = world.bc.invoices[0]
    return world.bc.add_invoice(own.model_copy(update={"id": "double", "number": "S-INV0001", "etag": "of the double"}))


async def test_the_one_that_the_ledger_names_is_kept_and_its_double_deleted(world: World, double: SalesInvoice) -> None:
    result = await sweep(world)

    assert result.outcome == "synced"
    assert [one.number for one in world.bc.invoices] == ["S-INV1002"]
    (attempt,) = result.attempts
    assert (attempt.request, attempt.answer) == (
        "DELETE salesInvoices(double)",
        {"ending": "deleted", "number": double.number},
    )
    assert world.stripe.invoices["in_1"].metadata["bc_status"] == "synced"


async def test_where_the_ledger_names_none_the_lowest_number_is_kept(world: World, double: SalesInvoice) -> None:
    keys = [key async for key in world.plain_redis.scan_iter("*:invoice:in_1")]
    await world.plain_redis.delete(*keys)
    result = await sweep(world)

    assert result.document is not None
    assert [one.number for one in world.bc.invoices] == [result.document.number] == ["S-INV0001"]


async def test_nobody_but_the_sweep_deletes(world: World, double: SalesInvoice) -> None:
    for cause in ("webhook", "replay"):
        assert (await bring(world, cause=cause)).outcome == "synced"

    assert len(world.bc.invoices) == 2


def change(**changes: Any) -> Callable[[World], Awaitable[None]]:
    async def work(world: World) -> None:
        world.bc.edit_invoice("double", **changes)

    return work


async def change_a_line(world: World) -> None:
    (double,) = [one for one in world.bc.invoices if one.id == "double"]
    lines = (double.lines[0].model_copy(update={"description": "By hand"}), *double.lines[1:])
    world.bc.edit_invoice("double", lines=lines)


async def take_a_line_away(world: World) -> None:
    (double,) = [one for one in world.bc.invoices if one.id == "double"]
    world.bc.edit_invoice("double", lines=double.lines[:1])


async def change_it_meanwhile(world: World) -> None:
    world.bc.do_at_next("delete_invoice", lambda: change(due_date=None)(world))


@pytest.mark.parametrize(
    ("meddle", "words"),
    [
        (change(status="Paid"), "S-INV0001, which is not a draft any more"),
        (change(status="In Review"), "S-INV0001, which is not a draft any more"),
        (change_a_line, "S-INV0001, which differs from what the hub would have sent"),
        (take_a_line_away, "S-INV0001, which differs from what the hub would have sent"),
        (change_it_meanwhile, "S-INV0001, which was changed while the hub looked at it"),
    ],
)
async def test_what_a_person_may_have_touched_is_kept_and_a_person_called(
    world: World, double: SalesInvoice, meddle: Callable[[World], Awaitable[None]], words: str
) -> None:
    await meddle(world)
    result = await sweep(world)

    assert (result.outcome, result.code) == ("attention", "invoice.doubled")
    assert words in result.reason
    assert "S-INV1002, which the hub keeps to" in result.reason
    assert len(world.bc.invoices) == 2
    assert world.stripe.invoices["in_1"].metadata["bc_status"] == "attention"


async def test_the_call_stays_until_the_double_is_gone(world: World, double: SalesInvoice) -> None:
    world.bc.edit_invoice("double", status="Open")
    await sweep(world)
    assert (await bring(world, "invoice.paid")).outcome == "attention"
    world.bc.delete_by_hand("double")

    assert (await bring(world, cause="replay")).outcome == "synced"
    assert world.stripe.invoices["in_1"].metadata["bc_status"] == "synced"


async def test_anothers_document_with_the_same_number_is_no_double(world: World, double: SalesInvoice) -> None:
    world.bc.edit_invoice("double", customer_id="somebody else", total_amount_including_tax=Decimal(7))

    assert (await sweep(world)).outcome == "synced"
    assert len(world.bc.invoices) == 2


async def test_a_limit_on_the_way_is_waited_out(world: World, double: SalesInvoice) -> None:
    world.bc.fail_next("delete_invoice", RetryLater("Busy.", code="bc.limit.reached"))

    assert (await sweep(world)).outcome == "synced"
    assert len(world.bc.invoices) == 1
