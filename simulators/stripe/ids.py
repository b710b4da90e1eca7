"""Ids in Stripe's look, from one generator that a test can seed."""

import random
import secrets
import string

_ALPHABET = string.ascii_letters + string.digits


class IdMaker:
    """Makes ids; two simulators with the same seed and the same calls make the same ids."""

    def __init__(self) -> None:
        self.rng = random.Random()

    def new(self, prefix: str) -> str:
        """Return an id such as `in_1T…` (24 characters behind the prefix, as Stripe's newer ids)."""
        return f"{prefix}_1T{self.token(22)}"

    def short(self, prefix: str) -> str:
        """Return an id such as `cus_…` (14 characters behind the prefix: customers, products, requests)."""
        return f"{prefix}_{self.token(14)}"

    def token(self, length: int) -> str:
        """Return random letters and digits."""
        return "".join(self.rng.choices(_ALPHABET, k=length))

    def secret(self, prefix: str) -> str:
        """Return a secret; never seeded, so that no two runs share one by accident."""
        return f"{prefix}_{secrets.token_hex(16)}"
