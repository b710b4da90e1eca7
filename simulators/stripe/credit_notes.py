"""Credit notes: before payment they lower what is due, after it they go to the balance (Stripe facts §43)."""

from decimal import Decimal
from typing import Any

from simulators.stripe.catalog import number_text, tax_rules
from simulators.stripe.currencies import round_half_up
from simulators.stripe.customers import change_customer
from simulators.stripe.errors import invalid, missing, refused
from simulators.stripe.events import emit
from simulators.stripe.invoices import emit_update, find_invoice
from simulators.stripe.lifecycle import check_payable
from simulators.stripe.metadata import changed_members, merge_metadata
from simulators.stripe.paging import list_body, list_objects
from simulators.stripe.params import (
    EXPAND,
    PAGING,
    Check,
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
from simulators.stripe.state import Call, Context, Json
from simulators.stripe.totals import LineInput, TaxRule, add_up, line_amount

_LINE: dict[str, Check] = {
    "type": one_of("invoice_line_item", "custom_line_item"), "invoice_line_item": text(), "quantity": integer,
    "amount": integer, "description": text(), "unit_amount": integer, "unit_amount_decimal": decimal,
    "metadata": untouched, "tax_rates": not_simulated, "tax_amounts": not_simulated,
}  # fmt: skip
CREATE: dict[str, Check] = {
    "invoice": text(), "amount": integer, "lines": list_of(hash_of(_LINE)), "memo": text(5000), "metadata": untouched,
    "reason": one_of("duplicate", "fraudulent", "order_change", "product_unsatisfactory"), "effective_at": integer,
    "credit_amount": integer, "refund_amount": integer, "out_of_band_amount": integer, "expand": EXPAND,
    "email_type": one_of("credit_note", "none"), "refunds": not_simulated, "shipping_cost": not_simulated,
}  # fmt: skip
LIST: dict[str, Check] = {**PAGING, "created": time_range, "customer": text(), "invoice": text()}


def create(call: Call) -> Json:
    """POST /v1/credit_notes, for an `amount` or for `lines`."""
    key = required(call.params, "invoice")
    invoice = call.realm.invoices.get(key)
    if invoice is None:
        raise no_such("invoice", key, "invoice")
    if invoice["status"] not in {"open", "paid"}:
        raise refused("You can only create credit notes for open or paid invoices.", param="invoice")
    lines = _lines(call, invoice)
    note = _build(call, invoice, lines)
    _apply(call, invoice, note)
    return note


def _lines(call: Call, invoice: Json) -> list[Json]:
    given = call.params.get("lines")
    if given:
        return [_line(call, invoice, entry) for entry in given]
    amount = required(call.params, "amount")
    return [_line_shape(call, {"amount": amount, "description": None, "quantity": None}, [])]


def _line(call: Call, invoice: Json, given: Json) -> Json:
    if given.get("type") != "invoice_line_item":
        return _custom_line(call, given)
    lines = {item.line["id"]: item.line for item in call.realm.invoice_items[invoice["id"]]}
    source: Any = lines.get(given.get("invoice_line_item") or "")
    if source is None:
        raise no_such("invoice_line_item", str(given.get("invoice_line_item")), "lines[invoice_line_item]")
    amount, quantity = given.get("amount"), given.get("quantity")
    if amount is None:
        quantity = source["quantity"] if quantity is None else quantity
        amount = round_half_up(Decimal(_net(source)) * quantity / (source["quantity"] or 1))
    shown = {"amount": amount, "description": source["description"], "quantity": quantity, "source": source}
    return _line_shape(call, shown, _taxes_of(call, source, amount))


def _net(line: Json) -> int:
    return line["amount"] - sum(entry["amount"] for entry in line["discount_amounts"])


def _taxes_of(call: Call, source: Json, amount: int) -> list[Json]:
    """Tax the credited amount with the rates and reasons of the line."""
    rules: list[TaxRule] = []
    for tax in source["taxes"]:
        rules += tax_rules(call.realm, [tax["tax_rate_details"]["tax_rate"]])
    untaxed = any(tax["taxability_reason"] in {"reverse_charge", "customer_exempt"} for tax in source["taxes"])
    sums = add_up([LineInput(amount, rules)], taxed=not untaxed).lines[0]
    return [
        shown | {"amount": tax.amount, "taxable_amount": tax.taxable}
        for shown, tax in zip(source["taxes"], sums.taxes, strict=True)
    ]


def _custom_line(call: Call, given: Json) -> Json:
    quantity = 1 if given.get("quantity") is None else given["quantity"]
    unit = given.get("unit_amount_decimal")
    unit = Decimal(required(given, "unit_amount")) if unit is None else unit
    shown = {"amount": line_amount(unit, Decimal(quantity)), "quantity": quantity, "unit": unit}
    return _line_shape(call, shown | {"description": required(given, "description")}, [])


def _line_shape(call: Call, shown: Json, taxes: list[Json]) -> Json:
    source = shown.get("source")
    unit = shown.get("unit")
    if source is not None and source["pricing"]["unit_amount_decimal"] is not None:
        unit = Decimal(source["pricing"]["unit_amount_decimal"])
    whole = unit is not None and unit == unit.to_integral_value()
    return {
        "id": call.world.ids.new("cnli"),
        "object": "credit_note_line_item",
        "amount": shown["amount"],
        "description": shown["description"],
        "discount_amount": 0,
        "discount_amounts": [],
        "invoice_line_item": source and source["id"],
        "livemode": call.realm.livemode,
        "metadata": {},
        "pretax_credit_amounts": [],
        "quantity": shown["quantity"],
        "tax_rates": [],
        "taxes": taxes,
        "type": "invoice_line_item" if source else "custom_line_item",
        "unit_amount": int(unit) if whole and unit is not None else None,
        "unit_amount_decimal": None if unit is None else number_text(unit),
    }


def _total_taxes(lines: list[Json]) -> list[Json]:
    totals: dict[str, Json] = {}
    for tax in (tax for line in lines for tax in line["taxes"]):
        seen = totals.get(tax["tax_rate_details"]["tax_rate"])
        base = seen or tax | {"amount": 0, "taxable_amount": 0}
        totals[tax["tax_rate_details"]["tax_rate"]] = base | {
            "amount": base["amount"] + tax["amount"],
            "taxable_amount": base["taxable_amount"] + tax["taxable_amount"],
        }
    return list(totals.values())


def _build(call: Call, invoice: Json, lines: list[Json]) -> Json:
    now = call.world.clock.stamp()
    taxes = _total_taxes(lines)
    subtotal = sum(line["amount"] for line in lines)
    inside = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "inclusive")
    total = subtotal + sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")
    paid = invoice["status"] == "paid"
    check_payable(total, invoice["currency"])
    _check_amounts(call.params, invoice, total, paid=paid)
    realm = call.realm
    key = call.world.ids.new("cn")
    number = sum(note["invoice"] == invoice["id"] for note in realm.credit_notes) + 1
    return {
        "id": key,
        "object": "credit_note",
        "amount": total,
        "amount_shipping": 0,
        "created": now,
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "customer_account": None,
        "customer_balance_transaction": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": call.params.get("effective_at") or now,
        "invoice": invoice["id"],
        "lines": list_body(lines, has_more=False, url=f"/v1/credit_notes/{key}/lines") | {"total_count": len(lines)},
        "livemode": realm.livemode,
        "memo": call.params.get("memo"),
        "metadata": merge_metadata({}, call.params.get("metadata")),
        "number": f"{invoice['number']}-CN-{number:02d}",
        "out_of_band_amount": call.params.get("out_of_band_amount"),
        "pdf": f"https://pay.stripe.com/credit_notes/{realm.account.id}/{call.world.ids.token(30)}/pdf?s=ap",
        "post_payment_amount": total if paid else 0,
        "pre_payment_amount": 0 if paid else total,
        "pretax_credit_amounts": [],
        "reason": call.params.get("reason"),
        "refunds": [],
        "shipping_cost": None,
        "status": "issued",
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - inside,
        "total": total,
        "total_excluding_tax": total - sum(tax["amount"] for tax in taxes),
        "total_taxes": taxes,
        "type": "post_payment" if paid else "pre_payment",
        "voided_at": None,
    }


def _check_amounts(params: Json, invoice: Json, total: int, *, paid: bool) -> None:
    if total <= 0:
        raise invalid("The credit note amount must be positive.", "amount")
    if not paid and total > invoice["amount_remaining"]:
        raise refused("The credit note amount exceeds what remains to be paid on the invoice.", param="amount")
    given = sum(params.get(name) or 0 for name in ("credit_amount", "refund_amount", "out_of_band_amount"))
    if paid and given != total:
        raise refused(
            "The sum of credit, refund and out of band amounts must equal the credit note amount.", param="amount"
        )
    if paid and total + invoice["post_payment_credit_notes_amount"] > invoice["amount_paid"]:
        raise refused("The credit note amount exceeds what was paid on the invoice.", param="amount")


def _apply(call: Call, invoice: Json, note: Json) -> None:
    """Write the note onto invoice and balance; an open invoice with nothing left becomes paid."""
    call.realm.credit_notes.add(note["id"], note)
    before = dict(invoice)
    if note["type"] == "pre_payment":
        _shift(invoice, note["total"])
        if invoice["amount_remaining"] == 0:
            invoice["status"] = "paid"
            paid_at = {"paid_at": call.world.clock.stamp()}
            invoice["status_transitions"] = invoice["status_transitions"] | paid_at
    else:
        invoice["post_payment_credit_notes_amount"] += note["total"]
        _credit_balance(call, note, call.params.get("credit_amount") or 0)
    emit(call, [("credit_note.created", None)], note)
    emit_update(call, before, invoice)
    if invoice["status"] != before["status"]:
        emit(call, [("invoice.paid", None)], invoice)


def _shift(invoice: Json, amount: int) -> None:
    invoice["pre_payment_credit_notes_amount"] += amount
    invoice["amount_due"] -= amount
    invoice["amount_remaining"] -= amount


def _credit_balance(ctx: Context, note: Json, amount: int) -> None:
    customer = ctx.realm.customers.get(note["customer"])
    if amount and customer is not None:
        note["customer_balance_transaction"] = ctx.world.ids.new("cbtxn")
        change_customer(ctx, customer, {"balance": customer["balance"] - amount})


def _find(call: Call) -> Json:
    note = call.realm.credit_notes.get(call.args[0])
    if note is None:
        raise missing("credit note", call.args[0], "id")
    return note


def get(call: Call) -> Json:
    """GET /v1/credit_notes/{id}."""
    return _find(call)


def lines(call: Call) -> Json:
    """GET /v1/credit_notes/{id}/lines."""
    return _find(call)["lines"]


def void(call: Call) -> Json:
    """POST /v1/credit_notes/{id}/void: only before payment; the invoice gets its amounts back."""
    note = _find(call)
    invoice = find_invoice(call.realm, note["invoice"])
    if note["status"] == "void" or invoice["status"] != "open":
        raise refused("You can only void issued credit notes of open invoices.")
    before, noted = dict(invoice), dict(note)
    note["status"] = "void"
    note["voided_at"] = call.world.clock.stamp()
    _shift(invoice, -note["total"])
    emit(call, [("credit_note.voided", None), ("credit_note.updated", changed_members(noted, note))], note)
    emit_update(call, before, invoice)
    return note


def listing(call: Call) -> Json:
    """GET /v1/credit_notes."""
    customer, invoice = call.params.get("customer"), call.params.get("invoice")
    return list_objects(
        call.realm.credit_notes,
        call.params,
        "/v1/credit_notes",
        lambda held: customer in {None, held["customer"]} and invoice in {None, held["invoice"]},
    )
