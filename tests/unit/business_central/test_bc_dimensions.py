"""Dimensions of a draft and its lines: read at once, written only where they differ."""

from typing import Any

import httpx
import pytest

from schemas.errors import HubError, InDoubt, Refused, RetryLater, RetrySoon
from tests.unit.business_central.fakes import INVOICE_ID, FakeBusinessCentral, build_client, build_error, get_body

SET = "dimensionSetLines"


def build_entry(code: str, value: str) -> dict[str, str]:
    return {"id": f"id-{code}", "code": code, "valueCode": value}


def build_draft(*held: dict[str, str], lines: tuple[dict[str, Any], ...] = ()) -> httpx.Response:
    return httpx.Response(200, json={"id": INVOICE_ID, SET: list(held), "salesInvoiceLines": list(lines)})


def read_writes(fake: FakeBusinessCentral) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (request.method, request.url.path.rpartition("/companies")[2].partition("/")[2], get_body(request))
        for request in fake.requests[1:]
    ]


async def test_what_is_missing_is_added_and_what_differs_is_changed() -> None:
    lines = (
        {"id": "l-1", "lineType": "Item", SET: [build_entry("AREA", "30")]},
        {"id": "l-2", "lineType": "Comment", SET: []},
        {"id": "l-3", "lineType": "Account", SET: []},
    )
    fake = FakeBusinessCentral(build_draft(build_entry("AREA", "20"), lines=lines), *[httpx.Response(200)] * 2)
    await build_client(fake).set_dimensions(INVOICE_ID, {"AREA": "30"})

    whole = f"salesInvoices({INVOICE_ID})"
    assert read_writes(fake) == [
        ("PATCH", f"{whole}/{SET}(id-AREA)", {"valueCode": "30"}),
        ("POST", f"{whole}/salesInvoiceLines(l-3)/{SET}", {"code": "AREA", "valueCode": "30"}),
    ]
    assert fake.requests[1].headers["If-Match"] == "*"
    assert fake.requests[0].url.params["$expand"] == f"{SET},salesInvoiceLines($expand={SET})"
    assert fake.requests[0].headers["Data-Access-Intent"] == "ReadWrite"


@pytest.mark.parametrize(
    ("failure", "kind", "code"),
    [
        (build_error(404, "Internal_RecordNotFound", "gone"), Refused, "bc.invoice.not_found"),
        (build_error(503, "", "busy"), RetryLater, "bc.server.unavailable"),
        (httpx.Response(200, json={"id": INVOICE_ID}), RetrySoon, "bc.answer.unreadable"),
    ],
)
async def test_a_draft_that_cannot_be_read_is_told(failure: httpx.Response, kind: type[HubError], code: str) -> None:
    fake = FakeBusinessCentral(failure)
    with pytest.raises(kind) as caught:
        await build_client(fake).set_dimensions(INVOICE_ID, {"AREA": "30"})
    assert caught.value.code == code
    assert len(fake.requests) == 1


async def test_a_write_without_an_answer_is_in_doubt() -> None:
    fake = FakeBusinessCentral(build_draft(), httpx.ReadError("reset"))
    with pytest.raises(InDoubt):
        await build_client(fake).set_dimensions(INVOICE_ID, {"AREA": "30"})


async def test_a_value_that_does_not_exist_is_refused() -> None:
    answer = build_error(400, "Application_DialogException", 'The "valueCode" does not match to a Dimension Value.')
    with pytest.raises(Refused):
        await build_client(FakeBusinessCentral(build_draft(), answer)).set_dimensions(INVOICE_ID, {"AREA": "30"})


@pytest.mark.parametrize(("value", "left"), [("30", ()), ("20", ("AREA",))])
async def test_an_answer_that_shows_another_value_is_read_again(value: str, left: tuple[str, ...]) -> None:
    fake = FakeBusinessCentral(
        build_draft(),
        httpx.Response(201, json=build_entry("AREA", "20")),
        build_draft(build_entry("AREA", value), lines=({"id": "l-1", "lineType": "Comment", SET: []},)),
    )

    assert await build_client(fake).set_dimensions(INVOICE_ID, {"AREA": "30"}) == left
    assert [request.method for request in fake.requests] == ["GET", "POST", "GET"]
