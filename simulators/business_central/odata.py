"""Query options over wire records: $filter, $select, $expand, $orderby, $top, $skip, $count and server paging."""

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, quote

from simulators.business_central.entities import EntityType
from simulators.business_central.errors import ApiError, bad_request, query_error, unknown_property
from simulators.business_central.odata_filter import Node, parse_filter
from simulators.business_central.store import Json, Row, Table

PAGE_LIMIT = 20_000
_KNOWN = frozenset({"filter", "select", "expand", "top", "skip", "orderby", "count", "skiptoken"})
Expander = Callable[[Row, str, "Query"], Any]


@dataclass(slots=True)
class Query:
    """The options of one request, or of one nested $expand."""

    filter: str = ""
    select: frozenset[str] | None = None
    select_text: str = ""
    expand: dict[str, "Query"] = field(default_factory=dict[str, "Query"])
    top: int | None = None
    skip: int = 0
    orderby: str = ""
    count: bool = False
    skiptoken: str = ""


@dataclass(slots=True)
class Page:
    """What a list answers with."""

    rows: list[Row]
    total: int | None = None
    token: str = ""


def parse_query(text: str) -> Query:
    """Read a URL's query string; options may come with or without the dollar."""
    return _build_query(parse_qsl(text, keep_blank_values=True)) if text else Query()


def _build_query(pairs: Iterable[tuple[str, str]]) -> Query:
    query = Query()
    for name, value in pairs:
        bare = name.removeprefix("$")
        if bare not in _KNOWN:
            if name.startswith("$"):
                raise query_error(f"The query parameter '{name}' is not supported.")
            continue
        _set_option(query, bare, value)
    return query


def _set_option(query: Query, name: str, value: str) -> None:
    match name:
        case "select":
            query.select_text = value
            query.select = frozenset(part.strip() for part in value.split(",") if part.strip()) or None
        case "expand":
            query.expand = dict(_parse_expand(part) for part in _split_outside(value, ","))
        case "top" | "skip":
            setattr(query, name, _read_count(name, value))
        case "count":
            query.count = value.lower() == "true"
        case _:
            setattr(query, name, value)


def _read_count(name: str, value: str) -> int:
    if not value.isdigit():
        raise query_error(f"Invalid value '{value}' for ${name} query option found.")
    return int(value)


def _split_outside(text: str, separator: str) -> list[str]:
    """Split on separators that stand outside of parentheses and quotes."""
    parts, depth, quoted, start = list[str](), 0, False, 0
    for at, char in enumerate(text):
        quoted ^= char == "'"
        if quoted:
            continue
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == separator and not depth:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def _parse_expand(text: str) -> tuple[str, Query]:
    name, bracket, rest = text.partition("(")
    if not bracket:
        return name, Query()
    options = (part.partition("=") for part in _split_outside(rest.removesuffix(")"), ";"))
    return name.strip(), _build_query((key, value) for key, _, value in options)


def page_size(prefer: str) -> int:
    """Return the page size a Prefer header asks for; more than 20 000 is refused (operational limits)."""
    for part in prefer.split(","):
        name, _, value = part.strip().partition("=")
        if name == "odata.maxpagesize" and value.isdigit() and int(value):
            if int(value) > PAGE_LIMIT:
                raise ApiError(413, "BadRequest", f"The page size {value} exceeds the maximum of {PAGE_LIMIT}.")
            return int(value)
    return PAGE_LIMIT


def list_table(table: Table, query: Query, size: int, rows: Iterable[Row] | None = None) -> Page:
    """Answer a list request over a table, by index where the filter has an equality on an indexed property."""
    node = parse_filter(query.filter, table.entity) if query.filter else None
    if rows is None:
        rows = _candidates(table, node)
    return _cut(rows, node, table.entity, query, size)


def list_rows(rows: Iterable[Row], entity: EntityType, query: Query, size: int = PAGE_LIMIT) -> Page:
    """Answer a list request over rows that live in no table, such as a document's lines."""
    node = parse_filter(query.filter, entity) if query.filter else None
    return _cut(rows, node, entity, query, size)


def _candidates(table: Table, node: Node | None) -> Iterable[Row]:
    if node is None or node.equal is None or not table.is_indexed(node.equal[0]):
        if node and node.equal and node.equal[0] == "id":
            return [table.rows[key] for key in dict.fromkeys(node.equal[1]) if key in table.rows]
        return table.rows.values()
    name, values = node.equal
    found = {row.wire["id"]: row for value in values for row in table.find(name, value)}
    return sorted(found.values(), key=lambda row: row.ordinal)


def _cut(rows: Iterable[Row], node: Node | None, entity: EntityType, query: Query, size: int) -> Page:
    if node is not None:
        test = node.test
        rows = (row for row in rows if test(row.wire))
    start = _read_token(query.skiptoken)
    total = None
    if query.count or query.orderby:
        rows = list(rows)
        total = len(rows) if query.count else None
    if query.orderby:
        # A sorted answer is paged by position, any other by the last record seen.
        rows = islice(_sort(rows, entity, query.orderby), start.position, None)
    elif start.position:
        rows = (row for row in rows if row.ordinal > start.position)
    if query.skip and not query.skiptoken:
        rows = islice(rows, query.skip, None)
    page, token = _take(iter(rows), query, size, start)
    return Page(page, total, token)


def _take(rows: Iterator[Row], query: Query, size: int, start: "_Start") -> tuple[list[Row], str]:
    limit = size if query.top is None else min(size, query.top - start.taken)
    page = list(islice(rows, max(limit, 0)))
    taken = start.taken + len(page)
    if not page or (query.top is not None and taken >= query.top) or next(rows, None) is None:
        return page, ""
    skipped = 0 if query.skiptoken else query.skip
    position = start.position + len(page) + skipped if query.orderby else page[-1].ordinal
    return page, base64.urlsafe_b64encode(f"{position}:{taken}".encode()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a page begins: a position or the last ordinal seen, and how many records $top has already had."""

    position: int = 0
    taken: int = 0


def _read_token(token: str) -> _Start:
    if not token:
        return _Start()
    try:
        position, _, taken = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().partition(":")
        return _Start(int(position), int(taken))
    except ValueError as exc:
        raise bad_request("The skip token is not valid.") from exc


def _sort(rows: Iterable[Row], entity: EntityType, orderby: str) -> list[Row]:
    ordered = list(rows)
    for part in reversed(orderby.split(",")):
        name, _, direction = part.strip().partition(" ")
        if name not in entity.properties:
            raise unknown_property(name, entity.name)
        if direction not in {"", "asc", "desc"}:
            raise query_error(f"Syntax error in $orderby '{orderby}'.")
        _sort_by(ordered, name, descending=direction == "desc")
    return ordered


def _sort_by(rows: list[Row], name: str, *, descending: bool) -> None:
    rows.sort(key=lambda row: row.wire[name], reverse=descending)


def project(row: Row, entity: EntityType, query: Query, expander: Expander) -> Json:
    """Return the record as the answer shows it: selected properties, expanded navigations."""
    wire = row.wire
    if query.select is not None and "*" not in query.select:
        shown = _select(wire, entity, query)
    else:
        shown = wire if not query.expand else dict(wire)
    for name, nested in query.expand.items():
        shown[name] = expander(row, name, nested)
    return shown


def _select(wire: Json, entity: EntityType, query: Query) -> Json:
    wanted = query.select or frozenset()
    for name in wanted:
        if name not in entity.properties and name not in query.expand:
            raise unknown_property(name, entity.name)
    shown = {"@odata.etag": wire["@odata.etag"]} if "@odata.etag" in wire else {}
    shown.update((name, value) for name, value in wire.items() if name in wanted)
    return shown


def next_link(url: str, query_text: str, token: str) -> str:
    """Return the opaque link to the next page."""
    kept = [
        pair for pair in query_text.split("&") if pair and not pair.startswith(("$skiptoken=", "%24skiptoken=", "aid="))
    ]
    return f"{url}?{'&'.join([*kept, 'aid=FIFO', '$skiptoken=' + quote(token)])}"
