"""Whether a webhook comes from Stripe, and what event it holds.

The check is our own, on `hmac`, because the SDK's `WebhookSignature` (16.1.0) accepts timestamps from the future, takes
one secret at a time, decodes the whole body for each, and lets TypeError and UnicodeDecodeError out for odd input.
"""

import hmac
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from schemas.stripe_objects import Event, EventData, EventObject, ThinEvent

SignatureReason = Literal["no_secret", "no_header", "malformed_header", "wrong_signature", "too_old", "from_the_future"]
EventReason = Literal["not_json", "not_an_event"]

_SIGNATURE_SENTENCES: dict[SignatureReason, str] = {
    "no_secret": "No signing secret is stored for this endpoint.",
    "no_header": "The request has no Stripe-Signature header.",
    "malformed_header": "The Stripe-Signature header has not the form t=<time>,v1=<signature>.",
    "wrong_signature": "The signature fits none of the endpoint's signing secrets.",
    "too_old": "The signature is too old: the request was held up or repeated, or the hub's clock is ahead.",
    "from_the_future": "The signature is from the future: the hub's clock is behind.",
}
_EVENT_SENTENCES: dict[EventReason, str] = {
    "not_json": "The body is not JSON.",
    "not_an_event": "The body is not a Stripe event.",
}
_EVENT = msgspec.json.Decoder(Event)
_THIN_EVENT = msgspec.json.Decoder(ThinEvent)
# What Stripe calls the thin form of an event that has a snapshot form too: v1.invoice.finalized.
_SNAPSHOT_TYPE = "v1."
_DEFAULT_TOLERANCE = timedelta(minutes=5)
_DIGEST_LENGTH = 64
# Seconds until the year 33658; int() of an endless row of digits would be work for an attacker's pleasure.
_LONGEST_TIMESTAMP = 12


class SignatureRefused(Exception):  # noqa: N818 - an answer to the sender, not a fault
    """The request does not prove that it comes from Stripe, now. Answer 400. Holds nothing of the body."""

    def __init__(self, reason: SignatureReason) -> None:
        super().__init__(_SIGNATURE_SENTENCES[reason])
        self.reason: SignatureReason = reason


class EventRefused(Exception):  # noqa: N818
    """The body, though signed, is no event the hub can read. Holds nothing of the body."""

    def __init__(self, reason: EventReason) -> None:
        super().__init__(_EVENT_SENTENCES[reason])
        self.reason: EventReason = reason


def check_signature_header(header: str | None, *, now: datetime, tolerance: timedelta = _DEFAULT_TOLERANCE) -> None:
    """Refuse by the header alone what no body can make right, so that none is kept for it.

    Raises:
        SignatureRefused: the header is missing or malformed, or its time is too far from now.
    """
    _check_age(_parse_header(header)[0], now, tolerance)


def verify_webhook(
    payload: bytes,
    header: str | None,
    secrets: Sequence[str],
    *,
    now: datetime,
    tolerance: timedelta = _DEFAULT_TOLERANCE,
) -> int:
    """Return the index of the secret that signed the payload.

    Args:
        payload: The body exactly as received.
        header: The value of `Stripe-Signature`.
        secrets: All that are valid now; blank ones count for nothing, outer blanks are taken off.
        now: The time of receipt, aware.
        tolerance: How far the signature's time may lie from now, on either side.

    Raises:
        SignatureRefused: whatever is wrong with the request; nothing else is raised for any input.
    """
    timestamp, signatures = _parse_header(header)
    index = _find_secret(b"%d.%b" % (timestamp, payload), signatures, secrets)
    _check_age(timestamp, now, tolerance)
    return index


def parse_event(payload: bytes) -> Event:
    """Read the body of a verified webhook: a snapshot event, or a thin one, which only names its object.

    Raises:
        EventRefused: it is not JSON, or neither of these.
    """
    try:
        # The decoder skips what nobody asks for, and the bytes of its texts with it.
        if not payload.isascii():
            payload.decode()
        return _EVENT.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _parse_thin_event(payload)


def _parse_thin_event(payload: bytes) -> Event:
    """Read a thin event as the snapshot event that it stands for, with nothing of its object but the id."""
    try:
        thin = _THIN_EVENT.decode(payload)
        payload.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise EventRefused(_explain(payload)) from None
    related = thin.related_object
    return Event(
        id=thin.id,
        object="event",
        type=thin.type.removeprefix(_SNAPSHOT_TYPE),
        created=int(thin.created.timestamp()),
        livemode=thin.livemode,
        data=EventData(EventObject(id=related.id if related else None)),
        account=thin.context,
        is_thin=True,
    )


def _parse_header(header: str | None) -> tuple[int, list[bytes]]:
    if not header or not header.strip():
        raise SignatureRefused("no_header")
    timestamps: list[str] = []
    signatures: list[bytes] = []
    for item in header.split(","):
        name, _, value = item.partition("=")
        if name == "v1":
            # compare_digest wants ASCII; "?" is in no digest.
            signatures.append(value.encode("ascii", "replace"))
        elif name == "t":
            timestamps.append(value)
    if len(timestamps) != 1 or not signatures:
        raise SignatureRefused("malformed_header")
    return _parse_timestamp(timestamps[0]), signatures


def _check_age(timestamp: int, now: datetime, tolerance: timedelta) -> None:
    age = now.timestamp() - timestamp
    if age > tolerance.total_seconds():
        raise SignatureRefused("too_old")
    if -age > tolerance.total_seconds():
        raise SignatureRefused("from_the_future")


def _parse_timestamp(text: str) -> int:
    """Read what Stripe writes, and not all that int() takes: blanks, signs, underscores, other digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_TIMESTAMP and (text[0] != "0" or text == "0")):
        raise SignatureRefused("malformed_header")
    return int(text)


def _find_secret(signed: bytes, signatures: Sequence[bytes], secrets: Sequence[str]) -> int:
    keys = [secret.strip().encode("utf-8", "replace") for secret in secrets]
    if not any(keys):
        raise SignatureRefused("no_secret")
    candidates = [signature for signature in signatures if len(signature) == _DIGEST_LENGTH]
    for index, key in enumerate(keys):
        if key and candidates:
            expected = hmac.digest(key, signed, "sha256").hex().encode()
            for candidate in candidates:
                if hmac.compare_digest(expected, candidate):
                    return index
    raise SignatureRefused("wrong_signature")


def _explain(payload: bytes) -> EventReason:
    """Say what a refused body is, by reading it again, slowly."""
    try:
        json.loads(payload.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return "not_json"
    return "not_an_event"


def _refuse_constant(name: str) -> None:
    """NaN and Infinity are no JSON."""
    raise ValueError(name)
