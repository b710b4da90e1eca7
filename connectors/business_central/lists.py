"""The company's lists, and the accounts and items that lines are booked on. All of it may lag by seconds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from connectors.business_central.answers import parse_all, parse_page
from connectors.business_central.channel import Channel, Request, follow
from connectors.business_central.errors import Call
from connectors.business_central.lookups import BatchLimits, CoalescedLookups, TakeValues
from connectors.business_central.models import Account, Item
from connectors.business_central.odata import (
    build_equals_any,
    build_folded,
    equals_text,
    has_wildcards,
    is_filter_language,
    normalize_code,
)
from connectors.business_central.records import MAY_LAG, CompanyRecords

# Business Central refuses a filter value that is longer than its field; nothing can be equal to it either.
_LENGTHS = {"number": 20, "displayName": 100, "gtin": 14}
_CODES = frozenset({"number", "gtin"})
# A value with a wildcard may match half the table; so many are read to find those that really equal it.
_WILDCARD_TOP = 200
_LIST = Call("GET", "list")

_Rows = tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class _Source:
    """A master table, the field that its records are looked up by, and what is read of them."""

    entity: str
    field: str
    select: tuple[str, ...]

    def build_conditions(self, values: Sequence[str]) -> list[str]:
        """Write the filters for these values, to be tried one after the other."""
        if self.field in _CODES:
            return [build_equals_any(self.field, [normalize_code(value) for value in values])]
        folded = " or ".join(build_folded(self.field, value) for value in values)
        plain = [value for value in values if is_filter_language(value)]
        return [folded, build_equals_any(self.field, plain)] if plain else [folded]

    def sort_out(self, values: Sequence[str], rows: Sequence[dict[str, Any]]) -> dict[str, _Rows]:
        """Give each value the rows that really equal it: the server reads `*` and `?` as wildcards."""
        return {value: tuple(row for row in rows if equals_text(row.get(self.field), value)) for value in values}


class Lists(CompanyRecords):
    """The lists, accounts and items of a company."""

    def __init__(self, channel: Channel, company_id: str | None, batches: BatchLimits | None) -> None:
        super().__init__(channel, company_id, batches)
        self._found: dict[_Source, CoalescedLookups[_Rows]] = {}

    async def fetch_accounts(self) -> tuple[Account, ...]:
        """Return the whole chart of accounts."""
        select = ("id", "number", "displayName", "category", "accountType", "directPosting", "blocked")
        return parse_all(Call("GET", "account"), Account, await self.fetch_list("accounts", select))

    async def fetch_items(self) -> tuple[Item, ...]:
        """Return all items."""
        select = ("id", "number", "displayName", "type", "blocked", "unitPrice", "baseUnitOfMeasureCode")
        return parse_all(Call("GET", "item"), Item, await self.fetch_list("items", select))

    async def fetch_list(self, entity: str, select: Iterable[str]) -> _Rows:
        """Return all rows of an entity set, with the selected fields, over all pages."""
        return tuple(await self._rows(Request(_LIST, self._company_url(entity, select=",".join(select)), MAY_LAG)))

    async def find_rows(self, entity: str, field: str, value: str, select: Iterable[str]) -> _Rows:
        """Return the rows of a master table whose field equals the value, without regard to case and outer blanks.

        Calls at the same time are merged into one request for each table and field. An empty or over-long value finds
        nothing. As with customers, what Business Central finds is compared again.
        """
        wanted, source = value.strip(), _Source(entity, field, tuple(select))
        if not wanted or len(wanted) > _LENGTHS.get(field, 0):
            return ()
        if has_wildcards(wanted):
            # What it matches may be long, so it must not be in its neighbours' answer.
            return (await self._ask_for_rows(source, lambda: (wanted,), self._live))[wanted]
        if source not in self._found:
            self._found[source] = CoalescedLookups(
                partial(self._ask_for_rows, source), limits=self._batches, cost=lambda one: 2 * len(quote(one))
            )
        return await self._found[source].find(wanted, live=self._live)

    async def _ask_for_rows(self, source: _Source, take: TakeValues, live: bool) -> dict[str, _Rows]:
        async with self._channel.turn(live=live) as turn:
            values = take()
            if not values:
                return {}
            request, *_ = self._build_requests(source, values)
            rows, link = parse_page(_LIST, await turn.send(request))
        rows += await self._rows(follow(request, link), live=live) if link else []
        found = source.sort_out(values, rows)
        missing = [value for value in values if not found[value] and is_filter_language(value)]
        if missing and source.field not in _CODES:
            _, again = self._build_requests(source, missing)
            found |= source.sort_out(missing, await self._rows(again, live=live))
        return found

    def _build_requests(self, source: _Source, values: Sequence[str]) -> list[Request]:
        options = {"select": ",".join(source.select)}
        if any(has_wildcards(value) for value in values):
            options["top"] = str(_WILDCARD_TOP)
        return [
            Request(_LIST, self._company_url(source.entity, filter=condition, **options), MAY_LAG)
            for condition in source.build_conditions(values)
        ]
