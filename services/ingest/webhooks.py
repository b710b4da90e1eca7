"""The webhook endpoint. Answers 200 only after the broker has acknowledged; Stripe repeats anything else for days.

| answer | when |
|---|---|
| 200 | signed: published, or of no concern to the hub, with the reason (an endpoint that fails holds up the merchant's
        invoices, and in the end Stripe switches it off) |
| 400 | not signed, wrongly signed, too old or from the future |
| 404 | nobody has connected this Stripe account |
| 405 | not a POST |
| 413 | larger than any event |
| 503 | broker or ledger did not take it, or it may be signed with a secret that can't be read now: Stripe comes again |

What is refused by path, account, signature header or length is refused before any of the body is kept. How much all
bodies may hold together, and how long one may take, is bounded below (`hub/http_limits.py`).
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from starlette.types import Receive, Scope, Send

from connectors.stripe.signatures import (
    EventRefused,
    SignatureRefused,
    check_signature_header,
    parse_event,
    verify_webhook,
)
from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.log import get_logger
from hub.metrics import IGNORED, SIGNATURES_REFUSED, WEBHOOKS
from hub.refused_signatures import RefusedSignatures
from hub.trace import begin_trace
from schemas.errors import HubError
from schemas.stripe_objects import Event
from services.ingest.decide import decide_event, find_account
from services.ingest.endpoints import Endpoint, Endpoints
from services.ingest.head import Head

PREFIX = "/webhooks/stripe/"
# Stripe's events stay below 1 MB: an invoice embeds at most ten of its lines.
MAX_BODY_BYTES = 2_000_000
# Stripe's account ids are shorter; what is longer is asked of nobody.
_ACCOUNT = re.compile(r"acct_[A-Za-z0-9_]{1,64}")
_ANOTHER_ACCOUNT = "it belongs to an account that no connection with this signing secret has"
_NO_EVENT = "the body is no event that the hub can read"
_OTHER_MODE = "no connection with this signing secret is of its mode"
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
        endpoint = await self._find_endpoint(account)
        if endpoint is None:
            raise WebhookRefused(404, "No connection of this hub belongs to this Stripe account.")
        now = self.clock.now()
        header = _find_header(scope, b"stripe-signature")
        try:
            check_signature_header(header, now=now)
            _check_length(scope)
            body = await _read_body(receive)
            secret = endpoint.secrets[verify_webhook(body, header, endpoint.secrets, now=now)]
        except SignatureRefused as refused:
            # It may be signed with the secret that can't be read: then Stripe shall come again.
            if endpoint.unreadable is not None and refused.reason in {"wrong_signature", "no_secret"}:
                raise endpoint.unreadable from refused
            await self._count_refused(account, refused, now)
            raise WebhookRefused(400, str(refused)) from refused
        return await self._take_signed(account, endpoint, secret, body)

    async def _take_signed(self, account: str, endpoint: Endpoint, secret: str, body: bytes) -> bytes:
        """Take what Stripe has signed: whatever it is, it is no error of Stripe's."""
        try:
            event = parse_event(body)
        except EventRefused as refused:
            get_logger().warning("ingest.webhook.unread", account=account, reason=str(refused), bytes=len(body))
            return _ignore(_NO_EVENT)
        of = find_account(event)
        if of is not None and of != account:
            # By a Connect endpoint: another connection may name the same endpoint's secret.
            other = await self._find_endpoint(of)
            if other is None or secret not in other.secrets:
                return _ignore(_ANOTHER_ACCOUNT)
            endpoint = other
        return await self._publish(event, body, endpoint.connections[secret, event.livemode], self.clock.now())

    async def _find_endpoint(self, account: str) -> Endpoint | None:
        if not _ACCOUNT.fullmatch(account):
            return None
        return self._endpoints.get(account) or await self._endpoints.load(account)

    async def _publish(self, event: Event, body: bytes, chosen: Sequence[Snapshot], now: datetime) -> bytes:
        published = 0
        ignored: str | None = None if chosen else _OTHER_MODE
        for snapshot in chosen:
            message = decide_event(event, snapshot, "webhook", now)
            if isinstance(message, str):
                ignored = message
            else:
                await self.head.publish(message, event, body)
                published += 1
        if published == 1 and ignored is None:
            return _PUBLISHED
        return _ignore(ignored, event.type, published) if ignored else _tell_taken(published, None)

    async def _count_refused(self, account: str, refused: SignatureRefused, now: datetime) -> None:
        SIGNATURES_REFUSED.labels(account, refused.reason).inc()
        # The sender's answer does not depend on the count.
        with suppress(HubError):
            await self.refused_signatures.count(account, refused.reason, now)


def _ignore(reason: str, event_type: str = "", published: int = 0) -> bytes:
    """Count what nothing comes of, by reasons of which there are few: a type is none."""
    IGNORED.labels(reason.replace(event_type, "…") if event_type else reason).inc()
    return _tell_taken(published, reason)


def _tell_taken(published: int, ignored: str | None) -> bytes:
    return json.dumps({"received": True, "published": published, "ignored": ignored}).encode()


def _check_length(scope: Scope) -> None:
    """Refuse a body by the length that its sender names."""
    named = _find_header(scope, b"content-length") or "0"
    if len(named) > len(str(MAX_BODY_BYTES)) or int(named) > MAX_BODY_BYTES:
        raise _too_large()


def _too_large() -> WebhookRefused:
    return WebhookRefused(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")


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
            raise _too_large()
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _find_header(scope: Scope, wanted: bytes) -> str | None:
    for name, value in scope["headers"]:
        if name == wanted:
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
