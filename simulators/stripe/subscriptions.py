"""Invoices as a subscription makes them: no request behind them, subscription lines, prorations (samples 07 and 20)."""

from decimal import Decimal
from typing import Any

from simulators.stripe import invoice_items, lifecycle
from simulators.stripe.catalog import add_discount
from simulators.stripe.drafts import recompute
from simulators.stripe.events import emit
from simulators.stripe.invoice_items import Priced, find_price
from simulators.stripe.invoices import add_draft
from simulators.stripe.pricing import Charge, charge, charge_tiers
from simulators.stripe.state import Context, Item, Json, Realm, World

_TIMES = "\u00d7"
_HEADER = frozenset({"collection_method", "days_until_due", "default_tax_rates", "description", "footer"})
_LINE = ("description", "period", "tax_rates", "discounts", "discountable")


def bill_subscription(world: World, realm: Realm, given: dict[str, Any]) -> Json:
    """Make, finalize and (by default) pay one subscription invoice; raises ValueError for an unknown customer.

    `lines` are `amount`, or `price` with `quantity`; both for a proration of a price. A price in graduated tiers makes
    a line for each tier reached. Besides: `description`, `period`, `tax_rates`, `discounts`, `proration`, `metadata`.
    """
    customer = realm.customers.get(given.get("customer", ""))
    if customer is None:
        raise ValueError("no such customer")
    ctx = Context(world, realm)
    subscription = given.get("subscription") or world.ids.new("sub")
    metadata = given.get("metadata") or {}
    header: Json = {name: given[name] for name in _HEADER if name in given}
    code = given.get("currency") or customer["currency"] or realm.account.currency
    invoice = add_draft(ctx, customer, code, header)
    invoice["billing_reason"] = given.get("billing_reason", "subscription_cycle")
    invoice["auto_advance"] = True
    invoice["parent"] = {
        "quote_details": None,
        "subscription_details": {"metadata": metadata, "subscription": subscription},
        "type": "subscription_details",
    }
    invoice["discounts"] = [
        add_discount(ctx, coupon, customer["id"], invoice["id"], None) for coupon in given.get("coupons", ())
    ]
    for entry in given.get("lines", []):
        _add_lines(ctx, invoice, entry, subscription, metadata)
    recompute(realm, invoice)
    emit(ctx, [("invoice.created", None)], invoice)
    if given.get("finalize", True):
        lifecycle.finalize_draft(ctx, invoice)
        if given.get("pay", True) and invoice["status"] == "open":
            lifecycle.pay_invoice(ctx, invoice, out_of_band=False)
    return invoice


def _add_lines(ctx: Context, invoice: Json, entry: Json, subscription: str, metadata: Json) -> None:
    params: Json = {name: entry[name] for name in _LINE if name in entry}
    params["metadata"] = {**metadata, **entry.get("metadata", {})}
    if "price" not in entry:
        params["amount"] = entry["amount"]
        charges: list[Priced | None] = [None]
    else:
        charges = list(_price_lines(ctx, invoice["currency"], entry))
    for priced in charges:
        told = params | _tell_tier(ctx, params, priced)
        item = invoice_items.make_item(ctx, invoice["customer"], invoice["currency"], told, priced)
        _turn_into_subscription_line(ctx, item, entry, subscription)
        invoice_items.attach(ctx, invoice, item)


def _price_lines(ctx: Context, code: str, entry: Json) -> list[Priced]:
    price, quantity = find_price(ctx, code, entry["price"]), Decimal(str(entry.get("quantity", 1)))
    if "amount" in entry:
        return [(price, Charge(quantity, entry["amount"]))]
    if price["billing_scheme"] != "tiered":
        return [(price, charge(price, quantity))]
    tiers = ctx.realm.tiers[price["id"]]
    return [(price, part) for part in charge_tiers(tiers, price["tiers_mode"], quantity)]


def _tell_tier(ctx: Context, params: Json, priced: Priced | None) -> Json:
    if priced is None or priced[1].tier is None or "description" in params:
        return {}
    product = ctx.realm.products.get(priced[0]["product"])
    name = product["name"] if product else ""
    return {"description": f"{priced[1].quantity.normalize():f} {_TIMES} {name} (Tier {priced[1].tier + 1})"}


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
