"""Webhooks refused for their signature, counted for each Stripe account: a wrong secret would show in the log alone."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.redis import refused_signatures_key, run

# Counted within one day from the first: what was repaired is forgotten the day after.
_LIFE = timedelta(days=1)

_COUNT = """
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'since', ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
redis.call('HSET', KEYS[1], 'last', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'count:' .. ARGV[1], 1)
"""
_COUNT_FIELD = "count:"


@dataclass(frozen=True)
class Refusals:
    """What was refused of one account, by reason (`connectors.stripe.signatures`), within a day."""

    counts: dict[str, int]
    since: datetime
    last: datetime


@dataclass(frozen=True)
class RefusedSignatures:
    """Counts for accounts that have a connection: one small hash each. All methods raise RetrySoon without Redis."""

    redis: Any

    async def count(self, stripe_account: str, reason: str, at: datetime) -> None:
        """Count one refusal."""
        args = (reason, at.timestamp(), int(_LIFE.total_seconds()))
        await run(self.redis.eval(_COUNT, 1, refused_signatures_key(stripe_account), *args))

    async def load(self, stripe_account: str) -> Refusals | None:
        """Return what was refused; None when nothing was."""
        fields: dict[str, str] = await run(self.redis.hgetall(refused_signatures_key(stripe_account)))
        if not fields:
            return None
        counts = {
            name.removeprefix(_COUNT_FIELD): int(value)
            for name, value in fields.items()
            if name.startswith(_COUNT_FIELD)
        }
        since, last = (datetime.fromtimestamp(float(fields[name]), tz=UTC) for name in ("since", "last"))
        return Refusals(counts, since, last)

    async def forget(self, stripe_account: str) -> None:
        """Begin anew: the secrets were replaced."""
        await run(self.redis.delete(refused_signatures_key(stripe_account)))
