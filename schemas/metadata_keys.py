"""Keys of Stripe metadata that the hub writes: such as people can read and name everywhere."""

import re
from functools import partial
from typing import Annotated

from pydantic import AfterValidator


def check_written_key(key: str, limit: int = 40) -> str:
    """Return a key that the hub can write, of Stripe's 40 characters at most; those it only reads may have any.

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


MetadataPrefix = Annotated[str, AfterValidator(partial(check_written_key, limit=20))]
"""What all keys of the hub on an invoice begin with."""
