"""`expand[]`: ids become objects along a path; only members Stripe lets expand (Stripe facts §8, §9)."""

from typing import Any, cast

from simulators.stripe.errors import invalid
from simulators.stripe.paging import list_body
from simulators.stripe.payments import payments_list
from simulators.stripe.state import Json, Realm

MAX_DEPTH = 4
_EXPANDABLE = frozenset({
    "charge", "coupon", "customer", "discount", "discounts", "invoice", "latest_revision", "payment_intent", "price",
    "product", "shipping_rate", "tax_rate", "invoice_line_item",
})  # fmt: skip
_ONLY_EXPANDED = frozenset({"payments", "tax_ids", "tiers"})


def expand_paths(realm: Realm, shown: Any, paths: list[str]) -> Any:
    """Return a copy of the answer with every path expanded; the stored objects stay as they are."""
    for path in paths:
        parts = path.split(".")
        if len(parts) - parts.count("data") > MAX_DEPTH:
            raise invalid("You cannot expand more than 4 levels of a property.", "expand")
        if path == "shipping_cost.taxes" and isinstance(shown, dict) and shown.get("shipping_cost"):
            shown = _expand_shipping_taxes(realm, cast("Json", shown))
            continue
        shown = _walk(realm, shown, parts, path)
    return shown


def _walk(realm: Realm, node: Any, parts: list[str], path: str) -> Any:
    if isinstance(node, list):
        return [_walk(realm, entry, parts, path) for entry in node]
    if not parts or node is None:
        return node
    if isinstance(node, str):
        node = _load(realm, node)
    if not isinstance(node, dict):
        raise _cannot(path)
    if node.get("deleted"):
        return node
    name, rest = parts[0], parts[1:]
    child = _child(realm, node, name, path)
    if not rest:
        child = _load_all(realm, child)
    return node | {name: _walk(realm, child, rest, path)}


def _child(realm: Realm, node: Json, name: str, path: str) -> Any:
    if name in _ONLY_EXPANDED and name not in node:
        return _extra(realm, node, name, path)
    if name not in node or (isinstance(node[name], str) and name not in _EXPANDABLE):
        raise _cannot(path)
    return node[name]


def _extra(realm: Realm, node: Json, name: str, path: str) -> Any:
    """Build members that exist only when expanded."""
    if name == "payments" and node.get("object") == "invoice":
        return payments_list(realm, node["id"])
    if name == "tax_ids" and node.get("object") == "customer":
        held = list(realm.tax_ids.get(node["id"], ()))
        return list_body(held, has_more=False, url=f"/v1/customers/{node['id']}/tax_ids")
    if name == "tiers" and node.get("object") == "price":
        return realm.tiers.get(node["id"])
    raise _cannot(path)


def _expand_shipping_taxes(realm: Realm, invoice: Json) -> Json:
    taxes = [
        entry | {"rate": realm.tax_rates.get(entry["rate"])} for entry in realm.shipping_taxes.get(invoice["id"], ())
    ]
    return invoice | {"shipping_cost": invoice["shipping_cost"] | {"taxes": taxes}}


def _load_all(realm: Realm, child: Any) -> Any:
    if isinstance(child, list):
        return [_load(realm, entry) if isinstance(entry, str) else entry for entry in child]
    return _load(realm, child) if isinstance(child, str) else child


def _load(realm: Realm, key: str) -> Any:
    prefix = key.split("_", 1)[0]
    if prefix == "cus" and key in realm.deleted_customers:
        return {"id": key, "object": "customer", "deleted": True}
    shelves = {
        "cus": realm.customers, "in": realm.invoices, "price": realm.prices, "prod": realm.products,
        "txr": realm.tax_rates, "di": realm.discounts, "shr": realm.shipping_rates, "cn": realm.credit_notes,
    }  # fmt: skip
    shelf = shelves.get(prefix, realm.coupons)
    return shelf.get(key) or _payment_stub(key)


def _payment_stub(key: str) -> Any:
    """Stand in for payment objects, which the simulator does not keep."""
    kinds = {"pi": "payment_intent", "pr": "payment_record", "ch": "charge"}
    kind = kinds.get(key.split("_", 1)[0])
    return {"id": key, "object": kind} if kind else key


def _cannot(path: str) -> Exception:
    return invalid(f"This property cannot be expanded ({path}).", "expand")
