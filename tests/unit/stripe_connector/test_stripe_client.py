import asyncio
import contextlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from connectors.stripe.client import API_VERSION, StripeApi
from connectors.stripe.deadlines import Deadlines
from connectors.stripe.transport import StripeHttp
from schemas.errors import Blocked, HubError, Refused, RetryLater, RetrySoon
from tests.unit.stripe_connector.fake_stripe import RECORDED, FakeStripe, Handler, Reply, fail, load_sample

BRIEF = Deadlines(
    read=timedelta(milliseconds=60), write=timedelta(milliseconds=60), patience=timedelta(milliseconds=50)
)


def build_invoice(lines: int = 1, *, embedded: int | None = None, total_count: int | None = None) -> dict[str, Any]:
    invoice = load_sample("12")["data"]["object"]
    data = build_lines(lines)[: lines if embedded is None else embedded]
    invoice["lines"] = {"data": data, "has_more": len(data) < lines, "total_count": total_count or lines}
    return {**invoice, "id": "in_1"}


def build_lines(count: int) -> list[dict[str, Any]]:
    return [{"id": f"il_{number}", "amount": number, "currency": "eur"} for number in range(count)]


def build_line_server(lines: list[dict[str, Any]], total_count: int | None = None) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        begin = next((i + 1 for i, one in enumerate(lines) if one["id"] == request.query.get("starting_after")), 0)
        end = begin + int(request.query["limit"])
        body = {"data": lines[begin:end], "has_more": end < len(lines), "total_count": total_count or len(lines)}
        return await Reply(body)(request)

    return handle


def get_header(fake: FakeStripe, name: str, place: int = -1) -> str | None:
    return fake.asked[place].headers.get(name)


async def test_an_invoice_with_all_its_lines_takes_one_request(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(Reply(build_invoice(3)))
    invoice = await api.fetch_invoice("in_1")
    assert invoice is not None
    assert [line.id for line in invoice.lines.data] == ["il_0", "il_1", "il_2"]
    assert [(one.method, one.path) for one in fake.asked] == [("GET", "/v1/invoices/in_1")]


async def test_only_a_success_says_that_stripe_works_again(fake: FakeStripe, api: StripeApi) -> None:
    """What is told here ends a block; an error must not."""
    for status in (401, 403, 404):
        fake.answer(fail(status))
        with contextlib.suppress(HubError):
            await api.fetch_invoice("in_1")
    assert fake.answered == []

    fake.answer(Reply(build_invoice()))
    await api.fetch_invoice("in_1")
    assert fake.answered == ["stripe"]


async def test_requests_carry_key_and_pinned_version_and_no_telemetry(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(Reply(build_invoice()))
    await api.fetch_invoice("in_1")
    await api.fetch_invoice("in_1")
    assert get_header(fake, "Authorization") == "Bearer sk_test_fake"
    assert get_header(fake, "Stripe-Version") == API_VERSION == "2026-10-28.endive"
    assert get_header(fake, "X-Stripe-Client-Telemetry") is None
    assert "telemetry_id" not in (get_header(fake, "X-Stripe-Client-User-Agent") or "")
    assert get_header(fake, "Stripe-Account") is None


async def test_a_connected_account_is_named_in_every_request(fake: FakeStripe, http: StripeHttp) -> None:
    fake.answer(Reply(build_invoice(150, embedded=10)), build_line_server(build_lines(150)))
    await fake.build_api(http, account="acct_1").fetch_invoice("in_1")
    assert [one.headers.get("Stripe-Account") for one in fake.asked] == ["acct_1"] * 3


@pytest.mark.parametrize(("count", "requests"), [(11, 2), (100, 2), (101, 3), (250, 4)])
async def test_all_lines_are_read_in_pages_of_a_hundred(
    fake: FakeStripe, api: StripeApi, count: int, requests: int
) -> None:
    fake.answer(Reply(build_invoice(count, embedded=10)), build_line_server(build_lines(count)))
    invoice = await api.fetch_invoice("in_1")
    assert invoice is not None
    assert [line.amount for line in invoice.lines.data] == list(range(count))
    assert invoice.lines.has_more is False
    assert len(fake.asked) == requests


async def test_the_recorded_25_lines_add_up_to_the_recorded_subtotal(fake: FakeStripe, api: StripeApi) -> None:
    invoice = load_sample("06")["data"]["object"]
    pages = json.loads((RECORDED / "06_lines_pages.json").read_bytes())
    fake.answer(Reply(invoice), *[Reply(page["response"]) for page in pages])
    fetched = await api.fetch_invoice(invoice["id"])
    assert fetched is not None
    assert len(fetched.lines.data) == 25
    assert sum(line.subtotal or 0 for line in fetched.lines.data) == fetched.subtotal


@pytest.mark.parametrize(
    "pages",
    [
        [{"data": build_lines(2), "has_more": False, "total_count": 3}],
        [{"data": [*build_lines(2), build_lines(1)[0]], "has_more": False}],
        [
            {"data": build_lines(2), "has_more": True, "total_count": 3},
            {"data": [], "has_more": False, "total_count": 2},
        ],
    ],
)
async def test_lines_that_changed_meanwhile_are_read_again_later(
    fake: FakeStripe, api: StripeApi, pages: list[dict[str, Any]]
) -> None:
    fake.answer(Reply(build_invoice(3, embedded=1)), *[Reply(page) for page in pages])
    with pytest.raises(RetrySoon) as raised:
        await api.fetch_invoice("in_1")
    assert raised.value.code == "stripe.invoice.lines_changed"


async def test_a_page_that_says_more_but_holds_nothing_is_not_asked_for_ever(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(Reply(build_invoice(3, embedded=1)), Reply({"data": [], "has_more": True}))
    with pytest.raises(RetrySoon) as raised:
        await api.fetch_invoice("in_1")
    assert raised.value.code == "stripe.answer.unreadable"


async def test_an_answer_about_another_invoice_is_not_taken(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(Reply(build_invoice()))
    with pytest.raises(RetrySoon):
        await api.fetch_invoice("in_2")


@pytest.mark.parametrize(
    "invoice_id", ["", " ", "in_", "cus_1", "in_1/lines", "../in_1", "in_1?expand", "in_\n", "in_é"]
)
async def test_what_is_no_invoice_id_is_refused_unsent(fake: FakeStripe, api: StripeApi, invoice_id: str) -> None:
    with pytest.raises(Refused) as raised:
        await api.fetch_invoice(invoice_id)
    with pytest.raises(Refused):
        await api.update_invoice_metadata(invoice_id, {"a": "b"}, idempotency_key="k")
    assert raised.value.code == "stripe.invoice.bad_id"
    assert fake.asked == []


@pytest.mark.parametrize("customer_id", ["", "a b", "a/b", "..", "?x", "a\n"])
async def test_what_is_no_customer_id_is_refused_unsent(fake: FakeStripe, api: StripeApi, customer_id: str) -> None:
    with pytest.raises(Refused, match="is not the id of a Stripe customer"):
        await api.fetch_customer(customer_id)
    assert fake.asked == []


async def test_an_id_that_the_merchant_chose_reaches_the_right_customer(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(Reply({"id": "a+b%c@ex.com", "livemode": False, "created": 1}))
    customer = await api.fetch_customer("a+b%c@ex.com")
    assert customer is not None
    assert fake.asked[0].path == "/v1/customers/a+b%c@ex.com"


async def test_what_does_not_exist_is_none(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(fail(404, "resource_missing", param="id"))
    assert await api.fetch_invoice("in_1") is None
    assert await api.fetch_customer("cus_1") is None
    assert await api.fetch_event("evt_1") is None


async def test_an_invoice_deleted_between_two_pages_is_none(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(Reply(build_invoice(3, embedded=1)), fail(404, "resource_missing"))
    assert await api.fetch_invoice("in_1") is None


async def test_a_deleted_customer_is_none(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(Reply({"id": "cus_1", "object": "customer", "deleted": True}))
    assert await api.fetch_customer("cus_1") is None


async def test_a_customer_keeps_fields_that_are_not_declared(fake: FakeStripe, api: StripeApi) -> None:
    recorded = load_sample("24")["data"]["object"]
    fake.answer(Reply(recorded))
    customer = await api.fetch_customer(recorded["id"])
    assert customer is not None
    assert customer.model_dump(include=set(recorded)).keys() == recorded.keys()
    assert customer.email == recorded["email"]


async def test_an_event_is_read_as_it_was_made(fake: FakeStripe, api: StripeApi) -> None:
    recorded = load_sample("28")
    fake.answer(Reply(recorded))
    event = await api.fetch_event(recorded["id"])
    assert event is not None
    assert event.type == "invoice.finalized"


@pytest.mark.parametrize(
    ("key", "livemode"), [("sk_test_1", False), ("rk_live_1", True), ("sk_live_1", True), ("rk_test_1", False)]
)
async def test_the_key_tells_the_mode_and_the_account_its_name(
    fake: FakeStripe, http: StripeHttp, key: str, livemode: bool
) -> None:
    fake.answer(Reply({"id": "acct_1", "country": "DE", "business_profile": {"name": "Nordlicht"}}))
    account = await fake.build_api(http, key=f" {key}\n").fetch_account()
    assert (account.id, account.livemode, account.name, account.country) == ("acct_1", livemode, "Nordlicht", "DE")


async def test_a_key_without_a_mode_can_not_be_connected(fake: FakeStripe, http: StripeHttp) -> None:
    with pytest.raises(Blocked) as raised:
        await fake.build_api(http, key="pk_test_1").fetch_account()
    assert raised.value.code == "stripe.credentials.malformed"


@pytest.mark.parametrize("key", ["", "  ", "sk_test_1\r\nX: y", "sk_tést", "sk test"])
def test_what_can_be_no_key_is_never_sent(key: str) -> None:
    with pytest.raises(Blocked):
        StripeApi(key=key, api_base=None, account=None, http=StripeHttp())


async def test_metadata_is_merged_under_one_idempotency_key(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(fail(500), fail(409), fail(429), Reply({"id": "in_1", "metadata": {"theirs": "1", "hub_a": "ä & [b]"}}))
    written = await api.update_invoice_metadata("in_1", {"hub_a": "ä & [b]", "hub_b": ""}, idempotency_key="hub:1")
    assert written.metadata == {"theirs": "1", "hub_a": "ä & [b]"}
    assert written.request_id == "req_fake"
    assert {one.headers["Idempotency-Key"] for one in fake.asked} == {"hub:1"}
    assert [one.form for one in fake.asked] == [[("metadata[hub_a]", "ä & [b]"), ("metadata[hub_b]", "")]] * 4


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"k" * 41: "v"}, "stripe.metadata.bad_key"),
        ({"a[b": "v"}, "stripe.metadata.bad_key"),
        ({"": "v"}, "stripe.metadata.bad_key"),
        ({"k": "v" * 501}, "stripe.metadata.value_too_long"),
    ],
)
async def test_metadata_beyond_stripes_limits_is_refused_unsent(
    fake: FakeStripe, api: StripeApi, changes: Mapping[str, str], code: str
) -> None:
    with pytest.raises(Refused) as raised:
        await api.update_invoice_metadata("in_1", changes, idempotency_key="k")
    assert raised.value.code == code
    assert fake.asked == []


@pytest.mark.parametrize(("changes", "key"), [({}, "k"), ({"a": "b"}, ""), ({"a": "b"}, "k" * 256), ({"a": "b"}, "ä")])
async def test_a_write_that_makes_no_sense_is_a_mistake_of_the_caller(
    api: StripeApi, changes: Mapping[str, str], key: str
) -> None:
    with pytest.raises(ValueError, match=r"metadata|idempotency"):
        await api.update_invoice_metadata("in_1", changes, idempotency_key=key)


async def test_writing_to_an_invoice_that_is_gone_is_refused(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(fail(404, "resource_missing"))
    with pytest.raises(Refused) as raised:
        await api.update_invoice_metadata("in_1", {"a": "b"}, idempotency_key="k")
    assert raised.value.code == "stripe.invoice.missing"


async def test_a_customers_metadata_are_merged_as_an_invoices(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(fail(500), Reply({"id": "cus_1", "metadata": {"theirs": "1", "debtor": "C1"}}))
    written = await api.update_customer_metadata("cus_1", {"debtor": "C1"}, idempotency_key="hub:1")

    assert written.metadata == {"theirs": "1", "debtor": "C1"}
    assert {(one.path, one.headers["Idempotency-Key"]) for one in fake.asked} == {("/v1/customers/cus_1", "hub:1")}
    assert fake.asked[0].form == [("metadata[debtor]", "C1")]


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (fail(404, "resource_missing"), Refused, "stripe.customer.missing"),
        (fail(403), Blocked, "stripe.credentials.forbidden"),
    ],
)
async def test_a_customer_that_can_not_be_written_says_why(
    fake: FakeStripe, api: StripeApi, answer: Reply, kind: type[HubError], code: str
) -> None:
    fake.answer(answer)
    with pytest.raises(kind) as raised:
        await api.update_customer_metadata("cus_1", {"debtor": "C1"}, idempotency_key="k")
    assert isinstance(raised.value, HubError)
    assert raised.value.code == code


async def test_a_short_retry_after_is_waited_for_in_place(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(fail(429, headers={"Retry-After": "4"}), Reply(build_invoice()))
    assert await api.fetch_invoice("in_1") is not None
    assert fake.slept == [4.0]


async def test_a_rate_limit_without_a_time_is_tried_three_times_with_growing_pauses(
    fake: FakeStripe, api: StripeApi
) -> None:
    fake.answer(fail(429))
    with pytest.raises(RetryLater):
        await api.fetch_invoice("in_1")
    assert len(fake.asked) == 3
    assert 0.25 <= fake.slept[0] <= 0.5 <= fake.slept[1] <= 1.0


async def test_a_long_retry_after_is_left_to_the_caller(fake: FakeStripe, api: StripeApi) -> None:
    fake.answer(fail(429, headers={"Retry-After": "6"}))
    with pytest.raises(RetryLater) as raised:
        await api.fetch_invoice("in_1")
    assert raised.value.retry_after == timedelta(seconds=6)
    assert len(fake.asked) == 1


@pytest.mark.parametrize(("advice", "requests"), [("false", 1), ("true", 3)])
async def test_where_stripe_says_whether_to_retry_the_sdk_has_done_it(
    fake: FakeStripe, api: StripeApi, advice: str, requests: int
) -> None:
    fake.answer(fail(429, headers={"Stripe-Should-Retry": advice}))
    with pytest.raises(RetryLater):
        await api.fetch_invoice("in_1")
    assert len(fake.asked) == requests


async def test_no_wait_goes_beyond_the_deadline(fake: FakeStripe, http: StripeHttp) -> None:
    fake.answer(fail(429))
    with pytest.raises(RetryLater):
        await fake.build_api(http, deadlines=BRIEF).fetch_invoice("in_1")
    assert fake.slept == []


async def test_the_deadline_is_for_the_whole_call_and_not_for_each_byte(fake: FakeStripe, http: StripeHttp) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.005)

    fake.answer(drip)
    api = fake.build_api(http, deadlines=BRIEF)
    with pytest.raises(RetrySoon) as reading:
        await api.fetch_invoice("in_1")
    with pytest.raises(RetrySoon) as writing:
        await api.update_invoice_metadata("in_1", {"a": "b"}, idempotency_key="k")
    assert {reading.value.code, writing.value.code} == {"stripe.connection.timeout"}


async def test_cancelling_a_call_is_no_error_of_stripe(fake: FakeStripe, api: StripeApi) -> None:
    arrived = asyncio.Event()

    async def hang(_request: web.Request) -> web.StreamResponse:
        arrived.set()
        await asyncio.sleep(10)
        raise AssertionError

    fake.answer(hang)
    task = asyncio.create_task(api.fetch_invoice("in_1"))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("name", ["read", "write", "patience"])
def test_deadlines_check_themselves(name: str) -> None:
    with pytest.raises(ValueError, match="longer than nothing"):
        Deadlines(**{name: timedelta(0)})
    with pytest.raises(ValueError, match="patience"):
        Deadlines(patience=timedelta(seconds=20))


async def test_errors_of_all_kinds_leave_the_client_usable(fake: FakeStripe, api: StripeApi) -> None:
    for reply in (fail(401), fail(500), Reply(b"{"), fail(429)):
        fake.answer(reply)
        with pytest.raises(HubError):
            await api.fetch_invoice("in_1")
    fake.answer(Reply(build_invoice()))
    assert await api.fetch_invoice("in_1") is not None
