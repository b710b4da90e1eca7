"""Sales invoices and credit memos: looked for by number, read, created with their lines in one request, deleted."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

from connectors.business_central.answers import parse_all, parse_object, parse_page, parse_record
from connectors.business_central.channel import BeforeSend, Channel, Request, follow
from connectors.business_central.errors import Call, RawAnswer, classify_failure
from connectors.business_central.exact_json import parse_json
from connectors.business_central.lookups import BatchLimits, CoalescedLookups, TakeValues
from connectors.business_central.models import Answer, DimensionedDocument, DimensionEntry, SalesInvoice
from connectors.business_central.odata import build_equals_any, is_filter_language, normalize_code, parse_guid
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

    async def update_invoice(
        self,
        id: str,  # noqa: A002 - its name in BC
        fields: Mapping[str, Any],
        *,
        kind: DocumentKind = "invoice",
        etag: str,
    ) -> SalesInvoice | Literal["changed", "gone"]:
        """Change header fields of a draft, unless it was changed since the etag was read. Returns it as it is then.

        Raises:
            Refused: Business Central does not take them.
            InDoubt: they may have been written; asking again with the same etag changes nothing twice.
        """
        entity, lines = _SETS[kind]
        url = self._company_url(f"{entity}({parse_guid(id) or quote(id)})", expand=lines)
        call = Call("PATCH", "invoice", by_id=True)
        answer = await self._change(Request(call, url, {"If-Match": etag}, fields))
        if isinstance(answer, str):
            return answer
        return parse_record(call, SalesInvoice, parse_object(call, answer), answer)

    async def update_invoice_line(
        self,
        id: str,  # noqa: A002 - its name in BC
        fields: Mapping[str, Any],
        *,
        kind: DocumentKind = "invoice",
        etag: str,
    ) -> Literal["written", "changed", "gone"]:
        """Change fields of a draft's line, unless it was changed since the etag was read.

        Raises:
            Refused: Business Central does not take them.
            InDoubt: they may have been written.
        """
        url = self._record_url(_SETS[kind][1], id)
        answer = await self._change(Request(Call("PATCH", "invoice", by_id=True), url, {"If-Match": etag}, fields))
        return answer if isinstance(answer, str) else "written"

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

    async def set_dimensions(
        self,
        id: str,  # noqa: A002
        wanted: Mapping[str, str],
        *,
        kind: DocumentKind = "invoice",
    ) -> tuple[str, ...]:
        """Give a document and its lines dimensions that have no header field: codes of values by codes of dimensions.

        Lines take the header's dimensions over only when they are made, and what is posted to their accounts has the
        lines' own. Customer and item may have brought some, so all are read first; asking again changes nothing.
        Returns the codes of those that have another value all the same.

        Raises:
            Refused: a dimension or value does not exist, or the document is gone.
            InDoubt: one may have been set; ask again.
        """
        entity, lines = _SETS[kind]
        path = f"{entity}({parse_guid(id) or quote(id)})"
        is_as_asked = True
        for owner, held in _list_owners(path, lines, await self._read_dimensions(path, lines)):
            is_as_asked &= await self._set_dimensions(owner, held, wanted)
        if is_as_asked:
            return ()
        # The answer to a write may be another's: what is there decides.
        owners = _list_owners(path, lines, await self._read_dimensions(path, lines))
        found = [{entry.code: entry.value_code for entry in held} for _, held in owners]
        return tuple(code for code, value in wanted.items() if any(one.get(code) != value for one in found))

    async def _read_dimensions(self, path: str, lines: str) -> DimensionedDocument:
        call = Call("GET", "invoice", by_id=True)
        expand = f"dimensionSetLines,{lines}($expand=dimensionSetLines)"
        request = Request(call, self._company_url(path, select="id", expand=expand), FROM_THE_SOURCE)
        answer = await self._send(request)
        return parse_record(call, DimensionedDocument, parse_object(call, answer), answer)

    async def _set_dimensions(self, owner: str, held: Sequence[DimensionEntry], wanted: Mapping[str, str]) -> bool:
        """Write what differs; False if an answer shows otherwise than was asked."""
        known = {entry.code: entry for entry in held}
        is_as_asked = True
        for code, value in wanted.items():
            entry = known.get(code)
            if entry is None:
                url, body = self._company_url(f"{owner}/dimensionSetLines"), {"code": code, "valueCode": value}
                answer = await self._send(Request(Call("POST", "dimension"), url, body=body))
            elif entry.value_code != value:
                url = self._company_url(f"{owner}/dimensionSetLines({entry.id})")
                change = Request(Call("PATCH", "dimension"), url, {"If-Match": "*"}, {"valueCode": value})
                answer = await self._send(change)
            else:
                continue
            is_as_asked &= _shows_dimension(answer, code, value)
        return is_as_asked

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
        _require_asked(call, found, numbers)
        return {
            number: tuple(one for one in found if normalize_code(one.external_document_number) == number)
            for number in numbers
        }


def _require_asked(call: Call, found: Sequence[SalesInvoice], numbers: Sequence[str]) -> None:
    """Make sure that a list is this request's answer: taken for one, another's would say that nothing is there.

    Business Central reads some signs in a number as a filter, which may find others.
    """
    is_plain = not any(is_filter_language(number) for number in numbers)
    if found and is_plain and all(normalize_code(one.external_document_number) not in numbers for one in found):
        raise classify_failure(call, RawAnswer(200))


def _list_owners(path: str, lines: str, document: DimensionedDocument) -> list[tuple[str, Sequence[DimensionEntry]]]:
    """List what bears dimensions, by its path: a document and its lines, but for comments, which are posted nowhere."""
    priced = [line for line in document.lines if line.line_type != "Comment"]
    return [(path, document.dimensions), *((f"{path}/{lines}({line.id})", line.dimensions) for line in priced)]


def _shows_dimension(answer: RawAnswer, code: str, value: str) -> bool:
    """Tell whether an answer shows the dimension as it was asked for; one that shows none says nothing against it."""
    try:
        body = parse_json(answer.content)
    except ValueError:
        return not answer.content
    return isinstance(body, dict) and (body.get("code", code), body.get("valueCode", value)) == (code, value)
