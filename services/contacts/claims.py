"""Claims on the creation of a BC customer: one per match value, across all connections of the BC company.

A claim passes through the states of a draft: intent, then created. It lives for a day, longer than any doubt: after
that the customer is found in Business Central by the rules, or by its link.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hub.intent import build_not_replicated, write_intent
from hub.lease import Lease
from hub.redis import customer_claim_key, run
from mapping.customers import MatchValue
from schemas.contract import Contract, Moment

_LIFE = timedelta(days=1)


class Claim(Contract):
    """The creation of a BC customer under one match value."""

    intent_at: Moment | None = None
    slot: str | None = None
    """The limiter's slot that stays taken while in doubt."""
    customer_id: str | None = None


@dataclass(frozen=True)
class Claims:
    """The claims under all match values of one customer. Written only while their leases are held."""

    redis: Any
    company_key: str
    values: Sequence[MatchValue]
    replicas: int = 0
    """As `Ledger.replicas`."""

    async def load(self) -> "Held":
        """Return what is claimed under each value."""
        stored = [await run(self.redis.get(self._key(value))) for value in self.values]
        found = zip(self.values, stored, strict=True)
        return Held({value: Claim.model_validate_json(text) for value, text in found if text})

    async def write_intent(self, leases: Sequence[Lease]) -> Claim:
        """Claim all values for a creation that is about to be requested, and begin the leases' lives anew.

        Raises:
            RetrySoon: a lease has ended, and the claims may be another's; or a failover of Redis could forget them, and
                they were dropped.
        """
        keys = [self._key(value) for value in self.values]
        intent = await write_intent(self.redis, leases, keys, Claim(), life=_LIFE, replicas=self.replicas)
        if not intent.is_replicated:
            await self.drop()
            raise build_not_replicated()
        return intent.record

    async def save(self, claim: Claim, values: Sequence[MatchValue] | None = None) -> None:
        """Write the claim under these values, or all."""
        for value in self.values if values is None else values:
            await run(self.redis.set(self._key(value), claim.model_dump_json(), ex=_LIFE))

    async def drop(self) -> None:
        """Forget an intent that came to nothing."""
        for value in self.values:
            await run(self.redis.delete(self._key(value)))

    def _key(self, value: MatchValue) -> str:
        return customer_claim_key(self.company_key, digest(value))


@dataclass(frozen=True)
class Held:
    """The claims as they were read."""

    by_value: Mapping[MatchValue, Claim]

    def find_customer(self, value: MatchValue) -> str | None:
        """Return the customer that was lately created under the value."""
        claim = self.by_value.get(value)
        return claim.customer_id if claim else None

    def find_intent(self) -> datetime | None:
        """Return when the latest creation was begun of which no end is known."""
        return max((claim.intent_at for claim in self.by_value.values() if claim.intent_at), default=None)

    def find_same(self, value: MatchValue) -> tuple[Claim | None, list[MatchValue]]:
        """Return the creation under way that the value is claimed for, and all values claimed for it."""
        claim = self.by_value.get(value)
        if claim is None or claim.intent_at is None:
            return None, []
        return claim, [other for other, its in self.by_value.items() if its == claim]


def digest(value: MatchValue) -> str:
    """Match values are personal data: keys hold only their digest."""
    return hashlib.sha256(value.claim.encode()).hexdigest()[:24]
