"""Invoices of thousands of lines and of much metadata: no message is larger than the broker takes."""

import time
from typing import Any

import pytest

from hub.broker import MAX_MESSAGE_BYTES
from schemas.messages import ContactResolved, InvoiceResult
from schemas.stripe_objects import Line
from tests.builders import build_customer, build_head, build_invoice, build_line
from tests.service_fakes import World

METADATA = {f"key_{number}": "x" * 500 for number in range(50)}


def build_lines(count: int, **more: Any) -> list[Line]:
    return [
        build_line(100 + number % 7, id=f"il_{number}", description=f"Line {number}", **more) for number in range(count)
    ]


@pytest.mark.parametrize(
    "lines",
    [build_lines(5_000, metadata={"order": "x" * 40}), build_lines(200, metadata=METADATA)],
    ids=["5,000 lines", "200 lines of 27 KB of metadata"],
)
async def test_a_large_invoice_is_drafted_with_all_its_lines(world: World, lines: list[Line]) -> None:
    world.bc.customers.append(build_customer())
    world.stripe.put(build_invoice(lines=lines))
    started = time.process_time()
    (resolved,) = await world.contacts.handle(build_head())
    assert isinstance(resolved.message, ContactResolved)
    assert len(resolved.message.model_dump_json()) < MAX_MESSAGE_BYTES // 2
    (told,) = await world.invoices.handle(ContactResolved.model_validate_json(resolved.message.model_dump_json()))
    assert isinstance(told.message, InvoiceResult)
    assert (told.message.outcome, len(told.message.model_dump_json()) < MAX_MESSAGE_BYTES) == ("synced", True)
    payload = told.message.attempts[0].payload
    assert payload is not None
    assert len(payload["salesInvoiceLines"]) >= len(lines)
    # Linear: twice as many lines take twice as long. A second or so on a slow machine.
    assert time.process_time() - started < 20


async def test_an_ordinary_invoice_travels_whole(world: World) -> None:
    """So the next stage need not ask Stripe again."""
    world.bc.customers.append(build_customer())
    world.stripe.put(build_invoice(lines=build_lines(100)))
    (resolved,) = await world.contacts.handle(build_head())
    assert isinstance(resolved.message, ContactResolved)
    assert len(resolved.message.invoice.lines.data) == 100
    world.stripe.calls.clear()
    await world.invoices.handle(resolved.message)
    assert "fetch_invoice" not in world.stripe.calls
