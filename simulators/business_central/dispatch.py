"""From a path below the API root to a record or a list, and back to an answer."""

import re
from dataclasses import dataclass, field
from typing import Any

from simulators.business_central.attachments import content_of
from simulators.business_central.company import Company
from simulators.business_central.entities import ENTITIES
from simulators.business_central.errors import (
    ApiError,
    bad_request,
    entity_changed,
    method_not_allowed,
    missing_token,
    query_error,
    unknown_segment,
)
from simulators.business_central.odata import Query, next_link, page_size, parse_query
from simulators.business_central.readings import Readings
from simulators.business_central.resources import RESOURCES, Call, Resource
from simulators.business_central.store import Json, Row
from simulators.business_central.values import GUID
from simulators.business_central.wire import Reply, Request, json_reply, write_out

_SEGMENT = re.compile(r"^([A-Za-z$][A-Za-z0-9_$.]*)(?:\((.*)\))?$")
_CONTENT_TYPE = "application/json; odata.metadata=minimal; odata.streaming=true"
_ACTION = "Microsoft.NAV."


@dataclass(frozen=True, slots=True)
class Target:
    """What a path leads to: a list, a record, an action on a record, or a record's content."""

    resource: Resource
    row: Row | None = None
    action: str = ""
    stream: str = ""
    counted: bool = False
    linked: bool = False


@dataclass(slots=True)
class Operation:
    """One request as the company sees it, from the wire or out of a batch."""

    request: Request
    company: Company
    segments: list[str]
    root: str
    hide_drafts: bool = False
    hide_posted: bool = False
    created: bool = field(default=False, init=False)


def split_segment(segment: str) -> tuple[str, str | None]:
    """Split `customers(<key>)` into name and key; raises ApiError for what is neither."""
    match = _SEGMENT.match(segment)
    if match is None:
        raise unknown_segment(segment)
    key = match[2]
    if key is not None and not GUID.match(key):
        raise query_error(f"Bad Request - Error in query syntax: the key '{key}' is not a GUID.")
    return match[1], key.lower() if key else None


def run_operation(operation: Operation) -> Reply:
    """Carry one operation out; raises ApiError."""
    request = operation.request
    replica = request.headers.get("data-access-intent", "").lower() == "readonly"
    if replica and request.method != "GET":
        raise bad_request("Data-Access-Intent ReadOnly is not allowed on a request that writes.")
    call = Call(
        operation.company,
        parse_query(request.query),
        page_size=page_size(request.headers.get("prefer", "")),
        replica=replica,
        hide_drafts=operation.hide_drafts,
        hide_posted=operation.hide_posted,
        origin=f"{operation.root}/companies({operation.company.id})",
    )
    target = resolve(call, operation.segments)
    if target.stream:
        return content_of(call, target.resource, _row(target), target.stream, request)
    return _METHODS.get(request.method, _refuse)(operation, call, target)


def resolve(call: Call, segments: list[str]) -> Target:
    """Walk the path."""
    name, key = split_segment(segments[0])
    resource = _resource(name)
    at = 1
    while True:
        if key is None:
            return _end_of_list(resource, segments[at:])
        row = resource.get(call, key)
        if at == len(segments):
            return Target(resource, row)
        following = segments[at]
        at += 1
        if following.startswith(_ACTION) or following in resource.streams:
            return _end_of_record(resource, row, following, segments[at:])
        name, key = split_segment(following)
        if name in resource.links and key is None and at == len(segments):
            return _linked(call, resource, row, name)
        if name not in resource.children:
            raise unknown_segment(following)
        call.parents.append((resource.set_name, row))
        resource = _resource(resource.children[name])


def _resource(name: str) -> Resource:
    resource = RESOURCES.get(name)
    if resource is None:
        raise unknown_segment(name)
    return resource


def _end_of_list(resource: Resource, rest: list[str]) -> Target:
    if not rest:
        return Target(resource)
    if rest == ["$count"]:
        return Target(resource, counted=True)
    raise unknown_segment(rest[0])


def _end_of_record(resource: Resource, row: Row, name: str, rest: list[str]) -> Target:
    if name.startswith(_ACTION):
        return Target(resource, row, action=name)
    return Target(resource, row, stream="/".join([name, *rest]))


def _linked(call: Call, resource: Resource, row: Row, name: str) -> Target:
    set_name, prop = resource.links[name]
    found = call.company.get(set_name, row.wire[prop])
    if found is None:
        raise ApiError(404, "Internal_DataNotFoundFilter", f"There is no {name} within the filter.")
    return Target(_resource(set_name), found, linked=True)


def _row(target: Target) -> Row:
    if target.row is None:
        raise unknown_segment(target.resource.set_name)
    return target.row


def _refuse(operation: Operation, _call: Call, target: Target) -> Reply:
    raise method_not_allowed(operation.request.method, target.resource.set_name)


def _check_verb(operation: Operation, target: Target) -> None:
    if operation.request.method not in target.resource.entity.verbs:
        raise method_not_allowed(operation.request.method, target.resource.set_name)


def _get(operation: Operation, call: Call, target: Target) -> Reply:
    _check_verb(operation, target)
    if target.row is not None:
        return _record(operation, call, target, _show(operation, call, target, target.row), 200)
    page = target.resource.page(call)
    if target.counted:
        total = page.total if page.total is not None else len(page.rows)
        return Reply(200, str(total).encode(), content_type="text/plain")
    expander = target.resource.show
    body: Json = {"@odata.context": _context(operation, call, target)}
    if page.total is not None:
        body["@odata.count"] = page.total
    body["value"] = [expander(call, _answered(operation, target, row)) for row in page.rows]
    if page.token:
        body["@odata.nextLink"] = next_link(_url(operation), operation.request.query, page.token)
    reply = _json(operation, 200, body)
    prefer = operation.request.headers.get("prefer", "")
    if "odata.maxpagesize" in prefer:
        reply.headers["Preference-Applied"] = f"odata.maxpagesize={call.page_size}"
    return reply


def _post(operation: Operation, call: Call, target: Target) -> Reply:
    if target.action:
        target.resource.act(call, _row(target), target.action)
        return Reply(204)
    _check_verb(operation, target)
    if target.row is not None:
        raise method_not_allowed("POST", target.resource.set_name)
    call.body = _read_json(operation, target.resource)
    row = target.resource.insert(call)
    readings = operation.company.core.readings
    nested = [name for name in target.resource.children if isinstance(call.body, dict) and name in call.body]
    if readings.nested == "never":
        call.query.expand = {}
    elif readings.nested == "always":
        call.query.expand |= {name: Query() for name in nested}
    shown = target.resource.show(call, _answered(operation, target, row))
    if nested:
        shown = _as_read(readings, shown, row, nested)
    reply = _record(operation, call, target, shown, 201)
    if readings.location:
        reply.headers["Location"] = f"{_url(operation)}({row.wire['id']})"
    return reply


def _patch(operation: Operation, call: Call, target: Target) -> Reply:
    _check_verb(operation, target)
    if target.row is None:
        # Collections cannot be patched (OData known limitations).
        raise method_not_allowed("PATCH", target.resource.set_name)
    _check_token(operation.request, target.row)
    call.body = _read_json(operation, target.resource)
    changed = target.resource.modify(call, target.row)
    return _record(operation, call, target, _show(operation, call, target, changed), 200)


def _delete(operation: Operation, call: Call, target: Target) -> Reply:
    _check_verb(operation, target)
    if target.row is None:
        raise method_not_allowed("DELETE", target.resource.set_name)
    _check_token(operation.request, target.row)
    target.resource.remove(call, target.row)
    return Reply(204)


_METHODS = {"GET": _get, "POST": _post, "PATCH": _patch, "DELETE": _delete}


def _check_token(request: Request, row: Row) -> None:
    """Demand If-Match: an etag or `*` (BC facts §11)."""
    token = request.headers.get("if-match", "").strip()
    if token == "*":
        return
    if not token.startswith(('W/"', '"')):
        raise missing_token()
    if token != row.wire["@odata.etag"]:
        raise entity_changed()


def _read_json(operation: Operation, resource: Resource) -> Any:
    request = operation.request
    content_type = request.headers.get("content-type", "")
    if request.body and not content_type.lower().startswith("application/json"):
        text = f"The content type '{content_type}' is not supported."
        raise ApiError(415, "BadRequest", text)
    try:
        body = request.json()
    except ValueError:
        raise bad_request("Invalid Request Body") from None
    return _by_page(body, resource) if operation.company.core.readings.order == "page" else body


def _by_page(body: Any, resource: Resource) -> Any:
    """Put the members of a body, and of what is nested in it, in the order of the API page's fields."""
    if not isinstance(body, dict):
        return body
    places = {name: at for at, name in enumerate([*resource.entity.properties, "dimensionSetLines"])}
    ordered: Json = dict(sorted(body.items(), key=lambda item: places.get(item[0], len(places))))
    for name in resource.children.keys() & ordered.keys():
        if isinstance(ordered[name], list):
            ordered[name] = [_by_page(entry, _resource(resource.children[name])) for entry in ordered[name]]
    return ordered


def _show(operation: Operation, call: Call, target: Target, row: Row) -> Json:
    return target.resource.show(call, _answered(operation, target, row))


def _answered(operation: Operation, target: Target, row: Row) -> Row:
    """Return the record that an answer shows: this one, unless a fault shows an older state or another record."""
    match operation.request.answer:
        case "stale":
            return row.older or row
        case "foreign":
            others = target.resource.table(operation.company).rows.values()
            return next((other for other in reversed(others) if other.wire["id"] != row.wire["id"]), row)
        case _:
            return row


def _as_read(readings: Readings, shown: Json, row: Row, nested: list[str]) -> Json:
    """Show a document just inserted as BC may: its header from before the lines, its lines not yet or not complete."""
    if readings.totals == "header" and row.older:
        shown = shown | {name: value for name, value in row.older.wire.items() if name in shown}
    for name in nested if readings.lines != "after" else ():
        if name in shown:
            shown = shown | {name: [_without_amounts(name, line) for line in shown[name] if readings.lines == "blank"]}
    return shown


def _without_amounts(set_name: str, line: Json) -> Json:
    """Blank what Business Central computes for a line."""
    computed = (prop for prop in ENTITIES[set_name].properties.values() if prop.kind == "decimal" and not prop.writable)
    return line | {prop.name: prop.blank for prop in computed if prop.name in line}


def _record(operation: Operation, call: Call, target: Target, shown: Json, status: int) -> Reply:
    reply = _json(operation, status, {"@odata.context": _context(operation, call, target, single=True)} | shown)
    etag = shown.get("@odata.etag")
    if etag:
        reply.headers["ETag"] = etag
    return reply


def _json(operation: Operation, status: int, body: Json) -> Reply:
    reply = json_reply(status, body)
    if operation.company.core.readings.decimals == "binary":
        reply.body = write_out(body).encode()
    reply.content_type = _CONTENT_TYPE
    return reply


def _url(operation: Operation) -> str:
    return f"{operation.request.origin()}{operation.request.path}"


def _context(operation: Operation, call: Call, target: Target, *, single: bool = False) -> str:
    shape = _shape(call.query)
    suffix = "/$entity" if single else ""
    company = f"companies({operation.company.id})"
    return f"{operation.root}/$metadata#{company}/{target.resource.set_name}{shape}{suffix}"


def _shape(query: Query) -> str:
    parts = [query.select_text] if query.select_text else []
    parts += [f"{name}()" for name in query.expand]
    return f"({','.join(parts)})" if parts else ""
