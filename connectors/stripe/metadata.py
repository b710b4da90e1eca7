"""Stripe's rules for metadata, and what a change of metadata means. Pure.

At most 50 keys of 40 characters without square brackets, values of 500 characters; a write merges, and an empty value
deletes its key (docs.stripe.com/metadata). There is no compare-and-set: the last write of a key wins.
"""

from collections.abc import Mapping
from typing import Any, cast

from schemas.stripe_objects import Event

MAX_KEYS = 50
MAX_KEY = 40
MAX_VALUE = 500
_ELLIPSIS = "…"


def limit_value(text: str, ending: str = "") -> str:
    """Cut a text to what a metadata value may hold, with an ellipsis where something is missing.

    Stripe says 500 characters, and not what it counts as one: the result has at most 500 bytes of UTF-8 as well. An
    ending (what to do) is set behind the text and kept whole, unless it leaves the text less than half the room.
    """
    end = f" {ending}".encode("utf-8", "replace") if ending else b""
    if len(end) > MAX_VALUE // 2:
        return limit_value(f"{text} {ending}")
    encoded = text.encode("utf-8", "replace")
    if len(encoded) + len(end) > MAX_VALUE:
        room = MAX_VALUE - len(_ELLIPSIS.encode()) - len(end)
        encoded = (encoded[:room].decode("utf-8", "ignore").rstrip() + _ELLIPSIS).encode()
    return (encoded + end).decode()


def is_valid_key(key: str) -> bool:
    """Tell whether Stripe accepts this as a metadata key."""
    return 0 < len(key) <= MAX_KEY and "[" not in key and "]" not in key


def is_valid_value(value: str) -> bool:
    """Tell whether Stripe accepts this as a metadata value, by its own count of characters."""
    return len(value) <= MAX_VALUE


def build_changes(current: Mapping[str, str] | None, desired: Mapping[str, str]) -> dict[str, str]:
    """Return what to send so that the desired keys hold; empty when they hold already.

    Args:
        current: The metadata as it is; None when not known, and then everything is sent.
        desired: What must hold; an empty value means that the key is absent. Other keys stay as they are.
    """
    if current is None:
        return dict(desired)
    return {key: value for key, value in desired.items() if current.get(key, "") != value}


def is_own_write(event: Event, prefix: str, replay_key: str) -> bool:
    """Tell whether an `invoice.updated` is but the echo of the hub's own metadata write.

    It is when nothing but metadata changed, only keys with the hub's prefix, and nobody asks for a replay by it. The
    idempotency key is no proof: events that follow from a request may carry none, and others carry their own.
    """
    previous = event.data.previous_attributes
    if event.type != "invoice.updated" or previous is None or set(previous) != {"metadata"}:
        return False
    keys = _read_previous_metadata(event)
    if not prefix or not keys or not all(key.startswith(prefix) for key in keys):
        return False
    return find_replay_request(event, replay_key) is None


def find_replay_request(event: Event, replay_key: str) -> str | None:
    """Return the new value of the replay key if this event set or changed it; None if it did not, or removed it."""
    previous = _read_previous_metadata(event)
    if event.type != "invoice.updated" or replay_key not in previous:
        return None
    value = _as_mapping(event.data.object.metadata).get(replay_key)
    is_request = isinstance(value, str) and bool(value.strip()) and value != previous[replay_key]
    return value if is_request else None


def find_changed_keys(event: Event) -> frozenset[str]:
    """Return the metadata keys that an update changed."""
    return frozenset(_read_previous_metadata(event))


def _read_previous_metadata(event: Event) -> dict[str, Any]:
    """The keys that changed, with their values before; null for a key that did not exist."""
    return _as_mapping((event.data.previous_attributes or {}).get("metadata"))


def _as_mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
