"""Usage counted again from what Stripe's metadata say and Business Central still holds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from connectors.business_central.models import SalesInvoice
from hub.app import Foundation
from hub.cli.replay import find_in_window
from hub.directory import Snapshot
from hub.ledger import Ledger
from hub.told_draft import ToldDraft, read_told_draft
from hub.usage import Counted, Usage
from mapping.document_header import build_external_document_number, get_document_kind
from schemas.errors import Refused
from schemas.messages import DocumentKind
from schemas.stripe_objects import Invoice

# The look-ups of so many travel in a few requests.
_AT_ONCE = 200


class BcDocuments(Protocol):
    """Looks documents up."""

    async def fetch_invoice(
        self,
        id: str,  # noqa: A002 - its name in BC
        *,
        kind: DocumentKind = "invoice",
        with_lines: bool = False,
    ) -> SalesInvoice | None:
        """Return the document, or None if it does not exist (any more)."""
        ...

    async def find_invoices(
        self, external_document_number: str, *, kind: DocumentKind = "invoice"
    ) -> tuple[SalesInvoice, ...]:
        """Return all documents of a kind with this external document number."""
        ...


@dataclass(frozen=True)
class Rebuilt:
    """How many invoices say that they were synced."""

    added: int = 0
    known: int = 0
    unproved: int = 0
    """Business Central has no document of theirs any more: they may have counted, and are left out."""


@dataclass(frozen=True)
class UsageRebuilder:
    """Counts for one connection."""

    snapshot: Snapshot
    bc: BcDocuments
    ledger: Ledger
    usage: Usage

    async def rebuild(self, invoices: AsyncIterator[Invoice]) -> Rebuilt:
        """Count all invoices that were synced."""
        total = Rebuilt()
        batch: list[Invoice] = []
        async for invoice in invoices:
            batch.append(invoice)
            if len(batch) == _AT_ONCE:
                total, batch = await self._count_all(total, batch), []
        return await self._count_all(total, batch)

    async def _count_all(self, total: Rebuilt, batch: list[Invoice]) -> Rebuilt:
        found = await asyncio.gather(*(self._count(invoice) for invoice in batch))
        return Rebuilt(*(getattr(total, one) + found.count(one) for one in ("added", "known", "unproved")))

    async def _count(self, invoice: Invoice) -> Literal["added", "known", "unproved"] | None:
        """Count one; None if it was never synced."""
        connection = self.snapshot.connection.id
        at = (await self.ledger.load_invoice(connection, invoice.id)).state.synced_at
        if at is None:
            told = read_told_draft(invoice, self.snapshot.settings.metadata_prefix)
            if told is None or told.synced_at is None:
                return None
            if not await self._is_proved(invoice, told):
                return "unproved"
            at = told.synced_at
        return "added" if await self.usage.add(connection, Counted(invoice.id, at)) else "known"

    async def _is_proved(self, invoice: Invoice, told: ToldDraft) -> bool:
        """Metadata can be copied, or edited: the document they name must be there, and be named after the invoice."""
        kind = get_document_kind(invoice)
        # By number first, for many numbers travel in one request. The settings may have changed since.
        with suppress(Refused):
            number = build_external_document_number(invoice, self.snapshot.settings.invoices)
            found = await self.bc.find_invoices(number, kind=kind)
            if any(one.id.lower() == told.id.lower() for one in found):
                return True
        document = await self.bc.fetch_invoice(told.id, kind=kind)
        return document is not None and told.names_it(document)


async def rebuild_usage(foundation: Foundation, snapshot: Snapshot, since: datetime | None) -> Rebuilt:
    """Count what was finalized since; without it, since the go-live date."""
    rebuilder = UsageRebuilder(
        snapshot,
        foundation.clients.business_central(snapshot, live=False),
        foundation.ledger,
        Usage(foundation.redis),
    )
    stripe = foundation.clients.stripe(snapshot)
    return await rebuilder.rebuild(find_in_window(stripe, since or snapshot.connection.go_live, None))
