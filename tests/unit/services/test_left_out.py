"""Optional data never stops an invoice: what Business Central refuses of a draft is left out, the rest is sent anew."""

from datetime import timedelta

import pytest

from mapping.optional_fields import MOST_ROUNDS
from schemas.errors import HubError, InDoubt, Refused
from schemas.settings import Settings
from tests.builders import SETTINGS, build_head, build_invoice
from tests.service_fakes import World

SHIPPING = {"name": "Lager", "address": {"country": "DE", "city": "Hamburg", "postal_code": "20357"}}
MAPPED = Settings.model_validate(
    SETTINGS.model_dump()
    | {
        "fields": {
            "invoice": [
                {"field": "customerPurchaseOrderReference", "template": "PO-77"},
                {"field": "phoneNumber", "template": "+49 30 12", "on_invalid": "fail"},
            ]
        }
    }
)


def refuse(world: World, caption: str) -> None:
    """Let the next request be refused once it is out."""
    error = Refused("No.", code="bc.value.unknown", fix="Then replay.", context={"field": caption})
    world.bc.fail_next("create_invoice.sent", error)


async def test_what_is_refused_is_left_out_of_the_draft_with_a_note(world: World) -> None:
    await world.open(settings=MAPPED)
    world.stripe.put(build_invoice(shipping_details=SHIPPING))
    refuse(world, "Your Reference")
    refuse(world, "Ship-to Post Code")
    assert await world.bring(build_head()) is None
    result = world.results[-1]

    assert result.outcome == "synced"
    assert result.notes[-2:] == (
        "The customer purchase order reference PO-77 was left out: Business Central does not take it.",
        "The ship-to post code 20357 was left out: Business Central does not take it.",
    )
    refused, again, made = (one.payload for one in result.attempts)
    assert refused is not None
    assert again is not None
    assert made is not None
    assert refused.keys() - again.keys() == {"customerPurchaseOrderReference"}
    assert again.keys() - made.keys() == {"shipToPostCode"}
    assert len(world.bc.created) == 1


@pytest.mark.parametrize("caption", ["Phone No.", "Currency Code", "Salesperson Code", "A field of an extension", ""])
async def test_what_must_arrive_or_is_not_named_fails_as_before(world: World, caption: str) -> None:
    """Essential, or a mapping that the settings want whole, or a field that nobody knows."""
    await world.open(settings=MAPPED)
    world.stripe.put(build_invoice())
    refuse(world, caption)
    assert await world.bring(build_head()) is None

    assert world.results[-1].outcome == "failed"
    assert world.bc.created == []
    assert world.bc.calls.count("create_invoice") == 1


async def test_a_draft_in_doubt_without_what_was_refused_is_found_and_not_made_again(world: World) -> None:
    await world.open(settings=MAPPED)
    world.stripe.put(build_invoice())
    refuse(world, "Your Reference")
    doubt: HubError = InDoubt("No answer.", code="bc.write.in_doubt")
    world.bc.fail_next("create_invoice", doubt, "after")
    assert isinstance(await world.bring(build_head()), InDoubt)
    world.clock.move(timedelta(minutes=1))
    result = await world.settle(build_head(cause="retry"))

    assert result is not None
    assert result.outcome == "synced"
    assert len(world.bc.created) == 1


async def test_it_ends_after_a_few_rounds(world: World) -> None:
    """Each leaves something out, so a record that is refused for ever is refused at last."""
    await world.open(settings=MAPPED)
    world.stripe.put(build_invoice(shipping_details=SHIPPING))
    for caption in (
        "Your Reference",
        "Ship-to Post Code",
        "Ship-to City",
        "Ship-to Country/Region Code",
        "Ship-to Name",
    ):
        refuse(world, caption)
    assert await world.bring(build_head()) is None

    assert world.results[-1].outcome == "failed"
    assert world.bc.calls.count("create_invoice") == MOST_ROUNDS + 1
