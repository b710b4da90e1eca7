"""The webhook endpoint. Answers 200 only after the broker has acknowledged; Stripe repeats anything else for days.

| answer | when |
|---|---|
| 200 | published, or of no concern to the hub (an endpoint that fails holds up the merchant's invoices) |
| 400 | not signed, wrongly signed, too old or from the future; not an event |
| 404 | nobody has connected this Stripe account |
| 405 | not a POST |
| 413 | larger than any event |
| 503 | broker or ledger did not take it, or it may be signed with a secret that can't be read now: Stripe comes again |
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from starlette.types import Receive, Scope, Send

from connectors.stripe.signatures import EventRefused, SignatureRefused, parse_event, verify_webhook
from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.log import get_logger
from hub.metrics import SIGNATURES_REFUSED, WEBHOOKS
from hub.refused_signatures import RefusedSignatures
from hub.trace import begin_trace
from schemas.errors import HubError
from schemas.stripe_objects import Event
from services.ingest.decide import decide_event
from services.ingest.endpoints import Endpoints
from services.ingest.head import Head

PREFIX = "/webhooks/stripe/"
# Stripe's events stay below 1 MB: an invoice embeds at most ten of its lines.
MAX_BODY_BYTES = 2_000_000
# The answer to nearly every webhook that matters.
_PUBLISHED = b'{"received": true, "published": 1, "ignored": null}'
_TAKEN = WEBHOOKS.labels("200")


class WebhookRefused(Exception):  # noqa: N818 - an answer, not a fault
    """The request is answered with this status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass
class Webhooks:
    """The endpoint for all connections, `POST /webhooks/stripe/{account}`, as an ASGI application of its own.

    Not a Starlette route: routing, request, response and middleware objects would cost as much as all the work below.
    """

    directory: Directory
    head: Head
    refused_signatures: RefusedSignatures
    clock: Clock

    def __post_init__(self) -> None:
        self._endpoints = Endpoints(self.directory, self.clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one webhook."""
        begin_trace()
        try:
            answer = await self._take(scope, receive)
        except WebhookRefused as refused:
            await _refuse(send, refused.status, refused.reason)
        except HubError as error:
            get_logger().error("ingest.webhook.not_taken", code=error.code, why=error.message)
            await _refuse(send, 503, "The hub can't take events right now; please send it again.")
        else:
            _TAKEN.inc()
            await _answer(send, 200, answer)

    async def _take(self, scope: Scope, receive: Receive) -> bytes:
        if scope["method"] != "POST":
            raise WebhookRefused(405, "Webhooks are posted.")
        account = scope["path"].removeprefix(PREFIX)
        body = await _read_body(receive)
        endpoint = self._endpoints.get(account) or await self._endpoints.load(account)
        if endpoint is None:
            raise WebhookRefused(404, "No connection of this hub belongs to this Stripe account.")
        now = self.clock.now()
        try:
            secret = endpoint.secrets[verify_webhook(body, _find_signature(scope), endpoint.secrets, now=now)]
            event = parse_event(body)
        except SignatureRefused as refused:
            # It may be signed with the secret that can't be read: then Stripe shall come again.
            if endpoint.unreadable is not None and refused.reason in {"wrong_signature", "no_secret"}:
                raise endpoint.unreadable from refused
            await self._count_refused(account, refused, now)
            raise WebhookRefused(400, str(refused)) from refused
        except EventRefused as refused:
            raise WebhookRefused(400, str(refused)) from refused
        if event.account not in {None, account}:
            raise WebhookRefused(400, "The event belongs to another account than its address.")
        return await self._publish(event, body, endpoint.connections[secret, event.livemode], now)

    async def _publish(self, event: Event, body: bytes, chosen: Sequence[Snapshot], now: datetime) -> bytes:
        published = 0
        ignored: str | None = None
        for snapshot in chosen:
            message = decide_event(event, snapshot, "webhook", now)
            if isinstance(message, str):
                ignored = message
            else:
                await self.head.publish(message, event, body)
                published += 1
        if published == 1 and ignored is None:
            return _PUBLISHED
        return json.dumps({"received": True, "published": published, "ignored": ignored}).encode()

    async def _count_refused(self, account: str, refused: SignatureRefused, now: datetime) -> None:
        SIGNATURES_REFUSED.labels(account, refused.reason).inc()
        # The sender's answer does not depend on the count.
        with suppress(HubError):
            await self.refused_signatures.count(account, refused.reason, now)


async def _read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise WebhookRefused(400, "The sender left before the body was whole.")
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise WebhookRefused(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _find_signature(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"stripe-signature":
            return value.decode("latin-1")
    return None


async def _refuse(send: Send, status: int, reason: str) -> None:
    WEBHOOKS.labels(str(status)).inc()
    get_logger().warning("ingest.webhook.refused", status=status, reason=reason)
    await _answer(send, status, json.dumps({"received": False, "reason": reason}).encode())


async def _answer(send: Send, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": _build_headers(len(body))})
    await send({"type": "http.response.body", "body": body})


@cache
def _build_headers(length: int) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", b"application/json"), (b"content-length", b"%d" % length)]
