"""Claims on the creation of a BC customer: one for each thing it is called, across all connections of the BC company.

A claim passes through the states of a draft: intent, then created. It lives for a day, longer than any doubt: after
that the customer is found in Business Central by the rules, or by its link.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hub.intent import build_not_replicated, write_intent
from hub.lease import Lease
from hub.redis import customer_claim_key, reading, run
from schemas.contract import Contract, Moment

_LIFE = timedelta(days=1)


class Claim(Contract):
    """The creation of a BC customer under one of its claims."""

    intent_at: Moment | None = None
    slot: str | None = None
    """The limiter's slot that stays taken while in doubt."""
    customer_id: str | None = None
    is_whole: bool = True
    """Whether all of it was written: a post code follows in a write of its own."""


@dataclass(frozen=True)
class Claims:
    """All claims of one customer. Written only while their leases are held."""

    redis: Any
    company_key: str
    names: Sequence[str]
    """What is claimed (`mapping.matching.Wanted.claims`)."""
    replicas: int = 0
    """As `Ledger.replicas`."""

    async def load(self) -> "Held":
        """Return what is claimed under each name."""
        found: dict[str, Claim] = {}
        for name in self.names:
            with reading(self._key(name)):
                if text := await run(self.redis.get(self._key(name))):
                    found[name] = Claim.model_validate_json(text)
        return Held(found)

    async def write_intent(self, leases: Sequence[Lease]) -> Claim:
        """Claim all names for a creation that is about to be requested, and begin the leases' lives anew.

        Raises:
            RetrySoon: a lease has ended, and the claims may be another's; or a failover of Redis could forget them, and
                they were dropped.
        """
        keys = [self._key(name) for name in self.names]
        intent = await write_intent(self.redis, leases, keys, Claim(), life=_LIFE, replicas=self.replicas)
        if not intent.is_replicated:
            await self.drop()
            raise build_not_replicated()
        return intent.record

    async def save(self, claim: Claim, names: Sequence[str] | None = None) -> None:
        """Write the claim under these names, or all."""
        for name in self.names if names is None else names:
            await run(self.redis.set(self._key(name), claim.model_dump_json(), ex=_LIFE))

    async def drop(self) -> None:
        """Forget an intent that came to nothing."""
        for name in self.names:
            await run(self.redis.delete(self._key(name)))

    def _key(self, name: str) -> str:
        return customer_claim_key(self.company_key, digest(name))


@dataclass(frozen=True)
class Held:
    """The claims as they were read."""

    by_name: Mapping[str, Claim]

    def find_customer(self, names: Iterable[str]) -> str | None:
        """Return the customer that was lately created under one of the names."""
        claims = (self.by_name.get(name) for name in names)
        return next((claim.customer_id for claim in claims if claim and claim.customer_id), None)

    def is_unfinished(self, names: Iterable[str], customer_id: str) -> bool:
        """Tell whether a creation under one of the names ended before all of the customer was written."""
        claims = [claim for name in names if (claim := self.by_name.get(name))]
        return any(claim.intent_at or (claim.customer_id == customer_id and not claim.is_whole) for claim in claims)

    def find_intent(self) -> datetime | None:
        """Return when the latest creation was begun of which no end is known."""
        return max((claim.intent_at for claim in self.by_name.values() if claim.intent_at), default=None)

    def find_same(self, names: Iterable[str]) -> tuple[Claim | None, list[str]]:
        """Return the creation under way that one of the names is claimed for, and all names claimed for it."""
        claims = (self.by_name.get(name) for name in names)
        under_way = next((claim for claim in claims if claim and claim.intent_at), None)
        if under_way is None:
            return None, []
        return under_way, [name for name, its in self.by_name.items() if its == under_way]


def digest(name: str) -> str:
    """What customers are called is personal data: keys hold only its digest."""
    return hashlib.sha256(name.encode()).hexdigest()[:24]
