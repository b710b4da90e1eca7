"""Customers and their tax ids; a change reaches drafts, never finalized invoices (Stripe facts §9, §11, §41)."""

from simulators.stripe.drafts import refresh_drafts
from simulators.stripe.errors import invalid, missing
from simulators.stripe.events import emit
from simulators.stripe.metadata import changed_members, merge_metadata
from simulators.stripe.paging import list_body, list_objects, page_of
from simulators.stripe.params import (
    ADDRESS,
    CUSTOM_FIELDS,
    EXPAND,
    PAGING,
    SHIPPING,
    Check,
    hash_of,
    integer,
    list_of,
    not_simulated,
    one_of,
    required,
    text,
    time_range,
    untouched,
)
from simulators.stripe.shelf import Shelf
from simulators.stripe.state import Call, Context, Json, Realm

_NOT_SIMULATED = ("business_name", "cash_balance", "individual_name", "payment_method", "source", "tax", "test_clock")
UPDATE: dict[str, Check] = {
    "address": ADDRESS, "balance": integer, "description": text(), "email": text(512), "expand": EXPAND,
    "invoice_prefix": text(12), "metadata": untouched, "name": text(256), "next_invoice_sequence": integer,
    "phone": text(20), "preferred_locales": list_of(text()), "shipping": SHIPPING, "validate": untouched,
    "tax_exempt": one_of("none", "exempt", "reverse", ""), "default_source": not_simulated,
    "invoice_settings": hash_of({
        "custom_fields": CUSTOM_FIELDS, "footer": text(), "default_payment_method": text(),
        "rendering_options": not_simulated,
    }),
    **dict.fromkeys(_NOT_SIMULATED, not_simulated),
}  # fmt: skip
TAX_ID: dict[str, Check] = {"type": text(), "value": text(), "expand": EXPAND}
CREATE: dict[str, Check] = {**UPDATE, "tax_id_data": list_of(hash_of({"type": text(), "value": text()}))}
LIST: dict[str, Check] = {**PAGING, "created": time_range, "email": text(512), "test_clock": not_simulated}
_ADDRESS_KEYS = ("city", "country", "line1", "line2", "postal_code", "state")


def full_address(given: Json | None) -> Json | None:
    """Return an address with all its members, null where nothing was given."""
    if given is None:
        return None
    return {name: given.get(name) for name in _ADDRESS_KEYS}


def _full_shipping(given: Json | None) -> Json | None:
    if given is None:
        return None
    return {"address": full_address(given.get("address")), "name": given.get("name"), "phone": given.get("phone")}


def add_customer(ctx: Context, params: Json) -> Json:
    """Create a customer and its tax ids, with their events."""
    for given in params.get("tax_id_data", []):
        _check_tax_id(given)
    customer = _new_customer(ctx, params)
    ctx.realm.customers.add(customer["id"], customer)
    ctx.realm.tax_ids[customer["id"]] = Shelf()
    emit(ctx, [("customer.created", None)], customer)
    for given in params.get("tax_id_data", []):
        add_tax_id(ctx, customer, given)
    return customer


def _new_customer(ctx: Context, params: Json) -> Json:
    account = ctx.realm.account
    settings: Json = {"custom_fields": None, "default_payment_method": None, "footer": None, "rendering_options": None}
    return {
        "id": ctx.world.ids.short("cus"),
        "object": "customer",
        "address": full_address(params.get("address")),
        "balance": params.get("balance") or 0,
        "created": ctx.world.clock.stamp(),
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": params.get("description"),
        "discount": None,
        "email": params.get("email"),
        "invoice_prefix": params.get("invoice_prefix") or account.prefix,
        "invoice_settings": settings | (params.get("invoice_settings") or {}),
        "livemode": ctx.realm.livemode,
        "metadata": merge_metadata({}, params.get("metadata")),
        "name": params.get("name"),
        "next_invoice_sequence": params.get("next_invoice_sequence") or 1,
        "phone": params.get("phone"),
        "preferred_locales": params.get("preferred_locales", []),
        "shipping": _full_shipping(params.get("shipping")),
        "tax_exempt": params.get("tax_exempt") or "none",
        "test_clock": None,
    }


def find_customer(realm: Realm, key: str) -> Json:
    """Return a living customer or refuse as Stripe does."""
    found = realm.customers.get(key)
    if found is None:
        raise missing("customer", key, "id")
    return found


def create(call: Call) -> Json:
    """POST /v1/customers."""
    return add_customer(call, call.params)


def get(call: Call) -> Json:
    """GET /v1/customers/{id}: a deleted one answers 200 with a stub (facts §9)."""
    key = call.args[0]
    if key in call.realm.deleted_customers:
        return {"id": key, "object": "customer", "deleted": True}
    return find_customer(call.realm, key)


def update(call: Call) -> Json:
    """POST /v1/customers/{id}."""
    customer = find_customer(call.realm, call.args[0])
    changes = _changes(customer, call.params)
    if "metadata" in call.params:
        _count_metadata(call, changed=changes["metadata"] != customer["metadata"])
    change_customer(call, customer, changes)
    return customer


def change_customer(ctx: Context, customer: Json, changes: Json) -> None:
    """Write members of a customer, tell the drafts, emit `customer.updated` when something changed."""
    before = dict(customer)
    customer.update(changes)
    previous = changed_members(before, customer)
    if previous:
        refresh_drafts(ctx, customer)
        emit(ctx, [("customer.updated", previous)], customer)


def _changes(customer: Json, params: Json) -> Json:
    changes = {name: value for name, value in params.items() if name not in {"expand", "validate"}}
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(customer["metadata"], changes["metadata"])
    if "address" in changes:
        changes["address"] = changes["address"] and full_address({**(customer["address"] or {}), **changes["address"]})
    if "shipping" in changes:
        changes["shipping"] = _full_shipping(changes["shipping"])
    if "invoice_settings" in changes:
        changes["invoice_settings"] = {**customer["invoice_settings"], **(changes["invoice_settings"] or {})}
    if "tax_exempt" in changes:
        changes["tax_exempt"] = changes["tax_exempt"] or "none"
    return changes


def _count_metadata(call: Call, *, changed: bool) -> None:
    tally = call.world.tally
    tally.metadata_writes += changed
    tally.metadata_writes_without_change += not changed


def delete(call: Call) -> Json:
    """DELETE /v1/customers/{id}: the event carries the full last state (sample 25)."""
    customer = find_customer(call.realm, call.args[0])
    call.realm.customers.remove(customer["id"])
    call.realm.deleted_customers.add(customer["id"])
    emit(call, [("customer.deleted", None)], customer)
    return {"id": customer["id"], "object": "customer", "deleted": True}


def listing(call: Call) -> Json:
    """GET /v1/customers."""
    email = call.params.get("email")
    return list_objects(
        call.realm.customers, call.params, "/v1/customers", lambda held: email is None or held["email"] == email
    )


def add_tax_id(ctx: Context, customer: Json, given: Json) -> Json:
    """Attach a tax id; `customer.tax_id.created`, no `customer.updated` (facts §41)."""
    _check_tax_id(given)
    kind, value = given["type"], given["value"]
    tax_id: Json = {
        "id": ctx.world.ids.new("txi"),
        "object": "tax_id",
        "country": kind.split("_")[0].upper() if not kind.startswith("eu_") else value[:2],
        "created": ctx.world.clock.stamp(),
        "customer": customer["id"],
        "customer_account": None,
        "livemode": ctx.realm.livemode,
        "owner": {"customer": customer["id"], "customer_account": None, "type": "customer"},
        "type": kind,
        "value": value,
        "verification": {"status": "unavailable", "verified_address": None, "verified_name": None},
    }
    ctx.realm.tax_ids[customer["id"]].add(tax_id["id"], tax_id)
    refresh_drafts(ctx, customer)
    emit(ctx, [("customer.tax_id.created", None)], tax_id)
    return tax_id


def _check_tax_id(given: Json) -> None:
    required(given, "value")
    if "_" not in required(given, "type"):
        raise invalid(f"Invalid type: {given['type']}", "type")


def create_tax_id(call: Call) -> Json:
    """POST /v1/customers/{id}/tax_ids."""
    return add_tax_id(call, find_customer(call.realm, call.args[0]), call.params)


def list_tax_ids(call: Call) -> Json:
    """GET /v1/customers/{id}/tax_ids."""
    customer = find_customer(call.realm, call.args[0])
    page = page_of(call.realm.tax_ids[customer["id"]], call.params, lambda _held: True)
    return list_body(page.entries, has_more=page.has_more, url=f"/v1/customers/{customer['id']}/tax_ids")


def delete_tax_id(call: Call) -> Json:
    """DELETE /v1/customers/{id}/tax_ids/{tax_id}."""
    customer = find_customer(call.realm, call.args[0])
    held = call.realm.tax_ids[customer["id"]]
    tax_id = held.get(call.args[1])
    if tax_id is None:
        raise missing("tax_id", call.args[1], "id")
    held.remove(tax_id["id"])
    refresh_drafts(call, customer)
    emit(call, [("customer.tax_id.deleted", None)], tax_id)
    return {"id": tax_id["id"], "object": "tax_id", "deleted": True}
