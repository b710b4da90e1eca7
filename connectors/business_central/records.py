"""What reading and writing records of one company comes down to; customers, documents and lists are built on it."""

from collections.abc import AsyncIterator
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlsplit

from connectors.business_central.answers import parse_object, parse_page, parse_record
from connectors.business_central.channel import BeforeSend, Channel, Request, follow
from connectors.business_central.errors import Call, RawAnswer, build_too_large, classify_failure
from connectors.business_central.lookups import BatchLimits
from connectors.business_central.models import Answer, BcRecord
from connectors.business_central.odata import build_url, parse_guid
from schemas.errors import ConfigurationError, HubError, Refused, RetrySoon

R = TypeVar("R", bound=BcRecord)

# A read before a write must not come from a replica, which may lag.
FROM_THE_SOURCE = {"Data-Access-Intent": "ReadWrite"}
MAY_LAG = {"Data-Access-Intent": "ReadOnly"}

# Of one list: at 20,000 rows a page, more than any company has; and what is kept of it at once.
_MOST_PAGES = 2_000
_MOST_BYTES = 2**28


class CompanyRecords:
    """The records of one company, by entity set. Retries nothing but a refused token, once: the runtime does.

    Args:
        channel: The way to the environment.
        company_id: The company's GUID; None is enough for what is outside companies.
        batches: How look-ups are merged.
    """

    def __init__(self, channel: Channel, company_id: str | None, batches: BatchLimits | None) -> None:
        self._channel = channel
        self._company_id = company_id
        self._batches = batches
        self._live = True

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

    def _record_url(self, entity: str, id: str) -> str:  # noqa: A002 - its name in BC
        return self._company_url(f"{entity}({parse_guid(id) or quote(id)})")

    async def _send(self, request: Request) -> RawAnswer:
        return await self._channel.send(request, live=self._live)

    async def _fetch_by_id(
        self,
        model: type[R],
        entity: str,
        id: str,  # noqa: A002 - its name in BC
        call: Call,
        **options: str,
    ) -> R | None:
        """Return a record, or None if it does not exist. One with another id is not this request's answer."""
        guid = parse_guid(id)
        if guid is None:
            return None
        request = Request(call, self._company_url(f"{entity}({guid})", **options), FROM_THE_SOURCE)
        try:
            answer = await self._send(request)
        except Refused as error:
            await self._require_absence(error, call)
            return None
        record = parse_record(call, model, parse_object(call, answer), answer)
        if parse_guid(record.id) not in {None, guid}:
            raise classify_failure(call, RawAnswer(200))
        return record

    async def _create(self, model: type[R], request: Request, before_send: BeforeSend) -> Answer[R]:
        async with self._channel.turn(live=self._live) as turn:
            answer = await turn.send(request, before_send=before_send)
            try:
                body = parse_object(request.call, answer)
                value = parse_record(request.call, model, body, answer)
            except HubError as error:
                raise await turn.fail(request.call, error) from error
        return Answer(value=value, status=answer.status, request_id=answer.request_id, body=body)

    async def _change(self, request: Request) -> RawAnswer | Literal["changed", "gone"]:
        """Send a write with If-Match: `changed` where the record is not as its etag says, `gone` where there is none.

        Raises:
            InDoubt: it may have been carried out.
        """
        try:
            return await self._send(request)
        except RetrySoon as error:
            if error.code == "bc.record.changed":
                return "changed"
            raise
        except Refused as error:
            await self._require_absence(error, request.call)
            return "gone"

    async def _require_absence(self, error: Refused, call: Call) -> None:
        """Make sure that a 404 means this record, and not a renamed environment or a deleted company.

        Microsoft's documents don't pair codes with statuses; taking any 404 for a deleted draft would be wrong.
        """
        if error.code != f"bc.{call.subject}.not_found":
            raise error
        if error.context.get("provider_code") != "Internal_RecordNotFound":
            await self._send(Request(Call("GET", "company", by_id=True), self._company_root, FROM_THE_SOURCE))

    async def _rows(self, request: Request, *, live: bool | None = None) -> list[dict[str, Any]]:
        """Return the rows of all pages.

        Raises:
            RetryLater: there are more than is read.
        """
        found: list[dict[str, Any]] = []
        size = 0
        async for answer, rows in self._pages(request, live=live):
            found += rows
            size += len(answer.content)
            if size > _MOST_BYTES:
                raise build_too_large({"method": "GET", "subject": request.call.subject})
        return found

    async def _pages(
        self, request: Request, *, live: bool | None = None
    ) -> AsyncIterator[tuple[RawAnswer, list[dict[str, Any]]]]:
        """Yield all pages; each takes a turn of its own, so a long list holds up nobody.

        A page that was read already, or one too many, is an answer that can't be read.
        """
        link: str | None = request.url
        seen: set[str] = set()
        while link:
            if urlsplit(link)[:2] != urlsplit(self._channel.root)[:2] or link in seen or len(seen) >= _MOST_PAGES:
                # The token must not travel to another host, nor a list go round for ever.
                raise classify_failure(request.call, RawAnswer(200))
            seen.add(link)
            answer = await self._channel.send(follow(request, link), live=self._live if live is None else live)
            rows, link = parse_page(request.call, answer)
            yield answer, rows
