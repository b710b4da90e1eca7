"""From a path below the API root to a record or a list, and back to an answer."""

import re
from dataclasses import dataclass, field
from typing import Any

from simulators.business_central.attachments import content_of
from simulators.business_central.company import Company
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
from simulators.business_central.resources import RESOURCES, Call, Resource
from simulators.business_central.store import Json, Row
from simulators.business_central.values import GUID
from simulators.business_central.wire import Reply, Request, json_reply

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
    nested_answers: str = "asked"
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
        return _record(operation, call, target, target.row, 200)
    page = target.resource.page(call)
    if target.counted:
        total = page.total if page.total is not None else len(page.rows)
        return Reply(200, str(total).encode(), content_type="text/plain")
    expander = target.resource.show
    body: Json = {"@odata.context": _context(operation, call, target)}
    if page.total is not None:
        body["@odata.count"] = page.total
    body["value"] = [expander(call, row) for row in page.rows]
    if page.token:
        body["@odata.nextLink"] = next_link(_url(operation), operation.request.query, page.token)
    reply = _json(200, body)
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
    call.body = _read_json(operation.request)
    row = target.resource.insert(call)
    _choose_nested(operation, call, target)
    reply = _record(operation, call, target, row, 201)
    reply.headers["Location"] = f"{_url(operation)}({row.wire['id']})"
    return reply


def _choose_nested(operation: Operation, call: Call, target: Target) -> None:
    """Let the answer to a POST show what was nested in it, or not."""
    if operation.nested_answers == "never":
        call.query.expand = {}
    elif operation.nested_answers == "always" and isinstance(call.body, dict):
        call.query.expand |= {name: Query() for name in target.resource.children if name in call.body}


def _patch(operation: Operation, call: Call, target: Target) -> Reply:
    _check_verb(operation, target)
    if target.row is None:
        # Collections cannot be patched (OData known limitations).
        raise method_not_allowed("PATCH", target.resource.set_name)
    _check_token(operation.request, target.row)
    call.body = _read_json(operation.request)
    return _record(operation, call, target, target.resource.modify(call, target.row), 200)


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


def _read_json(request: Request) -> Any:
    content_type = request.headers.get("content-type", "")
    if request.body and not content_type.lower().startswith("application/json"):
        text = f"The content type '{content_type}' is not supported."
        raise ApiError(415, "BadRequest", text)
    try:
        return request.json()
    except ValueError:
        raise bad_request("Invalid Request Body") from None


def _record(operation: Operation, call: Call, target: Target, row: Row, status: int) -> Reply:
    shown = target.resource.show(call, row)
    reply = _json(status, {"@odata.context": _context(operation, call, target, single=True)} | shown)
    etag = row.wire.get("@odata.etag")
    if etag:
        reply.headers["ETag"] = etag
    return reply


def _json(status: int, body: Json) -> Reply:
    reply = json_reply(status, body)
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
