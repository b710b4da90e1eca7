"""Backfills: a person asks for the drafts of a period that lies before the go-live date. One at a time a connection."""

from dataclasses import dataclass
from typing import Any

from hub.redis import backfill_key, reading, run
from schemas.contract import Contract, Moment

# Replies 1 if it was written. ARGV: what must stand there ('' for nothing), and what to write ('' to clear it).
_SWAP = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2]) end
return 1
"""


class Backfill(Contract):
    """What was asked for, and how far it has come."""

    begin: Moment
    end: Moment
    """Left out itself. Invoices count by when they were finalized."""
    asked_at: Moment
    reached: Moment
    """All drafts that were created in Stripe before this were looked at."""
    looked: int = 0
    """Invoices of the period up to there."""
    sent_round: int = 0
    """Of those, how many were due and not yet in Business Central, and so went to the waiting set."""
    ended_at: Moment | None = None


@dataclass(frozen=True)
class Backfills:
    """Keeps the backfills of all connections. All methods raise RetrySoon when Redis does not answer."""

    redis: Any

    async def load(self, connection: str) -> Backfill | None:
        """Load the last one, ended or not."""
        with reading(backfill_key(connection)):
            stored = await run(self.redis.get(backfill_key(connection)))
            return Backfill.model_validate_json(stored) if stored else None

    async def place(self, connection: str, asked: Backfill) -> Backfill | None:
        """Ask for one. Returns the one that is under way, if that keeps this one out."""
        before = await self.load(connection)
        if before is not None and before.ended_at is None:
            return before
        return None if await self._swap(connection, before, asked) else await self.load(connection)

    async def advance(self, connection: str, before: Backfill, after: Backfill) -> bool:
        """Write how far it has come. False if it was stopped meanwhile."""
        return await self._swap(connection, before, after)

    async def stop(self, connection: str) -> Backfill | None:
        """Stop what is under way; returns it as far as it came. What waits already goes on."""
        while (stopped := await self.load(connection)) is not None and stopped.ended_at is None:
            if await self._swap(connection, stopped, None):
                return stopped
        return None

    async def _swap(self, connection: str, before: Backfill | None, after: Backfill | None) -> bool:
        args = [one.model_dump_json() if one else "" for one in (before, after)]
        return bool(await run(self.redis.eval(_SWAP, 1, backfill_key(connection), *args)))
