"""Prices in packages and tiers, deleted products, and invoices that a subscription makes of them."""

from decimal import Decimal
from typing import Any

import pytest

from simulators.stripe.pricing import charge, charge_tiers
from tests.simulators.stripe.harness import Simulator, make_customer

Json = dict[str, Any]
TIERS = [
    {"up_to": 5, "unit_amount_decimal": "500", "flat_amount_decimal": None},
    {"up_to": 10, "unit_amount_decimal": "400", "flat_amount_decimal": "1000"},
    {"up_to": None, "unit_amount_decimal": "0.5", "flat_amount_decimal": None},
]
TIERED = {
    "currency": "eur",
    "billing_scheme": "tiered",
    "tiers_mode": "graduated",
    "recurring[interval]": "month",
    "recurring[usage_type]": "metered",
    "tiers[0][up_to]": "5",
    "tiers[0][unit_amount]": "500",
    "tiers[1][up_to]": "inf",
    "tiers[1][unit_amount_decimal]": "33.5",
    "tiers[1][flat_amount]": "1000",
}


def post(sim: Simulator, path: str, data: dict[str, str]) -> Json:
    answer = sim.call("POST", f"/v1/{path}", data)
    assert answer.status_code == 200, answer.text
    return answer.json()


def get(sim: Simulator, path: str) -> Json:
    answer = sim.call("GET", f"/v1/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def refuse(sim: Simulator, path: str, data: dict[str, str]) -> Json:
    answer = sim.call("POST", f"/v1/{path}", data)
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]


def bill(sim: Simulator, *lines: Json, **more: Any) -> Json:
    customer = more.pop("customer", None) or make_customer(sim.client())
    given = {"customer": customer, "currency": "eur", "lines": list(lines), **more}
    return sim.admin("POST", "subscription_invoice", given)


@pytest.mark.parametrize(
    ("mode", "quantity", "parts"),
    [
        ("graduated", "3", [("3", 1500)]),
        ("graduated", "0", [("0", 0)]),
        ("graduated", "7", [("5", 2500), ("2", 1800)]),
        ("graduated", "13", [("5", 2500), ("5", 3000), ("3", 2)]),
        ("volume", "5", [("5", 2500)]),
        ("volume", "6", [("6", 3400)]),
        ("volume", "11", [("11", 6)]),
    ],
)
def test_tiers(mode: str, quantity: str, parts: list[tuple[str, int]]) -> None:
    found = charge_tiers(TIERS, mode, Decimal(quantity))
    assert [(str(part.quantity), part.amount) for part in found] == parts
    assert {part.unit for part in found} == {None}


@pytest.mark.parametrize(("rounding", "amount"), [("up", 600), ("down", 400)])
def test_packages(rounding: str, amount: int) -> None:
    price = {"unit_amount_decimal": "200", "transform_quantity": {"divide_by": 10, "round": rounding}}
    assert charge(price, Decimal(25)).amount == amount


def test_tiers_are_shown_only_where_they_are_asked_for(sim: Simulator) -> None:
    product = post(sim, "products", {"name": "Seats", "metadata[sku]": "SVC-100"})
    price = post(sim, "prices", TIERED | {"product": product["id"], "lookup_key": "seats"})
    assert "tiers" not in price
    assert (price["billing_scheme"], price["unit_amount_decimal"], price["lookup_key"]) == ("tiered", None, "seats")
    assert price["recurring"]["usage_type"] == "metered"
    shown = get(sim, f"prices/{price['id']}?expand[]=tiers")["tiers"]
    assert [(tier["up_to"], tier["unit_amount_decimal"], tier["flat_amount"]) for tier in shown] == [
        (5, "500", None),
        (None, "33.5", 1000),
    ]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"tiers[1][up_to]": "3"}, "tiers"),
        ({"tiers[0][up_to]": "inf"}, "tiers"),
        ({"tiers[0][up_to]": "many"}, "tiers[0][up_to]"),
        ({"tiers_mode": "other"}, "tiers_mode"),
        ({"billing_scheme": "per_unit", "unit_amount": "1"}, "tiers"),
        ({"transform_quantity[divide_by]": "5", "transform_quantity[round]": "up"}, "transform_quantity"),
    ],
)
def test_prices_that_stripe_does_not_know_are_refused(sim: Simulator, change: dict[str, str], param: str) -> None:
    product = post(sim, "products", {"name": "Seats"})
    assert refuse(sim, "prices", TIERED | {"product": product["id"]} | change)["param"] == param


def test_a_tiered_price_is_for_subscriptions(sim: Simulator) -> None:
    product = post(sim, "products", {"name": "Seats"})
    one_time = {name: value for name, value in TIERED.items() if not name.startswith("recurring")}
    assert refuse(sim, "prices", one_time | {"product": product["id"]})["param"] == "billing_scheme"
    price = post(sim, "prices", TIERED | {"product": product["id"]})
    given = {"customer": make_customer(sim.client()), "pricing[price]": price["id"]}
    assert "one_time" in refuse(sim, "invoiceitems", given)["message"]


def test_an_invoice_item_in_packages_costs_whole_packages(sim: Simulator) -> None:
    product = post(sim, "products", {"name": "Storage"})
    given = {"product": product["id"], "currency": "eur", "unit_amount": "200"}
    packages = {"transform_quantity[divide_by]": "100", "transform_quantity[round]": "up"}
    price = post(sim, "prices", given | packages)
    customer = make_customer(sim.client())
    item = post(sim, "invoiceitems", {"customer": customer, "pricing[price]": price["id"], "quantity": "250"})
    assert (item["amount"], item["quantity"], item["pricing"]["unit_amount_decimal"]) == (600, 250, "200")


def test_a_subscription_bills_a_line_for_each_tier(sim: Simulator) -> None:
    product = post(sim, "products", {"name": "Seats"})
    price = post(sim, "prices", TIERED | {"product": product["id"]})
    invoice = bill(sim, {"price": price["id"], "quantity": 7})
    lines = invoice["lines"]["data"]
    assert [(line["quantity"], line["amount"], line["description"]) for line in lines] == [
        (5, 2500, "5 \u00d7 Seats (Tier 1)"),
        (2, 1067, "2 \u00d7 Seats (Tier 2)"),
    ]
    assert {line["pricing"]["unit_amount_decimal"] for line in lines} == {None}
    assert {line["pricing"]["price_details"]["product"] for line in lines} == {product["id"]}
    assert (invoice["total"], invoice["status"]) == (3567, "paid")


def test_a_downgrade_bills_prorations_of_a_price_with_tax_and_a_negative_total(sim: Simulator) -> None:
    product = post(sim, "products", {"name": "Plan"})
    price = post(sim, "prices", {"product": product["id"], "currency": "eur", "unit_amount": "9900"})
    rate = post(sim, "tax_rates", {"display_name": "VAT", "percentage": "25", "inclusive": "false"})
    period = {"start": 1_772_000_000, "end": 1_774_000_000}
    unused = {"price": price["id"], "amount": -6000, "proration": True, "description": "Unused", "period": period}
    invoice = bill(
        sim, unused, {"price": price["id"], "amount": 2000, "proration": True}, default_tax_rates=[rate["id"]]
    )
    first, second = invoice["lines"]["data"]
    assert (first["amount"], first["taxes"][0]["amount"], first["period"]) == (-6000, -1500, period)
    assert first["pricing"] == {
        "price_details": {"price": price["id"], "product": product["id"]},
        "type": "price_details",
        "unit_amount_decimal": None,
    }
    assert first["parent"]["subscription_item_details"]["proration"] is True
    assert second["description"] == "Plan"
    assert (invoice["total"], invoice["amount_due"], invoice["ending_balance"]) == (-5000, 0, -5000)


def test_a_subscription_invoice_takes_coupons_and_header_texts(sim: Simulator) -> None:
    ten = post(sim, "coupons", {"percent_off": "10"})["id"]
    invoice = bill(
        sim,
        {"amount": 1000, "description": "Plan", "discounts": [{"coupon": ten}], "metadata": {"seat": "7"}},
        {"amount": 500, "description": "Add-on"},
        coupons=[ten],
        description="Thank you",
        footer="VAT DE123",
        metadata={"order": "A"},
    )
    assert [line["discount_amounts"][-1]["amount"] for line in invoice["lines"]["data"]] == [90, 50]
    assert invoice["lines"]["data"][0]["metadata"] == {"order": "A", "seat": "7"}
    assert (invoice["total"], invoice["description"], invoice["footer"]) == (1260, "Thank you", "VAT DE123")


def test_a_product_without_prices_can_be_deleted(sim: Simulator) -> None:
    product = post(sim, "products", {"name": "Old"})["id"]
    assert sim.call("DELETE", f"/v1/products/{product}").json() == {
        "id": product,
        "object": "product",
        "deleted": True,
    }
    assert sim.call("GET", f"/v1/products/{product}").status_code == 404
    assert sim.event_types()[-1] == "product.deleted"
    used = post(sim, "products", {"name": "Used"})["id"]
    post(sim, "prices", {"product": used, "currency": "eur", "unit_amount": "1"})
    assert "user-created prices" in sim.call("DELETE", f"/v1/products/{used}").json()["error"]["message"]


def test_a_change_of_a_customer_tells_what_it_was_before(sim: Simulator) -> None:
    client = sim.client()
    customer = make_customer(client)
    post(sim, f"customers/{customer}", {"email": "new@mueller.example", "metadata[bc_number]": "C1", "phone": ""})
    event = client.v1.events.list({"type": "customer.updated", "limit": 1}).data[0].to_dict(for_json=True)
    assert event["data"]["previous_attributes"] == {
        "email": "rechnung@mueller.example",
        "metadata": {"bc_number": None},
    }
    assert event["data"]["object"]["metadata"] == {"bc_number": "C1"}
