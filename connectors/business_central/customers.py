"""Customers: found by number, read in bulk and by what changed, created, and changed under their etag."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from connectors.business_central.answers import parse_all, parse_object, parse_page, parse_record
from connectors.business_central.channel import BeforeSend, Request
from connectors.business_central.errors import Call, RawAnswer, classify_failure
from connectors.business_central.models import Answer, Customer, CustomerPage
from connectors.business_central.odata import equals_text, normalize_code, parse_guid, quote_literal
from connectors.business_central.records import FROM_THE_SOURCE, CompanyRecords

# Business Central refuses a filter value that is longer than its field; nothing can be equal to it either.
_NUMBER_LENGTH = 20
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
_READ = Call("GET", "customer")


class Customers(CompanyRecords):
    """The customers of a company."""

    async def fetch_customer(self, id: str) -> Customer | None:  # noqa: A002 - its name in BC
        """Return the customer, or None if it does not exist."""
        return await self._fetch_by_id(Customer, "customers", id, Call("GET", "customer", by_id=True))

    async def find_customer(self, number: str) -> Customer | None:
        """Return the customer with this number, without regard to case and outer blanks."""
        wanted = number.strip()
        if not wanted or len(wanted) > _NUMBER_LENGTH:
            return None
        url = self._company_url("customers", filter=f"number eq {quote_literal(normalize_code(wanted))}")
        rows, _ = parse_page(_READ, await self._send(Request(_READ, url, FROM_THE_SOURCE)))
        # Business Central reads `*` and `?` as wildcards.
        found = [row for row in rows if equals_text(row.get("number"), wanted)]
        return next(iter(parse_all(_READ, Customer, found)), None)

    async def fetch_customers(self, ids: Sequence[str]) -> tuple[Customer, ...]:
        """Return those of the customers that exist, in one request for every 50."""
        guids = [guid for one in ids if (guid := parse_guid(one)) is not None]
        found: list[Customer] = []
        for begin in range(0, len(guids), _MOST_IDS):
            condition = " or ".join(f"id eq {guid}" for guid in guids[begin : begin + _MOST_IDS])
            request = Request(_READ, self._company_url("customers", filter=condition), FROM_THE_SOURCE)
            page, _ = parse_page(_READ, await self._send(request))
            found += parse_all(_READ, Customer, page)
        if any(parse_guid(one.id) not in {None, *guids} for one in found):
            # Another request's answer: taken for this one's, it would say that they are gone.
            raise classify_failure(_READ, RawAnswer(200))
        return tuple(found)

    async def list_customers(self, changed_since: datetime | None = None) -> AsyncIterator[CustomerPage]:
        """Yield all customers, or those that were changed after a moment, in pages of up to 5,000.

        One that is changed meanwhile may be missing: ask again for what was changed since the first page's `as_of`.
        """
        options = {"select": ",".join(_LISTED)}
        if changed_since is not None:
            moment = changed_since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
            options["filter"] = f"lastModifiedDateTime gt {moment}Z"
        headers = {**FROM_THE_SOURCE, "Prefer": f"odata.maxpagesize={_PAGE_SIZE}"}
        async for answer, rows in self._pages(Request(_READ, self._company_url("customers", **options), headers)):
            yield CustomerPage(parse_all(_READ, Customer, rows), answer.date)

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
        answer = await self._change(Request(call, self._record_url("customers", id), {"If-Match": etag}, payload))
        if not isinstance(answer, RawAnswer):
            return answer
        return parse_record(call, Customer, parse_object(call, answer), answer)

    async def create_customer(self, payload: Mapping[str, Any], *, before_send: BeforeSend) -> Answer[Customer]:
        """Create a customer. Not idempotent: look first.

        Raises:
            InDoubt: it may have been created.
        """
        request = Request(Call("POST", "customer"), self._company_url("customers"), body=payload)
        return await self._create(Customer, request, before_send)
