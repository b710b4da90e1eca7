from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.ledger import InvoiceOutcome, InvoiceRecord, InvoiceState
from schemas.customer_settings import CustomerSettings
from schemas.messages import Cause, Outcome, StripeEventReceived
from schemas.settings import Settings
from schemas.stripe_objects import Event
from services.ingest.decide import choose_connections, decide_event, is_settled, list_event_types
from tests.builders import NOW, build_event, build_snapshot, load_sample_event, read_event

HUB_PREFIX = build_snapshot(settings=Settings(metadata_prefix="hub_"))
IN_STEP = build_snapshot(settings=Settings(customers=CustomerSettings(number_key="debtor", keep_in_step=("email",))))


def decide(event: Event) -> StripeEventReceived | str:
    return decide_event(event, HUB_PREFIX, "webhook", NOW)


@pytest.mark.parametrize(
    ("sample", "cause"),
    [
        ("01", "webhook"),
        ("05", "webhook"),
        ("06", "webhook"),
        ("07", "webhook"),
        ("09", "webhook"),
        ("10", "replay"),
        ("11", "replay"),
        ("15", "webhook"),
        ("16", "webhook"),
        ("20", "webhook"),
        ("21", "webhook"),
        ("25", "webhook"),
        ("26", "webhook"),
        ("28", "webhook"),
    ],
)
def test_recorded_events_that_matter(sample: str, cause: str) -> None:
    event = load_sample_event(sample)
    message = decide(event)

    assert isinstance(message, StripeEventReceived)
    assert (message.object_id, message.event_id, message.cause) == (event.data.object.id, event.id, cause)


@pytest.mark.parametrize(
    ("sample", "reason"),
    [
        ("08", "events of type invoice.payment_succeeded need nothing done"),
        ("12", "it is the echo of the hub's own write"),
        ("13", "it is the echo of the hub's own write"),
        ("14", "nothing that matters has changed"),
        ("24", "events of type customer.updated need nothing done"),
        ("27", "its object is no invoice with an id"),
    ],
)
def test_recorded_events_of_no_concern(sample: str, reason: str) -> None:
    assert decide(load_sample_event(sample)) == reason


@pytest.mark.parametrize(("sample", "event_type"), [("22", "credit_note.created"), ("23", "credit_note.voided")])
def test_a_credit_note_is_about_its_invoice(sample: str, event_type: str) -> None:
    event = load_sample_event(sample)
    message = decide(event)

    assert isinstance(message, StripeEventReceived)
    assert (message.object_id, message.event_type) == (event.data.object.invoice, event_type)
    assert message.object_id.startswith("in_")
    assert event_type in list_event_types(HUB_PREFIX.settings)


def test_an_event_from_the_future_happened_now() -> None:
    event = read_event(build_event(created=NOW + timedelta(hours=1)))
    message = decide(event)

    assert isinstance(message, StripeEventReceived)
    assert message.occurred_at == NOW


@pytest.mark.parametrize("object_id", [None, 7, "", "cus_1"])
def test_an_object_that_is_no_invoice_is_of_no_concern(object_id: Any) -> None:
    event = build_event()
    event["data"]["object"]["id"] = object_id

    assert isinstance(decide(read_event(event)), str)


@pytest.mark.parametrize(
    ("cause", "age", "history"),
    [
        ("catch_up", timedelta(minutes=59), False),
        ("catch_up", timedelta(hours=2), True),
        ("webhook", timedelta(hours=2), False),
    ],
)
def test_what_catch_up_finds_late_leaves_room_to_what_happens_now(cause: Cause, age: timedelta, history: bool) -> None:
    event = read_event(build_event(created=NOW - age))
    message = decide_event(event, HUB_PREFIX, cause, NOW)

    assert isinstance(message, StripeEventReceived)
    assert message.history is history


def test_a_persons_replay_is_never_history() -> None:
    created = datetime.fromtimestamp(load_sample_event("10").created, tz=UTC)
    message = decide_event(load_sample_event("10"), HUB_PREFIX, "catch_up", created + timedelta(days=1))

    assert isinstance(message, StripeEventReceived)
    assert (message.cause, message.history) == ("replay", False)


def test_catch_up_asks_for_no_more_types_than_stripe_takes_and_for_customers_only_if_they_are_kept() -> None:
    all_types, few = list_event_types(IN_STEP.settings), list_event_types(HUB_PREFIX.settings)
    assert len(few) < len(all_types) <= 20
    assert len(set(all_types)) == len(all_types)
    assert "customer.updated" not in few


def test_a_recorded_change_of_a_customer_matters_if_it_is_kept_in_step() -> None:
    message = decide_event(load_sample_event("24"), IN_STEP, "webhook", NOW)

    assert isinstance(message, StripeEventReceived)
    assert (message.object_id, message.event_type) == ("cus_F4pk0bZu3y9eSI", "customer.updated")


@pytest.mark.parametrize(
    ("previous", "matters"),
    [
        ({"email": "old@x.example"}, True),
        ({"balance": 3, "next_invoice_sequence": 4}, False),
        ({"metadata": {"debtor": None}}, False),
        ({"metadata": {"debtor": None, "vat": "1"}}, True),
        ({"metadata": {"debtor": None}, "name": "Old"}, True),
        (None, True),
    ],
)
def test_a_change_of_a_customer_matters_by_what_has_changed(previous: dict[str, Any] | None, matters: bool) -> None:
    event = build_event("customer.updated", object_id="cus_1", previous=previous)
    assert isinstance(decide_event(read_event(event), IN_STEP, "webhook", NOW), StripeEventReceived) is matters


def test_a_tax_id_is_its_customers() -> None:
    event = build_event("customer.tax_id.updated", object_id="txi_1")
    event["data"]["object"]["customer"] = "cus_1"
    message = decide_event(read_event(event), IN_STEP, "webhook", NOW)
    assert isinstance(message, StripeEventReceived)
    assert message.object_id == "cus_1"

    event["data"]["object"]["customer"] = None
    assert decide_event(read_event(event), IN_STEP, "webhook", NOW) == "it names no customer"


def build_record(outcome: Outcome | None, *, is_synced: bool = False) -> InvoiceRecord:
    told = InvoiceOutcome(outcome=outcome, decided_at=NOW) if outcome else None
    return InvoiceRecord(state=InvoiceState(phase="synced" if is_synced else "none"), outcome=told)


@pytest.mark.parametrize(
    ("record", "settled"),
    [
        (build_record("synced", is_synced=True), True),
        # Told of before the event, maybe: not paid yet, not sent yet, or nobody has been told.
        (build_record("skipped"), False),
        (build_record("failed"), False),
        (build_record("pending"), False),
        (build_record("attention", is_synced=True), False),
        (build_record("pending", is_synced=True), False),
        (build_record(None), False),
        (build_record(None, is_synced=True), False),
    ],
)
@pytest.mark.parametrize("type_", ["invoice.finalized", "invoice.sent", "invoice.paid"])
def test_catch_up_leaves_out_only_what_is_synced(record: InvoiceRecord, settled: bool, type_: str) -> None:
    assert is_settled(read_event(build_event(type_)), record) is settled


@pytest.mark.parametrize("type_", ["invoice.voided", "invoice.deleted", "invoice.updated"])
def test_closings_and_replays_are_never_left_out(type_: str) -> None:
    record = build_record("synced", is_synced=True)

    assert not is_settled(read_event(build_event(type_)), record)


def test_the_secret_and_the_mode_choose_the_connections() -> None:
    first = build_snapshot(bc_company="A", webhook_secret="whsec_one")
    second = build_snapshot(bc_company="B", webhook_secret=" whsec_one\n")
    other_secret = build_snapshot(bc_company="C", webhook_secret="whsec_two")
    live = build_snapshot(bc_company="D", webhook_secret="whsec_one", livemode=True)
    all_of_them = [first, second, other_secret, live]

    assert choose_connections(all_of_them, "whsec_one", livemode=False) == [first, second]
    assert choose_connections(all_of_them, "whsec_one", livemode=True) == [live]
    assert choose_connections(all_of_them, "whsec_two", livemode=True) == []
