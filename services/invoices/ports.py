"""What invoices needs of the remote systems, as narrow as its use."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol

from connectors.business_central.models import Answer, SalesInvoice
from hub.credits import StripeCreditNotes
from hub.directory import Snapshot
from hub.materials import BcLists, StripeCatalog
from schemas.messages import DocumentKind
from schemas.stripe_objects import Invoice


class BcInvoices(BcLists, Protocol):
    """Finds, creates and deletes sales invoices."""

    async def find_invoices(self, external_document_number: str, *, kind: DocumentKind) -> tuple[SalesInvoice, ...]:
        """Return all invoices with this external document number, drafts and posted."""
        ...

    async def fetch_invoice(
        self,
        id: str,  # noqa: A002
        *,
        kind: DocumentKind,
        with_lines: bool = False,
    ) -> SalesInvoice | None:
        """Return the invoice, or None if it does not exist (any more)."""
        ...

    async def create_invoice(
        self, payload: Mapping[str, Any], *, kind: DocumentKind, before_send: Callable[[], Awaitable[None]]
    ) -> Answer[SalesInvoice]:
        """Create a draft. Raises InDoubt when it may have been created."""
        ...

    async def update_invoice(
        self,
        id: str,  # noqa: A002
        fields: Mapping[str, Any],
        *,
        etag: str,
        kind: DocumentKind,
    ) -> SalesInvoice | Literal["changed", "gone"]:
        """Change header fields of a draft unless it was changed since the etag was read; returns it as it is then."""
        ...

    async def update_invoice_line(
        self,
        id: str,  # noqa: A002
        fields: Mapping[str, Any],
        *,
        etag: str,
        kind: DocumentKind,
    ) -> Literal["written", "changed", "gone"]:
        """Change fields of a draft's line unless it was changed since the etag was read."""
        ...

    async def delete_invoice(
        self,
        id: str,  # noqa: A002
        *,
        etag: str,
        kind: DocumentKind,
    ) -> Literal["deleted", "changed", "gone"]:
        """Delete a draft unless it was changed since the etag was read."""
        ...

    async def set_dimensions(self, id: str, wanted: Mapping[str, str], *, kind: DocumentKind) -> tuple[str, ...]:  # noqa: A002
        """Give a document dimensions, by code; what it has already is left. Returns those that did not take."""
        ...

    async def release_slot(self, name: str) -> None:
        """Free the slot that a write in doubt keeps."""
        ...


class StripeInvoices(StripeCatalog, StripeCreditNotes, Protocol):
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
