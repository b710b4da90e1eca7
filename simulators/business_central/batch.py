"""$batch: several operations in one request (BC facts §13)."""

import json
from collections.abc import Callable
from typing import Any

from simulators.business_central.errors import ApiError, bad_request
from simulators.business_central.store import Core, Journal, Json
from simulators.business_central.wire import Reply, Request, json_reply

_LIMIT = 100
Runner = Callable[[Request], Reply]


def run_batch(request: Request, root_path: str, core: Core, run: Runner) -> Reply:
    """Run the operations in order; `run` never raises, it answers errors as replies."""
    operations = _read(request)
    snapshot = request.headers.get("isolation", "").lower() == "snapshot"
    go_on = "odata.continue-on-error" in request.headers.get("prefer", "")
    if snapshot:
        core.journal = Journal(core.writes)
    try:
        responses, failed = _run_all(operations, root_path, request, run, go_on=go_on and not snapshot)
        if snapshot and failed and core.journal is not None:
            # The responses of what is rolled back still say 200: so does Business Central.
            core.journal.roll_back()
            core.writes = core.journal.kept_writes
    finally:
        core.journal = None
    return json_reply(200, {"responses": responses})


def _read(request: Request) -> list[Json]:
    try:
        body = request.json()
        operations = body["requests"]
    except (ValueError, TypeError, KeyError):
        raise bad_request("Invalid Request Body") from None
    if len(operations) > _LIMIT:
        raise ApiError(400, "BadRequest", f"A batch may contain at most {_LIMIT} operations.")
    return operations


def _run_all(
    operations: list[Json], root_path: str, outer: Request, run: Runner, *, go_on: bool
) -> tuple[list[Json], bool]:
    """Run until the first failure, or through; later operations are then absent from the answer."""
    responses: list[Json] = []
    failed = False
    for operation in operations:
        reply = run(_inner_request(operation, root_path, outer))
        responses.append(_render(operation, reply))
        failed = failed or not reply.ok
        if failed and not go_on:
            break
    return responses, failed


def _inner_request(operation: Json, root_path: str, outer: Request) -> Request:
    path, _, query = str(operation.get("url", "")).partition("?")
    headers = {name.lower(): str(value) for name, value in (operation.get("headers") or {}).items()}
    inherited = {name: outer.headers[name] for name in ("host", "data-access-intent") if name in outer.headers}
    body = operation.get("body")
    content = b"" if body is None else json.dumps(body, default=float).encode()
    if content:
        headers.setdefault("content-type", "application/json")
    path = f"{root_path}/{path.lstrip('/')}"
    return Request(str(operation.get("method", "GET")).upper(), path, query, inherited | headers, content, outer.scheme)


def _render(operation: Json, reply: Reply) -> Json:
    shown: dict[str, Any] = {
        "id": operation.get("id", ""),
        "status": reply.status,
        "headers": {"content-type": reply.content_type, "odata-version": "4.0"},
    }
    if reply.body:
        shown["body"] = json.loads(reply.body)
    return shown
