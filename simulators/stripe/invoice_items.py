"""Invoice items and the lines they become (Stripe facts §17-§20)."""

from decimal import Decimal

from simulators.stripe.catalog import add_discount, add_price, add_product, number_text, tax_rules
from simulators.stripe.drafts import recompute
from simulators.stripe.errors import invalid, missing, refused
from simulators.stripe.events import emit
from simulators.stripe.metadata import changed_members, merge_metadata
from simulators.stripe.paging import list_body, page_of
from simulators.stripe.params import (
    DISCOUNTS,
    EXPAND,
    PAGING,
    PERIOD,
    Check,
    boolean,
    currency,
    decimal,
    hash_of,
    integer,
    list_of,
    no_such,
    not_simulated,
    one_of,
    required,
    text,
    time_range,
    untouched,
)
from simulators.stripe.pricing import Charge, charge
from simulators.stripe.state import Call, Context, Item, Json

_PRICE_DATA: dict[str, Check] = {
    "currency": currency, "product": text(), "unit_amount": integer, "unit_amount_decimal": decimal,
    "tax_behavior": one_of("exclusive", "inclusive", "unspecified"),
}  # fmt: skip
LINE: dict[str, Check] = {
    "amount": integer, "description": text(), "discountable": boolean, "discounts": DISCOUNTS, "metadata": untouched,
    "period": PERIOD, "price_data": hash_of({**_PRICE_DATA, "product_data": hash_of({"name": text()})}),
    "pricing": hash_of({"price": text()}), "quantity": integer, "quantity_decimal": decimal,
    "tax_rates": list_of(text()), "tax_amounts": not_simulated, "invoice_item": not_simulated,
}  # fmt: skip
UPDATE: dict[str, Check] = {
    **{name: LINE[name] for name in ("amount", "description", "discountable", "discounts", "metadata", "period")},
    "price_data": hash_of(_PRICE_DATA), "pricing": LINE["pricing"], "quantity": integer, "quantity_decimal": decimal,
    "tax_rates": LINE["tax_rates"], "unit_amount_decimal": decimal, "expand": EXPAND, "invoicing_rules": not_simulated,
    "tax_behavior": _PRICE_DATA["tax_behavior"], "tax_code": not_simulated,
}  # fmt: skip
CREATE: dict[str, Check] = {
    **UPDATE, "customer": text(), "currency": currency, "invoice": text(), "subscription": not_simulated,
    "customer_account": not_simulated,
}  # fmt: skip
LIST: dict[str, Check] = {
    **PAGING, "created": time_range, "customer": text(), "invoice": text(), "pending": boolean,
    "customer_account": not_simulated,
}  # fmt: skip
# A price with what it charges.
Priced = tuple[Json, Charge]
_ONE_TIME = "The price specified is set to `type=recurring` but this field only accepts prices with `type=one_time`."
NO_CREDITED_ITEMS: Json = {"credited_items": None}


def make_item(ctx: Context, customer: str, code: str, params: Json, priced: Priced | None = None) -> Item:
    """Build an item and its line; neither is attached to anything yet. `priced` stands for price and amount."""
    price, charged = priced or _price_of(ctx, code, params)
    amount, quantity, unit = charged.amount, charged.quantity, charged.unit
    now = ctx.world.clock.stamp()
    period = {"end": now, "start": now} | (params.get("period") or {})
    discountable = params.get("discountable")
    shared: Json = {
        "amount": amount,
        "currency": code,
        "description": params.get("description") or _product_name(ctx, price["product"]),
        "discountable": amount >= 0 if discountable is None else discountable,
        "discounts": [],
        "livemode": ctx.realm.livemode,
        "metadata": merge_metadata({}, params.get("metadata")),
        "period": period,
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": None if unit is None else number_text(unit),
        },
        "quantity": int(quantity),
        "quantity_decimal": number_text(quantity),
    }
    key = ctx.world.ids.new("ii")
    rates = params.get("tax_rates") or []
    tax_rules(ctx.realm, rates, "tax_rates")
    item = Item(_public(ctx, key, customer, shared, rates), _line(ctx.world.ids.new("il"), key, shared), rates, [])
    set_discounts(ctx, item, params.get("discounts") or [])
    return item


def _public(ctx: Context, key: str, customer: str, shared: Json, rates: list[str]) -> Json:
    return {"id": key, "object": "invoiceitem"} | shared | {
        "customer": customer,
        "customer_account": None,
        "date": ctx.world.clock.stamp(),
        "invoice": None,
        "net_amount": shared["amount"],
        "parent": None,
        "proration": False,
        "proration_details": {"credited_items": None, "discount_amounts": []},
        "tax_rates": [ctx.realm.tax_rates.get(rate) for rate in rates],
        "test_clock": None,
    }  # fmt: skip


def _line(key: str, item: str, shared: Json) -> Json:
    line = {"id": key, "object": "line_item"} | shared
    line |= {
        "discount_amounts": [],
        "invoice": None,
        "parent": {
            "invoice_item_details": {
                "invoice_item": item,
                "proration": False,
                "proration_details": NO_CREDITED_ITEMS,
                "subscription": None,
            },
            "subscription_item_details": None,
            "type": "invoice_item_details",
        },
        "pretax_credit_amounts": [],
        "subtotal": shared["amount"],
        "taxes": [],
    }
    return line


def _product_name(ctx: Context, product: str) -> str | None:
    held = ctx.realm.products.get(product)
    return held["name"] if held else None


def find_price(ctx: Context, code: str, key: str) -> Json:
    """Return a price of the invoice's currency."""
    price = ctx.realm.prices.get(key)
    if price is None:
        raise no_such("price", key, "pricing[price]")
    if price["currency"] != code:
        raise refused(f"The price specified only supports `{price['currency']}`.", param="pricing[price]")
    return price


def _price_of(ctx: Context, code: str, params: Json) -> Priced:
    """Find or make the price, and what it charges."""
    quantity = params.get("quantity_decimal")
    if quantity is None:
        quantity = Decimal(1 if params.get("quantity") is None else params["quantity"])
    if params.get("pricing"):
        price = find_price(ctx, code, required(params["pricing"], "price"))
        if price["billing_scheme"] == "tiered":
            raise refused(_ONE_TIME, param="pricing[price]")
    elif params.get("price_data"):
        data = params["price_data"] | {"active": False}
        price = add_price(ctx, data | {"currency": data.get("currency") or code})
    else:
        return _bare_price(ctx, code, params, quantity)
    return price, charge(price, quantity)


def _bare_price(ctx: Context, code: str, params: Json, quantity: Decimal) -> Priced:
    """Make the inactive price and product Stripe keeps behind an amount without a price."""
    unit = params.get("unit_amount_decimal")
    if unit is None:
        unit, quantity = Decimal(required(params, "amount")), Decimal(1)
    elif "amount" in params:
        raise invalid("You may only specify one of these parameters: amount, unit_amount_decimal.", "amount")
    product = add_product(ctx, {"name": params.get("description") or "Invoice item", "active": False})
    price = add_price(ctx, {"currency": code, "product": product["id"], "unit_amount_decimal": unit, "active": False})
    return price, charge(price, quantity)


def set_discounts(ctx: Context, item: Item, given: list[Json]) -> None:
    """Put line-level coupons on an item."""
    item.discounts = [
        add_discount(ctx, required(entry, "coupon"), item.public["customer"], None, item.public["id"])
        for entry in given
    ]
    item.public = item.public | {"discounts": item.discounts}
    item.line = item.line | {"discounts": item.discounts}


def attach(ctx: Context, invoice: Json, item: Item) -> None:
    """Put an item on a draft; the caller recomputes."""
    item.public = item.public | {"invoice": invoice["id"]}
    item.line = item.line | {"invoice": invoice["id"]}
    ctx.realm.invoice_items[invoice["id"]].append(item)


def create(call: Call) -> Json:
    """POST /v1/invoiceitems: onto a draft, or pending for the next invoice of the customer."""
    params = call.params
    invoice = _draft_for(call, params.get("invoice"))
    customer = required(params, "customer") if invoice is None else invoice["customer"]
    held = call.realm.customers.get(customer)
    if held is None:
        raise no_such("customer", customer, "customer")
    code = params.get("currency") or (invoice or held)["currency"] or _price_currency(call, params)
    if invoice is not None and invoice["currency"] != code:
        raise refused("The currency of the invoice item does not match the invoice.", param="currency")
    item = make_item(call, customer, code, params)
    call.realm.items.add(item.public["id"], item)
    if invoice is None:
        call.realm.pending_items.setdefault(customer, []).append(item)
    else:
        attach(call, invoice, item)
        recompute(call.realm, invoice)
    emit(call, [("invoiceitem.created", None)], item.public)
    return item.public


def _price_currency(call: Call, params: Json) -> str:
    price = call.realm.prices.get((params.get("pricing") or {}).get("price") or "")
    return price["currency"] if price else call.realm.account.currency


def _draft_for(call: Call, key: str | None) -> Json | None:
    if key is None:
        return None
    invoice = call.realm.invoices.get(key)
    if invoice is None:
        raise no_such("invoice", key, "invoice")
    if invoice["status"] != "draft":
        raise refused("The specified invoice can no longer be edited.", code="invoice_not_editable", param="invoice")
    return invoice


def find_item(call: Call) -> Item:
    """Return the item of the path."""
    item = call.realm.items.get(call.args[0])
    if item is None:
        raise missing("invoiceitem", call.args[0], "invoiceitem")
    return item


def get(call: Call) -> Json:
    """GET /v1/invoiceitems/{id}."""
    return find_item(call).public


def update(call: Call) -> Json:
    """POST /v1/invoiceitems/{id}: pending or on a draft only."""
    item = find_item(call)
    invoice = _draft_for(call, item.public["invoice"])
    before = item.public
    _change(call, item, call.params)
    if invoice is not None:
        recompute(call.realm, invoice)
    previous = changed_members(before, item.public)
    if previous:
        emit(call, [("invoiceitem.updated", previous)], item.public)
    return item.public


def _change(ctx: Context, item: Item, params: Json) -> None:
    changes = {name: params[name] for name in ("description", "discountable", "period") if name in params}
    if "metadata" in params:
        changes["metadata"] = merge_metadata(item.public["metadata"], params["metadata"])
    if {"amount", "quantity", "quantity_decimal", "unit_amount_decimal", "pricing", "price_data"} & params.keys():
        changes |= _repriced(ctx, item, params)
    item.public = item.public | changes
    item.line = item.line | changes | {"subtotal": changes.get("amount", item.line["subtotal"])}
    if "tax_rates" in params:
        tax_rules(ctx.realm, params["tax_rates"])
        item.tax_rates = params["tax_rates"]
        item.public = item.public | {"tax_rates": [ctx.realm.tax_rates.get(rate) for rate in item.tax_rates]}
    if "discounts" in params:
        set_discounts(ctx, item, params["discounts"])


def _repriced(ctx: Context, item: Item, params: Json) -> Json:
    if not {"amount", "unit_amount_decimal", "pricing", "price_data"} & params.keys():
        params = params | {"pricing": {"price": item.public["pricing"]["price_details"]["price"]}}
    fresh = make_item(
        ctx, item.public["customer"], item.public["currency"], params | {"tax_rates": [], "discounts": []}
    )
    return {name: fresh.public[name] for name in ("amount", "pricing", "quantity", "quantity_decimal")}


def delete(call: Call) -> Json:
    """DELETE /v1/invoiceitems/{id}."""
    item = find_item(call)
    invoice = _draft_for(call, item.public["invoice"])
    home = (
        call.realm.pending_items[item.public["customer"]]
        if invoice is None
        else call.realm.invoice_items[invoice["id"]]
    )
    home.remove(item)
    call.realm.items.remove(item.public["id"])
    if invoice is not None:
        recompute(call.realm, invoice)
    emit(call, [("invoiceitem.deleted", None)], item.public)
    return {"id": item.public["id"], "object": "invoiceitem", "deleted": True}


def listing(call: Call) -> Json:
    """GET /v1/invoiceitems."""
    customer, invoice, pending = (call.params.get(name) for name in ("customer", "invoice", "pending"))

    def is_wanted(item: Item) -> bool:
        shown = item.public
        return (
            customer in {None, shown["customer"]}
            and invoice in {None, shown["invoice"]}
            and (pending is None or pending == (shown["invoice"] is None))
        )

    page = page_of(call.realm.items, call.params, is_wanted)
    return list_body([item.public for item in page.entries], has_more=page.has_more, url="/v1/invoiceitems")
