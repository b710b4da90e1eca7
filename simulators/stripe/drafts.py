"""What keeps a draft up to date: customer fields, sums, embedded lines (Stripe facts §11, §14, §21-§29)."""

from typing import Any

from simulators.stripe.catalog import discount_rules, tax_rules
from simulators.stripe.state import Context, Item, Json, Realm
from simulators.stripe.totals import (
    DiscountRule,
    InvoiceSums,
    LineInput,
    LineSums,
    ShippingInput,
    TaxAmount,
    add_up,
    settle,
)

EMBEDDED_LINES = 10
_EMPTY: list[Any] = []
_REDUCED_BELOW = 10
_UNTAXED_REASONS = {"exempt": "customer_exempt", "reverse": "reverse_charge"}


def customer_snapshot(realm: Realm, customer: Json) -> Json:
    """Return the `customer_*` members an invoice shows."""
    held = realm.tax_ids.get(customer["id"])
    return {
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"],
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [{"type": entry["type"], "value": entry["value"]} for entry in held or ()],
    }


def refresh_drafts(ctx: Context, customer: Json) -> None:
    """Let a customer's drafts follow the customer; finalized invoices keep their snapshot (facts §11)."""
    for invoice in ctx.realm.drafts.get(customer["id"], {}).values():
        invoice.update(customer_snapshot(ctx.realm, customer))
        recompute(ctx.realm, invoice)


def recompute(realm: Realm, invoice: Json) -> None:
    """Recompute lines and sums of a draft."""
    items = realm.invoice_items[invoice["id"]]
    defaults = invoice["default_tax_rates"]
    default_keys = [rate["id"] for rate in defaults]
    sums = add_up(
        [_line_input(realm, item, default_keys) for item in items],
        discount_rules(realm, invoice["discounts"]),
        _shipping_input(realm, invoice, default_keys),
        taxed=invoice["customer_tax_exempt"] not in _UNTAXED_REASONS,
    )
    for item, line in zip(items, sums.lines, strict=True):
        item.line = _summed_line(item.line, line, invoice["customer_tax_exempt"])
    invoice["lines"] = embed_lines(invoice["id"], items)
    _write_sums(realm, invoice, sums)
    _write_balance(realm, invoice)


def _line_input(realm: Realm, item: Item, default_keys: list[str]) -> LineInput:
    own: list[DiscountRule] = discount_rules(realm, item.discounts)
    rules = tax_rules(realm, item.tax_rates or default_keys)
    return LineInput(item.line["amount"], rules, item.line["discountable"], own)


def _shipping_input(realm: Realm, invoice: Json, default_keys: list[str]) -> ShippingInput | None:
    """Shipping is taxed with the invoice's default rates: our reading, sample 17 shows such a case."""
    cost = invoice["shipping_cost"]
    if cost is None:
        return None
    rate: Any = realm.shipping_rates.get(cost["shipping_rate"])
    return ShippingInput(rate["fixed_amount"]["amount"], tax_rules(realm, default_keys))


def _summed_line(line: Json, sums: LineSums, exempt: str) -> Json:
    discounts = [{"amount": amount, "discount": key} for key, amount in sums.discounts] or _EMPTY
    return line | {
        "discount_amounts": discounts,
        "pretax_credit_amounts": [entry | {"type": "discount"} for entry in discounts] or _EMPTY,
        "taxes": [_tax_entry(tax, exempt) for tax in sums.taxes] or _EMPTY,
    }


def _tax_entry(tax: TaxAmount, exempt: str) -> Json:
    return {
        "amount": tax.amount,
        "tax_behavior": "inclusive" if tax.rule.inclusive else "exclusive",
        "tax_rate_details": {"tax_rate": tax.rule.id},
        "taxability_reason": _UNTAXED_REASONS.get(exempt) or _reason(tax),
        "taxable_amount": tax.taxable,
        "type": "tax_rate_details",
    }


def _reason(tax: TaxAmount) -> str:
    if tax.rule.effective is not None:
        return "taxable_basis_reduced"
    if tax.rule.percentage == 0:
        return "zero_rated"
    return "reduced_rated" if tax.rule.percentage < _REDUCED_BELOW and not tax.rule.percentage % 1 else "standard_rated"


def embed_lines(invoice_id: str, items: list[Item]) -> Json:
    """Build the embedded list: the first ten lines and the true count (facts §14)."""
    return {
        "object": "list",
        "data": [item.line for item in items[:EMBEDDED_LINES]],
        "has_more": len(items) > EMBEDDED_LINES,
        "total_count": len(items),
        "url": f"/v1/invoices/{invoice_id}/lines",
    }


def _write_sums(realm: Realm, invoice: Json, sums: InvoiceSums) -> None:
    exempt = invoice["customer_tax_exempt"]
    discounts = [{"amount": amount, "discount": key} for key, amount in sums.total_discounts] or _EMPTY
    invoice["subtotal"] = sums.subtotal
    invoice["subtotal_excluding_tax"] = sums.subtotal_excluding_tax
    invoice["total"] = sums.total
    invoice["total_discount_amounts"] = discounts
    invoice["total_excluding_tax"] = sums.total_excluding_tax
    invoice["total_pretax_credit_amounts"] = [entry | {"type": "discount"} for entry in discounts] or _EMPTY
    invoice["total_taxes"] = [_tax_entry(tax, exempt) for tax in sums.total_taxes] or _EMPTY
    if sums.shipping is not None:
        invoice["amount_shipping"] = sums.shipping.subtotal
        invoice["shipping_cost"] = invoice["shipping_cost"] | {
            "amount_subtotal": sums.shipping.subtotal,
            "amount_tax": sums.shipping.tax,
            "amount_total": sums.shipping.total,
        }
        realm.shipping_taxes[invoice["id"]] = [_shipping_tax(tax, exempt) for tax in sums.shipping.taxes]


def _shipping_tax(tax: TaxAmount, exempt: str) -> Json:
    """Build an entry of `shipping_cost.taxes`, shown only where it is expanded; the rate becomes an object then."""
    entry = _tax_entry(tax, exempt)
    shown = {name: entry[name] for name in ("amount", "taxability_reason", "taxable_amount")}
    return shown | {"rate": tax.rule.id}


def balance_for(realm: Realm, invoice: Json) -> int:
    """Return the customer balance an invoice may use: none in another currency."""
    customer = realm.customers.get(invoice["customer"])
    return customer["balance"] if customer and customer["currency"] == invoice["currency"] else 0


def _write_balance(realm: Realm, invoice: Json) -> None:
    balance = balance_for(realm, invoice)
    due = settle(invoice["total"], balance, invoice["currency"]).amount_due
    invoice["starting_balance"] = balance
    invoice["amount_due"] = due
    invoice["amount_remaining"] = due
