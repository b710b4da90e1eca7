"""The simulator shows every member the samples show, for equivalent objects."""

import json
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.simulators.stripe.harness import Simulator, make_customer

SAMPLES = Path(__file__).parent / "samples"
# Hashes whose names are data, not shape.
_OPEN_HASHES = frozenset({"metadata", "previous_attributes"})


def load_sample(number: str) -> dict[str, Any]:
    (path,) = SAMPLES.glob(f"{number}_*.json")
    return json.loads(path.read_text(encoding="utf-8"))


def paths_of(node: Any, prefix: str = "") -> set[str]:
    """All member paths, arrays merged into `[]`."""
    if isinstance(node, list):
        return {path for entry in node for path in paths_of(entry, prefix + "[]")}
    if not isinstance(node, dict):
        return set()
    found: set[str] = set()
    for name, value in node.items():
        found.add(f"{prefix}.{name}")
        if name not in _OPEN_HASHES:
            found |= paths_of(value, f"{prefix}.{name}")
    return found


def assert_shows(sample: dict[str, Any], shown: dict[str, Any]) -> None:
    assert paths_of(sample) - paths_of(shown) == set()


def last_event(client: stripe.StripeClient, kind: str) -> dict[str, Any]:
    return client.v1.events.list({"type": kind, "limit": 1}).data[0].to_dict(for_json=True)


def post(sim: Simulator, path: str, data: dict[str, str]) -> dict[str, Any]:
    answer = sim.call("POST", f"/v1/{path}", data)
    assert answer.status_code == 200, answer.text
    return answer.json()


def tax_rate(sim: Simulator, percentage: str, *, inclusive: bool = False) -> str:
    given = {"display_name": "VAT", "percentage": percentage, "inclusive": str(inclusive).lower()}
    return post(sim, "tax_rates", given)["id"]


def rebuild(sim: Simulator, number: str, extra: dict[str, str]) -> dict[str, Any]:
    """Make the sample's invoice anew through the API and finalize it; returns the invoice."""
    client, sample = sim.client(), load_sample(number)["data"]["object"]
    tax_ids: Any = sample["customer_tax_ids"]
    address: Any = sample["customer_address"]
    customer = client.v1.customers.create({
        "name": sample["customer_name"], "email": sample["customer_email"], "address": address, "tax_id_data": tax_ids,
    }).id  # fmt: skip
    terms = {"collection_method": sample["collection_method"], "customer": customer, "currency": sample["currency"]}
    if sample["due_date"]:
        terms["days_until_due"] = "14"
    invoice = post(sim, "invoices", terms | extra)
    rates: dict[str, str] = {}
    for line in sample["lines"]["data"]:
        for tax in line["taxes"]:
            percentage = "20" if tax["tax_behavior"] == "inclusive" else percentage_of(tax)
            rates.setdefault(percentage, tax_rate(sim, percentage, inclusive=tax["tax_behavior"] == "inclusive"))
            line["rate"] = rates[percentage]
        given = {
            "customer": customer, "invoice": invoice["id"], "description": line["description"],
            "unit_amount_decimal": line["pricing"]["unit_amount_decimal"], "quantity": str(line["quantity"]),
            "currency": sample["currency"], "discountable": str(line["discountable"]).lower(),
        } | ({"tax_rates[0]": line["rate"]} if "rate" in line else {})  # fmt: skip
        post(sim, "invoiceitems", given)
    return post(sim, f"invoices/{invoice['id']}/finalize", {})


def percentage_of(tax: dict[str, Any]) -> str:
    """Find the rate of a sample's tax entry among those the samples use."""
    for rate in ("19", "7", "8.875"):
        if abs(tax["taxable_amount"] * float(rate) / 100 - tax["amount"]) <= 0.5:
            return rate
    raise AssertionError(tax)


_SUMS = (
    "subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax", "amount_due", "amount_shipping", "status",
    "customer_name", "customer_address", "customer_tax_ids",
)  # fmt: skip


def assert_same_sums(sample: dict[str, Any], shown: dict[str, Any]) -> None:
    assert {name: shown[name] for name in _SUMS} == {name: sample[name] for name in _SUMS}


@pytest.mark.parametrize("number", ["01", "02", "05", "06"])
def test_plain_invoices_look_and_sum_like_the_samples(sim: Simulator, number: str) -> None:
    sample = load_sample(number)
    shown = rebuild(sim, number, {"metadata[po_number]": "PO-77/2026"})
    assert_shows(sample["data"]["object"], shown)
    assert_shows(sample, last_event(sim.client(), "invoice.finalized"))
    if number != "06":  # that sample embeds ten of its 25 lines
        assert_same_sums(sample["data"]["object"], shown)


def test_two_discounts_look_and_sum_like_sample_03(sim: Simulator) -> None:
    sample = load_sample("03")["data"]["object"]
    fifteen = post(sim, "coupons", {"percent_off": "15"})["id"]
    seven = post(sim, "coupons", {"amount_off": "700", "currency": "usd"})["id"]
    shown = rebuild(sim, "03", {"discounts[0][coupon]": fifteen, "discounts[1][coupon]": seven})
    assert_shows(sample, shown)
    assert_same_sums(sample, shown)
    lines = [[entry["amount"] for entry in line["discount_amounts"]] for line in shown["lines"]["data"]]
    assert lines == [[500, 233], [500, 233], [500, 234], [0, 0]]


def test_shipping_looks_and_sums_like_sample_17(sim: Simulator) -> None:
    sample = load_sample("17")["data"]["object"]
    rate = post(
        sim, "shipping_rates",
        {
            "display_name": "DHL", "type": "fixed_amount",
            "fixed_amount[amount]": "1290", "fixed_amount[currency]": "eur",
        },
    )["id"]  # fmt: skip
    details = {
        f"shipping_details[address][{name}]": text
        for name, text in sample["shipping_details"]["address"].items()
        if text
    }
    fields = {
        f"custom_fields[{at}][{name}]": entry[name]
        for at, entry in enumerate(sample["custom_fields"])
        for name in ("name", "value")
    }
    shown = rebuild(sim, "17", {
        "shipping_cost[shipping_rate]": rate, "shipping_details[name]": "Empfang Lager",
        "default_tax_rates[0]": tax_rate(sim, "19"), **details, **fields,
    })  # fmt: skip
    assert_shows(sample, shown)
    assert_same_sums(sample, shown)
    assert shown["shipping_cost"] | {"shipping_rate": ""} == sample["shipping_cost"] | {"shipping_rate": ""}
    assert shown["custom_fields"] == sample["custom_fields"]


def test_a_subscription_invoice_looks_like_sample_07_and_names_no_request(sim: Simulator) -> None:
    client, sample = sim.client(), load_sample("07")
    lines = [{"amount": 10000, "description": "5 seats, Pro plan"}]
    order = {"customer": make_customer(client), "currency": "usd", "lines": lines, "metadata": {"crm_id": "1"}}
    sim.admin("POST", "subscription_invoice", order)
    shown = last_event(client, "invoice.paid")
    assert_shows(sample, shown)
    assert shown["request"] == {"id": None, "idempotency_key": None}
    assert shown["data"]["object"]["billing_reason"] == "subscription_cycle"
    assert {event.type for event in client.v1.events.list({"type": "invoice.payment_succeeded"}).data}


def test_a_proration_to_a_negative_total_looks_like_sample_20(sim: Simulator) -> None:
    client, sample = sim.client(), load_sample("20")
    credited = {"invoice": "in_before", "invoice_line_items": ["il_before"]}
    lines = [
        {"amount": -5667, "description": "Unused time", "proration": True, "credited_items": credited},
        {"amount": 1133, "description": "Remaining time", "proration": True},
    ]
    order = {"customer": make_customer(client), "currency": "usd", "billing_reason": "subscription_update"}
    sim.admin("POST", "subscription_invoice", order | {"lines": lines})
    shown = last_event(client, "invoice.paid")
    assert_shows(sample, shown)
    invoice = shown["data"]["object"]
    assert (invoice["status"], invoice["amount_due"], invoice["ending_balance"]) == ("paid", 0, -4534)
    assert invoice["lines"]["data"][0]["pricing"]["unit_amount_decimal"] is None
    assert not client.v1.events.list({"type": "invoice.payment_succeeded"}).data


def test_a_write_back_event_looks_like_sample_12(sim: Simulator) -> None:
    invoice = rebuild(sim, "01", {})
    sample = load_sample("12")
    written = {f"metadata[{name}]": text for name, text in sample["data"]["object"]["metadata"].items()}
    post(sim, f"invoices/{invoice['id']}", written)
    shown = last_event(sim.client(), "invoice.updated")
    assert_shows(sample, shown)
    assert shown["data"]["previous_attributes"] == sample["data"]["previous_attributes"]


def test_a_customer_update_looks_like_sample_24(sim: Simulator) -> None:
    client, sample = sim.client(), load_sample("24")
    customer = make_customer(client)
    client.v1.customers.update(
        customer, {"address": {"city": "Augsburg", "line1": "Neue Straße 1"}, "email": "b@m.example"}
    )
    shown = last_event(client, "customer.updated")
    assert_shows(sample, shown)
    assert shown["data"]["previous_attributes"] == {
        "address": {"city": None, "line1": None}, "email": "rechnung@mueller.example",
    }  # fmt: skip


def test_a_credit_note_looks_and_sums_like_sample_22(sim: Simulator) -> None:
    sample = load_sample("22")["data"]["object"]
    invoice = rebuild(sim, "01", {})
    note = post(sim, "credit_notes", {
        "invoice": invoice["id"], "lines[0][type]": "invoice_line_item", "lines[0][quantity]": "1",
        "lines[0][invoice_line_item]": invoice["lines"]["data"][0]["id"], "memo": "Gutschrift",
    })  # fmt: skip
    assert_shows(sample, note)
    for name in ("amount", "subtotal", "total", "total_excluding_tax", "pre_payment_amount", "type"):
        assert note[name] == sample[name]


def test_the_old_version_shows_what_sample_28_shows(sim: Simulator) -> None:
    from simulators.stripe.versions import render_old  # noqa: PLC0415 - only this test looks behind the API

    sample = load_sample("28")["data"]["object"]
    absent = {path for path in paths_of(sample) if path.startswith(".lines.data[].price.")}
    assert paths_of(sample) - absent - paths_of(render_old(rebuild(sim, "01", {}))) == set()
