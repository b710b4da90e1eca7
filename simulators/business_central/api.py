"""The API v2.0 surface: who asks, may they now, what do they want, and the answer's common headers."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from email.utils import formatdate

from simulators.business_central.batch import run_batch
from simulators.business_central.company import Company
from simulators.business_central.dispatch import Operation, run_operation, split_segment
from simulators.business_central.entities import ENTITIES
from simulators.business_central.errors import (
    ApiError,
    invalid_credentials,
    method_not_allowed,
    unknown_segment,
)
from simulators.business_central.odata import list_rows, page_size, parse_query, project
from simulators.business_central.store import Json, Row
from simulators.business_central.throttle import Throttle
from simulators.business_central.tokens import Claims, TokenBook
from simulators.business_central.wire import Reply, Request, json_reply
from simulators.business_central.world import World

_BEARER = "Bearer "
_WRITES = frozenset({"POST", "PATCH", "DELETE"})
_COMPANIES = ENTITIES["companies"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and for which environment."""

    claims: Claims
    companies: dict[str, Company]
    segments: list[str]
    root_path: str


class BusinessCentralApi:
    """Answers everything under /v2.0."""

    def __init__(self, world: World, tokens: TokenBook) -> None:
        self._world = world
        self._tokens = tokens
        self.throttle = Throttle(world.clock, world.ids)
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()

    async def handle(self, request: Request, *, delay_ms: float = 0) -> Reply:
        """Answer one request; `delay_ms` is added to its run time, and holds a slot like real work."""
        correlation = self._world.ids.guid()
        try:
            reply = await self._admit(request, correlation, delay_ms)
        except ApiError as exc:
            reply = self._refusal(exc, correlation)
        self.statuses[reply.status] += 1
        reply.headers |= {
            "OData-Version": "4.0",
            "Date": formatdate(self._world.clock.now(), usegmt=True),
            "request-id": correlation,
            "x-ms-correlation-id": correlation,
        }
        return reply

    async def _admit(self, request: Request, correlation: str, delay_ms: float) -> Reply:
        if self._world.switches.outage:
            raise ApiError(503, "Internal_TenantUnavailable", "The service is unavailable.", {"Retry-After": "30"})
        caller = self._identify(request)
        self.requests[f"{request.method} {_route(caller.segments)}"] += 1
        user = f"{caller.claims.tenant}/{caller.claims.user}"
        await self.throttle.enter(user)
        try:
            pause = delay_ms + self.throttle.limits.service_ms
            if pause:
                await asyncio.sleep(pause / 1000)
            return self.serve(request, caller, correlation)
        finally:
            self.throttle.leave(user)

    def _identify(self, request: Request) -> Caller:
        """Check the token and find the environment; the tenant in the path must be the token's."""
        segments = request.segments()
        try:
            at = segments.index("api", 1)
        except ValueError:
            raise unknown_segment(segments[-1] if segments else "") from None
        if segments[at + 1 : at + 2] != ["v2.0"] or at not in {2, 3}:
            raise unknown_segment("/".join(segments[at:]))
        claims = self._tokens.check(_bearer(request))
        tenant = self._world.find_tenant(segments[1]) if at == len(("v2.0", "tenant", "env")) else claims.tenant
        if tenant != claims.tenant:
            raise invalid_credentials()
        companies = self._world.environments.get((claims.tenant, segments[at - 1].lower()))
        if companies is None:
            raise ApiError(404, "BadRequest_NotFound", f"The environment '{segments[at - 1]}' does not exist.")
        return Caller(claims, companies, segments[at + 2 :], "/" + "/".join(segments[: at + 2]))

    def serve(self, request: Request, caller: Caller, correlation: str) -> Reply:
        """Answer an admitted request."""
        if caller.segments == ["$batch"]:
            if request.method != "POST":
                raise method_not_allowed(request.method, "$batch")
            return run_batch(
                request, caller.root_path, self._world.core, lambda inner: self._inner(inner, caller, correlation)
            )
        return self._serve_one(request, caller)

    def _inner(self, request: Request, caller: Caller, correlation: str) -> Reply:
        depth = len([part for part in caller.root_path.split("/") if part])
        inner = Caller(caller.claims, caller.companies, request.segments()[depth:], caller.root_path)
        try:
            return self._serve_one(request, inner)
        except ApiError as exc:
            return self._refusal(exc, correlation)

    def _refusal(self, exc: ApiError, correlation: str) -> Reply:
        status = self._world.core.readings.statuses.get(exc.code, exc.status)
        return json_reply(status, exc.body(correlation), dict(exc.headers))

    def _serve_one(self, request: Request, caller: Caller) -> Reply:
        segments = caller.segments
        root = request.origin() + caller.root_path
        if not segments:
            return _service_document(root)
        company, rest = _enter_company(request, caller)
        if company is None:
            return _companies(request, caller, root)
        if not rest:
            return _one_company(request, company, root)
        switches, user = self._world.switches, caller.claims.user
        operation = Operation(
            request,
            company,
            rest,
            root,
            hide_drafts=not switches.hide_drafts.isdisjoint({"*", user}),
            hide_posted=not switches.hide_posted.isdisjoint({"*", user}),
        )
        reply = run_operation(operation)
        if request.method in _WRITES:
            self._world.core.writes += 1
        return reply


def _bearer(request: Request) -> str:
    header = request.headers.get("authorization", "")
    if not header.startswith(_BEARER):
        raise invalid_credentials()
    return header[len(_BEARER) :]


def _route(segments: list[str]) -> str:
    """Name the route without its keys."""
    return "/".join(f"{segment.partition('(')[0]}(id)" if "(" in segment else segment for segment in segments[-2:])


def _enter_company(request: Request, caller: Caller) -> tuple[Company | None, list[str]]:
    """Find the company in the path, in ?company= or in the Company header."""
    first, rest = caller.segments[0], caller.segments[1:]
    if first.startswith("companies"):
        name, key = split_segment(first)
        if name == "companies":
            return (_find_company(caller, key), rest) if key else (None, rest)
    wanted = request.params().get("company") or request.headers.get("company", "")
    if not wanted:
        raise ApiError(400, "BadRequest", "The company must be specified in the URL.")
    return _find_company(caller, wanted), caller.segments


def _find_company(caller: Caller, wanted: str) -> Company:
    found = caller.companies.get(wanted.lower())
    found = found or next((company for company in caller.companies.values() if company.name == wanted), None)
    if found is None:
        raise ApiError(404, "Internal_CompanyNotFound", f"Cannot find company with Id or name: {wanted}")
    return found


def _company_row(ordinal: int, company: Company) -> Row:
    wire = _COMPANIES.blank() | {
        "id": company.id,
        "systemVersion": "29.0.0.0",
        "timestamp": ordinal,
        "name": company.name,
        "displayName": company.name,
    }
    return Row(wire, ordinal)


def _no_expand(_row: Row, name: str, _query: object) -> None:
    raise unknown_segment(name)


def _companies(request: Request, caller: Caller, root: str) -> Reply:
    if len(caller.segments) > 1:
        raise unknown_segment(caller.segments[1])
    if request.method != "GET":
        raise method_not_allowed(request.method, "companies")
    query = parse_query(request.query)
    rows = [_company_row(at, company) for at, company in enumerate(caller.companies.values(), start=1)]
    page = list_rows(rows, _COMPANIES, query, page_size(request.headers.get("prefer", "")))
    body: Json = {"@odata.context": f"{root}/$metadata#companies"}
    if page.total is not None:
        body["@odata.count"] = page.total
    body["value"] = [project(row, _COMPANIES, query, _no_expand) for row in page.rows]
    return json_reply(200, body)


def _one_company(request: Request, company: Company, root: str) -> Reply:
    if request.method != "GET":
        raise method_not_allowed(request.method, "companies")
    wire = _company_row(1, company).wire
    return json_reply(200, {"@odata.context": f"{root}/$metadata#companies/$entity"} | wire)


def _service_document(root: str) -> Reply:
    sets = [{"name": name, "kind": "EntitySet", "url": name} for name in ENTITIES]
    return json_reply(200, {"@odata.context": f"{root}/$metadata", "value": sets})
