"""Keys of Stripe metadata that the hub writes: such as people can read and name everywhere."""

import re
from typing import Annotated

from pydantic import AfterValidator

_KEY_LENGTH = 40  # Stripe's limit
_PREFIX_LENGTH = 20


def _check_key(key: str) -> str:
    return _check(key, _KEY_LENGTH)


def _check_prefix(prefix: str) -> str:
    return _check(prefix, _PREFIX_LENGTH)


def _check(key: str, limit: int) -> str:
    """Return a key that can be written.

    Raises:
        ValueError: it can't, and why, and what comes next to it.
    """
    if re.fullmatch(r"[A-Za-z0-9_.-]+", key) and len(key) <= limit:
        return key
    nearest = re.sub(r"[^A-Za-z0-9_.-]+", "_", key.strip(" []"))[:limit].strip("_") or "bc_"
    raise ValueError(
        f"{key!r} can't be a metadata key of the hub: write 1 to {limit} letters (A to Z), digits, _, - or dots. "
        f"Stripe takes no brackets, and a key with blanks has no name in templates; nearest is {nearest}"
    )


WrittenMetadataKey = Annotated[str, AfterValidator(_check_key)]
"""A key that the hub writes. Keys that it only reads may have any characters."""
MetadataPrefix = Annotated[str, AfterValidator(_check_prefix)]
"""What all keys of the hub on an invoice begin with."""
