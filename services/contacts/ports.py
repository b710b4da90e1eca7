"""What contacts needs of the remote systems, as narrow as its use."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from connectors.business_central.models import Answer, Customer, CustomerPage
from hub.directory import Snapshot
from hub.materials import BcLists, StripeCatalog
from schemas.stripe_objects import Invoice


class StripeInvoices(StripeCatalog, Protocol):
    """Reads invoices."""

    async def fetch_invoice(self, invoice_id: str) -> Invoice | None:
        """Return the invoice with all its lines, or None if it does not exist (any more)."""
        ...


class CustomerReader(BcLists, Protocol):
    """Reads customers, and the company's lists."""

    async def fetch_customer(self, id: str) -> Customer | None:  # noqa: A002 - its name in BC
        """Return the customer, or None if it does not exist."""
        ...

    async def fetch_customers(self, ids: Sequence[str]) -> tuple[Customer, ...]:
        """Return those of the customers that exist."""
        ...

    def list_customers(self, changed_since: datetime | None = None) -> AsyncIterator[CustomerPage]:
        """Yield all customers, or those that were changed since, page by page."""
        ...


class BcCustomers(CustomerReader, Protocol):
    """Reads, creates and changes customers."""

    async def create_customer(
        self, payload: Mapping[str, Any], *, before_send: Callable[[], Awaitable[None]]
    ) -> Answer[Customer]:
        """Create a customer. Raises InDoubt when it may have been created."""
        ...

    async def update_customer(
        self,
        id: str,  # noqa: A002 - its name in BC
        payload: Mapping[str, Any],
        *,
        etag: str,
    ) -> Customer | Literal["changed", "gone"]:
        """Change fields, unless the customer was changed since the etag was read. Raises InDoubt."""
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
