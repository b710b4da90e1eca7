"""Events: made at each change, kept as bytes, listed newest first (Stripe facts §5, §53, §58-§60, §71)."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from simulators.stripe.errors import invalid, missing
from simulators.stripe.paging import Page, bounds_of, page_of
from simulators.stripe.params import PAGING, Check, boolean, list_of, text, time_range
from simulators.stripe.state import Call, Context, Event, Json
from simulators.stripe.versions import CURRENT, render_old

MAX_TYPES = 20
KEPT_S = 30 * 24 * 3600
LIST: dict[str, Check] = {
    **PAGING, "type": text(), "types": list_of(text()), "created": time_range, "delivery_success": boolean,
}  # fmt: skip


def dump_json(shown: Any) -> bytes:
    """Encode as the simulator puts JSON on the wire: UTF-8, compact."""
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()


def emit(ctx: Context, kinds: list[tuple[str, Json | None]], shown: Json) -> list[Event]:
    """Record one event per (type, previous_attributes) about the same state of an object, and publish them."""
    object_json = dump_json(shown)
    ctx.dumped = (shown, object_json)
    return [_record(ctx, kind, previous, shown.get("id"), object_json) for kind, previous in kinds]


def _record(ctx: Context, kind: str, previous: Json | None, object_id: str | None, object_json: bytes) -> Event:
    event = Event(
        id=ctx.world.ids.new("evt"),
        type=kind,
        created=ctx.world.clock.stamp(),
        livemode=ctx.realm.livemode,
        account=ctx.realm.account.id,
        object_id=object_id,
        object_json=object_json,
        previous_json=None if previous is None else dump_json(previous),
        request_id=ctx.request_id,
        idempotency_key=ctx.idempotency_key,
    )
    ctx.realm.events.add(event.id, event)
    ctx.world.publish(ctx.realm, event)
    return event


def render_event(event: Event, version: str = CURRENT, *, account: str | None = None) -> bytes:
    """Encode an event; `account` is named only towards Connect endpoints (facts §98)."""
    shown = event.object_json
    if version != CURRENT:
        shown = dump_json(render_old(json.loads(shown)))
    data = b'{"object":' + shown
    if event.previous_json is not None:
        data += b',"previous_attributes":' + event.previous_json
    head: Json = {"id": event.id, "object": "event"}
    if account is not None:
        head |= {"account": account}
    head |= {"api_version": version, "created": event.created}
    tail: Json = {
        "livemode": event.livemode,
        "pending_webhooks": event.pending,
        "request": {"id": event.request_id, "idempotency_key": event.idempotency_key},
        "type": event.type,
    }
    return dump_json(head)[:-1] + b',"data":' + data + b"}," + dump_json(tail)[1:]


def render_thin_event(event: Event, *, account: str | None = None) -> bytes:
    """Encode the thin form, `v2.core.event`: no object, only where to fetch it (facts §3)."""
    kind = json.loads(event.object_json)["object"]
    shown: Json = {
        "id": event.id,
        "object": "v2.core.event",
        "context": account,
        "created": datetime.fromtimestamp(event.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "livemode": event.livemode,
        "reason": {"type": "request", "request": {"id": event.request_id, "idempotency_key": event.idempotency_key}},
        "related_object": {"id": event.object_id, "type": kind, "url": f"/v1/{kind}s/{event.object_id}"},
        "type": f"v1.{event.type}",
    }
    return dump_json(shown)


def without_metadata(body: bytes) -> bytes:
    """Turn empty metadata into null; within a text the quotes would be escaped."""
    return body.replace(b'"metadata":{}', b'"metadata":null')


def _oldest(ctx: Context) -> int:
    """Return the time before which events are gone (facts §58, §60)."""
    return ctx.world.clock.stamp() - KEPT_S


def get_event(call: Call) -> bytes:
    """GET /v1/events/{id}."""
    event = call.realm.events.get(call.args[0])
    if event is None or event.created < _oldest(call):
        raise missing("event", call.args[0], "id")
    return render_event(event)


def list_events(call: Call) -> bytes:
    """GET /v1/events: newest first, each in the version of its creation."""
    floor, ceiling = bounds_of(call.params.get("created"))
    floor = max(floor, _oldest(call))
    for name in ("starting_after", "ending_before"):
        cursor = call.realm.events.get(call.params.get(name) or "")
        if cursor is not None and cursor.created < _oldest(call):
            raise missing("event", cursor.id, name, status=400)
    wanted_types = _wanted_types(call.params)
    delivered = call.params.get("delivery_success")

    def is_wanted(event: Event) -> bool:
        delivery_fits = delivered is None or delivered == (event.pending == 0)
        return floor <= event.created <= ceiling and delivery_fits and wanted_types(event.type)

    found: Page[Event] = page_of(call.realm.events, call.params, is_wanted, lambda event: event.created < floor)
    shown = b",".join(render_event(event) for event in found.entries)
    more = b"true" if found.has_more else b"false"
    return b'{"object":"list","data":[' + shown + b'],"has_more":' + more + b',"url":"/v1/events"}'


def _wanted_types(params: Json) -> Callable[[str], bool]:
    single, several = params.get("type"), params.get("types")
    if single is not None and several is not None:
        raise invalid("You may only specify one of these parameters: type, types.", "types")
    if several is not None and len(several) > MAX_TYPES:
        raise invalid(f"You may pass at most {MAX_TYPES} event types.", "types")
    if several:
        names = frozenset(several)
        return lambda kind: kind in names
    if single is None or single == "*":
        return lambda _kind: True
    if single.endswith("*"):
        return lambda kind: kind.startswith(single[:-1])
    return lambda kind: kind == single
