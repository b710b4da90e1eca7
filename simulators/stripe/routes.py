"""The table of endpoints: which handler answers and which parameters it takes (Stripe facts §115)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulators.stripe import (
    accounts,
    catalog,
    credit_notes,
    customers,
    events,
    invoice_items,
    invoice_shape,
    invoices,
    lifecycle,
    payments,
    webhook_endpoints,
)
from simulators.stripe.params import EXPAND, ONLY_EXPAND, PAGING, Check, untouched
from simulators.stripe.state import Call

Handler = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint."""

    template: str
    handler: Handler
    params: Mapping[str, Check]
    parts: tuple[str, ...]


class Router:
    """Finds the route of a request by method and number of path segments."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, int, str], list[Route]] = {}

    def add(self, method: str, template: str, handler: Handler, params: Mapping[str, Check]) -> None:
        """Register one endpoint, e.g. `invoices/{}/lines`."""
        parts = tuple(template.split("/"))
        route = Route(f"{method} /v1/{template.replace('{}', '{id}')}", handler, params, parts)
        self._routes.setdefault((method, len(parts), parts[0]), []).append(route)

    def find(self, method: str, segments: list[str]) -> tuple[Route, list[str]] | None:
        """Return the route and the ids in its path."""
        for route in self._routes.get((method, len(segments), segments[0]), ()):
            pairs = list(zip(route.parts, segments, strict=True))
            if all(part in {"{}", segment} for part, segment in pairs):
                return route, [segment for part, segment in pairs if part == "{}"]
        return None


def build_router() -> Router:
    """Build the table of all endpoints."""
    router = Router()
    for add in (_customers, _catalog, _invoice_items, _invoices, _lifecycle, _documents, _events, _account):
        add(router)
    return router


def _customers(router: Router) -> None:
    router.add("POST", "customers", customers.create, customers.CREATE)
    router.add("GET", "customers", customers.listing, customers.LIST)
    router.add("GET", "customers/{}", customers.get, ONLY_EXPAND)
    router.add("POST", "customers/{}", customers.update, customers.UPDATE)
    router.add("DELETE", "customers/{}", customers.delete, {})
    router.add("POST", "customers/{}/tax_ids", customers.create_tax_id, customers.TAX_ID)
    router.add("GET", "customers/{}/tax_ids", customers.list_tax_ids, PAGING)
    router.add("DELETE", "customers/{}/tax_ids/{}", customers.delete_tax_id, {})


def _catalog(router: Router) -> None:
    shapes: dict[str, Mapping[str, Check]] = {
        "products": catalog.PRODUCT,
        "prices": catalog.PRICE,
        "tax_rates": catalog.TAX_RATE,
        "coupons": catalog.COUPON,
        "shipping_rates": catalog.SHIPPING_RATE,
    }
    fixed = {
        "id",
        "currency",
        "unit_amount",
        "unit_amount_decimal",
        "percentage",
        "effective_percentage",
        "inclusive",
        "percent_off",
        "amount_off",
        "billing_scheme",
        "tiers",
        "tiers_mode",
        "transform_quantity",
        "recurring",
    }
    for kind, shape in shapes.items():
        handlers = catalog.CatalogHandlers(kind)
        router.add("POST", kind, handlers.create, shape)
        router.add("GET", kind, handlers.listing, catalog.LISTING)
        router.add("GET", kind + "/{}", handlers.get, ONLY_EXPAND)
        changeable = {name: check for name, check in shape.items() if name not in fixed}
        router.add("POST", kind + "/{}", handlers.update, changeable)
    router.add("DELETE", "products/{}", catalog.CatalogHandlers("products").delete, {})


def _invoice_items(router: Router) -> None:
    router.add("POST", "invoiceitems", invoice_items.create, invoice_items.CREATE)
    router.add("GET", "invoiceitems", invoice_items.listing, invoice_items.LIST)
    router.add("GET", "invoiceitems/{}", invoice_items.get, ONLY_EXPAND)
    router.add("POST", "invoiceitems/{}", invoice_items.update, invoice_items.UPDATE)
    router.add("DELETE", "invoiceitems/{}", invoice_items.delete, {})


def _invoices(router: Router) -> None:
    router.add("POST", "invoices", invoices.create, invoice_shape.CREATE)
    router.add("GET", "invoices", invoices.listing, invoice_shape.LIST)
    router.add("GET", "invoices/{}", invoices.get, ONLY_EXPAND)
    router.add("POST", "invoices/{}", invoices.update, invoice_shape.UPDATE)
    router.add("DELETE", "invoices/{}", invoices.delete, {})
    router.add("GET", "invoices/{}/lines", invoices.list_lines, PAGING)
    router.add("POST", "invoices/{}/add_lines", invoices.add_lines, invoices.ADD_LINES)


def _lifecycle(router: Router) -> None:
    router.add("POST", "invoices/{}/finalize", lifecycle.finalize, lifecycle.FINALIZE)
    router.add("POST", "invoices/{}/send", lifecycle.send, ONLY_EXPAND)
    router.add("POST", "invoices/{}/pay", lifecycle.pay, lifecycle.PAY)
    router.add("POST", "invoices/{}/void", lifecycle.void, ONLY_EXPAND)
    router.add("POST", "invoices/{}/mark_uncollectible", lifecycle.mark_uncollectible, ONLY_EXPAND)


def _documents(router: Router) -> None:
    router.add("POST", "credit_notes", credit_notes.create, credit_notes.CREATE)
    router.add("GET", "credit_notes", credit_notes.listing, credit_notes.LIST)
    router.add("GET", "credit_notes/{}", credit_notes.get, ONLY_EXPAND)
    router.add("GET", "credit_notes/{}/lines", credit_notes.lines, PAGING)
    router.add("POST", "credit_notes/{}/void", credit_notes.void, ONLY_EXPAND)
    router.add("GET", "invoice_payments", payments.listing, payments.LIST)
    router.add("GET", "invoice_payments/{}", payments.get, ONLY_EXPAND)


def _events(router: Router) -> None:
    router.add("GET", "events", events.list_events, events.LIST)
    router.add("GET", "events/{}", events.get_event, ONLY_EXPAND)
    router.add("POST", "webhook_endpoints", webhook_endpoints.create, webhook_endpoints.CREATE)
    router.add("GET", "webhook_endpoints", webhook_endpoints.listing, PAGING)
    router.add("GET", "webhook_endpoints/{}", webhook_endpoints.get, ONLY_EXPAND)
    router.add("POST", "webhook_endpoints/{}", webhook_endpoints.update, webhook_endpoints.UPDATE)
    router.add("DELETE", "webhook_endpoints/{}", webhook_endpoints.delete, {})


def _account(router: Router) -> None:
    router.add("GET", "account", accounts.get, {"expand": EXPAND})
    router.add(
        "POST", "billing/meter_events", accounts.create_meter_event, {**accounts.METER_EVENT, "expand": untouched}
    )
