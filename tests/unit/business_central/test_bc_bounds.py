"""Answers without bounds, from a server that means harm: what is over a limit is in doubt, or read later."""

import asyncio
import contextlib
import gzip
import json
import tracemalloc
from collections.abc import Awaitable, Callable
from decimal import Decimal

import httpx
import pytest

from connectors.bounded import LONGEST_ANSWER, LONGEST_ERROR
from connectors.business_central.answers import parse_object
from connectors.business_central.client import BusinessCentralClient
from connectors.business_central.errors import Call, RawAnswer
from connectors.business_central.exact_json import parse_json
from connectors.business_central.models import SalesInvoice, clean_amount
from connectors.business_central.transport import build_http_client
from schemas.errors import HubError, InDoubt, Refused, RetryLater, RetrySoon
from tests.raw_server import Behaviour, build_answer, run_server, send, send_and_close
from tests.unit.business_central.fakes import COMPANY, CUSTOMER_ID, FakeBusinessCentral, FakeTokens, send_nothing_first
from tests.unit.business_central.fakes import build_client as build_fake_client

INVOICE = {
    "id": CUSTOMER_ID,
    "number": "S-INV1",
    "totalAmountExcludingTax": 80,
    "totalTaxAmount": 20,
    "totalAmountIncludingTax": 100,
}


def build_client(http: httpx.AsyncClient, url: str) -> BusinessCentralClient:
    return BusinessCentralClient(
        http=http,
        api_base=url,
        tenant="tenant",
        environment="sandbox",
        company_id=COMPANY,
        tokens=FakeTokens(),
        limiter=None,
    )


def drip(total: int, *, chunk: bytes) -> Behaviour:
    """An endless body, chunk by chunk, as far as the client takes it."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(total // len(chunk)):
            writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            await writer.drain()

    return behave


def bomb() -> bytes:
    packed = gzip.compress(b" " * (10 * LONGEST_ANSWER), compresslevel=9)
    return build_answer(packed, content_encoding="gzip")


def with_body(**members: object) -> bytes:
    return build_answer(json.dumps({**INVOICE, **members}).encode())


def with_total(number: str) -> bytes:
    return build_answer(json.dumps(INVOICE).replace(": 100}", f": {number}}}").encode())


UNREADABLE: dict[str, Callable[[], Behaviour]] = {
    "blanks without end": lambda: drip(10 * LONGEST_ANSWER, chunk=b" " * 2**20),
    "a gzip bomb": lambda: send_and_close(bomb()),
    "a broken gzip": lambda: send(build_answer(b"no gzip at all", content_encoding="gzip")),
    "a packing that was not asked for": lambda: send(build_answer(b"{}", content_encoding="br")),
    "an exponent": lambda: send(with_total("1E+400000000")),
    "an exponent below": lambda: send(with_total("1E-400000000")),
    "digits": lambda: send(with_total("9" * 4000)),
    "digits behind the point": lambda: send(with_total("0." + "9" * 4000)),
    "a number in a text": lambda: send(with_body(totalAmountIncludingTax="1E+400000000")),
    "no number": lambda: send(with_total("NaN")),
    "a long document number": lambda: send(with_body(number="9" * 100_000)),
    "a document number that is only too long": lambda: send(with_body(number="9" * 1000)),
    "a long text elsewhere": lambda: send(with_body(customerName="x" * 100_000)),
    "nesting": lambda: send(build_answer(b"[" * 100_000)),
    "nesting of objects": lambda: send(build_answer(b'{"a":' * 100_000)),
    "HTML": lambda: send(build_answer(b"<html><body>Sign in</body></html>", content_type="text/html")),
    "a body of another kind": lambda: send(build_answer(b'"text"')),
    "no UTF-8": lambda: send(build_answer(b"\xff\xfe{}")),
}


@pytest.mark.parametrize("behaviour", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_write_whose_answer_is_beyond_all_bounds_is_in_doubt(behaviour: Callable[[], Behaviour]) -> None:
    async with run_server(behaviour()) as server, build_http_client() as http:
        with pytest.raises(InDoubt):
            await build_client(http, server.url).create_invoice({}, before_send=send_nothing_first)
    assert server.methods == ["POST"]


async def send_headers_without_end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    with contextlib.suppress(ConnectionError):
        for number in range(20_000):
            writer.write(f"X-{number}: {'a' * 1000}\r\n".encode())
            await writer.drain()


BROKEN_HEADS: dict[str, Behaviour] = {
    "a header of 10 MB": send_and_close(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 10**7 + b"\r\n\r\n"),
    "headers without end": send_headers_without_end,
    "a reason of 1 MB": send_and_close(b"HTTP/1.1 200 " + b"a" * 10**6 + b"\r\n\r\n"),
    "a chunk's extension of 1 MB": send_and_close(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"a" * 10**6 + b"\r\n"
    ),
    "a length beyond numbers": send_and_close(b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 30 + b"\r\n\r\n{}"),
    "a length below zero": send_and_close(b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n{}"),
    "two lengths": send_and_close(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
}


@pytest.mark.parametrize("behaviour", BROKEN_HEADS.values(), ids=BROKEN_HEADS.keys())
async def test_a_write_whose_answer_has_no_head_is_in_doubt(behaviour: Behaviour) -> None:
    async with run_server(behaviour) as server, build_http_client() as http:
        with pytest.raises(InDoubt):
            await build_client(http, server.url).create_invoice({}, before_send=send_nothing_first)
    assert server.methods == ["POST"]


@pytest.mark.parametrize("behaviour", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_read_whose_answer_is_beyond_all_bounds_is_tried_later(behaviour: Callable[[], Behaviour]) -> None:
    async with run_server(behaviour()) as server, build_http_client() as http:
        with pytest.raises((RetryLater, RetrySoon)) as caught:
            await build_client(http, server.url).fetch_invoice(CUSTOMER_ID)
    assert not isinstance(caught.value, InDoubt)
    assert caught.value.code.startswith("bc.answer.")


async def test_a_bomb_does_not_unpack_into_memory() -> None:
    packed = bomb()
    tracemalloc.start()
    async with run_server(send_and_close(packed)) as server, build_http_client() as http:
        with pytest.raises(RetryLater):
            await build_client(http, server.url).fetch_invoice(CUSTOMER_ID)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * LONGEST_ANSWER


async def test_a_refusal_of_any_length_stays_one() -> None:
    """Its status says that nothing was done; what it says beyond a bound is cut off."""
    body = json.dumps({"error": {"code": "Application_DialogException", "message": "x" * 2 * LONGEST_ERROR}}).encode()
    async with run_server(send_and_close(build_answer(body, status="400 Bad"))) as server, build_http_client() as http:
        with pytest.raises(Refused) as caught:
            await build_client(http, server.url).create_invoice({}, before_send=send_nothing_first)
    assert caught.value.code == "bc.request.refused"


async def test_a_packed_answer_is_read() -> None:
    packed = build_answer(gzip.compress(json.dumps(INVOICE).encode()), content_encoding="gzip")
    async with run_server(send(packed)) as server, build_http_client() as http:
        found = await build_client(http, server.url).fetch_invoice(CUSTOMER_ID)
    assert found is not None
    assert found.total_amount_including_tax == 100


async def read_list(client: BusinessCentralClient) -> object:
    return await client.fetch_list("items", ("number",))


async def read_accounts(client: BusinessCentralClient) -> object:
    return await client.fetch_accounts()


async def find_documents(client: BusinessCentralClient) -> object:
    return await client.find_invoices("X-1")


@pytest.mark.parametrize("read", [read_list, read_accounts, find_documents])
async def test_a_list_that_goes_round_is_read_once(read: Callable[[BusinessCentralClient], Awaitable[object]]) -> None:
    """A nextLink to itself was followed 961 times."""
    fake = FakeBusinessCentral(by=lambda request: httpx.Response(200, json=round_and_round(str(request.url))))
    with pytest.raises(RetrySoon) as caught:
        await read(build_fake_client(fake))
    assert caught.value.code == "bc.answer.unreadable"
    assert len(fake.requests) <= 3


def round_and_round(url: str) -> dict[str, object]:
    return {"value": [], "@odata.nextLink": url}


async def test_a_list_of_ever_new_pages_comes_to_an_end() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params.get("page", "0")) + 1
        link = str(request.url.copy_set_param("page", str(page)))
        return httpx.Response(200, json={"value": [], "@odata.nextLink": link})

    fake = FakeBusinessCentral(by=answer)
    with pytest.raises(RetrySoon):
        await read_list(build_fake_client(fake))
    assert len(fake.requests) == 2000


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("19.990000000000001", "19.99"),
        ("19.99", "19.99"),
        ("1E2", "1E+2"),
        ("0", "0"),
        ("-0.0", "0"),
        ("1.4210854715202004E-14", "0.00"),
        ("-1.4210854715202004E-14", "0.00"),
        ("123456789.12000000477", "123456789.12"),
        ("19.9900", "19.9900"),
        # A difference that is none of binary numbers stays.
        ("19.991", "19.991"),
        ("0.12345", "0.12345"),
        ("0.333333333333", "0.33333"),
    ],
)
def test_the_noise_of_binary_numbers_is_no_difference(raw: str, clean: str) -> None:
    amount = clean_amount(parse_json(raw) if raw != "0" else Decimal(0))
    assert amount == Decimal(clean)
    assert "E-" not in str(amount)
    found = SalesInvoice.model_validate({**INVOICE, "totalAmountIncludingTax": parse_json(raw)})
    assert found.total_amount_including_tax == amount


@pytest.mark.parametrize("call", [Call("GET", "invoice"), Call("POST", "invoice")])
@pytest.mark.parametrize(
    "content", [b"[" * 10**6, b'{"a":' * 10**6, b'{"a": ' + b"9" * 10**6 + b"}", b'{"a": 1E9999999}']
)
def test_what_json_can_do_to_a_reader_is_an_error_of_ours(call: Call, content: bytes) -> None:
    with pytest.raises(HubError):
        parse_object(call, RawAnswer(200, {}, content))


CUSTOMER: dict[str, object] = {
    "id": CUSTOMER_ID,
    "@odata.etag": "W/1",
    "number": "C1",
    "displayName": "x",
    "blocked": "_x0020_",
    "lastModifiedDateTime": "2026-01-01T00:00:00Z",
}
WHOLE_INVOICE: dict[str, object] = {
    **INVOICE,
    "@odata.etag": "W/1",
    "externalDocumentNumber": "X-1",
    "status": "Draft",
    "invoiceDate": "2026-01-01",
    "salesInvoiceLines": [{"id": "1", "sequence": 1, "quantity": 1}],
    "dimensionSetLines": [],
}
ROW: dict[str, object] = {
    "id": "1",
    "number": "1",
    "displayName": "d",
    "code": "c",
    "blocked": False,
    "unitPrice": 1,
    "name": "n",
}
# fmt: off
EVIL: list[object] = [
    None, True, -1, 1.5, 10**15, -(10**17), "", [], {}, "x" * 3000, "\x00", "\ud800", "\u202e", "NaN", "Infinity",
    "0001-01-01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+14:00", "0000-00-00", "_x0020", "_xFFFFFFFF_", "_xD800_",
    [[]], [1], [None], ["x"], [{}], {"a": 1}, "1E400",
]
# fmt: on
Ask = Callable[[BusinessCentralClient], Awaitable[object]]
READS: list[tuple[dict[str, object], bool, Ask]] = [
    (WHOLE_INVOICE, False, lambda one: one.fetch_invoice(CUSTOMER_ID, with_lines=True)),
    (WHOLE_INVOICE, False, lambda one: one.create_invoice({}, before_send=send_nothing_first)),
    (WHOLE_INVOICE, False, lambda one: one.set_dimensions(CUSTOMER_ID, {})),
    (WHOLE_INVOICE, True, lambda one: one.find_invoices("X-1")),
    (CUSTOMER, False, lambda one: one.fetch_customer(CUSTOMER_ID)),
    (CUSTOMER, False, lambda one: one.create_customer({}, before_send=send_nothing_first)),
    (CUSTOMER, True, lambda one: one.find_customer("C1")),
    (CUSTOMER, True, lambda one: one.fetch_customers([CUSTOMER_ID])),
    (ROW, True, lambda one: one.fetch_accounts()),
    (ROW, True, lambda one: one.fetch_items()),
    (ROW, True, lambda one: one.fetch_companies()),
    (ROW, True, lambda one: one.fetch_list("currencies", ("code",))),
    (ROW, True, lambda one: one.find_rows("items", "number", "1", ("number",))),
]


def list_variants(good: dict[str, object]) -> list[object]:
    missing = [{name: value for name, value in good.items() if name != left_out} for left_out in good]
    return [*EVIL, *missing, *({**good, name: evil} for name in good for evil in EVIL)]


@pytest.mark.parametrize(("good", "is_list", "ask"), READS)
async def test_whatever_stands_in_an_answer_is_read_or_an_error_of_ours(
    good: dict[str, object], is_list: bool, ask: Ask
) -> None:
    read = 0
    for variant in [good, *list_variants(good)]:
        content = json.dumps({"value": [variant]} if is_list else variant).encode()
        fake = FakeBusinessCentral(by=lambda _, content=content: httpx.Response(200, content=content))
        with contextlib.suppress(HubError):
            await ask(build_fake_client(fake))
            read += 1
    assert read


@pytest.mark.parametrize("name", ["Retry-After", "Date", "request-id", "Content-Encoding"])
@pytest.mark.parametrize(
    "value",
    [
        *("9" * 5000, "-1", "1e400", "\u0663", "\u00b2", "x"),
        "Mon, 99 Foo 99999999999 99:99:99 GMT",
        "Fri, 31 Dec 9999 23:59:59 -1400",
        "Mon, 01 Jan 0001 00:00:00 +1400",
    ],
    ids=lambda one: one[:12],
)
@pytest.mark.parametrize("status", [200, 400, 429, 503])
async def test_whatever_stands_in_a_header_is_read_or_an_error_of_ours(name: str, value: str, status: int) -> None:
    headers = [(name.encode(), value.encode())]
    fake = FakeBusinessCentral(by=lambda _: httpx.Response(status, headers=headers, content=b'{"value": []}'))
    with contextlib.suppress(HubError):
        await build_fake_client(fake).find_invoices("X-1")
    with contextlib.suppress(HubError):
        await build_fake_client(fake).create_invoice({}, before_send=send_nothing_first)
    assert len(fake.requests) >= 2


@pytest.mark.parametrize("status", [400, 401, 404, 409, 412, 500])
async def test_whatever_stands_in_an_error_is_an_error_of_ours(status: int) -> None:
    for evil in EVIL:
        for error in (evil, {"code": evil, "message": "m"}, {"code": "c", "message": evil}):
            content = json.dumps({"error": error}).encode()
            fake = FakeBusinessCentral(by=lambda _, content=content: httpx.Response(status, content=content))
            with pytest.raises(HubError):
                await build_fake_client(fake).create_invoice({}, before_send=send_nothing_first)
