"""What becomes of an invoice that has failed: a skip only by the user's rule, or where nothing is to be booked."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas.connections import Plan
from schemas.invoice_settings import InvoiceSettings
from schemas.messages import InvoiceResult, Outcome, StripeEventReceived
from schemas.settings import Settings
from schemas.stripe_objects import LineList
from tests.builders import SETTINGS, build_connection, build_head, build_invoice
from tests.service_fakes import World

REPLAY = build_head(cause="replay")
BROKEN = SETTINGS.model_copy(update={"invoices": InvoiceSettings()})


async def bring(world: World, head: StripeEventReceived) -> InvoiceResult:
    assert await world.bring(head) is None
    return world.results[-1]


async def fail(world: World) -> None:
    """Have the invoice fail for a setting that is missing."""
    await world.open(settings=BROKEN)
    world.stripe.put(build_invoice())
    assert (await bring(world, build_head())).outcome == "failed"


async def mend(world: World, **changes: Any) -> None:
    """Set what was missing, and more."""
    await world.directory.save_settings(world.connection.id, SETTINGS.model_copy(update=changes))


def change(**members: Any) -> Callable[[World], None]:
    return lambda world: world.stripe.change("in_1", **members)


def delete(world: World) -> None:
    del world.stripe.invoices["in_1"]


SKIP_RULE = {"skip": Settings.model_validate({"skip": {"currencies": ["EUR"]}}).skip}


@pytest.mark.parametrize(
    ("happens", "settings", "outcome", "code"),
    [
        pytest.param(change(), {}, "synced", "", id="nothing"),
        pytest.param(change(status="paid"), {}, "synced", "", id="paid"),
        pytest.param(change(status="uncollectible"), {}, "attention", "invoice.uncollectible", id="written off"),
        pytest.param(change(status="void"), {}, "skipped", "invoice.closed.voided", id="voided"),
        pytest.param(delete, {}, "attention", "invoice.closed.deleted", id="gone from Stripe"),
        pytest.param(
            change(metadata={"bc_skip": "1"}), {}, "skipped", "invoice.left_alone.skip_key", id="exempted by a person"
        ),
        pytest.param(change(), SKIP_RULE, "skipped", "invoice.left_alone.rule", id="exempted by a rule"),
        pytest.param(
            change(total=0, lines=LineList(data=())), {}, "skipped", "invoice.left_alone.empty", id="without lines"
        ),
        pytest.param(change(), {"triggers": ("paid",)}, "skipped", "invoice.not_due.trigger", id="another trigger"),
        pytest.param(
            change(status="uncollectible"),
            {"triggers": ("paid",)},
            "skipped",
            "invoice.not_due.trigger",
            id="written off, and never paid",
        ),
    ],
)
async def test_what_becomes_of_a_failed_invoice(
    world: World, happens: Callable[[World], None], settings: dict[str, Any], outcome: Outcome, code: str
) -> None:
    await fail(world)
    await mend(world, **settings)
    happens(world)
    result = await bring(world, REPLAY)

    assert (result.outcome, result.code) == (outcome, code)
    assert len(world.bc.invoices) == (1 if outcome == "synced" or code == "invoice.uncollectible" else 0)


async def test_what_another_trigger_let_wait_is_drafted_when_it_comes(world: World) -> None:
    await fail(world)
    await mend(world, triggers=("paid",))
    assert (await bring(world, REPLAY)).outcome == "skipped"
    world.stripe.change("in_1", status="paid")

    assert (await bring(world, build_head(event_type="invoice.paid"))).outcome == "synced"


async def test_a_failed_invoice_stays_failed_where_the_plan_has_no_room(world: World) -> None:
    """`hub replay --failed` must find it once there is room."""
    await fail(world)
    await mend(world)
    await world.directory.set_plan(world.connection.id, Plan(hard_limit=0))
    result = await bring(world, REPLAY)

    assert (result.outcome, result.code) == ("failed", "usage.limit.reached")
    assert await world.ledger.list_failed(world.connection.id) == ["in_1"]


async def test_a_new_invoice_is_skipped_where_the_plan_has_no_room(world: World) -> None:
    await world.open(build_connection(plan=Plan(hard_limit=0)))
    world.stripe.put(build_invoice())

    assert (await bring(world, build_head())).outcome == "skipped"


async def test_an_event_of_the_write_off_alone_has_a_failed_invoice_drafted(world: World) -> None:
    await fail(world)
    await mend(world)
    world.stripe.change("in_1", status="uncollectible")
    result = await bring(world, build_head(event_type="invoice.marked_uncollectible"))

    assert (result.outcome, result.code) == ("attention", "invoice.uncollectible")
    assert len(world.bc.invoices) == 1


async def test_a_written_off_invoice_that_is_voided_then_wants_its_draft_deleted(world: World) -> None:
    await world.open()
    world.stripe.put(build_invoice(status="uncollectible"))
    assert (await bring(world, build_head())).outcome == "attention"
    world.stripe.change("in_1", status="void")
    result = await bring(world, build_head(event_type="invoice.voided"))

    assert (result.outcome, result.code) == ("attention", "invoice.closed.voided")
    assert "delete or credit it there" in result.reason
