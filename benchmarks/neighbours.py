"""One blocked connection among fifty: what the others lose by it.

uv run python -m benchmarks.neighbours [--connections 50] [--pairs 4] [--seconds 30] [--latency-ms 6000] [--json]

Fifty customers of the product (`benchmarks/tenants.py`), all with a backlog that does not end and new invoices all the
time. Business Central takes 6 s for a request, so that the cores that all share with the simulators hold nobody up;
and catch-up is off, which would take more and more of those. In turn all of them work, and one of them (another each
time) has its app thrown out of Business Central, which answers 401, while its own invoices go on coming. Measured is
how many drafts a second the others get, in pairs of rounds one after the other; the median of the pairs' ratios counts.
Exit code 1 when the target is missed.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.tenants import Progress, Tenant, Tenants, open_tenants, show
from schemas.errors import ConfigurationError

LEAST_SHARE = 0.95
# Invoices a second of each connection while a round is measured.
PER_SECOND = 0.4
# Each has at least so many waiting when a round begins: more than its share of a round.
LEVEL = 60
SETTLE_SECONDS = 3.0
_DOUBT_WINDOW = timedelta(minutes=20)


@dataclass(frozen=True)
class Round:
    """What the others got while it lasted."""

    per_second: float
    slowest: float
    """Drafts a second of the one that got least."""
    waited: int
    """Of the one that is blocked: how many more of its invoices waited at the end."""


async def main() -> None:
    """Run and print."""
    options = _parse()
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "HUB_SWEEP_HOURS": "0", "HUB_CATCH_UP_SECONDS": "86400"}
        async with open_tenants(Path(folder), environ, options.connections, doubt_window=_DOUBT_WINDOW) as tenants:
            result = await _measure(tenants, options)
    print(json.dumps(result) if options.json else show(result))
    sys.exit(0 if result["ratio"] >= LEAST_SHARE else 1)


async def _measure(tenants: Tenants, options: argparse.Namespace) -> dict[str, Any]:
    await tenants.warm_up()
    await tenants.set_limits(latency_ms=options.latency_ms)
    pairs: list[tuple[Round, Round]] = []
    for index in range(options.pairs):
        pairs.append(await _run_pair(tenants, index, options.seconds))
        print(f"pair {index + 1}: all {pairs[-1][0]}, one blocked {pairs[-1][1]}", file=sys.stderr, flush=True)
    ratios = [blocked.per_second / healthy.per_second for healthy, blocked in pairs]
    seen = await tenants.look()
    return {
        "connections": len(tenants.all),
        "drafts_per_second_all_healthy": [round(healthy.per_second, 1) for healthy, _ in pairs],
        "drafts_per_second_one_blocked": [round(blocked.per_second, 1) for _, blocked in pairs],
        "slowest_all_healthy": [round(healthy.slowest, 2) for healthy, _ in pairs],
        "slowest_one_blocked": [round(blocked.slowest, 2) for _, blocked in pairs],
        "blocked_ones_invoices_more": [blocked.waited for _, blocked in pairs],
        "ratios": [round(ratio, 3) for ratio in ratios],
        "ratio": round(statistics.median(ratios), 3),
        "refused_429": seen.statuses.get("429", 0),
    }


async def _run_pair(tenants: Tenants, index: int, seconds: float) -> tuple[Round, Round]:
    """Measure both ways, in turn beginning with the one and the other: what drifts shall favour neither."""
    # Far apart, so that a pair does not begin with the aftermath of the last one.
    chosen = tenants.all[index * 7 % len(tenants.all)]
    if index % 2:
        blocked = await _run_blocked(tenants, chosen, seconds)
        return await _run_round(tenants, chosen, seconds), blocked
    healthy = await _run_round(tenants, chosen, seconds)
    return healthy, await _run_blocked(tenants, chosen, seconds)


async def _run_blocked(tenants: Tenants, chosen: Tenant, seconds: float) -> Round:
    await _fill_up(tenants)
    await tenants.expel(chosen, is_out=True)
    async with asyncio.timeout(180):
        while not await tenants.is_blocked(chosen):  # noqa: ASYNC110 - another process's state rings no bell
            await asyncio.sleep(0.1)
    measured = await _run_round(tenants, chosen, seconds, is_blocked=True)
    await tenants.expel(chosen, is_out=False)
    at, before = tenants.all.index(chosen), await tenants.look()
    await tenants.wait_for(
        lambda seen: seen.drafts[at] > before.drafts[at], within=300, what="what was blocked has drafts again"
    )
    return measured


async def _run_round(tenants: Tenants, chosen: Tenant, seconds: float, *, is_blocked: bool = False) -> Round:
    """Fill the backlogs up, and count the others' drafts for a time."""
    await _fill_up(tenants)
    await tenants.order(
        dict.fromkeys(tenants.all, round(PER_SECOND * (seconds + SETTLE_SECONDS))), per_second=PER_SECOND
    )
    await asyncio.sleep(SETTLE_SECONDS)
    before = await tenants.look()
    await asyncio.sleep(seconds)
    return _compare(before, await tenants.look(), tenants.all.index(chosen), is_blocked=is_blocked)


async def _fill_up(tenants: Tenants) -> None:
    """Let each have its backlog, and wait until all of it has reached the hub."""
    seen = await tenants.look()
    missing = {tenant: LEVEL - left for tenant, left in zip(tenants.all, seen.backlog, strict=True)}
    wanted = [made + max(0, LEVEL - left) for made, left in zip(seen.made, seen.backlog, strict=True)]
    await tenants.order(missing)
    await tenants.wait_for(
        lambda now: all(made >= least for made, least in zip(now.made, wanted, strict=True)),
        within=120,
        what="the backlogs are there",
    )
    simulators = tenants.scene.simulators
    if (await simulators.call(simulators.stripe, "POST", "idle", {"timeout_seconds": 50}))["waiting"]:
        raise ConfigurationError("the hub does not take its webhooks", code="benchmark.webhooks")


def _compare(before: Progress, after: Progress, chosen: int, *, is_blocked: bool) -> Round:
    gained = [new - old for new, old in zip(after.drafts, before.drafts, strict=True)]
    if is_blocked and gained[chosen]:
        raise ConfigurationError("the blocked connection has new drafts", code="benchmark.blocked")
    others = [one for at, one in enumerate(gained) if at != chosen]
    if min(left for at, left in enumerate(after.backlog) if at != chosen) <= 0:
        raise ConfigurationError("a backlog ran out while it was measured", code="benchmark.backlog")
    seconds = after.at - before.at
    return Round(sum(others) / seconds, min(others) / seconds, after.backlog[chosen] - before.backlog[chosen])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--latency-ms", type=int, default=6000)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.run(main())
