"""Stripe's metadata rules: 50 keys, 40/500 characters, merge, empty text deletes (Stripe facts §66-§71)."""

from typing import Any

from simulators.stripe.errors import invalid

MAX_KEYS = 50
MAX_KEY = 40
MAX_VALUE = 500


def merge_metadata(current: dict[str, str], given: Any) -> dict[str, str]:
    """Return the metadata after a write; never changes `current`, refuses before anything changes."""
    if given is None or given == "":
        return {}
    if not isinstance(given, dict):
        raise invalid("Invalid hash: metadata must be a set of key-value pairs.", "metadata")
    merged = dict(current)
    for key, value in given.items():
        _check_pair(key, value)
        if value == "":
            merged.pop(key, None)
        else:
            merged[key] = value
    if len(merged) > MAX_KEYS:  # the limit counts the result, the merchant's own keys too (facts §67)
        raise invalid(f"Metadata can have up to {MAX_KEYS} keys, but the result would have {len(merged)}.", "metadata")
    return merged


def _check_pair(key: str, value: Any) -> None:
    name = f"metadata[{key}]"
    if not isinstance(value, str):
        raise invalid(f"Invalid string: metadata values must be text, {key} is a hash.", name)
    if not key or "[" in key or "]" in key:
        raise invalid(f"Metadata keys must not be empty or contain square brackets: {key}", name)
    if len(key) > MAX_KEY:
        raise invalid(f"Metadata keys can have up to 40 characters, but you passed in one of {len(key)}: {key}", name)
    if len(value) > MAX_VALUE:
        raise invalid(
            f"Metadata values can have up to 500 characters, but you passed in one of {len(value)}.",
            name,
        )


def changed_members(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Build `previous_attributes`: what changed, hashes nested, arrays whole, null for the new (facts §71)."""
    previous: dict[str, Any] = {}
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old is new or old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            previous[name] = changed_members(old, new)
        else:
            previous[name] = old
    return previous
