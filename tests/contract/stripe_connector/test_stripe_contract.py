"""The client against the simulator: what it relies upon in Stripe's behaviour."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from connectors.stripe.client import API_VERSION, StripeApi
from connectors.stripe.deadlines import Deadlines
from connectors.stripe.errors import CursorExpired
from connectors.stripe.metadata import find_changed_keys, find_replay_request, is_own_write
from connectors.stripe.signatures import SignatureRefused, parse_event, verify_webhook
from schemas.errors import Blocked, HubError, Refused, RetryLater, RetrySoon
from tests.contract.stripe_connector.simulated import SimulatedStripe, waits

TYPES = ["invoice.created", "invoice.finalized", "invoice.updated"]


@pytest.fixture
def api(sim: SimulatedStripe) -> StripeApi:
    return sim.build_api()


async def list_events(api: StripeApi, **options: Any) -> list[tuple[str, str]]:
    return [(event.type, event.id) async for event in api.list_events(types=TYPES, **options)]


async def test_the_account_of_the_key_is_found_with_its_mode(sim: SimulatedStripe, api: StripeApi) -> None:
    assert (await api.fetch_account()).id == sim.account
    assert (await sim.build_api(sim.live_key).fetch_account()).livemode is True


@pytest.mark.parametrize("lines", [1, 10, 11, 130])
async def test_an_invoice_comes_with_all_its_lines(sim: SimulatedStripe, api: StripeApi, lines: int) -> None:
    invoice = await api.fetch_invoice(await sim.create_invoice(lines))
    assert invoice is not None
    assert len(invoice.lines.data) == lines
    assert sum(line.amount for line in invoice.lines.data) == invoice.total
    assert not invoice.lines.has_more


async def test_the_other_mode_knows_nothing_of_it(sim: SimulatedStripe) -> None:
    invoice_id = await sim.create_invoice()
    try:
        assert await sim.build_api(sim.live_key).fetch_invoice(invoice_id) is None
    except Refused as error:
        assert error.code == "stripe.invoice.other_mode"  # noqa: PT017 - Stripe hints at the mode, or does not


async def test_a_deleted_draft_is_gone(sim: SimulatedStripe, api: StripeApi) -> None:
    invoice_id = await sim.create_invoice(finalize=False)
    await sim.delete(f"invoices/{invoice_id}")
    assert await api.fetch_invoice(invoice_id) is None
    with pytest.raises(Refused) as raised:
        await api.update_invoice_metadata(invoice_id, {"hub_a": "b"}, idempotency_key="k-gone")
    assert raised.value.code == "stripe.invoice.missing"


async def test_a_deleted_customer_is_none(sim: SimulatedStripe, api: StripeApi) -> None:
    customer_id = (await sim.post("customers", name="Ada", **{"metadata[vat]": "DE1"}))["id"]
    customer = await api.fetch_customer(customer_id)
    assert customer is not None
    assert (customer.name, customer.metadata) == ("Ada", {"vat": "DE1"})
    await sim.delete(f"customers/{customer_id}")
    assert await api.fetch_customer(customer_id) is None
    assert await api.fetch_customer("cus_unknown") is None


async def test_a_customers_metadata_are_merged_and_tell_of_it(sim: SimulatedStripe, api: StripeApi) -> None:
    customer_id = (await sim.post("customers", name="Ada", **{"metadata[vat]": "DE1"}))["id"]
    written = await api.update_customer_metadata(customer_id, {"debtor": "C1"}, idempotency_key=f"hub:{customer_id}")
    assert written.metadata == {"vat": "DE1", "debtor": "C1"}
    events = [event async for event in api.list_events(types=["customer.updated"])]
    assert [find_changed_keys(event) for event in events if event.data.object.id == customer_id] == [{"debtor"}]


async def test_metadata_is_merged_deleted_and_recognised_on_its_return(sim: SimulatedStripe, api: StripeApi) -> None:
    invoice_id = await sim.create_invoice()
    await sim.post(f"invoices/{invoice_id}", **{"metadata[theirs]": "1", "metadata[hub_replay]": "now"})
    written = await api.update_invoice_metadata(
        invoice_id, {"hub_status": "Zürich ok & [done]", "hub_replay": ""}, idempotency_key=f"hub:{invoice_id}:1"
    )
    assert written.metadata == {"theirs": "1", "hub_status": "Zürich ok & [done]"}
    assert written.request_id
    asked, echo = [event async for event in api.list_events(types=["invoice.updated"]) if _is_metadata(event)]
    assert find_replay_request(asked, "hub_replay") == "now"
    assert is_own_write(echo, "hub_", "hub_replay")
    assert not is_own_write(asked, "hub_", "hub_replay")


def _is_metadata(event: Any) -> bool:
    return "metadata" in (event.data.previous_attributes or {})


async def test_repeating_a_write_does_it_once(sim: SimulatedStripe, api: StripeApi) -> None:
    invoice_id = await sim.create_invoice()
    before = len(await list_events(api))
    for _ in range(2):
        await api.update_invoice_metadata(invoice_id, {"hub_a": "b"}, idempotency_key=f"hub:{invoice_id}")
    assert len(await list_events(api)) == before + 1


@pytest.mark.parametrize("kind", ["reset_before", "reset_after"])
async def test_a_write_whose_answer_is_lost_is_done_once(sim: SimulatedStripe, api: StripeApi, kind: str) -> None:
    invoice_id = await sim.create_invoice()
    before = len(await list_events(api))
    await sim.break_next(kind, method="POST")
    written = await api.update_invoice_metadata(invoice_id, {"hub_a": "b"}, idempotency_key=f"hub:{invoice_id}")
    assert written.metadata == {"hub_a": "b"}
    assert len(await list_events(api)) == before + 1


async def test_the_fifty_first_key_is_refused_in_plain_words(sim: SimulatedStripe, api: StripeApi) -> None:
    invoice_id = await sim.create_invoice()
    await sim.post(f"invoices/{invoice_id}", **{f"metadata[k{n}]": "v" for n in range(50)})
    with pytest.raises(Refused, match="50 keys") as raised:
        await api.update_invoice_metadata(invoice_id, {"hub_a": "b"}, idempotency_key=f"hub:{invoice_id}")
    assert raised.value.code == "stripe.metadata.too_many_keys"


async def test_one_idempotency_key_for_two_contents_is_a_defect(sim: SimulatedStripe, api: StripeApi) -> None:
    invoice_id = await sim.create_invoice()
    await api.update_invoice_metadata(invoice_id, {"hub_a": "b"}, idempotency_key=f"hub:{invoice_id}")
    with pytest.raises(HubError) as raised:
        await api.update_invoice_metadata(invoice_id, {"hub_a": "c"}, idempotency_key=f"hub:{invoice_id}")
    assert (raised.value.kind, raised.value.code) == ("unexpected", "stripe.idempotency.key_reused")


async def test_a_stored_failure_comes_back_under_its_key_and_not_under_another(
    sim: SimulatedStripe, api: StripeApi
) -> None:
    invoice_id = await sim.create_invoice()
    await sim.break_next("status", method="POST", status=500, stored=True)
    for expected in (None, "true"):
        with pytest.raises(RetrySoon) as raised:
            await api.update_invoice_metadata(invoice_id, {"hub_a": "b"}, idempotency_key=f"hub:{invoice_id}:1")
        assert expected in {None, raised.value.context.get("idempotent_replayed")}
    await api.update_invoice_metadata(invoice_id, {"hub_a": "b"}, idempotency_key=f"hub:{invoice_id}:2")


async def test_events_come_oldest_first_and_go_on_after_a_cursor(sim: SimulatedStripe, api: StripeApi) -> None:
    for _ in range(2):
        await sim.create_invoice()
    events = await list_events(api)
    assert [kind for kind, _ in events if kind != "invoice.updated"] == ["invoice.created", "invoice.finalized"] * 2
    assert await list_events(api, after=events[1][1]) == events[2:]
    assert await list_events(api, after=events[-1][1]) == []
    found = await api.fetch_event(events[0][1])
    assert found is not None
    assert found.type == events[0][0]


async def test_a_long_history_is_read_whole_and_in_order(sim: SimulatedStripe, api: StripeApi) -> None:
    invoice_id = await sim.create_invoice()
    for number in range(230):
        await sim.post(f"invoices/{invoice_id}", **{"metadata[n]": str(number)})
        if number % 20 == 0:
            await sim.control("POST", "clock", {"advance_seconds": 60})
    steps = [
        event.data.previous_attributes["metadata"]["n"]
        async for event in api.list_events(types=["invoice.updated"])
        if event.data.previous_attributes and "metadata" in event.data.previous_attributes
    ]
    assert steps == [None, *map(str, range(229))]


async def test_an_unknown_cursor_is_told_apart(api: StripeApi) -> None:
    with pytest.raises(CursorExpired):
        await list_events(api, after="evt_bogus")


async def test_an_unknown_event_is_none(api: StripeApi) -> None:
    assert await api.fetch_event("evt_bogus") is None


async def test_invoices_are_listed_newest_first_by_status_and_customer(sim: SimulatedStripe, api: StripeApi) -> None:
    customer = (await sim.post("customers", name="Ada"))["id"]
    first = await sim.create_invoice(customer=customer)
    second = await sim.create_invoice(12, customer=customer)
    draft = await sim.create_invoice(customer=customer, finalize=False)
    await sim.create_invoice()
    opened = [invoice async for invoice in api.list_invoices(status="open", customer=customer)]
    assert [invoice.id for invoice in opened] == [second, first]
    assert opened[0].lines.has_more
    assert draft in [invoice.id async for invoice in api.list_invoices(created_gte=0)]
    assert [invoice async for invoice in api.list_invoices(created_lt=1)] == []


async def test_a_revoked_key_blocks(sim: SimulatedStripe) -> None:
    with pytest.raises(Blocked) as raised:
        await sim.build_api("sk_test_unknown").fetch_account()
    assert raised.value.code == "stripe.credentials.rejected"


async def test_an_account_that_was_never_connected_blocks(sim: SimulatedStripe) -> None:
    with pytest.raises(Blocked) as raised:
        await sim.build_api(account="acct_unknown").fetch_account()
    assert raised.value.code == "stripe.account.no_access"


async def test_a_platform_acts_for_its_connected_account(sim: SimulatedStripe) -> None:
    connected = (await sim.control("POST", "accounts", {"platform": sim.account}))["account"]
    assert (await sim.build_api(account=connected).fetch_account()).id == connected


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500, "stored": False},
        {"kind": "status", "status": 503, "html": True},
        {"kind": "status", "status": 429},
        {"kind": "status", "status": 429, "code": "lock_timeout"},
        {"kind": "status", "status": 429, "retry_after": 2},
        {"kind": "status", "status": 429, "should_retry": True},
        {"kind": "status", "status": 409},
        {"kind": "reset_before"},
        {"kind": "reset_after"},
    ],
)
async def test_one_passing_fault_is_not_noticed(sim: SimulatedStripe, api: StripeApi, fault: dict[str, Any]) -> None:
    invoice_id = await sim.create_invoice()
    await sim.break_next(**fault)
    assert await api.fetch_invoice(invoice_id) is not None


async def test_a_body_cut_in_half_is_for_later(sim: SimulatedStripe, api: StripeApi) -> None:
    invoice_id = await sim.create_invoice()
    await sim.break_next("bad_body", count=3)
    with pytest.raises(RetrySoon):
        await api.fetch_invoice(invoice_id)


async def test_a_long_rate_limit_is_left_to_the_caller(sim: SimulatedStripe, api: StripeApi) -> None:
    await sim.break_next("status", status=429, retry_after=60)
    with pytest.raises(RetryLater) as raised:
        await api.fetch_account()
    assert raised.value.retry_after == timedelta(seconds=60)
    assert waits == []


async def test_a_slow_answer_ends_with_the_deadline(sim: SimulatedStripe) -> None:
    await sim.break_next("latency", delay_ms=500)
    brief = Deadlines(read=timedelta(milliseconds=80), patience=timedelta(milliseconds=50))
    with pytest.raises(RetrySoon) as raised:
        await sim.build_api(deadlines=brief).fetch_account()
    assert raised.value.code == "stripe.connection.timeout"


async def test_webhooks_of_stripe_are_verified_and_read_also_while_a_secret_is_rolled(sim: SimulatedStripe) -> None:
    arrived: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue()

    async def receive(request: web.Request) -> web.Response:
        await arrived.put((await request.read(), request.headers["Stripe-Signature"]))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", receive)
    async with TestServer(app, host="127.0.0.1") as server:
        url = str(server.make_url("/"))
        given = {"url": url, "enabled_events[0]": "invoice.finalized", "api_version": API_VERSION}
        endpoint = await sim.post("webhook_endpoints", **given)
        invoice_id = await sim.create_invoice()
        body, header = await arrived.get()
        rolled = await sim.control("POST", "roll_secret", {"endpoint": endpoint["id"]})
        await sim.create_invoice()
        later_body, later_header = await arrived.get()
    clock = await sim.control("POST", "clock", {"advance_seconds": 0})
    now = datetime.fromtimestamp(clock["now"], tz=UTC)
    assert verify_webhook(body, header, [endpoint["secret"]], now=now) == 0
    assert parse_event(body).data.object.id == invoice_id
    assert verify_webhook(later_body, later_header, [rolled["secret"]], now=now) == 0
    assert verify_webhook(later_body, later_header, ["whsec_other", endpoint["secret"]], now=now) == 1
    with pytest.raises(SignatureRefused):
        verify_webhook(body, header, [rolled["secret"]], now=now)


async def test_the_tax_of_shipping_comes_with_its_rate(sim: SimulatedStripe, api: StripeApi) -> None:
    rate = await sim.post("tax_rates", display_name="VAT", percentage="8.875", inclusive="false")
    shipping = await sim.post(
        "shipping_rates",
        display_name="Parcel",
        type="fixed_amount",
        **{"fixed_amount[amount]": "1290", "fixed_amount[currency]": "eur"},
    )
    customer = await sim.post("customers", name="Ada")
    draft = await sim.post(
        "invoices",
        customer=customer["id"],
        currency="eur",
        **{"default_tax_rates[0]": rate["id"], "shipping_cost[shipping_rate]": shipping["id"]},
    )

    invoice = await api.fetch_invoice(draft["id"])
    assert invoice is not None
    assert invoice.shipping_cost is not None
    assert invoice.shipping_cost.taxes is not None
    (tax,) = invoice.shipping_cost.taxes
    assert (tax.amount, tax.rate.id, tax.rate.percentage) == (114, rate["id"], Decimal("8.875"))


async def test_products_prices_and_tax_rates_are_read(sim: SimulatedStripe, api: StripeApi) -> None:
    product = await sim.post("products", name="Desk", **{"metadata[sku]": "1896-S"})
    price = await sim.post("prices", product=product["id"], currency="eur", unit_amount="100", lookup_key="desk")
    rate = await sim.post("tax_rates", display_name="VAT", percentage="19.5", inclusive="true", country="DE")

    sold = await api.fetch_product(product["id"])
    assert sold is not None
    assert (sold.name, sold.metadata) == ("Desk", {"sku": "1896-S"})
    priced = await api.fetch_price(price["id"])
    assert priced is not None
    assert (priced.product, priced.lookup_key) == (product["id"], "desk")
    taxed = await api.fetch_tax_rate(rate["id"])
    assert taxed is not None
    assert (taxed.percentage, taxed.inclusive, taxed.country) == (Decimal("19.5"), True, "DE")


@pytest.mark.parametrize("read", ["fetch_product", "fetch_price", "fetch_tax_rate"])
async def test_what_is_not_in_the_catalogue_is_none(api: StripeApi, read: str) -> None:
    assert await getattr(api, read)("txr_unknown") is None


async def test_a_customer_comes_with_its_tax_ids(sim: SimulatedStripe, api: StripeApi) -> None:
    customer = await sim.post("customers", name="Ada")
    await sim.post(f"customers/{customer['id']}/tax_ids", type="eu_vat", value="DE123456789")

    found = await api.fetch_customer(customer["id"])
    assert found is not None
    assert found.tax_ids is not None
    assert [(one.type, one.value) for one in found.tax_ids.data] == [("eu_vat", "DE123456789")]


async def test_credit_notes_are_listed_with_their_number_and_lower_what_is_due(
    sim: SimulatedStripe, api: StripeApi
) -> None:
    invoice_id = await sim.create_invoice(2)
    first = await sim.post("credit_notes", invoice=invoice_id, amount="50")
    second = await sim.post("credit_notes", invoice=invoice_id, amount="30")
    await sim.post(f"credit_notes/{first['id']}/void")
    invoice = await api.fetch_invoice(invoice_id)

    notes = await api.list_credit_notes(invoice_id)
    assert [(one.number, one.status) for one in notes] == [(second["number"], "issued"), (first["number"], "void")]
    assert invoice is not None
    assert invoice.pre_payment_credit_notes_amount == 30
    assert await api.list_credit_notes(await sim.create_invoice()) == ()
