"""The invoice object as version 2026-10-28.endive shows it, and the parameters that fill it (Stripe facts §2, §12)."""

from typing import Any

from simulators.stripe.customers import full_address
from simulators.stripe.drafts import customer_snapshot
from simulators.stripe.params import (
    CUSTOM_FIELDS,
    DISCOUNTS,
    EXPAND,
    PAGING,
    SHIPPING,
    Check,
    boolean,
    currency,
    hash_of,
    integer,
    list_of,
    not_simulated,
    one_of,
    text,
    time_range,
    untouched,
)
from simulators.stripe.state import Context, Json

_COLLECTION = one_of("charge_automatically", "send_invoice")
_STATUS = one_of("draft", "open", "paid", "uncollectible", "void")
_NOT_SIMULATED = (
    "account_tax_ids", "application_fee_amount", "automatically_finalizes_at", "default_source", "issuer",
    "on_behalf_of", "transfer_data",
)  # fmt: skip
UPDATE: dict[str, Check] = {
    "auto_advance": boolean, "automatic_tax": hash_of({"enabled": one_of("false")}), "collection_method": _COLLECTION,
    "custom_fields": CUSTOM_FIELDS, "days_until_due": integer, "default_payment_method": text(),
    "default_tax_rates": list_of(text()), "description": text(1500), "discounts": DISCOUNTS, "due_date": integer,
    "effective_at": integer, "expand": EXPAND, "footer": text(5000), "metadata": untouched, "number": text(26),
    "payment_settings": hash_of({"payment_method_types": list_of(text())}),
    "rendering": hash_of({"amount_tax_display": text(), "pdf": hash_of({"page_size": text()})}),
    "shipping_cost": hash_of({"shipping_rate": text(), "shipping_rate_data": not_simulated}),
    "shipping_details": SHIPPING, "statement_descriptor": text(22), **dict.fromkeys(_NOT_SIMULATED, not_simulated),
}  # fmt: skip
CREATE: dict[str, Check] = {
    **UPDATE, "currency": currency, "customer": text(), "customer_account": not_simulated,
    "from_invoice": not_simulated, "pending_invoice_items_behavior": one_of("include", "exclude"),
    "subscription": not_simulated,
}  # fmt: skip
LIST: dict[str, Check] = {
    **PAGING, "collection_method": _COLLECTION, "created": time_range, "customer": text(), "due_date": time_range,
    "status": _STATUS, "subscription": text(), "customer_account": not_simulated,
}  # fmt: skip
# The few members a finalized invoice still lets be written (facts §42).
EDITABLE_WHEN_FINAL = frozenset({"metadata", "expand", "auto_advance", "default_payment_method", "payment_settings"})
# Shared between invoices: nothing in the simulator changes a nested value in place.
_NO_TAX: Json = {"disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None}
_PAYMENT: Json = {"default_mandate": None, "payment_method_options": None, "payment_method_types": None}
_RENDERING: Json = {"amount_tax_display": None, "pdf": {"page_size": "a4"}, "template": None, "template_version": None}
_SELF: Json = {"type": "self"}
_NEVER: Json = {"finalized_at": None, "marked_uncollectible_at": None, "paid_at": None, "voided_at": None}
_EMPTY: list[Any] = []
DAY = 86_400


def blank_invoice(ctx: Context, customer: Json, code: str) -> Json:
    """Build a draft without lines; the caller fills in parameters and recomputes."""
    now = ctx.world.clock.stamp()
    key = ctx.world.ids.new("in")
    account = ctx.realm.account
    return {
        "id": key,
        "object": "invoice",
        "account_country": account.country,
        "account_name": account.name,
        "account_tax_ids": None,
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_paid_off_stripe": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": False,
        "automatic_tax": _NO_TAX,
        "automatically_finalizes_at": None,
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "confirmation_secret": None,
        "created": now,
        "currency": code,
        "custom_fields": customer["invoice_settings"]["custom_fields"],
        "customer": customer["id"],
        "customer_account": None,
        **customer_snapshot(ctx.realm, customer),
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": _EMPTY,
        "description": None,
        "discounts": _EMPTY,
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "footer": customer["invoice_settings"]["footer"],
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": _SELF,
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": {
            "object": "list",
            "data": [],
            "has_more": False,
            "total_count": 0,
            "url": f"/v1/invoices/{key}/lines",
        },
        "livemode": ctx.realm.livemode,
        "metadata": {},
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": None,
        "payment_settings": _PAYMENT,
        "period_end": now,
        "period_start": now,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": _RENDERING,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": customer["balance"],
        "statement_descriptor": None,
        "status": "draft",
        "status_details": None,
        "status_transitions": _NEVER,
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "test_clock": None,
        "total": 0,
        "total_discount_amounts": _EMPTY,
        "total_excluding_tax": 0,
        "total_pretax_credit_amounts": _EMPTY,
        "total_taxes": _EMPTY,
        "webhooks_delivered_at": now,
    }


_PLAIN = (
    "auto_advance", "collection_method", "default_payment_method", "description", "due_date", "effective_at", "footer",
    "number", "statement_descriptor",
)  # fmt: skip


def plain_changes(invoice: Json, params: Json) -> Json:
    """Return the members that parameters set without any look-up."""
    changes = {name: params[name] for name in _PLAIN if name in params}
    if params.get("days_until_due") is not None:
        changes["due_date"] = invoice["created"] + params["days_until_due"] * DAY
    if "custom_fields" in params:
        changes["custom_fields"] = params["custom_fields"] or None
    if "payment_settings" in params:
        changes["payment_settings"] = {**_PAYMENT, **(params["payment_settings"] or {})}
    if "rendering" in params:
        changes["rendering"] = {**_RENDERING, **(params["rendering"] or {})}
    if "shipping_details" in params:
        changes["shipping_details"] = _shipping_details(params["shipping_details"])
    return changes


def _shipping_details(given: Json | None) -> Json | None:
    if given is None:
        return None
    return {
        "address": full_address(given.get("address")),
        "carrier": None,
        "name": given.get("name"),
        "phone": given.get("phone"),
        "tracking_number": None,
    }
