"""Invoices as a subscription makes them: no request behind them, subscription lines, prorations (samples 07 and 20)."""

from typing import Any

from simulators.stripe import invoice_items, lifecycle
from simulators.stripe.drafts import recompute
from simulators.stripe.events import emit
from simulators.stripe.invoices import add_draft
from simulators.stripe.state import Context, Item, Json, Realm, World


def bill_subscription(world: World, realm: Realm, given: dict[str, Any]) -> Json:
    """Make, finalize and (by default) pay one subscription invoice; raises ValueError for an unknown customer.

    `lines` are item parameters (`amount`, `quantity`, `description`, `price`) with `proration` true or false.
    """
    customer = realm.customers.get(given.get("customer", ""))
    if customer is None:
        raise ValueError("no such customer")
    ctx = Context(world, realm)
    subscription = given.get("subscription") or world.ids.new("sub")
    metadata = given.get("metadata") or {}
    invoice = add_draft(ctx, customer, given.get("currency") or customer["currency"] or realm.account.currency, {})
    invoice["billing_reason"] = given.get("billing_reason", "subscription_cycle")
    invoice["auto_advance"] = True
    invoice["parent"] = {
        "quote_details": None,
        "subscription_details": {"metadata": metadata, "subscription": subscription},
        "type": "subscription_details",
    }
    for entry in given.get("lines", []):
        _add_line(ctx, invoice, entry, subscription, metadata)
    recompute(realm, invoice)
    emit(ctx, [("invoice.created", None)], invoice)
    if given.get("finalize", True):
        lifecycle.finalize_draft(ctx, invoice)
        if given.get("pay", True) and invoice["status"] == "open":
            lifecycle.pay_invoice(ctx, invoice, out_of_band=False)
    return invoice


def _add_line(ctx: Context, invoice: Json, entry: Json, subscription: str, metadata: Json) -> None:
    params: Json = {name: entry[name] for name in ("description", "quantity", "period", "tax_rates") if name in entry}
    params["metadata"] = metadata
    if "price" in entry:
        params["pricing"] = {"price": entry["price"]}
    else:
        params["amount"] = entry["amount"]
    item = invoice_items.make_item(ctx, invoice["customer"], invoice["currency"], params)
    _turn_into_subscription_line(ctx, item, entry, subscription)
    invoice_items.attach(ctx, invoice, item)


def _turn_into_subscription_line(ctx: Context, item: Item, entry: Json, subscription: str) -> None:
    """A proration has no unit amount and takes no discount (facts §19, §25)."""
    proration = bool(entry.get("proration", False))
    line = item.line | {
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": item.public["id"] if proration else None,
                "proration": proration,
                "proration_details": {"credited_items": entry.get("credited_items")},
                "subscription": subscription,
                "subscription_item": entry.get("subscription_item") or ctx.world.ids.short("si"),
            },
            "type": "subscription_item_details",
        }
    }
    if proration:
        line |= {"discountable": False, "pricing": line["pricing"] | {"unit_amount_decimal": None}}
    item.line = line
