"""An index of a BC company's customers by what they are called, in Redis, shared by all replicas and connections.

It only proposes: whoever is found is fetched and compared before it is believed, so what is stale costs a request and
never a wrong customer. It holds digests, no personal data. Filled by reading all customers once, it is kept fresh by
reading what was changed since; each row carries the time of its change, so an older read never covers a newer one.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from connectors.business_central.models import Customer, CustomerPage
from hub.clock import Clock
from hub.lease import hold_lease
from hub.log import get_logger
from hub.redis import (
    customer_index_key,
    customer_index_rows_key,
    customer_index_state_key,
    customer_lease_key,
    run,
)
from mapping.matching import list_index_keys
from schemas.contract import Contract, Moment
from schemas.errors import RetrySoon

# To be raised with a change of the normal forms: digests of others find nobody, so the index is made anew.
FORMS = 2
# A change becomes visible when its transaction ends, and carries the time it was made at.
_OVERLAP = timedelta(minutes=2)
# Until then whoever is found is believed without asking what has changed; nobody is created without.
_LONGEST_REST = timedelta(minutes=5)
# Deleted customers tell nobody; and what no read of changes could see is found again.
_LONGEST_LIFE = timedelta(days=1)
# Of many new customers at once, one read of what has changed serves all whose events are older.
_SHARED = timedelta(seconds=5)
_ROWS_AT_ONCE = 200
_LEASE = "index"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# ARGV: for each customer its id, the time of its change (ms), its digests. Replies nothing.
_PUT = """
for i = 1, #ARGV, 3 do
  local id, changed, digests = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local row = redis.call('HGET', KEYS[2], id)
  local known, old = 0, ''
  if row then known, old = string.match(row, '^(%d+) ?(.*)$') end
  if tonumber(known) <= changed then
    if old ~= digests then
      for digest in string.gmatch(old, '%S+') do redis.call('ZREM', KEYS[1], digest .. ':' .. id) end
      for digest in string.gmatch(digests, '%S+') do redis.call('ZADD', KEYS[1], 0, digest .. ':' .. id) end
    end
    redis.call('HSET', KEYS[2], id, changed .. ' ' .. digests)
  end
end
"""
_DROP = """
for _, id in ipairs(ARGV) do
  local row = redis.call('HGET', KEYS[2], id)
  if row then
    for digest in string.gmatch(string.match(row, '^%d+ ?(.*)$'), '%S+') do
      redis.call('ZREM', KEYS[1], digest .. ':' .. id)
    end
    redis.call('HDEL', KEYS[2], id)
  end
end
"""
# Replies a list of ids for each digest.
_FIND = """
local found = {}
for i, digest in ipairs(ARGV) do
  local members = redis.call('ZRANGEBYLEX', KEYS[1], '[' .. digest .. ':', '(' .. digest .. ';')
  found[i] = {}
  for j, member in ipairs(members) do found[i][j] = string.sub(member, #digest + 2) end
end
return found
"""


class IndexState(Contract):
    """How far the index of a company has read."""

    forms: int
    """Which normal forms its digests are of."""
    home: str
    """The company's country, which the forms of its customers depend on."""
    read_to: Moment
    """By Business Central's clock."""
    read_at: Moment
    built_at: Moment


class IndexBusy(RetrySoon):
    """Another process is reading customers."""

    def __init__(self) -> None:
        words = "The hub is reading the customers of Business Central."
        super().__init__(words, code="contact.index.busy", retry_after=timedelta(seconds=1))


class BcCustomerList(Protocol):
    """Lists customers."""

    def list_customers(self, changed_since: datetime | None = None) -> AsyncIterator[CustomerPage]:
        """Yield all customers, or those that were changed since, page by page."""
        ...


@dataclass(frozen=True)
class Company:
    """Whose customers are asked for, and through whom."""

    key: str
    home: str
    bc: BcCustomerList


@dataclass
class CustomerIndex:
    """Finds the ids of customers, and keeps what it finds them by."""

    redis: Any
    clock: Clock
    lease_life: timedelta
    _locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict[str, asyncio.Lock](asyncio.Lock))
    _begun: dict[str, datetime] = field(default_factory=dict[str, datetime])
    """When this process last began to read what has changed."""
    _reads: defaultdict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))

    async def prepare(self, company: Company) -> int:
        """Make sure that there is an index, and that it is not old. Returns a mark for `catch_up`.

        Raises:
            IndexBusy: another process is filling it for the first time.
        """
        async with self._locks[company.key]:
            state = await self._load(company)
            if state is None:
                await self._read(company, None)
            elif self._is_worn(state):
                # While another process reads, what there is does.
                with suppress(IndexBusy):
                    await self._read(company, state)
            return self._reads[company.key]

    async def catch_up(self, company: Company, mark: int, since: datetime | None) -> bool:
        """Read what has changed, before nobody is said to be found; tells whether to look again.

        Args:
            company: Whose customers.
            mark: Of before the look.
            since: What was there at this time must be seen, so that no read will do that began earlier; None for now.

        Raises:
            IndexBusy: another process is reading it.
        """
        async with self._locks[company.key]:
            begun = self._begun.get(company.key)
            if since is None or begun is None or begun < since or self.clock.now() - begun > _SHARED:
                await self._read(company, await self._load(company))
            return self._reads[company.key] > mark

    async def find(self, company: Company, wanted: Sequence[Sequence[frozenset[str]]]) -> list[frozenset[str]]:
        """Return for each look-up the ids of customers that may fit.

        Args:
            company: Whose customers.
            wanted: For each look-up groups of index keys; who fits has one key of each group.
        """
        digests = list({_digest(company, key) for groups in wanted for group in groups for key in group})
        found: list[list[str]] = await run(self.redis.eval(_FIND, 1, customer_index_key(company.key), *digests))
        by_digest = dict(zip(digests, found, strict=True))
        return [
            frozenset[str].intersection(*(_unite(group, company, by_digest) for group in groups)) for groups in wanted
        ]

    async def put(self, company: Company, customers: Sequence[Customer]) -> None:
        """Take in customers as they are now."""
        # Few at a time: normalising 5,000 takes half a second, in which nothing else would go on.
        for begin in range(0, len(customers), _ROWS_AT_ONCE):
            rows = (_build_row(company, one) for one in customers[begin : begin + _ROWS_AT_ONCE])
            args = [part for row in rows for part in row]
            await run(self.redis.eval(_PUT, 2, *_keys(company), *args))

    async def drop(self, company: Company, ids: Iterable[str]) -> None:
        """Forget customers that do not exist any more."""
        if listed := list(ids):
            await run(self.redis.eval(_DROP, 2, *_keys(company), *listed))

    async def _load(self, company: Company) -> IndexState | None:
        """Return the state of an index that can be used."""
        stored = await run(self.redis.get(customer_index_state_key(company.key)))
        try:
            state = IndexState.model_validate_json(stored) if stored else None
        except ValueError:
            # All of it can be read again from Business Central.
            state = None
        return state if state is not None and (state.forms, state.home) == (FORMS, company.home) else None

    def _is_worn(self, state: IndexState) -> bool:
        now = self.clock.now()
        return now - state.read_at > _LONGEST_REST or now - state.built_at > _LONGEST_LIFE

    async def _read(self, company: Company, state: IndexState | None) -> None:
        """Read all, or what has changed, one process at a time."""
        try:
            async with hold_lease(self.redis, customer_lease_key(company.key, _LEASE), self.lease_life):
                await self._read_held(company, state)
        except RetrySoon as error:
            if error.code != "ledger.lease.taken":
                raise
            raise IndexBusy from error

    async def _read_held(self, company: Company, state: IndexState | None) -> None:
        now = self.clock.now()
        since = None if state is None or now - state.built_at > _LONGEST_LIFE else state.read_to
        if since is None:
            read_to = await self._read_whole(company)
            built_at = now
        else:
            read_to = await self._read_pages(company, since - _OVERLAP, set())
            built_at = state.built_at if state else now
        fresh = IndexState(forms=FORMS, home=company.home, read_to=read_to, read_at=now, built_at=built_at)
        await run(self.redis.set(customer_index_state_key(company.key), fresh.model_dump_json()))
        self._begun[company.key] = now
        self._reads[company.key] += 1

    async def _read_whole(self, company: Company) -> datetime:
        """Read all customers, and forget those that were known before and are not among them."""
        known = set(await run(self.redis.hkeys(customer_index_rows_key(company.key))))
        seen: set[str] = set()
        read_to = await self._read_pages(company, None, seen)
        await self.drop(company, known - seen)
        get_logger().info("contacts.index.built", customers=len(seen), dropped=len(known - seen))
        return read_to

    async def _read_pages(self, company: Company, since: datetime | None, seen: set[str]) -> datetime:
        """Take in all pages. Returns how far that reads: to the first answer's time, else to the newest change seen."""
        as_of: datetime | None = None
        newest, is_first = since or _EPOCH, True
        async for page in company.bc.list_customers(since):
            await self.put(company, page.customers)
            seen.update(one.id for one in page.customers)
            as_of, is_first = (page.as_of, False) if is_first else (as_of, False)
            newest = max([newest, *(one.last_modified for one in page.customers if one.last_modified)])
        return as_of or newest


def _keys(company: Company) -> tuple[str, str]:
    return customer_index_key(company.key), customer_index_rows_key(company.key)


def _build_row(company: Company, customer: Customer) -> tuple[str, int, str]:
    changed = customer.last_modified or _EPOCH
    digests = sorted(_digest(company, key) for key in list_index_keys(customer, company.home))
    return customer.id, int(changed.timestamp() * 1000), " ".join(digests)


def _digest(company: Company, key: str) -> str:
    """What customers are called is personal data."""
    return hashlib.sha256(f"{company.key}\x1f{key}".encode()).hexdigest()[:20]


def _unite(group: frozenset[str], company: Company, by_digest: Mapping[str, Sequence[str]]) -> frozenset[str]:
    return frozenset(one for key in group for one in by_digest[_digest(company, key)])
