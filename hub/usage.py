"""Usage: each invoice of a connection counts once, on its first success, in the calendar month (UTC) of that success.

The ledger counts together with recording the success (`Ledger.save_state`). If it is lost, the count can be built again
from what Stripe's metadata say; it may then be too low, never too high.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from hub.ledger import InvoiceRecord, name_month
from hub.redis import run, usage_key, usage_months_key
from mapping.eligibility import LeftAlone
from schemas.connections import Connection

LIMIT_REACHED = "usage.limit.reached"


@dataclass(frozen=True)
class Counted:
    """An invoice that counts, and when it was first synced."""

    invoice_id: str
    at: datetime


@dataclass(frozen=True)
class Usage:
    """Reads what was counted. All methods raise RetrySoon (`ledger.unavailable`) when Redis does not answer."""

    redis: Any

    async def count(self, connection: str, month: str) -> int:
        """Count the invoices of a month, `2026-11`."""
        return int(await run(self.redis.zcard(usage_key(connection, month))))

    async def list_months(self, connection: str) -> list[str]:
        """List the months with usage, oldest first."""
        return sorted(cast("set[str]", await run(self.redis.smembers(usage_months_key(connection)))))

    async def list_counted(self, connection: str, month: str) -> list[Counted]:
        """List what counts in a month, oldest first."""
        found = cast(
            "list[tuple[str, float]]",
            await run(self.redis.zrange(usage_key(connection, month), 0, -1, withscores=True)),
        )
        return [Counted(invoice_id, datetime.fromtimestamp(score, tz=UTC)) for invoice_id, score in found]

    async def add(self, connection: str, counted: Counted) -> bool:
        """Count an invoice that the ledger has forgotten; False if it counts in that month already."""
        month = name_month(counted.at)
        mapping = {counted.invoice_id: counted.at.timestamp()}
        is_new = bool(await run(self.redis.zadd(usage_key(connection, month), mapping, nx=True)))
        await run(self.redis.sadd(usage_months_key(connection), month))
        return is_new

    async def find_limit(self, connection: Connection, record: InvoiceRecord, now: datetime) -> LeftAlone | None:
        """Say that the plan has no room for another invoice this month; None if it has, or this one needs none.

        What has been asked of Business Central, or counted, goes on. Invoices that are in hand at the same moment may
        exceed the limit by as many.
        """
        limit = connection.plan.hard_limit
        has_begun = record.state.synced_at is not None or record.state.phase in {"intent", "created", "synced"}
        if limit is None or has_begun or await self.count(connection.id, name_month(now)) < limit:
            return None
        words = f"The plan's {limit:,} invoices of {now:%B %Y} (UTC) are used up. Enlarge the plan, then replay."
        return LeftAlone(words, code=LIMIT_REACHED)
