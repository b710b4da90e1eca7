"""API versions: the one the simulator speaks, and the pre-basil shape for deliveries in an old version.

Stripe facts §2 lists what was removed and replaced; sample 28 shows the old shape.
"""

from typing import Any

CURRENT = "2026-10-28.endive"
OLD = "2024-06-20"
KNOWN = frozenset({CURRENT, OLD})
_NEW_ON_INVOICE = (
    "amount_overpaid", "amount_paid_off_stripe", "confirmation_secret", "customer_account", "parent", "status_details",
    "total_pretax_credit_amounts", "total_taxes",
)  # fmt: skip
_NEW_ON_LINE = ("parent", "pretax_credit_amounts", "pricing", "quantity_decimal", "subtotal", "taxes")


def render_old(shown: dict[str, Any]) -> dict[str, Any]:
    """Return an object as version 2024-06-20 would show it; only invoices differ enough to matter."""
    return _old_invoice(shown) if shown.get("object") == "invoice" else shown


def _old_invoice(invoice: dict[str, Any]) -> dict[str, Any]:
    old = {name: value for name, value in invoice.items() if name not in _NEW_ON_INVOICE}
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    old["lines"] = {**invoice["lines"], "data": [_old_line(line) for line in invoice["lines"]["data"]]}
    old |= {
        "application_fee_amount": None,
        "charge": None,
        "discount": None,
        "paid": invoice["status"] == "paid",
        "paid_out_of_band": invoice["amount_paid_off_stripe"] > 0,
        "payment_intent": None,
        "quote": None,
        "subscription": details.get("subscription"),
        "subscription_details": {"metadata": details.get("metadata")},
        "tax": sum(tax["amount"] for tax in invoice["total_taxes"]),
        "total_tax_amounts": [_old_tax(tax) for tax in invoice["total_taxes"]],
        "transfer_data": None,
    }
    return old


def _old_line(line: dict[str, Any]) -> dict[str, Any]:
    old = {name: value for name, value in line.items() if name not in _NEW_ON_LINE}
    parent = line["parent"]
    details = parent[parent["type"]]
    price = line["pricing"]["price_details"]
    old |= {
        "invoice_item": details["invoice_item"],
        "plan": None,
        "price": _old_price(line, price["price"], price["product"]),
        "proration": details["proration"],
        "proration_details": details["proration_details"],
        "tax_amounts": [_old_tax(tax) for tax in line["taxes"]],
        "tax_rates": [],
        "type": "invoiceitem" if parent["type"] == "invoice_item_details" else "subscription",
        "unit_amount_excluding_tax": line["pricing"]["unit_amount_decimal"],
    }
    return old


def _old_price(line: dict[str, Any], price: str, product: str) -> dict[str, Any]:
    unit = line["pricing"]["unit_amount_decimal"]
    return {
        "id": price,
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "currency": line["currency"],
        "livemode": line["livemode"],
        "metadata": {},
        "product": product,
        "type": "one_time",
        "unit_amount": int(unit) if unit and unit.lstrip("-").isdigit() else None,
        "unit_amount_decimal": unit,
    }


def _old_tax(tax: dict[str, Any]) -> dict[str, Any]:
    return {
        "amount": tax["amount"],
        "inclusive": tax["tax_behavior"] == "inclusive",
        "tax_rate": tax["tax_rate_details"]["tax_rate"],
        "taxability_reason": tax["taxability_reason"],
        "taxable_amount": tax["taxable_amount"],
    }
