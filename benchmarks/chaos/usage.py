"""Is usage what was synced? Counted again as an operator does after a loss, then compared invoice by invoice."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from benchmarks.chaos.checker import Offence, list_due
from benchmarks.chaos.world import Account, World
from hub.redis import build_redis
from hub.usage import Usage

_TRIES = 3


@dataclass(frozen=True)
class UsageCheck:
    """How usage compares with what was synced."""

    synced: int
    counted: int
    forgotten: int
    """Synced, and older than a loss of the ledger, which alone knew of the success: not counted, nor said in Stripe."""
    offences: Sequence[Offence]


async def check_usage(world: World, wiped_at: float | None) -> UsageCheck:
    """Compare usage with Stripe's metadata; after a loss, `hub usage rebuild` comes first.

    Args:
        world: All settled.
        wiped_at: When the ledger was lost last, as a Unix time; None if it never was.
    """
    if wiped_at is not None:
        for account in world.accounts:
            await asyncio.to_thread(_rebuild, account, world.environment)
    due = await list_due(world)
    offences: list[Offence] = []
    synced, counted, forgotten = 0, 0, 0
    redis = build_redis(world.environment["HUB_REDIS_URL"])
    try:
        for account in world.accounts:
            times = await _count_all(Usage(redis), account.connection)
            invoices = [invoice for one, invoice in due if one.id == account.id]
            its_synced = {one["id"] for one in invoices if one["metadata"].get("bc_status") == "synced"}
            its_forgotten = _find_forgotten(invoices, times, wiped_at)
            offences += compare(its_synced, times, its_forgotten)
            synced, counted = synced + len(its_synced), counted + times.total()
            forgotten += len(its_forgotten)
    finally:
        await redis.aclose(close_connection_pool=True)
    return UsageCheck(synced, counted, forgotten, offences)


def compare(synced: AbstractSet[str], times: Mapping[str, int], forgotten: AbstractSet[str]) -> list[Offence]:
    """Say what counts too often, too little, or without having been synced.

    Args:
        synced: Ids of invoices that Stripe says were synced.
        times: How often each id counts, in all months.
        forgotten: Ids that a loss of the ledger excuses.
    """
    missing = synced - set(times) - forgotten
    return [
        *(Offence("wrong usage", one, f"counts {number} times") for one, number in times.items() if number > 1),
        *(Offence("wrong usage", one, "counts, and was not synced") for one in sorted(set(times) - synced)),
        *(Offence("wrong usage", one, "was synced, and does not count") for one in sorted(missing)),
    ]


def _find_forgotten(
    invoices: Sequence[Mapping[str, Any]], times: Mapping[str, int], wiped_at: float | None
) -> set[str]:
    """Find what no one can count: made before the ledger was lost, with no time of success in Stripe."""
    if wiped_at is None:
        return set()
    return {
        one["id"]
        for one in invoices
        if one["id"] not in times and one["created"] <= wiped_at and not one["metadata"].get("bc_synced_at")
    }


async def _count_all(usage: Usage, connection: str) -> Counter[str]:
    months = await usage.list_months(connection)
    return Counter([one.invoice_id for month in months for one in await usage.list_counted(connection, month)])


def _rebuild(account: Account, environment: Mapping[str, str]) -> None:
    """Count again by the command that an operator types, who tries again if Redis does not answer. Blocks."""
    command = (sys.executable, "-m", "hub", "usage", "rebuild", "--connection", account.connection, "--json")
    words = ""
    for _ in range(_TRIES):
        done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=180, check=False)
        if done.returncode == 0:
            return
        words = done.stderr.strip()
    raise RuntimeError(f"hub usage rebuild: {words}")
