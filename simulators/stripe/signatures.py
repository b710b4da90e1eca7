"""The `Stripe-Signature` header: one v1 per living secret over the exact bytes (Stripe facts §45-§47)."""

import hashlib
import hmac
from collections.abc import Iterable


def sign(body: bytes, secrets: Iterable[str], timestamp: int) -> str:
    """Return the header for these bytes at this time."""
    prefix = str(timestamp).encode() + b"."
    digests = [hmac.new(secret.encode(), prefix + body, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={timestamp}", *(f"v1={digest}" for digest in digests)])
