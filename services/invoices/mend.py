"""Mends a draft that Business Central has made otherwise than it was asked to: one more write, under its etag.

Only what our own request has just made is mended. What can't be made right is for the caller to tell, or to refuse.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from connectors.business_central.models import SalesInvoice
from hub.clock import Clock
from mapping.answers import build_mend
from mapping.sales_documents import LINES_FIELD, MappedDocument
from schemas.errors import Refused
from schemas.messages import Attempt
from services.invoices.judge import (
    ENTITIES,
    bears_number,
    complete_dates,
    find_differences,
    find_line_mends,
    passes_gate,
)
from services.invoices.ports import BcInvoices

T = TypeVar("T")

# What changes every line of a long invoice is not undone line by line.
_MOST_LINES = 20


@dataclass
class DraftMender:
    """Mends one draft."""

    bc: BcInvoices
    clock: Clock
    mapped: MappedDocument
    attempts: list[Attempt]

    async def mend(self, document: SalesInvoice) -> SalesInvoice:
        """Return the draft as it is afterwards; the same where there is nothing to mend.

        Raises:
            InDoubt: it may have been changed.
        """
        if not passes_gate(document, self.mapped):
            document = await self._mend_lines(document)
        return await self._mend_header(document)

    async def _mend_lines(self, document: SalesInvoice) -> SalesInvoice:
        mends = find_line_mends(document, self.mapped)
        if not 0 < len(mends) <= _MOST_LINES:
            return document
        for line, fields in mends:
            write = self.bc.update_invoice_line(line.id, fields, kind=self.mapped.kind, etag=line.etag)
            await self._write(f"{LINES_FIELD[self.mapped.kind]}({line.id})", fields, write)
        return await self._read_again(document)

    async def _mend_header(self, document: SalesInvoice) -> SalesInvoice:
        fields = complete_dates(build_mend(self.mapped.payload, find_differences(document, self.mapped)), self.mapped)
        if not bears_number(document, self.mapped.external_document_number):
            fields["externalDocumentNumber"] = self.mapped.external_document_number
        if not fields:
            return document
        write = self.bc.update_invoice(document.id, fields, kind=self.mapped.kind, etag=document.etag)
        answer = await self._write(f"{ENTITIES[self.mapped.kind]}({document.id})", fields, write)
        # Its own answer may be stale, or another's: what it does not show as it should be is read again.
        if isinstance(answer, SalesInvoice) and answer.id == document.id and self._is_right(answer):
            return answer
        return await self._read_again(document)

    async def _write(self, path: str, fields: Mapping[str, Any], write: Awaitable[T]) -> T | None:
        """Write, and note the attempt; None where Business Central does not take it: a note tells what is left."""
        sent = self.clock.now()
        try:
            answer = await write
        except Refused as error:
            said = {"code": error.code, "message": error.message}
            self.attempts.append(Attempt(at=sent, request=f"PATCH {path}", payload=dict(fields), answer=said))
            return None
        ending = answer if isinstance(answer, str) else "written"
        self.attempts.append(Attempt(at=sent, request=f"PATCH {path}", payload=dict(fields), answer={"ending": ending}))
        return answer

    def _is_right(self, document: SalesInvoice) -> bool:
        return (
            bears_number(document, self.mapped.external_document_number)
            and passes_gate(document, self.mapped)
            and not find_differences(document, self.mapped)
        )

    async def _read_again(self, document: SalesInvoice) -> SalesInvoice:
        return await self.bc.fetch_invoice(document.id, kind=self.mapped.kind, with_lines=True) or document
