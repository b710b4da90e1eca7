"""Walking through Stripe's lists, which come newest first and in pages.

Stripe's cursors are ids: `starting_after` goes towards the old, `ending_before` towards the new, and either page is
sorted newest first (docs.stripe.com/api/pagination).
"""

from collections.abc import AsyncIterator
from typing import Any, Generic, Protocol, TypeVar

from schemas.errors import RetrySoon
from schemas.stripe_objects import CreditNote, Event, Invoice, Line, StripeObject

PAGE_SIZE = 100
"""The most that Stripe gives at once; its default is 10."""
_MOST_PAGES = 100_000

Listed = TypeVar("Listed", Event, Invoice, Line, CreditNote)


class Page(StripeObject, Generic[Listed]):
    """One page of a list."""

    data: tuple[Listed, ...]
    has_more: bool
    total_count: int | None = None


class FetchPage(Protocol[Listed]):
    """Fetches one page."""

    async def __call__(self, **params: Any) -> Page[Listed]:
        """Fetch the page that these cursors and filters name."""
        ...


async def walk_older(fetch: FetchPage[Listed], **filters: Any) -> AsyncIterator[Page[Listed]]:
    """Yield all pages, each going on after the last."""
    page, seen = await fetch(**filters), set[str]()
    yield page
    while page.has_more:
        page = await fetch(**filters, starting_after=_go_on(seen, page.data[-1].id))
        yield page


async def walk_newer(
    fetch: FetchPage[Event], *, after: str | None, created_gte: int | None
) -> AsyncIterator[tuple[Event, ...]]:
    """Yield events oldest first, page by page, up to the newest.

    Args:
        fetch: Fetches a page.
        after: The event to begin after; without it, at the oldest that Stripe has.
        created_gte: Unix seconds; older events are left out.
    """
    filters = {} if created_gte is None else {"created": {"gte": created_gte}}
    if after is None:
        first = await _fetch_oldest(fetch, created_gte or 0)
        yield first.data[::-1]
        if not first.has_more:
            return
        after = first.data[0].id
    seen = set[str]()
    while True:
        page = await fetch(**filters, ending_before=_go_on(seen, after))
        yield page.data[::-1]
        if not page.has_more:
            return
        after = page.data[0].id


def _go_on(seen: set[str], cursor: str) -> str:
    """Return the cursor, which must be a new one: a list that goes round would be read for ever.

    Raises:
        RetrySoon: it was gone on from before, or is one too many.
    """
    if cursor in seen or len(seen) >= _MOST_PAGES:
        raise RetrySoon("Stripe's list does not come to an end.", code="stripe.answer.unreadable")
    seen.add(cursor)
    return cursor


async def _fetch_oldest(fetch: FetchPage[Event], low: int) -> Page[Event]:
    """Fetch the oldest events of those made since `low`, without reading the newer ones.

    A list begins with the newest. Halving the time finds the oldest page in some twenty requests for thirty days, where
    paging backwards would have to read and keep everything. `has_more` of the result tells of newer ones.
    """
    page = await fetch(created={"gte": low})
    if not page.has_more:
        return page
    high = page.data[-1].created + 1
    while high - low > 1:
        middle = (low + high) // 2
        page = await fetch(created={"gte": low, "lt": middle})
        if not page.data:
            low = middle
        elif page.has_more:
            # Never beyond what was asked for, or halving would not end.
            high = min(middle, page.data[-1].created + 1)
        else:
            return page.model_copy(update={"has_more": True})
    return await _fetch_second(fetch, low)


async def _fetch_second(fetch: FetchPage[Event], second: int) -> Page[Event]:
    """Fetch all events of one second: more than fit on a page, and time can't tell them apart."""
    window = {"created": {"gte": second, "lt": second + 1}}
    events = [event async for page in walk_older(fetch, **window) for event in page.data]
    return Page[Event](data=tuple(events), has_more=bool(events))
