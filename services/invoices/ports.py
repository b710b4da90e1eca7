"""What invoices needs of the remote systems, as narrow as its use."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol

from connectors.business_central.models import Answer, SalesInvoice
from hub.directory import Snapshot
from schemas.stripe_objects import Invoice


class BcInvoices(Protocol):
    """Finds, creates and deletes sales invoices."""

    async def find_invoices(self, external_document_number: str) -> tuple[SalesInvoice, ...]:
        """Return all invoices with this external document number, drafts and posted."""
        ...

    async def fetch_invoice(self, id: str, *, with_lines: bool = False) -> SalesInvoice | None:  # noqa: A002
        """Return the invoice, or None if it does not exist (any more)."""
        ...

    async def create_invoice(
        self, payload: Mapping[str, Any], *, before_send: Callable[[], Awaitable[None]]
    ) -> Answer[SalesInvoice]:
        """Create a draft. Raises InDoubt when it may have been created."""
        ...

    async def delete_invoice(self, id: str, *, etag: str) -> Literal["deleted", "changed", "gone"]:  # noqa: A002
        """Delete a draft unless it was changed since the etag was read."""
        ...

    async def release_slot(self, name: str) -> None:
        """Free the slot that a write in doubt keeps."""
        ...


class StripeInvoices(Protocol):
    """Reads invoices."""

    async def fetch_invoice(self, invoice_id: str) -> Invoice | None:
        """Return the invoice with all its lines, or None if it does not exist (any more)."""
        ...


class Remotes(Protocol):
    """Gives the clients of a connection."""

    def stripe(self, snapshot: Snapshot) -> StripeInvoices:
        """Return the connection's Stripe client."""
        ...

    def business_central(self, snapshot: Snapshot, *, live: bool) -> BcInvoices:
        """Return the connection's Business Central client; not `live`: one that leaves room to live traffic."""
        ...
