"""The client asks what it means, reads exactly, and never mistakes silence for a no."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest

from connectors.business_central.client import BusinessCentralClient
from connectors.business_central.deadlines import Deadlines
from schemas.errors import Blocked, ConfigurationError, HubError, InDoubt, Refused, RetryLater, RetrySoon
from tests.unit.business_central.fakes import (
    COMPANY,
    CUSTOMER_ID,
    INVOICE_ID,
    ROOT,
    FakeBusinessCentral,
    FakeLimiter,
    FakeTokens,
    build_client,
    build_customer,
    build_error,
    build_invoice,
    build_page,
    send_nothing_first,
)

HASTY = Deadlines(read=timedelta(milliseconds=20), write=timedelta(milliseconds=20), doubt=timedelta(minutes=20))


async def hang(request: httpx.Request) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def test_companies_are_listed_over_all_pages_without_a_company_chosen() -> None:
    fake = FakeBusinessCentral(
        build_page({"id": "1", "name": "One", "displayName": "The One"}, link=f"{ROOT}/companies?$skiptoken=1"),
        build_page({"id": "2", "name": "Two"}),
    )
    companies = await build_client(fake, company_id=None).fetch_companies()

    assert [(company.id, company.name, company.display_name) for company in companies] == [
        ("1", "One", "The One"),
        ("2", "Two", ""),
    ]
    assert str(fake.last.url) == f"{ROOT}/companies?$skiptoken=1"


async def test_without_a_company_nothing_else_can_be_asked() -> None:
    with pytest.raises(ConfigurationError, match="No company is chosen"):
        await build_client(FakeBusinessCentral(), company_id=None).fetch_customer(CUSTOMER_ID)


async def test_a_link_to_another_host_is_not_followed_with_the_token() -> None:
    fake = FakeBusinessCentral(build_page(link="https://evil.example/v2.0/companies"))
    with pytest.raises(RetrySoon) as caught:
        await build_client(fake).fetch_companies()
    assert caught.value.code == "bc.answer.unreadable"
    assert len(fake.requests) == 1


async def test_every_request_carries_token_language_and_freshness() -> None:
    fake = FakeBusinessCentral(httpx.Response(200, json=build_invoice()))
    await build_client(fake).fetch_invoice(INVOICE_ID)

    assert fake.last.headers["Authorization"] == "Bearer token-1"
    assert fake.last.headers["Accept-Language"] == "en-US"
    assert fake.last.headers["Data-Access-Intent"] == "ReadWrite"
    assert str(fake.last.url) == f"{ROOT}/companies({COMPANY})/salesInvoices({INVOICE_ID})"


async def test_an_invoice_is_read_with_exact_amounts_and_plain_enums() -> None:
    raw = b"""{"@odata.etag":"W/\\"2\\"","id":"x","number":"S1","status":"In_x0020_Review",
        "totalAmountExcludingTax":0.1,"totalTaxAmount":0.2,"totalAmountIncludingTax":79228162514264337.93,
        "dueDate":"0001-01-01","salesInvoiceLines":[{"id":"l","sequence":10000,"lineType":"Fixed_x0020_Asset",
        "quantity":1,"unitPrice":0.30}]}"""
    fake = FakeBusinessCentral(httpx.Response(200, content=raw))
    invoice = await build_client(fake).fetch_invoice(INVOICE_ID, with_lines=True)

    assert invoice is not None
    assert invoice.total_amount_excluding_tax + invoice.total_tax_amount == Decimal("0.3")
    assert invoice.total_amount_including_tax == Decimal("79228162514264337.93")
    assert (invoice.status, invoice.etag, invoice.due_date) == ("In Review", 'W/"2"', None)
    assert (invoice.lines[0].line_type, invoice.lines[0].unit_price) == ("Fixed Asset", Decimal("0.30"))
    assert str(fake.last.url).endswith("?$expand=salesInvoiceLines")


async def test_a_missing_record_is_none() -> None:
    gone = build_error(404, "Internal_RecordNotFound", "The Sales Invoice does not exist.")
    assert await build_client(FakeBusinessCentral(gone)).fetch_invoice(INVOICE_ID) is None


async def test_an_unclear_404_counts_as_missing_only_if_the_company_is_there() -> None:
    unclear = build_error(404, "BadRequest_ResourceNotFound", "Resource not found for the segment 'x'.")
    there = FakeBusinessCentral(unclear, httpx.Response(200, json={"id": COMPANY, "name": "C"}))
    assert await build_client(there).fetch_invoice(INVOICE_ID) is None
    assert str(there.last.url) == f"{ROOT}/companies({COMPANY})"

    away = FakeBusinessCentral(build_error(404, "NoEnvironment", "?"), build_error(404, "NoEnvironment", "?"))
    with pytest.raises(Blocked) as caught:
        await build_client(away).fetch_invoice(INVOICE_ID)
    assert caught.value.code == "bc.company.not_found"


@pytest.mark.parametrize("id_from_metadata", ["", "not a guid", "x') or true", "../companies"])
async def test_what_is_no_guid_is_no_record_and_no_request(id_from_metadata: str) -> None:
    fake = FakeBusinessCentral()
    assert await build_client(fake).fetch_invoice(id_from_metadata) is None
    assert fake.requests == []


def build_item(name: str, number: str = "I1") -> dict[str, str]:
    return {"id": number, "number": number, "displayName": name}


async def find_items(fake: FakeBusinessCentral, name: str) -> list[str]:
    rows = await build_client(fake).find_rows("items", "displayName", name, ("id", "number", "displayName"))
    return [row["displayName"] for row in rows]


async def test_a_row_is_found_by_an_escaped_filter_and_compared_again() -> None:
    name = "O'Brien & Sons #1 + 50%"
    fake = FakeBusinessCentral(build_page(build_item(name.upper()), build_item("O'Brien & Sons #1 + 50%!")))

    assert await find_items(fake, f" {name} ") == [name.upper()]
    assert fake.last.url.params["$filter"] == "tolower(displayName) eq 'o''brien & sons #1 + 50%'"


async def test_a_value_with_filter_signs_is_asked_for_plainly_too_before_nothing_is_found() -> None:
    fake = FakeBusinessCentral(build_page(), build_page(build_item("A & B")))
    assert await find_items(fake, "A & B") == ["A & B"]
    assert [request.url.params["$filter"] for request in fake.requests] == [
        "tolower(displayName) eq 'a & b'",
        "displayName eq 'A & B'",
    ]


async def test_what_a_wildcard_in_a_value_finds_besides_is_left_out() -> None:
    fake = FakeBusinessCentral(build_page(build_item("Whata"), build_item("What?")))
    assert await find_items(fake, "What?") == ["What?"]


async def test_a_customer_is_found_by_its_number_in_one_request() -> None:
    fake = FakeBusinessCentral(build_page(build_customer(number="C001")))
    found = await build_client(fake).find_customer(" c001 ")

    assert found is not None
    assert found.number == "C001"
    assert fake.last.url.params["$filter"] == "number eq 'C001'"
    assert await build_client(FakeBusinessCentral(build_page())).find_customer("C002") is None


@pytest.mark.parametrize("value", ["", "  ", "x" * 21])
async def test_a_number_that_no_customer_can_have_finds_nobody_without_asking(value: str) -> None:
    fake = FakeBusinessCentral()
    assert await build_client(fake).find_customer(value) is None
    assert fake.requests == []


async def test_a_draft_is_created_in_one_exact_request() -> None:
    fake = FakeBusinessCentral(
        httpx.Response(201, json=build_invoice(), headers={"request-id": "req-1", "x-ms-correlation-id": "c"})
    )
    payload = {
        "externalDocumentNumber": "Å-1",
        "salesInvoiceLines": [{"lineType": "Account", "quantity": 3, "unitPrice": Decimal("0.10")}],
    }
    answer = await build_client(fake).create_invoice(payload, before_send=send_nothing_first)

    assert (
        fake.last.content
        == (
            '{"externalDocumentNumber":"Å-1",'
            '"salesInvoiceLines":[{"lineType":"Account","quantity":3,"unitPrice":0.10}]}'
        ).encode()
    )
    assert str(fake.last.url).endswith("/salesInvoices?$expand=salesInvoiceLines")
    assert (answer.status, answer.request_id, answer.value.id) == (201, "req-1", INVOICE_ID)
    assert answer.body["totalAmountIncludingTax"] == 450


async def test_the_intent_is_recorded_when_nothing_stands_before_the_request_any_more() -> None:
    steps: list[str] = []
    limiter = FakeLimiter()

    class Tokens(FakeTokens):
        async def get_token(self) -> str:
            steps.append("token")
            return await super().get_token()

    def answer(_: httpx.Request) -> httpx.Response:
        steps.append("request")
        return httpx.Response(201, json=build_customer())

    async def before_send() -> None:
        assert limiter.asked == [True]
        steps.append("intent")

    client = build_client(FakeBusinessCentral(by=answer), tokens=Tokens(), limiter=limiter)
    await client.create_customer({"displayName": "A"}, before_send=before_send)
    assert steps == ["token", "intent", "request"]


async def test_a_lease_that_is_lost_stops_the_request() -> None:
    async def before_send() -> None:
        raise RetrySoon("The lease is lost.", code="ledger.lease.lost")

    fake = FakeBusinessCentral()
    with pytest.raises(RetrySoon, match="lease is lost"):
        await build_client(fake).create_invoice({}, before_send=before_send)
    assert fake.requests == []


async def test_a_refused_token_is_renewed_once() -> None:
    refused = build_error(401, "Authentication_InvalidCredentials", "No.")
    fake = FakeBusinessCentral(refused, httpx.Response(200, json=build_customer()))
    assert await build_client(fake).fetch_customer(CUSTOMER_ID) is not None
    assert [request.headers["Authorization"] for request in fake.requests] == ["Bearer token-1", "Bearer token-2"]

    with pytest.raises(Blocked) as caught:
        await build_client(FakeBusinessCentral(refused, refused)).fetch_customer(CUSTOMER_ID)
    assert caught.value.code == "bc.credentials.refused"


LOST: list[httpx.Response | Exception] = [
    httpx.Response(500, json={}),
    httpx.Response(503, json={"error": {"code": "Internal_TenantUnavailable", "message": "?"}}),
    httpx.Response(504, content=b"<html>"),
    httpx.Response(201, content=b"not json"),
    httpx.Response(201, json={"id": "only"}),
    httpx.Response(201, json=[1]),
    httpx.Response(204),
    httpx.ReadError("reset"),
    httpx.RemoteProtocolError("disconnected"),
    RuntimeError("something nobody thought of"),
]


@pytest.mark.parametrize("answer", LOST, ids=repr)
async def test_a_write_without_a_clear_answer_is_in_doubt_and_keeps_its_slot(
    answer: httpx.Response | Exception,
) -> None:
    limiter = FakeLimiter()
    client = build_client(FakeBusinessCentral(answer), limiter=limiter)
    with pytest.raises(InDoubt) as caught:
        await client.create_invoice({}, before_send=send_nothing_first)

    assert caught.value.code == "bc.invoice.in_doubt"
    assert limiter.the_slot.holds == [timedelta(minutes=20)]
    await client.release_slot(caught.value.context["limiter_slot"])
    assert limiter.released == ["slot-1"]


async def test_a_write_that_hangs_is_in_doubt_after_its_total_deadline() -> None:
    client = build_client(hang, deadlines=HASTY)
    with pytest.raises(InDoubt):
        await client.create_customer({}, before_send=send_nothing_first)


async def test_a_read_that_hangs_comes_round_later() -> None:
    with pytest.raises(RetryLater) as caught:
        await build_client(hang, deadlines=HASTY).fetch_customer(CUSTOMER_ID)
    assert caught.value.code == "bc.answer.timeout"


async def test_a_write_cancelled_on_its_way_keeps_its_slot() -> None:
    limiter = FakeLimiter()
    sent = asyncio.Event()

    async def swallow(_: httpx.Request) -> httpx.Response:
        sent.set()
        return await hang(_)

    task = asyncio.create_task(
        build_client(swallow, limiter=limiter).create_invoice({}, before_send=send_nothing_first)
    )
    await sent.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(limiter.the_slot.holds) == 1


async def test_a_write_that_never_left_is_simply_tried_again() -> None:
    limiter = FakeLimiter()
    client = build_client(FakeBusinessCentral(httpx.ConnectError("no route")), limiter=limiter)
    with pytest.raises(RetrySoon) as caught:
        await client.create_invoice({}, before_send=send_nothing_first)
    assert caught.value.code == "bc.connection.failed"
    assert limiter.the_slot.holds == []


async def test_too_many_requests_slow_the_limiter_down() -> None:
    limiter = FakeLimiter()
    answer = build_error(429, "Application_TooManyRequests", "?", {"Retry-After": "7"})
    with pytest.raises(RetryLater) as caught:
        await build_client(FakeBusinessCentral(answer), limiter=limiter).fetch_customer(CUSTOMER_ID)
    assert caught.value.retry_after == timedelta(seconds=7)
    assert limiter.the_slot.throttles == [timedelta(seconds=7)]


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (httpx.Response(204), "deleted"),
        (build_error(409, "Request_EntityChanged", "Another user has already changed the record."), "changed"),
        (httpx.Response(412, json={}), "changed"),
        (build_error(404, "Internal_RecordNotFound", "?"), "gone"),
    ],
)
async def test_a_draft_is_deleted_only_as_it_was(answer: httpx.Response, end: str) -> None:
    fake = FakeBusinessCentral(answer)
    assert await build_client(fake).delete_invoice(INVOICE_ID, etag='W/"1"') == end
    assert fake.last.headers["If-Match"] == 'W/"1"'


async def test_a_posted_invoice_is_not_deleted() -> None:
    posted = build_error(
        400, "Application_DialogException", "The invoice has been posted and can no longer be modified."
    )
    with pytest.raises(Refused) as caught:
        await build_client(FakeBusinessCentral(posted)).delete_invoice(INVOICE_ID, etag="*")
    assert caught.value.code == "bc.invoice.posted"


async def test_lists_are_read_page_by_page_with_the_fields_asked_for() -> None:
    link = f"{ROOT}/companies({COMPANY})/accounts?$skiptoken=abc"
    row = {"id": "1", "number": "6110", "accountType": "Begin_x002D_Total", "directPosting": True}
    limiter = FakeLimiter()
    fake = FakeBusinessCentral(build_page(row, link=link), build_page(row | {"number": "6120"}))
    accounts = await build_client(fake, limiter=limiter).for_history().fetch_accounts()

    assert [(account.number, account.account_type) for account in accounts] == [
        ("6110", "Begin-Total"),
        ("6120", "Begin-Total"),
    ]
    assert fake.requests[0].url.params["$select"].startswith("id,number,displayName")
    assert limiter.asked == [False, False]


async def test_items_and_any_other_list_can_be_read() -> None:
    fake = FakeBusinessCentral(
        build_page({"id": "1", "number": "SVC-100", "type": "Non_x002D_Inventory", "unitPrice": 1}),
        build_page({"id": "1", "code": "14 DAYS"}),
    )
    client = build_client(fake)
    assert [item.type for item in await client.fetch_items()] == ["Non-Inventory"]
    assert await client.fetch_list("paymentTerms", ("id", "code")) == ({"id": "1", "code": "14 DAYS"},)


async def test_every_request_for_history_leaves_room_to_live_traffic() -> None:
    limiter = FakeLimiter()
    company = httpx.Response(200, json={"id": COMPANY})
    gone = build_error(404, "Internal_ResourceNotFound", "Not found.")
    answers = (
        build_page(),
        gone, company,
        build_page(),
        build_page(),
        gone, company,
        httpx.Response(201, json=build_invoice()),
        httpx.Response(204),
    )  # fmt: skip
    fake = FakeBusinessCentral(*answers)
    client = build_client(fake, limiter=limiter).for_history()
    await client.fetch_companies()
    await client.fetch_customer(CUSTOMER_ID)
    await client.find_customer("C1")
    await client.find_invoices("A")
    await client.fetch_invoice(INVOICE_ID)
    await client.create_invoice({}, before_send=send_nothing_first)
    await client.delete_invoice(INVOICE_ID, etag="*")

    assert limiter.asked == [False] * len(answers)


async def test_only_a_success_says_that_business_central_works_again() -> None:
    """What is told here ends a block; an error must not."""
    answered: list[str] = []
    fake = FakeBusinessCentral(
        build_error(401, "Authentication_InvalidCredentials", "No."),
        build_error(401, "Authentication_InvalidCredentials", "No."),
        build_error(403, "Authorization_RequestDenied", "No."),
        build_error(503, "", "Busy."),
        httpx.ConnectError("refused"),
        build_page(),
    )
    client = build_client(fake, on_answer=lambda: answered.append("bc"))
    for _ in range(4):
        with pytest.raises(HubError):
            await client.fetch_companies()
    assert answered == []

    await client.for_history().fetch_companies()
    assert answered == ["bc"]


UNREADABLE: list[Callable[[BusinessCentralClient], Awaitable[object]]] = [
    lambda client: client.fetch_companies(),
    lambda client: client.fetch_customer(CUSTOMER_ID),
    lambda client: client.find_customer("C1"),
    lambda client: client.find_invoices("A"),
]


@pytest.mark.parametrize("ask", UNREADABLE)
@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[]", b'{"value": 1}', b'{"value": [{"x": NaN}]}', b'{"value": [1]}']
)
async def test_an_unreadable_answer_to_a_read_is_tried_again(
    ask: Callable[[BusinessCentralClient], Awaitable[object]], content: bytes
) -> None:
    with pytest.raises(RetrySoon) as caught:
        await ask(build_client(FakeBusinessCentral(httpx.Response(200, content=content))))
    assert caught.value.code == "bc.answer.unreadable"
