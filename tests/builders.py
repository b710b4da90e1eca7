"""Builders with defaults: a test names only what matters."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr, TypeAdapter

from connectors.business_central.models import Customer, SalesInvoice
from hub.directory import Snapshot
from mapping.materials import BookObject, Books, Materials, ObjectKey, PaymentTerm
from mapping.parties import Party
from schemas.connections import Connection, ConnectionSecrets
from schemas.invoice_settings import InvoiceSettings, LineTarget
from schemas.messages import Cause, ContactResolved, CustomerMatch, StripeEventReceived
from schemas.settings import Settings
from schemas.stripe_objects import Event, Invoice, Line, TaxRate

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ACCOUNT = "acct_1HubTests"
WEBHOOK_SECRET = "whsec_tests"
SETTINGS = Settings(invoices=InvoiceSettings(lines=LineTarget(type="Account", number="6110")))
CUSTOMER_ID = "7d0e1f52-63de-ee11-a1f9-6045bd8e1a10"
_EVENT = TypeAdapter(Event)
_RECORDED = Path(__file__).parent / "recorded" / "stripe"


def load_sample(prefix: str) -> dict[str, Any]:
    """Load a recorded event by the number its file begins with."""
    (path,) = _RECORDED.glob(f"{prefix}_*.*.json")
    return json.loads(path.read_text())


def read_event(event: Mapping[str, Any]) -> Event:
    """Read an event as the client reads a page of the Events API."""
    return _EVENT.validate_python(event)


def load_sample_event(prefix: str) -> Event:
    return read_event(load_sample(prefix))


def load_sample_invoice(prefix: str) -> Invoice:
    return Invoice.model_validate(load_sample(prefix)["data"]["object"])


def build_line(amount: int = 10_000, *, quantity: int | None = 1, unit: str | None = None, **changes: Any) -> Line:
    """Build a line; its unit price follows from amount and quantity unless it is given (empty: none)."""
    price = str(amount // quantity) if unit is None and quantity else unit
    return Line.model_validate(
        {
            "id": "il_1",
            "amount": amount,
            "currency": "eur",
            "description": "Consulting",
            "quantity": quantity,
            "quantity_decimal": None if quantity is None else str(quantity),
            "pricing": {"unit_amount_decimal": price or None},
        }
        | changes
    )


def build_invoice(*, lines: Sequence[Line] | None = None, at: datetime = NOW, **changes: Any) -> Invoice:
    """Build a finalized invoice of 100.00 EUR, issued at `at`."""
    chosen = lines or (build_line(),)
    seconds = int(at.timestamp())
    return Invoice.model_validate(
        {
            "id": "in_1",
            "status": "open",
            "number": "HUB-0001",
            "currency": "eur",
            "livemode": False,
            "created": seconds,
            "total": sum(_get_gross(line) for line in chosen),
            "subtotal": sum(line.amount for line in chosen),
            "customer": "cus_1",
            "customer_name": "Acme GmbH",
            "customer_email": "billing@acme.example",
            "status_transitions": {"finalized_at": seconds},
            "lines": {"data": [line.model_dump() for line in chosen], "has_more": False},
        }
        | changes
    )


def _get_gross(line: Line) -> int:
    discount = sum(part.amount for part in line.discount_amounts or ())
    on_top = sum(tax.amount for tax in line.taxes or () if tax.tax_behavior != "inclusive")
    return line.amount - discount + on_top


def build_connection(**changes: Any) -> Connection:
    values: dict[str, Any] = {
        "stripe_account": ACCOUNT,
        "livemode": False,
        "bc_tenant": "tenant",
        "bc_environment": "sandbox",
        "bc_company": "CRONUS",
        "bc_company_id": "c2a9b7f0-51de-ee11-a1f9-6045bd8e1a10",
        "bc_client_id": "app",
        "created_at": NOW - timedelta(days=90),
        "go_live": NOW - timedelta(days=60),
    }
    return Connection.model_validate(values | changes)


def build_secrets(webhook_secret: str = WEBHOOK_SECRET) -> ConnectionSecrets:
    return ConnectionSecrets(
        stripe_key=SecretStr("sk_test_tests"),
        webhook_secrets=(SecretStr(webhook_secret),),
        bc_client_secret=SecretStr("secret"),
    )


def build_snapshot(
    *, settings: Settings = SETTINGS, webhook_secret: str = WEBHOOK_SECRET, proved: bool = True, **connection: Any
) -> Snapshot:
    return Snapshot(
        connection=build_connection(**connection),
        secrets=build_secrets(webhook_secret),
        settings=settings,
        settings_version=1,
        blocks={},
        proved=proved,
    )


def build_head(
    object_id: str = "in_1",
    *,
    event_type: str = "invoice.finalized",
    cause: Cause = "webhook",
    at: datetime = NOW,
    connection: Connection | None = None,
    **changes: Any,
) -> StripeEventReceived:
    """Build a message of the head topic. Its event has an id of its own for each type and time."""
    values: dict[str, Any] = {
        "connection": (connection or build_connection()).id,
        "cause": cause,
        "object_id": object_id,
        "event_type": event_type,
        "event_id": f"evt_{event_type.replace('.', '_')}_{int(at.timestamp())}",
        "occurred_at": at,
    }
    return StripeEventReceived.model_validate(values | changes)


def build_resolved(
    invoice: Invoice | None = None, *, head: StripeEventReceived | None = None, at: datetime = NOW, **changes: Any
) -> ContactResolved:
    """Build a message of contacts.resolved."""
    chosen = invoice or build_invoice()
    origin = head or build_head(chosen.id)
    values: dict[str, Any] = {
        "connection": origin.connection,
        "invoice": chosen.model_dump(),
        "trigger": "finalized",
        "customer": build_match().model_dump(),
        "received": origin.build_wakeup().model_dump(),
        "settings_version": 1,
        "resolved_at": at,
    }
    return ContactResolved.model_validate(values | changes)


def build_match(**changes: Any) -> CustomerMatch:
    values = {"id": CUSTOMER_ID, "number": "C00010", "name": "Acme GmbH", "how": "email = billing@acme.example"}
    return CustomerMatch.model_validate(values | changes)


def build_books(**changes: Any) -> Books:
    """Build the lists of the simulators' company, as far as rules look at them."""
    values: dict[str, Any] = {
        "local_currency": "EUR",
        "decimals": {"EUR": 2, "USD": 2, "GBP": 2, "DKK": 2, "CHF": 2, "JPY": 0, "ISK": 0, "KWD": 3},
        "payment_terms": {
            "14 DAYS": PaymentTerm("pt-14", "14 DAYS", 14),
            "30 DAYS": PaymentTerm("pt-30", "30 DAYS", 30),
            "CM": PaymentTerm("pt-cm", "CM"),
        },
        "countries": frozenset({"DE", "FR", "DK", "US", "GB", "JP"}),
        "tax_codes": {"STANDARD": "tg-1", "REDUCED": "tg-2", "ZERO": "tg-3"},
        "tax_areas": {"DOMESTIC": "ta-1", "EU": "ta-2", "EXPORT": "ta-3"},
        "dimensions": {
            "DEPARTMENT": frozenset({"SALES", "PROD"}),
            "CUSTOMERGROUP": frozenset({"LARGE", "SMALL"}),
            "PROJECT": frozenset({"P-1"}),
        },
        "shortcut_dimensions": ("DEPARTMENT", "CUSTOMERGROUP"),
    }
    return Books(**(values | changes))


BOOK_OBJECTS = (
    BookObject("Account", "a-6110", "6110", "Sales, Retail"),
    BookObject("Account", "a-6120", "6120", "Sales, Reduced VAT"),
    BookObject("Account", "a-6130", "6130", "Sales, Zero VAT"),
    BookObject("Account", "a-6910", "6910", "Invoice Rounding"),
    BookObject("Account", "a-5610", "5610", "Sales VAT"),
    BookObject("Account", "a-6190", "6190", "Sales, old", unusable="is blocked"),
    BookObject("Item", "i-100", "SVC-100", "Consulting hour", unit="HOUR", tax_code="STANDARD"),
    BookObject("Item", "i-300", "SVC-300", "Book", unit="PCS", tax_code="REDUCED"),
    BookObject("Item", "i-900", "SVC-900", "Withdrawn service", unusable="is blocked"),
)


def build_materials(*more: BookObject, **changes: Any) -> Materials:
    """Build what rules look at: the simulators' accounts and items, found by number and by name, and `more` of them."""
    objects: dict[ObjectKey, tuple[BookObject, ...]] = {}
    for one in (*BOOK_OBJECTS, *more):
        objects[ObjectKey(one.type, "number", one.number)] = (one,)
        by_name = ObjectKey(one.type, "displayName", one.name)
        objects[by_name] = (*objects.get(by_name, ()), one)
    rates = {rate.id: rate for rate in (build_rate(percent) for percent in ("25", "20", "19", "8.875", "7", "0"))}
    values: dict[str, Any] = {"books": build_books(), "objects": objects, "tax_rates": rates}
    return Materials(**(values | changes))


def build_rate(percent: str, **changes: Any) -> TaxRate:
    """Build a tax rate whose id says its percentage: `txr_25`."""
    values = {"id": f"txr_{percent}", "display_name": "VAT", "percentage": percent, "country": "DE"}
    return TaxRate.model_validate(values | changes)


def build_taxes(
    amount: int, percent: str = "25", *, behavior: str = "exclusive", **changes: Any
) -> list[dict[str, Any]]:
    """Build the taxes of a line: one, of this amount in minor units."""
    tax = {"amount": amount, "tax_behavior": behavior, "tax_rate_details": {"tax_rate": f"txr_{percent}"}}
    return [tax | changes]


def build_customer(**changes: Any) -> Customer:
    values = {"id": CUSTOMER_ID, "number": "C00010", "displayName": "Acme GmbH", "email": "billing@acme.example"}
    return Customer.model_validate(values | changes)


def build_party(**changes: Any) -> Party:
    """Build the Stripe customer that `build_invoice` is for."""
    return replace(Party(id="cus_1", name="Acme GmbH", email="billing@acme.example"), **changes)


def build_draft(total: str = "100.00", **changes: Any) -> SalesInvoice:
    """Build a Business Central draft of invoice HUB-0001."""
    values: dict[str, Any] = {
        "id": "b41f77d3-82df-ee11-a1f9-6045bd8e1a10",
        "@odata.etag": 'W/"1"',
        "number": "S-INV1001",
        "externalDocumentNumber": "HUB-0001",
        "customerId": CUSTOMER_ID,
        "customerNumber": "C00010",
        "currencyCode": "EUR",
        "status": "Draft",
        "totalAmountExcludingTax": Decimal(total),
        "totalTaxAmount": Decimal(0),
        "totalAmountIncludingTax": Decimal(total),
    }
    return SalesInvoice.model_validate(values | changes)


def build_event(
    type: str = "invoice.finalized",  # noqa: A002 - its name in Stripe
    *,
    object_id: str = "in_1",
    created: datetime = NOW,
    metadata: Mapping[str, str] | None = None,
    previous: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Build an event as Stripe sends it."""
    data: dict[str, Any] = {"object": {"id": object_id, "object": "invoice", "metadata": dict(metadata or {})}}
    if previous is not None:
        data["previous_attributes"] = dict(previous)
    return {
        "id": f"evt_{type.replace('.', '_')}_{object_id}",
        "object": "event",
        "type": type,
        "created": int(created.timestamp()),
        "livemode": False,
        "api_version": "2026-10-28.endive",
        "data": data,
    } | changes
