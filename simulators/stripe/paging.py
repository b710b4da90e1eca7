"""List answers: Stripe's cursors, silently clamped limits and `created` bounds (Stripe facts §58-§60, §116)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from simulators.stripe.errors import invalid, missing
from simulators.stripe.shelf import Shelf, take_page

Held = TypeVar("Held")
DEFAULT_LIMIT = 10
MAX_LIMIT = 100


@dataclass(slots=True)
class Page(Generic[Held]):
    """One page, newest first."""

    entries: list[Held]
    has_more: bool


def limit_of(params: dict[str, Any]) -> int:
    """Return the page size; out of 1-100 it is clamped with 200 (facts §116)."""
    given = params.get("limit")
    return DEFAULT_LIMIT if given is None else max(1, min(MAX_LIMIT, given))


def bounds_of(created: dict[str, int] | None) -> tuple[float, float]:
    """Return the inclusive bounds of a `created` filter."""
    given = created or {}
    floor = max(given.get("gte", -math.inf), given.get("gt", -math.inf) + 1)
    ceiling = min(given.get("lte", math.inf), given.get("lt", math.inf) - 1)
    return floor, ceiling


def page_of(
    shelf: Shelf[Held],
    params: dict[str, Any],
    wanted: Callable[[Held], bool],
    ended: Callable[[Held], bool] = lambda _held: False,
) -> Page[Held]:
    """Take the page the cursors ask for; an unknown cursor is a 400 (facts §60)."""
    after, before = params.get("starting_after"), params.get("ending_before")
    if after and before:
        raise invalid("You may only specify one of these parameters: ending_before, starting_after.", "starting_after")
    for name, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor and cursor not in shelf:
            raise missing("object", cursor, name, status=400)
    limit = limit_of(params)
    if before:
        entries, more = take_page(shelf.newer_than(before), limit, wanted, lambda _held: False)
        return Page(entries[::-1], more)
    return Page(*take_page(shelf.older_than(after), limit, wanted, ended))


def list_body(entries: list[Any], *, has_more: bool, url: str) -> dict[str, Any]:
    """Render a list object."""
    return {"object": "list", "data": entries, "has_more": has_more, "url": url}


def list_objects(
    shelf: Shelf[dict[str, Any]], params: dict[str, Any], url: str, wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Answer a plain list call with an optional `created` filter."""
    floor, ceiling = bounds_of(params.get("created"))
    page = page_of(
        shelf,
        params,
        lambda held: floor <= held["created"] <= ceiling and wanted(held),
        lambda held: held["created"] < floor,
    )
    return list_body(page.entries, has_more=page.has_more, url=url)
