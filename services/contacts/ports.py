"""What contacts needs of the remote systems, as narrow as its use."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from connectors.business_central.client import CustomerField
from connectors.business_central.models import Answer, Customer
from hub.directory import Snapshot
from hub.materials import BcLists, StripeCatalog
from schemas.stripe_objects import Invoice


class StripeInvoices(StripeCatalog, Protocol):
    """Reads invoices."""

    async def fetch_invoice(self, invoice_id: str) -> Invoice | None:
        """Return the invoice with all its lines, or None if it does not exist (any more)."""
        ...


class BcCustomers(BcLists, Protocol):
    """Finds and creates customers."""

    async def fetch_customer(self, id: str) -> Customer | None:  # noqa: A002 - its name in BC
        """Return the customer, or None if it does not exist."""
        ...

    async def find_customers(self, field: CustomerField, value: str, *, top: int = 10) -> tuple[Customer, ...]:
        """Return the customers whose field equals the value."""
        ...

    async def create_customer(
        self, payload: Mapping[str, Any], *, before_send: Callable[[], Awaitable[None]]
    ) -> Answer[Customer]:
        """Create a customer. Raises InDoubt when it may have been created."""
        ...

    async def release_slot(self, name: str) -> None:
        """Free the slot that a write in doubt keeps."""
        ...


class Remotes(Protocol):
    """Gives the clients of a connection."""

    def stripe(self, snapshot: Snapshot) -> StripeInvoices:
        """Return the connection's Stripe client."""
        ...

    def business_central(self, snapshot: Snapshot, *, live: bool) -> BcCustomers:
        """Return the connection's Business Central client; not `live`: one that leaves room to live traffic."""
        ...
