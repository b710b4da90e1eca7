"""The sweeper: reads what Stripe, the ledger and Business Central say of many invoices, and tells what it finds.

It repairs nothing by itself: a finding comes to the head topic, and repair is the normal path. Costs one request
to Business Central for each 50 invoices, and one more for each whose document has lost its number, is gone, or has
another total since it was posted.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from connectors.business_central.models import SalesInvoice
from hub.clock import Clock
from hub.directory import Snapshot
from hub.document_owners import name_owner
from hub.learned import LearnedFacts
from hub.ledger import Ledger
from hub.posted import needs_lines
from hub.waiting import RedisWaitingSet
from mapping.document_header import build_external_document_number, get_document_kind
from mapping.eligibility import GoOn, get_issue_time
from schemas.errors import Refused
from schemas.messages import DocumentKind
from schemas.stripe_objects import Invoice
from services.ingest.findings import (
    Finding,
    Views,
    compare,
    decide_listed,
    explain,
    get_last_change,
    get_total,
    is_sent,
)
from services.ingest.history import History, Look

# Four full look-ups: what history may have under way at once.
_AT_ONCE = 200


class BcReader(Protocol):
    """Looks documents up."""

    async def find_invoices(self, external_document_number: str, *, kind: DocumentKind) -> tuple[SalesInvoice, ...]:
        """Return all documents of a kind with this external document number; many at once travel together."""
        ...

    async def fetch_invoice(self, id: str, *, kind: DocumentKind, with_lines: bool = False) -> SalesInvoice | None:  # noqa: A002
        """Return the document, or None if it does not exist (any more)."""
        ...


@dataclass(frozen=True)
class Sweeper:
    """Compares the invoices of one connection."""

    snapshot: Snapshot
    bc: BcReader
    ledger: Ledger
    waiting: RedisWaitingSet
    learned: LearnedFacts
    clock: Clock
    settling: timedelta = timedelta(0)
    """An invoice that has changed since is left out: it is on its way."""

    async def sweep(self, invoices: AsyncIterator[Invoice]) -> AsyncIterator[Finding]:
        """Yield a finding for each invoice, fine or not; drafts in Stripe are left out."""
        batch: list[Invoice] = []
        async for invoice in invoices:
            if invoice.status != "draft" and get_last_change(invoice) <= self.clock.now() - self.settling:
                batch.append(invoice)
            if len(batch) == _AT_ONCE:
                for finding in await self._compare_all(batch):
                    yield finding
                batch = []
        for finding in await self._compare_all(batch):
            yield finding

    async def _compare_all(self, batch: Sequence[Invoice]) -> list[Finding]:
        waits = await self.waiting.find(self.snapshot.connection.id, [invoice.id for invoice in batch])
        read = await asyncio.gather(*(self._read(invoice, waits=invoice.id in waits) for invoice in batch))
        # All at once, so that the look-ups travel together.
        views = await asyncio.gather(*(self._look(one) for one in read))
        for one in views:
            await self._learn(one)
        prefix, dry_run = self.snapshot.settings.metadata_prefix, self.snapshot.connection.dry_run
        return [compare(one, prefix=prefix, dry_run=dry_run) for one in views]

    async def _learn(self, views: Views) -> None:
        """Remember what posting rounds totals to, where a document shows it and it was not known."""
        now = explain(views)
        if now is not None and views.known is not None and now.precision not in {None, views.precision}:
            company, currency = self.snapshot.connection.company_key, views.invoice.currency
            await self.learned.save_posting_precision(company, currency, now.precision, views.known.posting_date)

    async def _read(self, invoice: Invoice, *, waits: bool) -> Views:
        record = await self.ledger.load_invoice(self.snapshot.connection.id, invoice.id)
        due = decide_listed(self.snapshot, invoice, record, self.clock.now())
        return Views(invoice, record, due, waits)

    async def _look(self, views: Views) -> Views:
        """Look into Business Central, where something of the invoice can be there."""
        document = views.record.state.document
        if views.waits or (document is None and not isinstance(views.due, GoOn)):
            return views
        documents = await self._find(views.invoice)
        if document is None:
            return replace(views, documents=documents)
        known = next((one for one in documents if one.id.lower() == document.id.lower()), None)
        # Its number may have been changed there, or the settings that it is made by.
        known = known or await self.bc.fetch_invoice(document.id, kind=document.kind)
        total = get_total(views.invoice)
        if known is not None and total is not None and needs_lines(known, total):
            known = await self.bc.fetch_invoice(document.id, kind=document.kind, with_lines=True) or known
        company, currency = self.snapshot.connection.company_key, views.invoice.currency
        precision = await self.learned.load_posting_precision(company, currency)
        return replace(views, documents=documents, known=known, precision=precision)

    async def _find(self, invoice: Invoice) -> tuple[SalesInvoice, ...]:
        try:
            number = build_external_document_number(invoice, self.snapshot.settings.invoices)
        except Refused:
            return ()  # no document can carry it
        found = await self.bc.find_invoices(number, kind=get_document_kind(invoice))
        if not found:
            return ()
        connection = self.snapshot.connection
        owner = name_owner(connection.id, invoice.id)
        await self.ledger.claim_past(connection.company_key, connection.id)
        owners = await self.ledger.owners(connection.company_key).find([one.id for one in found])
        # Another invoice may have the same number, and its own document.
        return tuple(one for one in found if owners.get(one.id.lower(), owner) == owner)


@dataclass(frozen=True)
class Announcer:
    """Has findings looked at, by the path that everything takes."""

    ledger: Ledger
    history: History
    clock: Clock

    async def announce(self, snapshot: Snapshot, finding: Finding) -> bool:
        """Bring a finding, if something follows from it. What only an event had told is recorded first: it was sent.

        Raises:
            RetrySoon: the ledger did not take it.
        """
        if finding.event_type is None:
            return False
        connection, invoice, now = snapshot.connection.id, finding.invoice, self.clock.now()
        record = await self.ledger.load_invoice(connection, invoice.id)
        if record.sent_at is None and is_sent(invoice, record, now):
            await self.ledger.record_sent(connection, invoice.id, get_issue_time(invoice))
        await self.history.bring(connection, invoice.id, Look("sweep", finding.event_type, now, finding.words), now)
        return True
