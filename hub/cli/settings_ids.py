"""What the settings name in Stripe, looked up there: a tax rate, product or customer that is misspelt never fits."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from schemas.errors import Blocked
from schemas.settings import Settings
from schemas.stripe_objects import Customer, Price, Product, TaxRate

Kind = Literal["tax rate", "product", "price", "customer"]
# One request each; tables can have hundreds of rows, and services ask Stripe, too.
_AT_ONCE = 4
_FORBIDDEN = "stripe.credentials.forbidden"


class StripeObjects(Protocol):
    """Reads what settings can name. None: it does not exist."""

    async def fetch_tax_rate(self, tax_rate_id: str) -> TaxRate | None:
        """Return a tax rate."""
        ...

    async def fetch_product(self, product_id: str) -> Product | None:
        """Return a product."""
        ...

    async def fetch_price(self, price_id: str) -> Price | None:
        """Return a price."""
        ...

    async def fetch_customer(self, customer_id: str) -> Customer | None:
        """Return a customer."""
        ...


@dataclass(frozen=True)
class StripeId:
    """An id in the settings, and where it stands."""

    path: str
    kind: Kind
    id: str


def list_new_ids(settings: Settings, stored: Settings | None) -> list[StripeId]:
    """List the ids that were not named before: what was sold once may have been deleted since."""
    known = {one.id for one in list_ids(stored)} if stored is not None else set[str]()
    return [one for one in list_ids(settings) if one.id not in known]


def list_ids(settings: Settings) -> list[StripeId]:
    """List the ids that the settings name. A table is by products and prices."""
    rules = enumerate(settings.invoices.tax.rules, start=1)
    return [
        *(
            StripeId("invoices.products.table", "price" if key.startswith("price_") else "product", key)
            for key in settings.invoices.products.table
        ),
        *(
            StripeId(f"invoices.tax.rules, number {number}: tax_rate", "tax rate", rule.tax_rate)
            for number, rule in rules
            if rule.tax_rate is not None
        ),
        *(StripeId("skip.customers", "customer", one) for one in settings.skip.customers),
    ]


async def find_missing(stripe: StripeObjects, ids: Iterable[StripeId]) -> list[str]:
    """Say of each id that the account does not have that it never fits. What the key may not read is left out.

    Raises:
        HubError: Stripe does not answer.
    """
    room = asyncio.Semaphore(_AT_ONCE)

    async def look(one: StripeId) -> str:
        async with room:
            if await _exists(stripe, one):
                return ""
        return f"{one.path}: Stripe has no {one.kind} {one.id} in this account and mode."

    found = await asyncio.gather(*(look(one) for one in ids))
    return [problem for problem in found if problem]


async def _exists(stripe: StripeObjects, one: StripeId) -> bool:
    fetch: dict[Kind, Callable[[str], Awaitable[object | None]]] = {
        "tax rate": stripe.fetch_tax_rate,
        "product": stripe.fetch_product,
        "price": stripe.fetch_price,
        "customer": stripe.fetch_customer,
    }
    try:
        if await fetch[one.kind](one.id) is not None:
            return True
        # An old price is called as somebody liked.
        return one.kind == "product" and await stripe.fetch_price(one.id) is not None
    except Blocked as error:
        if error.code != _FORBIDDEN:
            raise
        return True
