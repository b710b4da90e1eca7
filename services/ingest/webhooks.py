"""The webhook endpoint. Answers 200 only after the broker has acknowledged; Stripe repeats anything else for days.

| answer | when |
|---|---|
| 200 | published, or of no concern to the hub (an endpoint that fails holds up the merchant's invoices) |
| 400 | not signed, wrongly signed, too old or from the future; not an event |
| 404 | nobody has connected this Stripe account |
| 413 | larger than any event |
| 503 | broker or ledger did not take it: Stripe comes again |
"""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.stripe.signatures import EventRefused, SignatureRefused, parse_event, verify_webhook
from hub.clock import Clock
from hub.directory import Directory, Snapshot
from hub.ledger import Ledger
from hub.log import get_logger
from hub.metrics import WEBHOOKS
from hub.stage.ports import Outgoing, Publisher
from hub.trace import begin_trace
from schemas.errors import HubError
from schemas.ids import build_message_key
from schemas.messages import StripeEventReceived
from schemas.stripe_objects import Event
from schemas.topics import STRIPE_EVENTS
from services.ingest.decide import choose_connections, decide_event

# Stripe's events stay below 1 MB: an invoice embeds at most ten of its lines.
MAX_BODY_BYTES = 2_000_000
_TAKEN = WEBHOOKS.labels("200")


class WebhookRefused(Exception):  # noqa: N818 - an answer, not a fault
    """The request is answered with this status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Webhooks:
    """The endpoint for all connections: `POST /webhooks/stripe/{account}`."""

    directory: Directory
    ledger: Ledger
    publisher: Publisher
    clock: Clock

    def build_route(self) -> Route:
        """Build the HTTP route."""
        return Route("/webhooks/stripe/{account}", self.receive, methods=["POST"])

    async def receive(self, request: Request) -> Response:
        """Answer one webhook."""
        begin_trace()
        try:
            answer = await self._take(request)
        except WebhookRefused as refused:
            return _refuse(refused.status, refused.reason)
        except HubError as error:
            get_logger().error("ingest.webhook.not_taken", code=error.code, why=error.message)
            return _refuse(503, "The hub can't take events right now; please send it again.")
        _TAKEN.inc()
        return answer

    async def _take(self, request: Request) -> Response:
        body = await _read_body(request)
        account = request.path_params["account"]
        snapshots = await self._find_connections(account)
        event, chosen = self._verify(body, request.headers.get("stripe-signature"), snapshots)
        if event.account not in {None, account}:
            raise WebhookRefused(400, "The event belongs to another account than its address.")
        published = 0
        ignored: str | None = None
        for snapshot in chosen:
            message = decide_event(event, snapshot, "webhook", self.clock.now(), body.decode())
            if isinstance(message, str):
                ignored = message
            else:
                await publish_event(self.ledger, self.publisher, message, event)
                published += 1
        return JSONResponse({"received": True, "published": published, **({"ignored": ignored} if ignored else {})})

    async def _find_connections(self, account: str) -> list[Snapshot]:
        ids = await self.directory.find_account(account)
        if not ids:
            raise WebhookRefused(404, "No connection of this hub belongs to this Stripe account.")
        return [await self.directory.get(connection) for connection in ids]

    def _verify(self, body: bytes, header: str | None, snapshots: list[Snapshot]) -> tuple[Event, list[Snapshot]]:
        secrets = list(
            dict.fromkeys(s.get_secret_value().strip() for one in snapshots for s in one.secrets.webhook_secrets)
        )
        try:
            fitting = verify_webhook(body, header, secrets, now=self.clock.now())
            event = parse_event(body)
        except (SignatureRefused, EventRefused) as refused:
            raise WebhookRefused(400, str(refused)) from refused
        return event, choose_connections(snapshots, secrets[fitting], livemode=event.livemode)


async def publish_event(ledger: Ledger, publisher: Publisher, message: StripeEventReceived, event: Event) -> None:
    """Publish to the head; *sent* is recorded first, for only the event tells it.

    Raises:
        RetrySoon: ledger or broker did not take it.
    """
    if event.type == "invoice.sent":
        await ledger.record_sent(message.connection, message.object_id, message.occurred_at)
    key = build_message_key(message.connection, message.object_id)
    await publisher.publish(Outgoing(STRIPE_EVENTS, key, message))


async def _read_body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise WebhookRefused(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
        parts.append(part)
    return b"".join(parts)


def _refuse(status: int, reason: str) -> Response:
    WEBHOOKS.labels(str(status)).inc()
    get_logger().warning("ingest.webhook.refused", status=status, reason=reason)
    return JSONResponse({"received": False, "reason": reason}, status_code=status)
