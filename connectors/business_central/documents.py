"""Sales invoices and credit memos: looked for by number, read, created with their lines in one request, deleted."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

from connectors.business_central.answers import parse_all, parse_page
from connectors.business_central.channel import BeforeSend, Channel, Request, follow
from connectors.business_central.errors import Call
from connectors.business_central.lookups import BatchLimits, CoalescedLookups, TakeValues
from connectors.business_central.models import Answer, SalesInvoice
from connectors.business_central.odata import build_equals_any, normalize_code, parse_guid
from connectors.business_central.records import FROM_THE_SOURCE, CompanyRecords
from schemas.errors import Refused
from schemas.messages import DocumentKind

_NUMBER_LENGTH = 35
_SETS: dict[DocumentKind, tuple[str, str]] = {
    "invoice": ("salesInvoices", "salesInvoiceLines"),
    "credit_memo": ("salesCreditMemos", "salesCreditMemoLines"),
}


class Documents(CompanyRecords):
    """The sales invoices and credit memos of a company, drafts and posted. Each method takes the kind."""

    def __init__(self, channel: Channel, company_id: str | None, batches: BatchLimits | None) -> None:
        super().__init__(channel, company_id, batches)
        self._documents: dict[DocumentKind, CoalescedLookups[tuple[SalesInvoice, ...]]] = {
            kind: CoalescedLookups(
                partial(self._ask_for_documents, kind), limits=batches, cost=lambda value: len(quote(value)) + 2
            )
            for kind in _SETS
        }

    async def find_invoices(
        self, external_document_number: str, *, kind: DocumentKind = "invoice"
    ) -> tuple[SalesInvoice, ...]:
        """Return all documents, drafts and posted, with this external document number, without lines.

        Calls at the same time are merged into one request. Case and outer blanks don't count, as in Business Central.

        Raises:
            Refused: the number is longer than the field, so no document can carry it.
            ValueError: the number is empty, which would find every document without one.
        """
        number = normalize_code(external_document_number)
        if not number:
            raise ValueError("an empty external document number identifies nothing")
        if len(number) > _NUMBER_LENGTH:
            raise Refused(
                f"The external document number {number!r} is longer than Business Central's "
                f"{_NUMBER_LENGTH} characters.",
                code="bc.document_number.too_long",
                fix="Shorten the prefix in the hub's settings, or the numbering in Stripe; then replay.",
            )
        return await self._documents[kind].find(number, live=self._live)

    async def fetch_invoice(
        self,
        id: str,  # noqa: A002 - its name in BC
        *,
        kind: DocumentKind = "invoice",
        with_lines: bool = False,
    ) -> SalesInvoice | None:
        """Return the document, draft or posted, or None if it does not exist (any more)."""
        entity, lines = _SETS[kind]
        options = {"expand": lines} if with_lines else {}
        return await self._fetch_by_id(SalesInvoice, entity, id, Call("GET", "invoice", by_id=True), **options)

    async def create_invoice(
        self, payload: Mapping[str, Any], *, kind: DocumentKind = "invoice", before_send: BeforeSend
    ) -> Answer[SalesInvoice]:
        """Create a draft with its lines in one request. Not idempotent: look first.

        Whether the answer holds the lines is Business Central's choice.

        Raises:
            InDoubt: it may have been created.
        """
        entity, lines = _SETS[kind]
        request = Request(Call("POST", "invoice"), self._company_url(entity, expand=lines), body=payload)
        return await self._create(SalesInvoice, request, before_send)

    async def delete_invoice(
        self,
        id: str,  # noqa: A002 - its name in BC
        *,
        kind: DocumentKind = "invoice",
        etag: str,
    ) -> Literal["deleted", "changed", "gone"]:
        """Delete a draft unless it was changed since the etag was read. `gone`: it did not exist.

        Raises:
            Refused: Business Central does not allow it, for example because the document is posted.
            InDoubt: it may have been deleted.
        """
        url = self._record_url(_SETS[kind][0], id)
        answer = await self._change(Request(Call("DELETE", "invoice", by_id=True), url, {"If-Match": etag}))
        return answer if isinstance(answer, str) else "deleted"

    async def set_dimensions(self, id: str, wanted: Mapping[str, str], *, kind: DocumentKind = "invoice") -> None:  # noqa: A002
        """Give a document dimensions it has no header field for: codes of values by codes of dimensions.

        It may have some from its customer already, so they are read first; asking again changes nothing.

        Raises:
            Refused: a dimension or value does not exist.
            InDoubt: one may have been set; ask again.
        """
        path = f"{_SETS[kind][0]}({parse_guid(id) or quote(id)})/dimensionSetLines"
        listed = Request(Call("GET", "list"), self._company_url(path), FROM_THE_SOURCE)
        held = {str(row["code"]): row for row in await self._rows(listed)}
        for code, value in wanted.items():
            row = held.get(code)
            if row is None:
                body = {"code": code, "valueCode": value}
                request = Request(Call("POST", "dimension"), self._company_url(path), body=body)
            elif row["valueCode"] == value:
                continue
            else:
                url = self._company_url(f"{path}({row['id']})")
                request = Request(Call("PATCH", "dimension"), url, {"If-Match": "*"}, {"valueCode": value})
            await self._send(request)

    async def _ask_for_documents(
        self, kind: DocumentKind, take: TakeValues, live: bool
    ) -> Mapping[str, tuple[SalesInvoice, ...]]:
        call = Call("GET", "invoice")
        async with self._channel.turn(live=live) as turn:
            numbers = take()
            if not numbers:
                return {}
            url = self._company_url(_SETS[kind][0], filter=build_equals_any("externalDocumentNumber", numbers))
            request = Request(call, url, FROM_THE_SOURCE)
            rows, link = parse_page(call, await turn.send(request))
        rows += await self._rows(follow(request, link), live=live) if link else []
        found = parse_all(call, SalesInvoice, rows)
        return {
            number: tuple(one for one in found if normalize_code(one.external_document_number) == number)
            for number in numbers
        }
