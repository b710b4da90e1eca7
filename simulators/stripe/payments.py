"""Invoice payments: what paid an invoice, for `expand[]=payments` and the look-up by payment (Stripe facts §8, §44)."""

from simulators.stripe.errors import missing
from simulators.stripe.paging import list_body, list_objects
from simulators.stripe.params import PAGING, Check, hash_of, one_of, text, time_range
from simulators.stripe.state import Call, Context, Json, Realm

_KINDS = ("payment_intent", "charge", "payment_record")
LIST: dict[str, Check] = {
    **PAGING, "invoice": text(), "created": time_range, "status": one_of("canceled", "open", "paid"),
    "payment": hash_of({"type": one_of(*_KINDS), **dict.fromkeys(_KINDS, text())}),
}  # fmt: skip


def record_payment(ctx: Context, invoice: Json, amount: int, *, out_of_band: bool) -> Json:
    """Keep one payment of an invoice; what came from outside is a payment record."""
    now = ctx.world.clock.stamp()
    kind, prefix = ("payment_record", "pr") if out_of_band else ("payment_intent", "pi")
    payment: Json = {
        "id": ctx.world.ids.new("inpay"),
        "object": "invoice_payment",
        "amount_paid": amount,
        "amount_requested": amount,
        "created": now,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": ctx.realm.livemode,
        "payment": {"type": kind, kind: ctx.world.ids.new(prefix)},
        "status": "paid",
        "status_transitions": {"canceled_at": None, "paid_at": now},
    }
    ctx.realm.payments.add(payment["id"], payment)
    ctx.realm.payments_of.setdefault(invoice["id"], []).append(payment)
    return payment


def payments_list(realm: Realm, invoice: str) -> Json:
    """Build the list that `expand[]=payments` shows on an invoice."""
    held = realm.payments_of.get(invoice, [])
    return list_body(held[::-1], has_more=False, url="/v1/invoice_payments") | {"total_count": len(held)}


def get(call: Call) -> Json:
    """GET /v1/invoice_payments/{id}."""
    found = call.realm.payments.get(call.args[0])
    if found is None:
        raise missing("invoice_payment", call.args[0], "invoice_payment")
    return found


def listing(call: Call) -> Json:
    """GET /v1/invoice_payments, also `payment[type]=payment_intent&payment[payment_intent]=…`."""
    invoice, status, wanted = (call.params.get(name) for name in ("invoice", "status", "payment"))

    def is_wanted(held: Json) -> bool:
        return (
            invoice in {None, held["invoice"]}
            and status in {None, held["status"]}
            and all(held["payment"].get(name) == value for name, value in (wanted or {}).items())
        )

    return list_objects(call.realm.payments, call.params, "/v1/invoice_payments", is_wanted)
