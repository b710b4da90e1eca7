"""Carries requests to the API, the sign-in or the controls, and faults to the requests."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from simulators.business_central.admin import AdminApi
from simulators.business_central.api import BusinessCentralApi
from simulators.business_central.default_seed import default_seed
from simulators.business_central.errors import ApiError
from simulators.business_central.faults import BcFault
from simulators.business_central.journal import WRITES, Journal
from simulators.business_central.registry import register_resources
from simulators.business_central.seed import apply_seed
from simulators.business_central.sign_in import SignIn
from simulators.business_central.store import Json
from simulators.business_central.tokens import TokenBook
from simulators.business_central.wire import (
    Reply,
    Request,
    json_reply,
    read_request,
    write_reply,
)
from simulators.business_central.world import World
from simulators.faults import FaultBook
from simulators.resets import cut_connection, hold_connection

LONG_OPERATION_SECONDS = 480.0  # run time limit online: eight minutes (operational limits)
_TEXTS = {
    429: ("Application_TooManyRequests", "Too many requests reached."),
    502: ("Unknown", "Bad gateway."),
    503: ("Internal_TenantUnavailable", "The service is temporarily unavailable."),
    504: ("Unknown", "The gateway timed out while waiting for the service."),
}
Answer = Callable[[HTTPScope, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]


class BusinessCentralSimulator:
    """One world behind two ASGI callables: `self` for API and controls, `sign_in_app` for Entra."""

    def __init__(self, seed: Json | None = None, *, long_operation_seconds: float = LONG_OPERATION_SECONDS) -> None:
        register_resources()
        self.world = World()
        self.tokens = TokenBook(self.world)
        self.sign_in = SignIn(self.world, self.tokens)
        self.api = BusinessCentralApi(self.world, self.tokens)
        self.faults = FaultBook(BcFault, self.world.ids.rng)
        self.journal = Journal(self.world.clock)
        self._longest = long_operation_seconds
        self._late: set[asyncio.Task[Reply]] = set()
        self.admin = AdminApi(self.world, self.api, self.sign_in, self.tokens, self.faults, journal=self.journal)
        apply_seed(self.world, default_seed())
        if seed is not None:
            apply_seed(self.world, seed)

    async def close(self) -> None:
        """Drop operations that were still to be committed."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve one HTTP request of the API or the controls."""
        if scope["type"] != "http":
            return
        request = await read_request(scope, receive)
        if request.path.startswith("/_sim"):
            client = scope.get("client")
            await write_reply(send, self.admin.handle(request, client[0] if client else ""))
            return
        hits = self.faults.draw(request.method, request.path, request.body) if self.faults.rules else []
        delay = float(sum(rule.delay_ms for rule in hits if rule.kind == "latency"))
        fault = next((rule for rule in hits if rule.kind != "latency"), None)
        if request.method in WRITES:
            self.journal.note(request, f"arrived{f', {fault.kind} {fault.id}' if fault else ''}")
        if fault is None:
            await write_reply(send, await self._work(request, delay))
        else:
            await self._suffer(fault, request, delay, (scope, receive, send))

    async def sign_in_app(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve one HTTP request of the sign-in."""
        if scope["type"] != "http":
            return
        await write_reply(send, await self.sign_in.handle(await read_request(scope, receive)))

    async def _suffer(
        self,
        fault: BcFault,
        request: Request,
        delay: float,
        line: tuple[HTTPScope, ASGIReceiveCallable, ASGISendCallable],
    ) -> None:
        """Carry a fault out: before the work, after it, or with the work coming later."""
        scope, receive, send = line
        if fault.kind in {"stale", "foreign"}:
            request.answer = fault.kind if not fault.changes else ""
            await write_reply(send, _say_else(await self._work(request, delay), fault.changes))
            return
        if fault.kind == "late_commit":
            self._commit_later(fault, request)
        elif fault.kind in {"reset_after", "slow_after", "timeout_after"} or fault.after:
            reply = await self._work(request, delay)
            if fault.kind == "slow_after":
                await asyncio.sleep(fault.delay_ms / 1000)
                await write_reply(send, reply)
                return
        if fault.kind in {"reset_before", "reset_after"} or fault.reset:
            await cut_connection(scope, receive)
        elif fault.kind == "timeout_after":
            await hold_connection(receive)
        else:
            await write_reply(send, self._fault_reply(fault))

    async def _work(self, request: Request, delay: float = 0) -> Reply:
        reply = await self.api.handle(request, delay_ms=delay)
        if request.method in WRITES:
            self.journal.note(request, f"carried out: {reply.status}")
        return reply

    def _commit_later(self, fault: BcFault, request: Request) -> None:
        """Do the work after the client has gone, as a queued operation does; never later than the run time limit."""
        delay = min(fault.delay_ms / 1000, self._longest)

        async def work() -> Reply:
            try:
                await asyncio.sleep(delay)
                return await self._work(request)
            finally:
                self.journal.late -= 1

        self.journal.late += 1

        task = asyncio.get_running_loop().create_task(work())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def _fault_reply(self, fault: BcFault) -> Reply:
        status = 504 if fault.kind == "late_commit" else fault.status
        code, text = _TEXTS.get(status, ("Internal_ServerError", "An error occurred."))
        text = fault.text or text
        correlation = self.world.ids.guid()
        headers = {"request-id": correlation, "x-ms-correlation-id": correlation}
        if fault.retry_after is not None:
            headers["Retry-After"] = f"{fault.retry_after:g}"
        return json_reply(status, ApiError(status, fault.code or code, text).body(correlation), headers)


def _say_else(reply: Reply, changes: Json) -> Reply:
    """Put other values into an answer: into the record, or into each record of a list."""
    if not changes or not reply.ok or not reply.body:
        return reply
    body = json.loads(reply.body)
    records: list[Json] = body.get("value", [body])
    for record in records:
        record.update(changes)
    return replace(reply, body=json_reply(reply.status, body).body)
