"""The keys of the hub's writes to Stripe."""

import secrets


def build_idempotency_key() -> str:
    """A new key for each try: Stripe keeps a 500 under its key for a day, and would answer every repeat with it.

    Writing the same values again changes nothing, so a repeat needs no key to be harmless; the SDK keeps this one over
    its own quick repeats. The prefix marks the hub's writes in the events they cause.
    """
    return f"hub:{secrets.token_hex(16)}"
