"""An invoice's transitions and the events of each (Stripe facts §26-§28, §37, §39, §42, §118)."""

from simulators.stripe.currencies import payable_step
from simulators.stripe.customers import change_customer
from simulators.stripe.drafts import balance_for
from simulators.stripe.errors import ALREADY_FINAL, ALREADY_PAID, NOT_OPEN, PAID_NOT_VOIDABLE, ApiError, refused
from simulators.stripe.events import emit
from simulators.stripe.invoices import find_invoice
from simulators.stripe.metadata import changed_members
from simulators.stripe.params import EXPAND, Check, boolean, not_simulated, text
from simulators.stripe.payments import record_payment
from simulators.stripe.state import Call, Context, Json
from simulators.stripe.totals import settle

FINALIZE: dict[str, Check] = {"auto_advance": boolean, "expand": EXPAND}
PAY: dict[str, Check] = {
    "paid_out_of_band": boolean, "payment_method": text(), "off_session": boolean, "expand": EXPAND,
    "forgive": not_simulated, "mandate": not_simulated, "source": not_simulated,
}  # fmt: skip
_DECLINED = ("pm_card_chargeDeclined", "pm_card_visa_chargeDeclined", "pm_card_chargeCustomerFail")
PAYABLE = frozenset({"open", "uncollectible"})


def is_payable(invoice: Json) -> bool:
    """Tell whether something may still be paid or voided."""
    return invoice["status"] in PAYABLE


def finalize(call: Call) -> Json:
    """POST /v1/invoices/{id}/finalize."""
    invoice = find_invoice(call.realm, call.args[0])
    if invoice["status"] != "draft":
        raise refused(ALREADY_FINAL)
    if "auto_advance" in call.params:
        invoice["auto_advance"] = call.params["auto_advance"]
    finalize_draft(call, invoice)
    return invoice


def finalize_draft(ctx: Context, invoice: Json) -> None:
    """Number and freeze a draft; one with nothing due is paid in the same step (facts §27, §28)."""
    before = dict(invoice)
    _freeze(ctx, invoice)
    _settle_with_balance(ctx, invoice)
    kinds: list[tuple[str, Json | None]] = [
        ("invoice.finalized", None),
        ("invoice.updated", changed_members(before, invoice)),
    ]
    if invoice["status"] == "paid":
        kinds.append(("invoice.paid", None))
    elif ctx.world.settings.auto_send and invoice["collection_method"] == "send_invoice":
        kinds.append(("invoice.sent", None))
    emit(ctx, kinds, invoice)


def _freeze(ctx: Context, invoice: Json) -> None:
    realm, now = ctx.realm, ctx.world.clock.stamp()
    realm.drafts[invoice["customer"]].pop(invoice["id"])
    if invoice["number"] is None:
        realm.last_number += 1
        invoice["number"] = f"{realm.account.prefix}-{realm.last_number:04d}"
    mode = "live" if realm.livemode else "test"
    tail = f"{realm.account.id}/{mode}_{ctx.world.ids.token(38)}"
    invoice["status"] = "open"
    invoice["hosted_invoice_url"] = f"https://invoice.stripe.com/i/{tail}?s=ap"
    invoice["invoice_pdf"] = f"https://pay.stripe.com/invoice/{tail}/pdf?s=ap"
    invoice["effective_at"] = invoice["effective_at"] or now
    invoice["status_transitions"] = invoice["status_transitions"] | {"finalized_at": now}


def _settle_with_balance(ctx: Context, invoice: Json) -> None:
    """Apply the customer balance for good and write it back to the customer."""
    balance = balance_for(ctx.realm, invoice)
    settled = settle(invoice["total"], balance, invoice["currency"])
    invoice["starting_balance"] = balance
    invoice["ending_balance"] = settled.ending_balance
    invoice["amount_due"] = settled.amount_due
    invoice["amount_remaining"] = settled.amount_due
    if settled.amount_due == 0:
        _mark_paid(ctx, invoice)
        invoice["attempted"] = True
    customer = ctx.realm.customers.get(invoice["customer"])
    if customer is not None:
        customer["next_invoice_sequence"] += 1  # Stripe counts without an event
        if customer["currency"] == invoice["currency"]:
            change_customer(ctx, customer, {"balance": settled.ending_balance})


def _mark_paid(ctx: Context, invoice: Json) -> None:
    invoice["status"] = "paid"
    invoice["status_details"] = None
    invoice["auto_advance"] = False
    invoice["status_transitions"] = invoice["status_transitions"] | {"paid_at": ctx.world.clock.stamp()}


def send(call: Call) -> Json:
    """POST /v1/invoices/{id}/send: finalizes a draft first, may be repeated (facts §37)."""
    invoice = find_invoice(call.realm, call.args[0])
    if invoice["collection_method"] != "send_invoice":
        raise refused("You can only manually send an invoice if its collection method is 'send_invoice'.")
    if invoice["status"] == "void":
        raise refused(NOT_OPEN)
    send_invoice(call, invoice)
    return invoice


def send_invoice(ctx: Context, invoice: Json) -> None:
    """Finalize when needed and emit `invoice.sent`."""
    if invoice["status"] == "draft":
        finalize_draft(ctx, invoice)
        if ctx.world.settings.auto_send and is_payable(invoice):
            return
    emit(ctx, [("invoice.sent", None)], invoice)


def pay(call: Call) -> Json:
    """POST /v1/invoices/{id}/pay: by an imaginary card, or out of band."""
    invoice = find_invoice(call.realm, call.args[0])
    if invoice["status"] == "paid":
        raise refused(ALREADY_PAID)
    if invoice["status"] == "void":
        raise refused(NOT_OPEN)
    if invoice["status"] == "draft":
        finalize_draft(call, invoice)
    if is_payable(invoice):
        _pay_open(call, invoice)
    return invoice


def _pay_open(call: Call, invoice: Json) -> None:
    if call.params.get("paid_out_of_band"):
        pay_invoice(call, invoice, out_of_band=True)
    elif call.params.get("payment_method") in _DECLINED:
        _decline(call, invoice)
    else:
        pay_invoice(call, invoice, out_of_band=False)


def pay_invoice(ctx: Context, invoice: Json, *, out_of_band: bool) -> None:
    """Settle what remains; out of band there is `invoice.paid` only, without a payment (facts §39, table)."""
    before = dict(invoice)
    paid = invoice["amount_remaining"]
    invoice["amount_paid"] += paid
    invoice["amount_remaining"] = 0
    if out_of_band:
        invoice["amount_paid_off_stripe"] += paid
    else:
        invoice["attempted"] = True
        invoice["attempt_count"] += 1
    _mark_paid(ctx, invoice)
    payment = record_payment(ctx, invoice, paid, out_of_band=out_of_band)
    kinds: list[tuple[str, Json | None]] = [
        ("invoice.updated", changed_members(before, invoice)),
        ("invoice.paid", None),
    ]
    if not out_of_band:
        kinds.append(("invoice.payment_succeeded", None))
    emit(ctx, kinds, invoice)
    if not out_of_band:
        emit(ctx, [("invoice_payment.paid", None)], payment)


def _decline(call: Call, invoice: Json) -> None:
    before = dict(invoice)
    invoice["attempted"] = True
    invoice["attempt_count"] += 1
    emit(call, [("invoice.updated", changed_members(before, invoice)), ("invoice.payment_failed", None)], invoice)
    raise ApiError(402, "Your card was declined.", kind="card_error", code="card_declined")


def void(call: Call) -> Json:
    """POST /v1/invoices/{id}/void: the amounts stay as they were (sample 15)."""
    invoice = find_invoice(call.realm, call.args[0])
    if invoice["status"] == "paid":
        raise refused(PAID_NOT_VOIDABLE)
    if invoice["status"] not in PAYABLE:
        raise refused(NOT_OPEN)
    _move(call, invoice, "void", "voided_at")
    return invoice


def mark_uncollectible(call: Call) -> Json:
    """POST /v1/invoices/{id}/mark_uncollectible."""
    invoice = find_invoice(call.realm, call.args[0])
    if invoice["status"] != "open":
        raise refused(NOT_OPEN)
    details: Json = {"uncollectible": {"reason": "marked_uncollectible"}}
    _move(call, invoice, "uncollectible", "marked_uncollectible_at", details)
    return invoice


def _move(ctx: Context, invoice: Json, status: str, stamp: str, details: Json | None = None) -> None:
    before = dict(invoice)
    invoice["status"] = status
    invoice["status_details"] = details
    invoice["auto_advance"] = False
    invoice["status_transitions"] = invoice["status_transitions"] | {stamp: ctx.world.clock.stamp()}
    emit(
        ctx,
        [("invoice.updated", changed_members(before, invoice)), (f"invoice.{stamp.removesuffix('_at')}", None)],
        invoice,
    )


def check_payable(amount: int, code: str) -> None:
    """Refuse an amount that cannot be paid in its currency (facts §33, §34)."""
    step = payable_step(code)
    if amount % step:
        raise refused(f"Invalid amount: amounts in {code} must be a multiple of {step}.", param="amount")
