"""Events and webhooks: what is recorded, listed, signed, retried."""

import json
import time
from typing import Any

import pytest
import stripe

from simulators.stripe.signatures import sign
from simulators.stripe.versions import CURRENT
from tests.simulators.stripe.harness import ACCOUNT, Inbox, Simulator, make_customer, make_draft, make_open


def register(client: stripe.StripeClient, inbox: Inbox, *types: str) -> str:
    events: Any = list(types) or ["*"]
    made = client.v1.webhook_endpoints.create({"url": inbox.url, "enabled_events": events, "api_version": CURRENT})  # pyright: ignore[reportArgumentType] - newer than the SDK's list
    assert made.secret is not None
    return made.secret


def test_each_transition_emits_its_events_with_request_and_key(sim: Simulator, client: stripe.StripeClient) -> None:
    draft = make_draft(client, make_customer(client))
    before = len(sim.event_types())
    client.v1.invoices.finalize_invoice(draft, {}, {"idempotency_key": "hub:finalize:1"})
    client.v1.invoices.send_invoice(draft)
    client.v1.invoices.pay(draft)
    assert sim.event_types()[before:] == [
        "invoice.finalized", "invoice.updated", "invoice.sent", "invoice.updated", "invoice.paid",
        "invoice.payment_succeeded", "invoice_payment.paid",
    ]  # fmt: skip
    finalized = client.v1.events.list({"type": "invoice.finalized"}).data[0]
    assert finalized.request is not None
    assert (finalized.request.idempotency_key, finalized.api_version) == ("hub:finalize:1", CURRENT)
    updates = [event.to_dict() for event in client.v1.events.list({"type": "invoice.updated"}).data]
    assert updates[0]["data"]["previous_attributes"]["status"] == "open"
    assert updates[1]["data"]["previous_attributes"]["status"] == "draft"
    assert updates[1]["data"]["previous_attributes"]["status_transitions"] == {"finalized_at": None}


def test_an_event_keeps_the_object_of_its_moment(client: stripe.StripeClient) -> None:
    customer = make_customer(client, "First")
    client.v1.customers.update(customer, {"name": "Second"})
    created = client.v1.events.list({"type": "customer.created"}).data[0].to_dict()
    assert created["data"]["object"]["name"] == "First"


def test_events_are_listed_newest_first_and_ending_before_reads_on_from_a_cursor(client: stripe.StripeClient) -> None:
    customer = make_customer(client)
    seen = client.v1.events.list({"limit": 1}).data[0].id
    for number in range(23):
        client.v1.customers.update(customer, {"name": f"Name {number}"})
    newer = list(client.v1.events.list({"ending_before": seen, "limit": 5}).auto_paging_iter())
    names = [event.to_dict()["data"]["object"]["name"] for event in newer]
    assert names == [f"Name {number}" for number in range(23)]
    page = client.v1.events.list({"limit": 5})
    assert page.data[0].to_dict()["data"]["object"]["name"] == "Name 22"
    assert page.has_more


def test_event_filters_take_a_wildcard_or_several_types_but_not_both(client: stripe.StripeClient) -> None:
    make_open(client, make_customer(client))
    assert {event.type for event in client.v1.events.list({"type": "invoice.*"}).data} == {
        "invoice.created", "invoice.finalized", "invoice.updated",
    }  # fmt: skip
    types = client.v1.events.list({"types": ["customer.created", "invoice.finalized"]}).data
    assert [event.type for event in types] == ["invoice.finalized", "customer.created"]
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.events.list({"type": "invoice.*", "types": ["customer.created"]})


def test_a_delivered_webhook_passes_construct_event(client: stripe.StripeClient, inbox: Inbox) -> None:
    secret = register(client, inbox, "invoice.finalized")
    invoice = make_open(client, make_customer(client))
    received = inbox.take()
    event = stripe.Webhook.construct_event(received.body, received.signature, secret)
    assert event.type == "invoice.finalized"
    assert event.data.object["id"] == invoice.id
    assert event.to_dict() == client.v1.events.retrieve(event.id).to_dict() | {"pending_webhooks": 1}


def test_a_failed_delivery_is_tried_again_and_signed_anew(
    sim: Simulator, client: stripe.StripeClient, inbox: Inbox
) -> None:
    secret = register(client, inbox, "customer.created")
    inbox.statuses = [500, 302]
    make_customer(client)
    received = inbox.take_all(3)
    assert {each.json()["id"] for each in received} == {received[0].json()["id"]}
    assert stripe.Webhook.construct_event(received[2].body, received[2].signature, secret).id
    assert sim.admin("POST", "idle")["waiting"] == 0
    deliveries = sim.admin("GET", "state")["webhook_deliveries"]
    assert (deliveries["ok"], deliveries["failed"]) == (1, 2)
    assert client.v1.events.retrieve(received[0].json()["id"]).pending_webhooks == 0


def test_pending_webhooks_stay_when_all_attempts_fail(
    sim: Simulator, client: stripe.StripeClient, inbox: Inbox
) -> None:
    sim.admin("POST", "settings", {"max_attempts": 2})
    register(client, inbox, "customer.created")
    inbox.statuses = [500, 500]
    make_customer(client)
    inbox.take_all(2)
    assert sim.admin("POST", "idle")["waiting"] == 0
    lost = client.v1.events.list({"delivery_success": False}).data
    assert [event.type for event in lost] == ["customer.created"]
    assert sim.admin("POST", "deliver", {"event_id": lost[0].id}) == {"event": lost[0].id, "endpoints": 1}
    assert inbox.take().json()["id"] == lost[0].id


def test_while_a_secret_rolls_both_signatures_are_sent(
    sim: Simulator, client: stripe.StripeClient, inbox: Inbox
) -> None:
    old = register(client, inbox, "customer.created")
    new = sim.admin("POST", "roll_secret", {})["secret"]
    make_customer(client)
    received = inbox.take()
    assert received.signature.count("v1=") == 2
    for secret in (old, new):
        assert stripe.Webhook.construct_event(received.body, received.signature, secret)


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [({"wrong_secret": 1}, stripe.SignatureVerificationError), ({"stale": 1}, stripe.SignatureVerificationError)],
)
def test_a_webhook_can_be_made_to_fail_verification(
    sim: Simulator, client: stripe.StripeClient, inbox: Inbox, faults: dict[str, float], outcome: type[Exception]
) -> None:
    secret = register(client, inbox, "customer.created")
    sim.admin("POST", "webhook_faults", faults)
    make_customer(client)
    received = inbox.take()
    with pytest.raises(outcome):
        stripe.Webhook.construct_event(received.body, received.signature, secret)


def test_webhooks_can_be_doubled_dropped_delayed_and_reordered(
    sim: Simulator, client: stripe.StripeClient, inbox: Inbox
) -> None:
    register(client, inbox, "customer.created")
    sim.admin("POST", "webhook_faults", {"double": 1, "delay": {"p": 1, "min_ms": 1, "max_ms": 5}})
    make_customer(client)
    assert len({each.json()["id"] for each in inbox.take_all(2)}) == 1
    sim.admin("POST", "webhook_faults", {"drop": 1})
    make_customer(client)
    sim.admin("POST", "webhook_faults", {"reorder": 1})
    held = make_customer(client)
    sim.admin("DELETE", "webhook_faults")
    following = make_customer(client)
    assert {each.json()["data"]["object"]["id"] for each in inbox.take_all(2)} == {held, following}
    assert sim.admin("POST", "idle")["waiting"] == 0
    assert sim.admin("GET", "state")["webhook_deliveries"]["dropped"] == 1


def test_an_old_version_shows_the_shape_before_basil(sim: Simulator, client: stripe.StripeClient, inbox: Inbox) -> None:
    register(client, inbox, "invoice.finalized")
    sim.admin("POST", "webhook_faults", {"old_version": 1})
    make_open(client, make_customer(client))
    event = inbox.take().json()
    assert event["api_version"] == "2024-06-20"
    invoice = event["data"]["object"]
    assert (invoice["paid"], invoice["tax"], invoice["payment_intent"]) == (False, 0, None)
    assert "total_taxes" not in invoice
    assert "pricing" not in invoice["lines"]["data"][0]
    assert invoice["lines"]["data"][0]["price"]["unit_amount"] == 1000


def test_events_of_a_connected_account_reach_the_platform_and_name_the_account(
    sim: Simulator, client: stripe.StripeClient, inbox: Inbox
) -> None:
    sim.admin("POST", "accounts", {"account": "acct_connected", "api_keys": ["sk_test_shop"], "platform": ACCOUNT})
    client.v1.webhook_endpoints.create({"url": inbox.url, "enabled_events": ["customer.created"], "connect": True})
    make_customer(client)
    through = sim.client(account="acct_connected")
    theirs = make_customer(through)
    event = inbox.take().json()
    assert (event["account"], event["data"]["object"]["id"]) == ("acct_connected", theirs)
    assert sim.client("sk_test_shop").v1.customers.retrieve(theirs).id == theirs
    assert "account" not in through.v1.events.list().data[0]
    with pytest.raises(stripe.PermissionError):
        make_customer(sim.client(account="acct_foreign"))


def test_any_body_can_be_delivered_signed(sim: Simulator, client: stripe.StripeClient, inbox: Inbox) -> None:
    secret = register(client, inbox)
    assert sim.admin("POST", "raw_webhook", {"body": "[]"})["status"] == 200
    received = inbox.take()
    assert received.body == b"[]"
    assert stripe.WebhookSignature.verify_header("[]", received.signature, secret)


def test_a_signature_is_over_the_exact_bytes() -> None:
    body = json.dumps({"name": "Müller"}, ensure_ascii=False).encode()
    header = sign(body, ["whsec_a", "whsec_b"], int(time.time()))
    assert stripe.WebhookSignature.verify_header(body.decode(), header, "whsec_b", tolerance=300)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(body.decode() + "\n", header, "whsec_b", tolerance=300)


def test_automatic_sending_can_be_switched_on(sim: Simulator, client: stripe.StripeClient) -> None:
    sim.admin("POST", "settings", {"auto_send": True})
    make_open(client, make_customer(client))
    assert sim.event_types()[-3:] == ["invoice.finalized", "invoice.updated", "invoice.sent"]


def test_an_event_can_be_delivered_thin_or_as_another_account_s(
    sim: Simulator, client: stripe.StripeClient, inbox: Inbox
) -> None:
    register(client, inbox, "product.created")  # what follows is not delivered by itself
    invoice = make_open(client, make_customer(client))
    event = client.v1.events.list({"type": "invoice.finalized"}).data[0].id
    sim.admin("POST", "raw_webhook", {"event_id": event, "thin": True})
    thin = inbox.take().json()
    assert (thin["object"], thin["type"], thin["id"]) == ("v2.core.event", "v1.invoice.finalized", event)
    assert thin["related_object"] == {"id": invoice.id, "type": "invoice", "url": f"/v1/invoices/{invoice.id}"}
    assert "data" not in thin
    sim.admin("POST", "raw_webhook", {"event_id": event, "account": "acct_of_another"})
    foreign = inbox.take().json()
    assert (foreign["account"], foreign["data"]["object"]["id"]) == ("acct_of_another", invoice.id)


def test_empty_metadata_may_be_null_everywhere(sim: Simulator, client: stripe.StripeClient, inbox: Inbox) -> None:
    register(client, inbox, "invoice.finalized")
    sim.admin("POST", "settings", {"null_metadata": True})
    invoice = make_open(client, make_customer(client))
    assert invoice.metadata is None
    assert client.v1.customers.retrieve(str(invoice.customer)).metadata is None
    assert inbox.take().json()["data"]["object"]["metadata"] is None
    sim.call("POST", f"/v1/invoices/{invoice.id}", {"metadata[a]": '"metadata":{}'})
    assert sim.call("GET", f"/v1/invoices/{invoice.id}").json()["metadata"] == {"a": '"metadata":{}'}
