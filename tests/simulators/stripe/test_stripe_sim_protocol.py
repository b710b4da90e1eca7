"""The protocol around the objects: keys, versions, parameters, idempotency, faults."""

import base64
import threading
from typing import Any

import httpx
import pytest
import stripe

from simulators.stripe.errors import ApiError
from simulators.stripe.forms import flatten, parse_form
from simulators.stripe.params import list_of, text
from tests.simulators.stripe.harness import LIVE_KEY, TEST_KEY, Simulator, make_customer, make_draft, make_open


@pytest.mark.parametrize(
    ("raw", "nested"),
    [
        ("a=1&b=", {"a": "1", "b": ""}),
        ("a[b][0]=c", {"a": {"b": {"0": "c"}}}),
        ("types%5B0%5D=x&types%5B1%5D=y", {"types": {"0": "x", "1": "y"}}),
        ("types[]=x&types[]=y", {"types": {"0": "x", "1": "y"}}),
        ("l[][a]=1&l[][b]=2&l[][a]=3", {"l": {"0": {"a": "1", "b": "2"}, "1": {"a": "3"}}}),
        ("name=M%C3%BCller+%26+S%C3%B6hne", {"name": "Müller & Söhne"}),
    ],
)
def test_forms_nest(raw: str, nested: dict[str, Any]) -> None:
    assert parse_form(raw) == nested


def test_arrays_keep_the_order_of_their_numbers() -> None:
    assert list_of(text())({"10": "c", "2": "b", "0": "a"}, "types") == ["a", "b", "c"]
    assert flatten(parse_form("b[y]=2&a=1&b[x]=1")) == flatten(parse_form("a=1&b[x]=1&b[y]=2"))
    with pytest.raises(ApiError):
        parse_form("a=1&a[b]=2")


def test_every_answer_carries_request_id_and_version(sim: Simulator) -> None:
    for path in ("/v1/account", "/v1/customers/cus_none", "/v1/nowhere"):
        answer = sim.call("GET", path)
        assert answer.headers["Request-Id"].startswith("req_")
        assert answer.headers["Stripe-Version"] == "2026-10-28.endive"


def test_keys_open_their_mode_by_bearer_and_basic(sim: Simulator) -> None:
    customer = make_customer(sim.client())
    with pytest.raises(stripe.InvalidRequestError):
        sim.client(LIVE_KEY).v1.customers.retrieve(customer)
    basic = base64.b64encode(f"{TEST_KEY}:".encode()).decode()
    assert sim.call("GET", f"/v1/customers/{customer}", Authorization=f"Basic {basic}").json()["livemode"] is False
    assert sim.client(LIVE_KEY).v1.customers.retrieve(make_customer(sim.client(LIVE_KEY))).livemode


def test_a_bad_or_missing_key_is_401(sim: Simulator) -> None:
    with pytest.raises(stripe.AuthenticationError):
        make_customer(sim.client("sk_test_unknown"))
    answer = sim.http.get(f"{sim.base}/v1/account")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="Stripe"')


def test_an_unknown_version_is_refused(sim: Simulator) -> None:
    assert sim.call("GET", "/v1/account", Stripe_Version="2024-06-20").status_code == 400


def test_unknown_parameters_are_refused_at_any_depth(sim: Simulator) -> None:
    for data in ({"nmae": "x"}, {"address[citty]": "x"}):
        error = sim.call("POST", "/v1/customers", data).json()["error"]
        assert (error["code"], error["param"]) == ("parameter_unknown", next(iter(data)))


def test_missing_objects_have_stripes_error_shape(sim: Simulator) -> None:
    answer = sim.call("GET", "/v1/invoices/in_none")
    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "message": "No such invoice: 'in_none'",
        "type": "invalid_request_error",
        "code": "resource_missing",
        "doc_url": "https://stripe.com/docs/error-codes/resource-missing",
        "param": "invoice",
    }


def test_limits_are_clamped_and_bad_cursors_refused(sim: Simulator) -> None:
    assert sim.call("GET", "/v1/customers?limit=1000").status_code == 200
    assert sim.call("GET", "/v1/customers?limit=0").status_code == 200
    answer = sim.call("GET", "/v1/events?starting_after=evt_none")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "resource_missing")
    assert sim.call("GET", "/v1/invoices/").json()["object"] == "list"


def test_a_repeated_key_replays_the_first_answer(sim: Simulator) -> None:
    first = sim.call("POST", "/v1/customers", {"name": "A"}, Idempotency_Key="k1")
    second = sim.call("POST", "/v1/customers", {"name": "A"}, Idempotency_Key="k1")
    assert second.json() == first.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Original-Request"] == first.headers["Request-Id"]
    sim.admin("POST", "clock", {"advance_seconds": 24 * 3600 + 1})
    assert sim.call("POST", "/v1/customers", {"name": "A"}, Idempotency_Key="k1").json()["id"] != first.json()["id"]


def test_a_key_with_other_parameters_is_an_idempotency_error(client: stripe.StripeClient) -> None:
    client.v1.customers.create({"name": "A"}, {"idempotency_key": "k1"})
    with pytest.raises(stripe.IdempotencyError, match="same parameters they were first used with"):
        client.v1.customers.create({"name": "B"}, {"idempotency_key": "k1"})


def test_validation_failures_free_the_key_but_refusals_of_the_endpoint_keep_it(sim: Simulator) -> None:
    assert sim.call("POST", "/v1/customers", {"nmae": "A"}, Idempotency_Key="k1").status_code == 400
    assert sim.call("POST", "/v1/customers", {"name": "A"}, Idempotency_Key="k1").status_code == 200
    paid = make_open(sim.client(), make_customer(sim.client()), ()).id
    sim.call("POST", f"/v1/invoices/{paid}/pay", Idempotency_Key="k2")
    assert "Idempotent-Replayed" in sim.call("POST", f"/v1/invoices/{paid}/pay", Idempotency_Key="k2").headers


def test_a_key_in_use_is_a_conflict(sim: Simulator) -> None:
    rule = {"kind": "latency", "delay_ms": 400, "match": {"method": "POST"}, "count": 1}
    sim.admin("POST", "faults", rule)
    slow = threading.Thread(target=lambda: make_customer_with(sim, "k1"))
    slow.start()
    while not sim.admin("GET", "faults")["rules"][0]["fired"]:
        pass
    answer = sim.call("POST", "/v1/customers", {"name": "A"}, Idempotency_Key="k1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    slow.join()
    assert sim.call("POST", "/v1/customers", {"name": "A"}, Idempotency_Key="k1").status_code == 200


def make_customer_with(sim: Simulator, key: str) -> None:
    headers = {"Authorization": f"Bearer {TEST_KEY}", "Idempotency-Key": key}
    httpx.post(f"{sim.base}/v1/customers", data={"name": "A"}, headers=headers, trust_env=False)


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, stripe.RateLimitError), (409, stripe.APIError), (500, stripe.APIError), (503, stripe.APIError)],
)
def test_injected_statuses_raise_the_sdks_errors(sim: Simulator, status: int, error: type[Exception]) -> None:
    sim.admin("POST", "faults", {"kind": "status", "status": status, "count": 1, "html": status == 503})
    with pytest.raises(error):
        make_customer(sim.client())
    assert make_customer(sim.client())


def test_only_a_500_is_kept_under_its_key(sim: Simulator) -> None:
    for status, again in ((500, 500), (503, 200)):
        sim.admin("POST", "faults", {"kind": "status", "status": status, "count": 1})
        key = f"key-{status}"
        assert sim.call("POST", "/v1/customers", {"name": "A"}, Idempotency_Key=key).status_code == status
        assert sim.call("POST", "/v1/customers", {"name": "A"}, Idempotency_Key=key).status_code == again


def test_should_retry_and_retry_after_are_sent_as_told(sim: Simulator) -> None:
    rule = {"kind": "status", "status": 429, "should_retry": True, "retry_after": 2, "count": 1}
    sim.admin("POST", "faults", rule)
    answer = sim.call("GET", "/v1/account")
    assert (answer.headers["Stripe-Should-Retry"], answer.headers["Retry-After"]) == ("true", "2")


@pytest.mark.parametrize(("kind", "made"), [("reset_before", 0), ("reset_after", 1)])
def test_a_reset_connection_is_seen_as_such_and_the_work_is_done_or_not(sim: Simulator, kind: str, made: int) -> None:
    sim.admin(
        "POST", "faults", {"kind": kind, "match": {"method": "POST", "path_regex": "^/v1/customers$"}, "count": 1}
    )
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        sim.call("POST", "/v1/customers", {"name": "A"}, Idempotency_Key="k1")
    assert len(sim.world.keys[TEST_KEY][0].test.customers) == made
    assert sim.call("POST", "/v1/customers", {"name": "A"}, Idempotency_Key="k1").status_code == 200
    assert len(sim.world.keys[TEST_KEY][0].test.customers) == 1


def test_the_sdk_retries_over_a_reset_without_a_second_customer(sim: Simulator) -> None:
    sim.admin("POST", "faults", {"kind": "reset_after", "match": {"method": "POST"}, "count": 1})
    make_customer(sim.client(retries=2))
    assert len(sim.world.keys[TEST_KEY][0].test.customers) == 1
    assert sim.admin("GET", "state")["idempotent_replays"] == 1


def test_a_cut_body_is_an_api_error_with_status_200(sim: Simulator) -> None:
    sim.admin("POST", "faults", {"kind": "bad_body", "count": 1})
    with pytest.raises(stripe.APIError) as caught:
        make_customer(sim.client())
    assert caught.value.http_status == 200


def test_a_slow_answer_comes_after_the_work(sim: Simulator) -> None:
    sim.admin("POST", "faults", {"kind": "slow_after", "delay_ms": 5000, "match": {"method": "POST"}, "count": 1})
    with pytest.raises(httpx.ReadTimeout):
        sim.http.post(
            f"{sim.base}/v1/customers", headers={"Authorization": f"Bearer {TEST_KEY}"}, data={"name": "A"}, timeout=0.2
        )
    assert len(sim.world.keys[TEST_KEY][0].test.customers) == 1


def test_state_counts_requests_by_route_and_dump_shows_everything(sim: Simulator) -> None:
    client = sim.client()
    invoice = make_open(client, make_customer(client), tuple(range(100, 112)))
    client.v1.invoices.retrieve(invoice.id)
    state = sim.admin("GET", "state")
    assert state["requests"]["GET /v1/invoices/{id}"] == 1
    assert state["invoices"]["open"] == 1
    dump = sim.admin("GET", "dump")["accounts"]
    (account,) = dump.values()
    assert len(account["invoices"][0]["lines"]["data"]) == 12
    assert account["events"] == state["events"]


def test_a_meter_event_identifier_counts_once_a_day(client: stripe.StripeClient, sim: Simulator) -> None:
    data = {"event_name": "docs", "payload[value]": "1", "payload[stripe_customer_id]": "cus_1", "identifier": "hub:1"}
    assert sim.call("POST", "/v1/billing/meter_events", data).status_code == 200
    assert sim.call("POST", "/v1/billing/meter_events", data).status_code == 400
    sim.admin("POST", "clock", {"advance_seconds": 24 * 3600 + 1})
    assert sim.call("POST", "/v1/billing/meter_events", data).status_code == 200


def test_a_draft_can_be_changed_everywhere(client: stripe.StripeClient) -> None:
    draft = make_draft(client, make_customer(client))
    changed = client.v1.invoices.update(
        draft, {"description": "KW 45", "footer": "", "custom_fields": [{"name": "PO", "value": "4711"}]}
    )
    assert changed.to_dict()["custom_fields"] == [{"name": "PO", "value": "4711"}]
    assert (changed.description, changed.footer) == ("KW 45", None)


def test_events_are_gone_after_thirty_days(sim: Simulator, client: stripe.StripeClient) -> None:
    make_customer(client)
    cursor = client.v1.events.list({"limit": 1}).data[0].id
    sim.admin("POST", "clock", {"advance_seconds": 30 * 24 * 3600 + 1})
    recent = make_customer(client)
    shown = client.v1.events.list().data
    assert [event.to_dict()["data"]["object"]["id"] for event in shown] == [recent]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.events.list({"ending_before": cursor})
    assert (caught.value.http_status, caught.value.code) == (400, "resource_missing")


@pytest.mark.parametrize("amount", ["1.0", "1e3", "1_000", " 1", "x"])
def test_integers_are_read_strictly(sim: Simulator, client: stripe.StripeClient, amount: str) -> None:
    data = {"customer": make_customer(client), "currency": "eur", "amount": amount}
    assert sim.call("POST", "/v1/invoiceitems", data).json()["error"]["code"] == "parameter_invalid_integer"


def test_a_body_that_is_not_utf8_is_refused(sim: Simulator) -> None:
    headers = {"Authorization": f"Bearer {TEST_KEY}", "Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"name=M\xfcller", b"name=M%FCller"):
        answer = sim.http.post(f"{sim.base}/v1/customers", content=body, headers=headers)
        assert answer.status_code == 400


def test_lines_are_added_all_or_none(sim: Simulator, client: stripe.StripeClient) -> None:
    draft = make_draft(client, make_customer(client), (100,))
    path = f"/v1/invoices/{draft}/add_lines"
    data = {"lines[0][amount]": "200", "lines[0][description]": "Two", "lines[1][pricing][price]": "price_none"}
    assert sim.call("POST", path, data).status_code == 400
    assert client.v1.invoices.retrieve(draft).total == 100
    data = {"lines[0][amount]": "200", "lines[0][description]": "Two", "lines[1][amount]": "300"}
    assert sim.call("POST", path, data).json()["total"] == 600


def test_a_balance_in_one_currency_does_not_pay_an_invoice_in_another(client: stripe.StripeClient) -> None:
    customer = make_customer(client)
    make_open(client, customer, (-5000,))
    draft = make_draft(client, customer, (1000,), currency="usd")
    invoice = client.v1.invoices.finalize_invoice(draft)
    assert (invoice.amount_due, invoice.starting_balance) == (1000, 0)
    assert client.v1.customers.retrieve(customer).balance == -5000


def test_payments_are_found_by_their_payment_intent(client: stripe.StripeClient) -> None:
    customer = make_customer(client)
    paid = [client.v1.invoices.pay(make_open(client, customer).id).id for _ in range(2)]
    intent = client.v1.invoice_payments.list({"invoice": paid[0]}).data[0].payment.payment_intent
    assert isinstance(intent, str)
    found = client.v1.invoice_payments.list({"payment": {"type": "payment_intent", "payment_intent": intent}})
    assert [entry.invoice for entry in found.data] == [paid[0]]


def test_an_unexpandable_member_is_refused(client: stripe.StripeClient) -> None:
    invoice = make_open(client, make_customer(client))
    for path in ("number", "nonsense", "customer.name"):
        with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
            client.v1.invoices.retrieve(invoice.id, {"expand": [path]})
    shown = client.v1.invoices.list({"expand": ["data.customer"]})
    assert isinstance(shown.data[0].customer, stripe.Customer)
