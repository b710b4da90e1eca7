"""Invoices as resources: create, read, change, list, delete, lines (Stripe facts §14, §17, §42, §67, §76)."""

from collections.abc import Callable
from typing import Any

from simulators.stripe import invoice_items
from simulators.stripe.catalog import add_discount, tax_rules
from simulators.stripe.currencies import round_half_up
from simulators.stripe.drafts import recompute
from simulators.stripe.errors import NOT_EDITABLE, ONLY_DRAFTS, invalid, missing, refused
from simulators.stripe.events import emit
from simulators.stripe.invoice_shape import EDITABLE_WHEN_FINAL, blank_invoice, plain_changes
from simulators.stripe.metadata import changed_members, merge_metadata
from simulators.stripe.paging import bounds_of, limit_of, list_body, list_objects
from simulators.stripe.params import EXPAND, Check, hash_of, list_of, no_such, required, untouched
from simulators.stripe.state import Call, Context, Item, Json, Realm

ADD_LINES: dict[str, Check] = {
    "lines": list_of(hash_of(invoice_items.LINE)), "invoice_metadata": untouched, "expand": EXPAND,
}  # fmt: skip
_MAX_CUSTOM_FIELDS = 4


def find_invoice(realm: Realm, key: str) -> Json:
    """Return the invoice of a path, or say where it might be instead."""
    found = realm.invoices.get(key)
    if found is not None:
        return found
    other = realm.account.realm(livemode=not realm.livemode)
    hint = ""
    if key in other.invoices:
        modes = ("a live", "test") if realm.livemode else ("a test", "live")
        hint = f"; a similar object exists in {modes[1]} mode, but {modes[0]} mode key was used to make this request."
    raise missing("invoice", key, "invoice", hint=hint)


def create(call: Call) -> Json:
    """POST /v1/invoices: a draft; pending items only when asked for."""
    params = call.params
    customer = call.realm.customers.get(required(params, "customer"))
    if customer is None:
        raise no_such("customer", params["customer"], "customer")
    items: list[Item] = []
    if params.get("pending_invoice_items_behavior") == "include":
        items = call.realm.pending_items.get(customer["id"], [])
    code = params.get("currency") or customer["currency"]
    code = code or (items[0].public["currency"] if items else call.realm.account.currency)
    taken = [item for item in items if item.public["currency"] == code]
    invoice = add_draft(call, customer, code, params)
    _take_pending(call, customer["id"], invoice, taken)
    recompute(call.realm, invoice)
    emit(call, [("invoice.created", None)], invoice)
    return invoice


def _take_pending(ctx: Context, customer: str, invoice: Json, taken: list[Item]) -> None:
    """Pull pending items, newest first (facts §17)."""
    for item in reversed(taken):
        invoice_items.attach(ctx, invoice, item)
    left = [item for item in ctx.realm.pending_items.get(customer, []) if item not in taken]
    ctx.realm.pending_items[customer] = left


def add_draft(ctx: Context, customer: Json, code: str, params: Json) -> Json:
    """Build and store a draft from checked parameters; the caller adds items, recomputes and emits."""
    if params.get("collection_method") == "send_invoice" and not (
        params.get("days_until_due") is not None or params.get("due_date")
    ):
        raise invalid(
            "You must provide `due_date` or `days_until_due` when `collection_method` is `send_invoice`.",
            "days_until_due",
        )
    invoice = blank_invoice(ctx, customer, code)
    invoice.update(_changes(ctx, invoice, params))
    ctx.realm.invoices.add(invoice["id"], invoice)
    ctx.realm.invoice_items[invoice["id"]] = []
    ctx.realm.drafts.setdefault(customer["id"], {})[invoice["id"]] = invoice
    customer["currency"] = customer["currency"] or code
    return invoice


def _changes(ctx: Context, invoice: Json, params: Json) -> Json:
    """Resolve parameters to members; everything is checked before anything is written."""
    if len(params.get("custom_fields") or ()) > _MAX_CUSTOM_FIELDS:
        raise invalid("You may set at most 4 custom fields.", "custom_fields")
    changes = plain_changes(invoice, params)
    if "metadata" in params:
        changes["metadata"] = merge_metadata(invoice["metadata"], params["metadata"])
    if "default_tax_rates" in params:
        tax_rules(ctx.realm, params["default_tax_rates"], "default_tax_rates")
        changes["default_tax_rates"] = [ctx.realm.tax_rates.get(key) for key in params["default_tax_rates"]]
    if "shipping_cost" in params:
        changes["shipping_cost"] = _shipping_cost(ctx, params["shipping_cost"])
        changes["amount_shipping"] = 0
    if "discounts" in params:
        changes["discounts"] = [
            add_discount(ctx, required(entry, "coupon"), invoice["customer"], invoice["id"], None)
            for entry in params["discounts"]
        ]
    return changes


def _shipping_cost(ctx: Context, given: Json | None) -> Json | None:
    if given is None:
        return None
    key = required(given, "shipping_rate")
    if key not in ctx.realm.shipping_rates:
        raise no_such("shipping rate", key, "shipping_cost[shipping_rate]")
    return {"amount_subtotal": 0, "amount_tax": 0, "amount_total": 0, "shipping_rate": key}


def get(call: Call) -> Json:
    """GET /v1/invoices/{id}."""
    return find_invoice(call.realm, call.args[0])


def update(call: Call) -> Json:
    """POST /v1/invoices/{id}: after finalization little more than metadata (facts §42)."""
    invoice = find_invoice(call.realm, call.args[0])
    draft = invoice["status"] == "draft"
    blocked = sorted(call.params.keys() - EDITABLE_WHEN_FINAL)
    if blocked and not draft:
        raise refused(f"{NOT_EDITABLE}: {blocked[0]}", code="invoice_not_editable", param=blocked[0])
    before = dict(invoice)
    invoice.update(_changes(call, invoice, call.params))
    if draft and blocked:
        recompute(call.realm, invoice)
    if "metadata" in call.params:
        changed = invoice["metadata"] != before["metadata"]
        call.world.tally.metadata_writes += changed
        call.world.tally.metadata_writes_without_change += not changed
    emit_update(call, before, invoice)
    return invoice


def emit_update(ctx: Context, before: Json, invoice: Json) -> None:
    """Emit `invoice.updated`, unless nothing changed (facts §70)."""
    previous = changed_members(before, invoice)
    if previous:
        emit(ctx, [("invoice.updated", previous)], invoice)


def delete(call: Call) -> Json:
    """DELETE /v1/invoices/{id}: drafts only."""
    invoice = find_invoice(call.realm, call.args[0])
    if invoice["status"] != "draft":
        raise refused(ONLY_DRAFTS)
    key = invoice["id"]
    call.realm.invoices.remove(key)
    call.realm.drafts[invoice["customer"]].pop(key)
    for item in call.realm.invoice_items.pop(key):
        if item.public["id"] in call.realm.items:
            call.realm.items.remove(item.public["id"])
    emit(call, [("invoice.deleted", None)], invoice)
    return {"id": key, "object": "invoice", "deleted": True}


def listing(call: Call) -> Json:
    """GET /v1/invoices: there is no filter on updates or metadata (facts §76)."""
    params = call.params
    tests: list[Callable[[Json], bool]] = [
        _equals(name, params[name]) for name in ("customer", "status", "collection_method") if params.get(name)
    ]
    if params.get("due_date"):
        floor, ceiling = bounds_of(params["due_date"])
        tests.append(lambda held: held["due_date"] is not None and floor <= held["due_date"] <= ceiling)
    if params.get("subscription"):
        tests.append(lambda held: _subscription_of(held) == params["subscription"])
    return list_objects(call.realm.invoices, params, "/v1/invoices", lambda held: all(test(held) for test in tests))


def _equals(name: str, value: str) -> Callable[[Json], bool]:
    return lambda held: held[name] == value


def _subscription_of(invoice: Json) -> str | None:
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    return details.get("subscription")


def list_lines(call: Call) -> Json:
    """GET /v1/invoices/{id}/lines: in the order of the invoice, cursors forwards and backwards."""
    invoice = find_invoice(call.realm, call.args[0])
    lines = [item.line for item in call.realm.invoice_items[invoice["id"]]]
    keys = [line["id"] for line in lines]
    start, end, limit = 0, len(lines), limit_of(call.params)
    if call.params.get("starting_after"):
        start = _position(keys, call.params["starting_after"], "starting_after") + 1
    if call.params.get("ending_before"):
        end = _position(keys, call.params["ending_before"], "ending_before")
        start, more = max(0, end - limit), end > limit
    else:
        end = min(end, start + limit)
        more = end < len(lines)
    url = f"/v1/invoices/{invoice['id']}/lines"
    return list_body(lines[start:end], has_more=more, url=url) | {"total_count": len(lines)}


def _position(keys: list[str], cursor: str, param: str) -> int:
    if cursor not in keys:
        raise missing("line_item", cursor, param, status=400)
    return keys.index(cursor)


def add_lines(call: Call) -> Json:
    """POST /v1/invoices/{id}/add_lines."""
    invoice = find_invoice(call.realm, call.args[0])
    if invoice["status"] != "draft":
        raise refused("You can only add lines to a draft invoice.", code="invoice_not_editable")
    before = dict(invoice)
    metadata = invoice["metadata"]
    if "invoice_metadata" in call.params:
        metadata = merge_metadata(metadata, call.params["invoice_metadata"])
    made = [_new_line(call, invoice, given) for given in required(call.params, "lines")]
    invoice["metadata"] = metadata
    for item in made:
        call.realm.items.add(item.public["id"], item)
        invoice_items.attach(call, invoice, item)
    recompute(call.realm, invoice)
    emit_update(call, before, invoice)
    return invoice


def _new_line(call: Call, invoice: Json, given: Json) -> Item:
    data: Any = given.get("price_data")
    if data and data.get("unit_amount_decimal") is not None and data.get("unit_amount") is None:
        whole = data["unit_amount_decimal"]
        data = data | ({"unit_amount": round_half_up(whole)} if whole == whole.to_integral_value() else {})
        given = given | {"price_data": data}
    return invoice_items.make_item(call, invoice["customer"], invoice["currency"], given)
