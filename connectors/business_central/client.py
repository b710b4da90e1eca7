"""The client: what the hub asks of Business Central's API v2.0, in its own words."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from copy import copy
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, Self, TypeVar, cast
from urllib.parse import quote, urlsplit

import httpx
from pydantic import ValidationError

from connectors.business_central.channel import BeforeSend, Channel, OnAnswer, Request, follow, ignore_answer
from connectors.business_central.deadlines import Deadlines
from connectors.business_central.errors import Call, RawAnswer, classify_failure
from connectors.business_central.exact_json import parse_json
from connectors.business_central.limiter import Limiter
from connectors.business_central.lookups import BatchLimits, CoalescedLookups, TakeValues
from connectors.business_central.models import (
    Account,
    Answer,
    BcRecord,
    Company,
    Customer,
    CustomerPage,
    Item,
    SalesInvoice,
)
from connectors.business_central.odata import build_equals_any, build_url, parse_guid, quote_literal
from connectors.business_central.sign_in import TokenSource
from schemas.errors import ConfigurationError, HubError, Refused, RetrySoon
from schemas.messages import DocumentKind

R = TypeVar("R", bound=BcRecord)

DOCUMENT_NUMBER_LENGTH = 35
_MOST_IDS = 50
_PAGE_SIZE = 5_000
# What customers are found by, and when they were changed.
_LISTED = (
    "id",
    "number",
    "displayName",
    "email",
    "phoneNumber",
    "taxRegistrationNumber",
    "country",
    "lastModifiedDateTime",
)
# Entity sets of documents and of their lines.
_DOCUMENTS: dict[DocumentKind, tuple[str, str]] = {
    "invoice": ("salesInvoices", "salesInvoiceLines"),
    "credit_memo": ("salesCreditMemos", "salesCreditMemoLines"),
}
# Business Central refuses a filter value that is longer than its field; nothing can be equal to it either.
_FIELD_LENGTHS = {"number": 20, "displayName": 100, "gtin": 14}
_AL_FILTER_SIGNS = frozenset("&|<>=()*?'\"%")
# A read before a write must not come from a replica, which may lag.
_FROM_THE_SOURCE = {"Data-Access-Intent": "ReadWrite"}
_MAY_LAG = {"Data-Access-Intent": "ReadOnly"}
_INVOICE_BY_ID = Call("GET", "invoice", by_id=True)


class BusinessCentralClient:
    """One company of one environment. Retries nothing but a refused token, once: the runtime does.

    Args:
        http: From `transport.build_http_client`; not closed here.
        api_base: `https://api.businesscentral.dynamics.com/v2.0`, without tenant.
        company_id: The company's GUID; None is enough for `fetch_companies`.
        limiter: Shared by all that sign in as the same app or user; None for tests alone.
        deadlines: Total times of an exchange.
        batches: How look-ups are merged.
        on_answer: Called at each successful answer.

    All methods raise HubErrors.
    """

    def __init__(
        self,
        *,
        http: httpx.AsyncClient,
        api_base: str,
        tenant: str,
        environment: str,
        company_id: str | None,
        tokens: TokenSource,
        limiter: Limiter | None,
        deadlines: Deadlines | None = None,
        batches: BatchLimits | None = None,
        on_answer: OnAnswer = ignore_answer,
    ) -> None:
        self._channel = Channel(
            http, api_base, tenant, environment, tokens, limiter, deadlines or Deadlines(), on_answer
        )
        self._company_id = company_id
        self._live = True
        self._lookups: dict[DocumentKind, CoalescedLookups[tuple[SalesInvoice, ...]]] = {
            kind: CoalescedLookups(
                partial(self._ask_for_invoices, kind), limits=batches, cost=lambda value: len(quote(value)) + 2
            )
            for kind in _DOCUMENTS
        }

    def for_history(self) -> Self:
        """Return the same client for what is of the past: all its requests leave room for live traffic."""
        other = copy(self)
        other._live = False  # noqa: SLF001 - its own copy
        return other

    async def fetch_companies(self) -> tuple[Company, ...]:
        """Return all companies of the environment."""
        request = Request(Call("GET", "company"), f"{self._channel.root}/companies", _MAY_LAG)
        return _parse_all(request.call, Company, [row async for row in self._pages(request, live=self._live)])

    async def fetch_customer(self, id: str) -> Customer | None:  # noqa: A002 - its name in BC
        """Return the customer, or None if it does not exist."""
        return await self._fetch_by_id(Customer, "customers", id, Call("GET", "customer", by_id=True))

    async def find_customer(self, number: str) -> Customer | None:
        """Return the customer with this number, without regard to case and outer blanks."""
        wanted = number.strip()
        if not wanted or len(wanted) > _FIELD_LENGTHS["number"]:
            return None
        (condition,) = _build_conditions("number", wanted)
        request = Request(Call("GET", "customer"), self._company_url("customers", filter=condition), _FROM_THE_SOURCE)
        rows, _ = _parse_page(request.call, await self._channel.send(request, live=self._live))
        found = [row for row in rows if _equals(row.get("number"), wanted)]
        return next(iter(_parse_all(request.call, Customer, found)), None)

    async def fetch_customers(self, ids: Sequence[str]) -> tuple[Customer, ...]:
        """Return those of the customers that exist, in one request for every 50."""
        guids = [guid for one in ids if (guid := parse_guid(one)) is not None]
        found: list[Customer] = []
        for begin in range(0, len(guids), _MOST_IDS):
            condition = " or ".join(f"id eq {guid}" for guid in guids[begin : begin + _MOST_IDS])
            request = Request(
                Call("GET", "customer"), self._company_url("customers", filter=condition), _FROM_THE_SOURCE
            )
            page, _ = _parse_page(request.call, await self._channel.send(request, live=self._live))
            found += _parse_all(request.call, Customer, page)
        return tuple(found)

    async def list_customers(self, changed_since: datetime | None = None) -> AsyncIterator[CustomerPage]:
        """Yield all customers, or those that were changed after a moment, in pages of up to 5,000.

        One that is changed meanwhile may be missing: ask again for what was changed since the first page's `as_of`.
        """
        options = {"select": ",".join(_LISTED)}
        if changed_since is not None:
            moment = changed_since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
            options["filter"] = f"lastModifiedDateTime gt {moment}Z"
        headers = {**_FROM_THE_SOURCE, "Prefer": f"odata.maxpagesize={_PAGE_SIZE}"}
        request = Request(Call("GET", "customer"), self._company_url("customers", **options), headers)
        async for answer, rows in self._answers(request, live=self._live):
            yield CustomerPage(_parse_all(request.call, Customer, rows), answer.date)

    async def update_customer(
        self,
        id: str,  # noqa: A002
        payload: Mapping[str, Any],
        *,
        etag: str,
    ) -> Customer | Literal["changed", "gone"]:
        """Change fields of a customer, unless it was changed since the etag was read. Returns it as it is then.

        Raises:
            InDoubt: it may have been changed; asking again with the same etag changes nothing twice.
        """
        call = Call("PATCH", "customer", by_id=True)
        url = self._company_url(f"customers({parse_guid(id) or quote(id)})")
        try:
            answer = await self._channel.send(Request(call, url, {"If-Match": etag}, payload), live=self._live)
        except RetrySoon as error:
            if error.code == "bc.record.changed":
                return "changed"
            raise
        except Refused as error:
            await self._require_absence(error, call)
            return "gone"
        return _parse_record(call, Customer, _parse_object(call, answer), answer)

    async def create_customer(self, payload: Mapping[str, Any], *, before_send: BeforeSend) -> Answer[Customer]:
        """Create a customer. Not idempotent: look first.

        Raises:
            InDoubt: it may have been created.
        """
        request = Request(Call("POST", "customer"), self._company_url("customers"), body=payload)
        return await self._create(Customer, request, before_send)

    async def find_invoices(
        self, external_document_number: str, *, kind: DocumentKind = "invoice"
    ) -> tuple[SalesInvoice, ...]:
        """Return all documents of a kind, drafts and posted, with this external document number, without lines.

        Calls at the same time are merged into one request. Case and outer blanks don't count, as in Business Central.

        Raises:
            Refused: the number is longer than the field, so no invoice can carry it.
            ValueError: the number is empty, which would find every invoice without one.
        """
        number = _normalize(external_document_number)
        if not number:
            raise ValueError("an empty external document number identifies nothing")
        if len(number) > DOCUMENT_NUMBER_LENGTH:
            raise Refused(
                f"The external document number {number!r} is longer than Business Central's "
                f"{DOCUMENT_NUMBER_LENGTH} characters.",
                code="bc.document_number.too_long",
                fix="Shorten the prefix in the hub's settings, or the numbering in Stripe; then replay.",
            )
        return await self._lookups[kind].find(number, live=self._live)

    async def fetch_invoice(
        self,
        id: str,  # noqa: A002
        *,
        kind: DocumentKind = "invoice",
        with_lines: bool = False,
    ) -> SalesInvoice | None:
        """Return the document, draft or posted, or None if it does not exist (any more)."""
        entity, lines = _DOCUMENTS[kind]
        options = {"expand": lines} if with_lines else {}
        return await self._fetch_by_id(SalesInvoice, entity, id, _INVOICE_BY_ID, **options)

    async def create_invoice(
        self, payload: Mapping[str, Any], *, kind: DocumentKind = "invoice", before_send: BeforeSend
    ) -> Answer[SalesInvoice]:
        """Create a draft with its lines in one request. Not idempotent: look first.

        Raises:
            InDoubt: it may have been created.
        """
        entity, lines = _DOCUMENTS[kind]
        request = Request(Call("POST", "invoice"), self._company_url(entity, expand=lines), body=payload)
        return await self._create(SalesInvoice, request, before_send)

    async def delete_invoice(
        self,
        id: str,  # noqa: A002
        *,
        etag: str,
        kind: DocumentKind = "invoice",
    ) -> Literal["deleted", "changed", "gone"]:
        """Delete a draft unless it was changed since the etag was read. `gone`: it did not exist.

        Raises:
            Refused: Business Central does not allow it, for example because the invoice is posted.
            InDoubt: it may have been deleted.
        """
        call = Call("DELETE", "invoice", by_id=True)
        url = self._company_url(f"{_DOCUMENTS[kind][0]}({parse_guid(id) or quote(id)})")
        try:
            await self._channel.send(Request(call, url, {"If-Match": etag}), live=self._live)
        except RetrySoon as error:
            if error.code == "bc.record.changed":
                return "changed"
            raise
        except Refused as error:
            await self._require_absence(error, call)
            return "gone"
        return "deleted"

    async def set_dimensions(self, id: str, wanted: Mapping[str, str], *, kind: DocumentKind = "invoice") -> None:  # noqa: A002
        """Give a document dimensions it has no header field for: codes of values by codes of dimensions.

        It may have some from its customer already, so they are read first; asking again changes nothing.

        Raises:
            Refused: a dimension or value does not exist.
            InDoubt: one may have been set; ask again.
        """
        path = f"{_DOCUMENTS[kind][0]}({parse_guid(id) or quote(id)})/dimensionSetLines"
        listed = Request(Call("GET", "list"), self._company_url(path), _FROM_THE_SOURCE)
        held = {str(row["code"]): row async for row in self._pages(listed, live=self._live)}
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
            await self._channel.send(request, live=self._live)

    async def fetch_accounts(self) -> tuple[Account, ...]:
        """Return the whole chart of accounts."""
        select = ("id", "number", "displayName", "category", "accountType", "directPosting", "blocked")
        return _parse_all(Call("GET", "account"), Account, await self.fetch_list("accounts", select))

    async def fetch_items(self) -> tuple[Item, ...]:
        """Return all items."""
        select = ("id", "number", "displayName", "type", "blocked", "unitPrice", "baseUnitOfMeasureCode")
        return _parse_all(Call("GET", "item"), Item, await self.fetch_list("items", select))

    async def fetch_list(self, entity: str, select: Iterable[str]) -> tuple[dict[str, Any], ...]:
        """Return all rows of an entity set, with the selected fields, over all pages. It may lag by seconds."""
        url = self._company_url(entity, select=",".join(select))
        return tuple([row async for row in self._pages(Request(Call("GET", "list"), url, _MAY_LAG), live=self._live)])

    async def find_rows(
        self,
        entity: str,
        field: str,
        value: str,
        select: Iterable[str],
    ) -> tuple[dict[str, Any], ...]:
        """Return the rows of a master table whose field equals the value, without regard to case and outer blanks.

        As with customers, what Business Central finds is compared again: some signs in a value act as wildcards.
        """
        wanted = value.strip()
        if not wanted or len(wanted) > _FIELD_LENGTHS.get(field, 0):
            return ()
        for condition in _build_conditions(field, wanted):
            url = self._company_url(entity, filter=condition, select=",".join(select))
            rows = [row async for row in self._pages(Request(Call("GET", "list"), url, _MAY_LAG), live=self._live)]
            if found := tuple(row for row in rows if _equals(row.get(field), wanted)):
                return found
        return ()

    async def release_slot(self, name: str) -> None:
        """Free the slot that a write in doubt keeps (`limiter_slot` in the error's context), once its end is known."""
        if self._channel.limiter is not None:
            await self._channel.limiter.release(name)

    @property
    def _company_root(self) -> str:
        if self._company_id is None:
            raise ConfigurationError(
                "No company is chosen for this Business Central connection. Connect to a company.",
                code="bc.company.not_chosen",
            )
        return f"{self._channel.root}/companies({quote(self._company_id)})"

    def _company_url(self, path: str, **options: str) -> str:
        return build_url(self._company_root, path, **options)

    async def _fetch_by_id(
        self,
        model: type[R],
        entity: str,
        id: str,  # noqa: A002 - its name in BC
        call: Call,
        **options: str,
    ) -> R | None:
        guid = parse_guid(id)
        if guid is None:
            return None
        request = Request(call, self._company_url(f"{entity}({guid})", **options), _FROM_THE_SOURCE)
        try:
            answer = await self._channel.send(request, live=self._live)
        except Refused as error:
            await self._require_absence(error, call)
            return None
        return _parse_record(call, model, _parse_object(call, answer), answer)

    async def _require_absence(self, error: Refused, call: Call) -> None:
        """Make sure that a 404 means this record, and not a renamed environment or a deleted company.

        Microsoft's documents don't pair codes with statuses; taking any 404 for a deleted draft would be wrong.
        """
        if error.code != f"bc.{call.subject}.not_found":
            raise error
        if error.context.get("provider_code") != "Internal_RecordNotFound":
            company = Call("GET", "company", by_id=True)
            await self._channel.send(Request(company, self._company_root, _FROM_THE_SOURCE), live=self._live)

    async def _create(self, model: type[R], request: Request, before_send: BeforeSend) -> Answer[R]:
        async with self._channel.turn(live=self._live) as turn:
            answer = await turn.send(request, before_send=before_send)
            try:
                body = _parse_object(request.call, answer)
                value = _parse_record(request.call, model, body, answer)
            except HubError as error:
                raise await turn.fail(request.call, error) from error
        return Answer(value=value, status=answer.status, request_id=answer.request_id, body=body)

    async def _ask_for_invoices(
        self, kind: DocumentKind, take: TakeValues, live: bool
    ) -> Mapping[str, tuple[SalesInvoice, ...]]:
        call = Call("GET", "invoice")
        async with self._channel.turn(live=live) as turn:
            numbers = take()
            if not numbers:
                return {}
            url = self._company_url(_DOCUMENTS[kind][0], filter=build_equals_any("externalDocumentNumber", numbers))
            request = Request(call, url, _FROM_THE_SOURCE)
            rows, link = _parse_page(call, await turn.send(request))
        rows += [row async for row in self._pages(follow(request, link), live=live)] if link else []
        found = _parse_all(call, SalesInvoice, rows)
        return {
            number: tuple(invoice for invoice in found if _normalize(invoice.external_document_number) == number)
            for number in numbers
        }

    async def _pages(self, request: Request, *, live: bool) -> AsyncIterator[dict[str, Any]]:
        """Yield all rows."""
        async for _, rows in self._answers(request, live=live):
            for row in rows:
                yield row

    async def _answers(self, request: Request, *, live: bool) -> AsyncIterator[tuple[RawAnswer, list[dict[str, Any]]]]:
        """Yield all pages; each takes a turn of its own, so a long list holds up nobody."""
        link: str | None = request.url
        while link:
            if urlsplit(link)[:2] != urlsplit(self._channel.root)[:2]:
                # The token must not travel to another host.
                raise classify_failure(request.call, RawAnswer(200))
            answer = await self._channel.send(follow(request, link), live=live)
            rows, link = _parse_page(request.call, answer)
            yield answer, rows


def _build_conditions(field: str, value: str) -> tuple[str, ...]:
    """Write the filters to try one after the other.

    `eq` is case-sensitive on texts, and `tolower` switches that off by an AL filter. Whether signs that mean something
    in AL filters are escaped on the way is not documented, so a value with one of them is asked for plainly too.
    """
    if field in {"number", "gtin"}:
        return (f"{field} eq {quote_literal(value.upper())}",)
    folded = f"tolower({field}) eq {quote_literal(value.lower())}"
    if set(value) & _AL_FILTER_SIGNS or ".." in value:
        return (folded, f"{field} eq {quote_literal(value)}")
    return (folded,)


def _equals(found: object, wanted: str) -> bool:
    return str(found).strip().casefold() == wanted.casefold()


def _normalize(number: str) -> str:
    """Write a code as Business Central stores it: upper case, without outer blanks."""
    return number.strip().upper()


def _parse_object(call: Call, answer: RawAnswer) -> dict[str, Any]:
    try:
        body = parse_json(answer.content)
    except ValueError as error:
        raise classify_failure(call, answer) from error
    if not isinstance(body, dict):
        raise classify_failure(call, answer)
    return cast("dict[str, Any]", body)


def _parse_page(call: Call, answer: RawAnswer) -> tuple[list[dict[str, Any]], str | None]:
    body = _parse_object(call, answer)
    rows, link = body.get("value"), body.get("@odata.nextLink")
    if not isinstance(rows, list) or not isinstance(link, str | None) or not all(isinstance(row, dict) for row in rows):
        raise classify_failure(call, answer)
    return cast("list[dict[str, Any]]", rows), link


def _parse_record(call: Call, model: type[R], body: Mapping[str, Any], answer: RawAnswer) -> R:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise classify_failure(call, answer) from error


def _parse_all(call: Call, model: type[R], rows: Iterable[Mapping[str, Any]]) -> tuple[R, ...]:
    return tuple(_parse_record(call, model, row, RawAnswer(200)) for row in rows)
