"""Metadata: merge, limits, deletion, and which events a write causes."""

from typing import Any

import pytest
import stripe

from simulators.stripe.errors import ApiError
from simulators.stripe.metadata import changed_members, merge_metadata
from tests.simulators.stripe.harness import Simulator, make_customer, make_open


@pytest.mark.parametrize(
    ("given", "merged"),
    [
        ({"b": "2"}, {"a": "1", "b": "2"}),
        ({"a": ""}, {}),
        ({"missing": ""}, {"a": "1"}),
        ("", {}),
        ({f"k{n}": "v" for n in range(49)}, {"a": "1"} | {f"k{n}": "v" for n in range(49)}),
        ({"k" * 40: "v" * 500}, {"a": "1", "k" * 40: "v" * 500}),
    ],
)
def test_a_write_merges(given: Any, merged: dict[str, str]) -> None:
    assert merge_metadata({"a": "1"}, given) == merged


@pytest.mark.parametrize(
    "given",
    [
        {f"k{n}": "v" for n in range(50)},
        {"k" * 41: "v"},
        {"k": "v" * 501},
        {"a]": "v"},
        {"a[b": "v"},
        {"d": {"x": "1"}},
        "text",
    ],
)
def test_a_write_beyond_the_rules_is_refused(given: Any) -> None:
    with pytest.raises(ApiError) as caught:
        merge_metadata({"a": "1"}, given)
    assert caught.value.status == 400


def test_previous_attributes_hold_only_what_changed_and_null_for_new_members() -> None:
    before = {"metadata": {"kept": "1", "gone": "x"}, "list": [1], "name": "n", "deep": {"a": {"b": None, "c": 1}}}
    after = {"metadata": {"kept": "1", "new": "y"}, "list": [1, 2], "name": "n", "deep": {"a": {"b": 5, "c": 1}}}
    assert changed_members(before, after) == {
        "metadata": {"gone": "x", "new": None},
        "list": [1],
        "deep": {"a": {"b": None}},
    }


def test_metadata_is_written_after_finalization_and_the_event_names_the_new_keys(client: stripe.StripeClient) -> None:
    invoice = make_open(client, make_customer(client))
    client.v1.invoices.update(
        invoice.id, {"metadata": {"hub_status": "synced"}}, {"idempotency_key": "hub:writeback:1"}
    )
    event = client.v1.events.list({"type": "invoice.updated", "limit": 1}).data[0].to_dict()
    assert event["data"]["previous_attributes"] == {"metadata": {"hub_status": None}}
    assert event["request"]["idempotency_key"] == "hub:writeback:1"
    client.v1.invoices.update(invoice.id, {"metadata": {"hub_status": ""}})
    event = client.v1.events.list({"type": "invoice.updated", "limit": 1}).data[0].to_dict()
    assert event["data"]["previous_attributes"] == {"metadata": {"hub_status": "synced"}}
    assert event["data"]["object"]["metadata"] == {}


def test_a_write_that_changes_nothing_emits_nothing(sim: Simulator, client: stripe.StripeClient) -> None:
    invoice = make_open(client, make_customer(client))
    client.v1.invoices.update(invoice.id, {"metadata": {"a": "1"}})
    before = len(sim.event_types())
    client.v1.invoices.update(invoice.id, {"metadata": {"a": "1", "absent": ""}})
    assert len(sim.event_types()) == before
    state = sim.admin("GET", "state")
    assert (state["metadata_writes"], state["metadata_writes_without_change"]) == (1, 1)


def test_the_empty_text_deletes_all_metadata_even_of_a_void_invoice(client: stripe.StripeClient) -> None:
    invoice = make_open(client, make_customer(client))
    client.v1.invoices.update(invoice.id, {"metadata": {"a": "1", "b": "2"}})
    client.v1.invoices.void_invoice(invoice.id)
    cleared = client.v1.invoices.update(invoice.id, {"metadata": ""})
    assert cleared.to_dict()["metadata"] == {}
