"""The way of one API request: faults, key, idempotency, parameters, handler, answer (Stripe facts §77, §116, §117)."""

import asyncio
import traceback
from typing import Any

from simulators.faults import FaultBook
from simulators.stripe.auth import check_version, open_realm
from simulators.stripe.errors import ApiError
from simulators.stripe.events import dump_json, without_metadata
from simulators.stripe.expand import expand_paths
from simulators.stripe.faults import StripeFault
from simulators.stripe.forms import flatten, parse_form
from simulators.stripe.idempotency import Answer, IdempotencyStore
from simulators.stripe.params import check_params
from simulators.stripe.routes import Route, build_router
from simulators.stripe.state import Call, World
from simulators.stripe.versions import CURRENT
from simulators.stripe.wire import Reply, Request

_HTML = b"<html><head><title>503 Service Temporarily Unavailable</title></head><body></body></html>"
_SERVER_ERROR = 500


class StripeApi:
    """Answers everything under /v1."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._router = build_router()
        self._keys = IdempotencyStore(world.clock)
        self.faults = FaultBook(StripeFault, world.ids.rng)

    async def handle(self, request: Request) -> Reply | None:
        """Answer one request; None means: cut the connection."""
        hits = self.faults.draw(request.method, request.path, request.body)
        kinds = {rule.kind for rule in hits}
        if "reset_before" in kinds:
            return None
        reply = await self._reply(request, hits)
        self._world.tally.statuses[str(reply.status)] += 1
        if "reset_after" in kinds:
            return None
        if "slow_after" in kinds:
            await asyncio.sleep(max(rule.delay_ms for rule in hits if rule.kind == "slow_after") / 1000)
        if "bad_body" in kinds:
            reply.status, reply.body = 200, reply.body[: max(1, len(reply.body) // 2)]
        return reply

    async def _reply(self, request: Request, hits: list[StripeFault]) -> Reply:
        request_id = self._world.ids.short("req")
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        try:
            realm = open_realm(self._world, request.headers)
            check_version(request.headers)
            route, args = self._find(request)
            given = parse_form(_source_of(request))
            call = Call(self._world, realm, request_id, key, params=given, args=args)
            if key:
                return await self._once(call, request, route, key, hits)
            answer, _ = await self._work(call, route, hits)
        except ApiError as exc:
            answer = _error_answer(exc, request_id)
            return _seal(answer, request_id, exc.headers)
        return self._finish(answer, request_id, hits, key)

    def _find(self, request: Request) -> tuple[Route, list[str]]:
        found = self._router.find(request.method, request.segments[1:]) if len(request.segments) > 1 else None
        if found is None:
            text = f"Unrecognized request URL ({request.method}: {request.path}). Please see https://stripe.com/docs."
            raise ApiError(404, text, stored=False)
        self._world.tally.requests[found[0].template] += 1
        return found

    async def _once(self, call: Call, request: Request, route: Route, key: str, hits: list[StripeFault]) -> Reply:
        """Run under an idempotency key, or replay the kept answer."""
        realm = f"{call.realm.account.id}/{call.realm.livemode}"
        earlier = self._keys.begin(realm, key, request.path, flatten(call.params))
        request_id = call.request_id or ""
        if earlier is not None:
            self._world.tally.idempotent_replays += 1
            extra = {"Idempotent-Replayed": "true", "Original-Request": earlier.request_id, "Idempotency-Key": key}
            return _seal(earlier, request_id, extra)
        kept: Answer | None = None
        try:
            answer, stored = await self._work(call, route, hits)
            kept = answer if stored else None
        finally:
            self._keys.finish(realm, key, kept)
        return self._finish(answer, request_id, hits, key)

    def _finish(self, answer: Answer, request_id: str, hits: list[StripeFault], key: str | None) -> Reply:
        extra = {"Idempotency-Key": key} if key else {}
        for rule in hits:
            extra |= rule.headers()
        return _seal(answer, request_id, extra)

    async def _work(self, call: Call, route: Route, hits: list[StripeFault]) -> tuple[Answer, bool]:
        """Wait as told, fail as told, else run the handler; tells whether a key keeps the answer."""
        for rule in hits:
            if rule.kind == "latency":
                await asyncio.sleep(rule.delay_ms / 1000)
        request_id = call.request_id or ""
        for rule in hits:
            if rule.kind == "status":
                if rule.html:
                    return Answer(rule.status, _HTML, request_id, "text/html"), rule.is_stored
                return Answer(rule.status, dump_json(rule.error()), request_id), rule.is_stored
        try:
            body = _run(call, route)
            if self._world.settings.null_metadata:
                body = without_metadata(body)
            return Answer(200, body, request_id), True
        except ApiError as exc:
            return _error_answer(exc, request_id), exc.stored
        except Exception:  # noqa: BLE001 - a defect of the simulator must look like Stripe's 500 and be seen on stderr
            traceback.print_exc()
            return _error_answer(ApiError(_SERVER_ERROR, "Simulator defect", kind="api_error"), request_id), True


def _source_of(request: Request) -> str:
    try:
        return request.text()
    except UnicodeDecodeError as exc:
        raise ApiError(400, "Invalid request: the body is not UTF-8.", stored=False) from exc


def _run(call: Call, route: Route) -> bytes:
    call.params = check_params(call.params, route.params)
    paths: list[str] = call.params.pop("expand", [])
    shown: Any = route.handler(call)
    if isinstance(shown, bytes):
        return shown
    if paths:
        return dump_json(expand_paths(call.realm, shown, paths))
    if call.dumped is not None and call.dumped[0] is shown:
        return call.dumped[1]
    return dump_json(shown)


def _error_answer(exc: ApiError, request_id: str) -> Answer:
    return Answer(exc.status, dump_json(exc.body()), request_id)


def _seal(answer: Answer, request_id: str, extra: dict[str, str]) -> Reply:
    headers = {"Request-Id": request_id, "Stripe-Version": CURRENT, **extra}
    return Reply(answer.status, answer.body, headers, answer.content_type)
