"""An outage of Business Central for fifty connections: how long until all that came meanwhile is drafted.

uv run python -m benchmarks.outage                                       # the real thing: 10 minutes at 0.4/s each
uv run python -m benchmarks.outage --outage-seconds 150 --per-second 1.6 # the same 12,000 invoices in a quarter of it
    [--connections 50] [--latency-ms 100] [--json]

Fifty customers of the product (`benchmarks/tenants.py`). Business Central answers 503 to all of them while invoices
come in; then it is back, with its own limits, and 0.4 invoices a second of each connection go on coming until the hub
has caught up. Measured is the time from the return until every invoice, the new ones too, has its draft. How long the
outage was matters in two ways only: the number of invoices that wait, and how rarely the hub probes in the end (once a
minute, which it has come to after two). So it may be shorter, with as many invoices. The doubt window is as long as two
outages, as the usual 20 minutes are to 10. Exit code 1 when the target is missed, or when not each invoice has its one
right draft and says so.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.tenants import Progress, Tenants, open_tenants, show

WITHIN_SECONDS = 600.0
# Invoices a second of each connection after the return.
PER_SECOND = 0.4
_SLICE_SECONDS = 30
# How long the bench looks on when the target is missed.
_PATIENCE_SECONDS = 1800.0
_TOLD_WITHIN = 300.0


@dataclass(frozen=True)
class Recovery:
    """What was seen at the moments that matter."""

    down: Progress
    """Right after the outage began."""
    waiting: Counter[str]
    """What waited in the hub at its end, by reason."""
    back: Progress
    """Right before it was over."""
    first: Progress
    """The first draft after it."""
    old: Progress
    """When there were as many new drafts as invoices had waited."""
    caught_up: Progress
    """When no more waited than comes within seconds."""
    done: Progress
    """When every invoice had its draft."""


async def main() -> None:
    """Run and print."""
    options = _parse()
    doubt_window = timedelta(seconds=2 * options.outage_seconds)
    environ = {**os.environ, "HUB_SWEEP_HOURS": "0"}
    with tempfile.TemporaryDirectory() as folder:
        async with open_tenants(Path(folder), environ, options.connections, doubt_window=doubt_window) as tenants:
            result = await _measure(tenants, options)
    print(json.dumps(result) if options.json else show(result))
    sys.exit(0 if result["drafted_after_s"] <= WITHIN_SECONDS and result["all_right"] else 1)


async def _measure(tenants: Tenants, options: argparse.Namespace) -> dict[str, Any]:
    await tenants.set_limits(latency_ms=options.latency_ms)
    await tenants.warm_up()
    seen = await _go_through(tenants, options.outage_seconds, options.per_second)
    counts = await tenants.count_when_told(within=_TOLD_WITHIN)
    told = asyncio.get_running_loop().time()
    drafted = sum(seen.done.drafts) - sum(seen.back.drafts)
    requests = seen.done.requests - seen.back.requests
    seconds = seen.done.at - seen.back.at
    return {
        "connections": len(tenants.all),
        "outage_s": round(seen.back.at - seen.down.at),
        "waited_at_the_return": sum(seen.back.backlog),
        "why_they_waited": dict(seen.waiting),
        "requests_in_the_outage_503": _count_status(seen, "503", until=seen.back),
        "first_draft_after_s": round(seen.first.at - seen.back.at, 1),
        "as_many_as_waited_after_s": round(seen.old.at - seen.back.at, 1),
        "caught_up_after_s": round(seen.caught_up.at - seen.back.at, 1),
        "drafted_after_s": round(seconds, 1),
        "told_after_s": round(told - seen.back.at, 1),
        "new_invoices_meanwhile": sum(seen.done.made) - sum(seen.back.made),
        "drafts_per_second": round(drafted / seconds, 1),
        "requests": requests,
        "requests_per_draft": round(requests / drafted, 2),
        "refused_429": _count_status(seen, "429", until=seen.done),
        "all_right": all(one.is_perfect for one in counts),
        "wrong": [
            f"{tenant.company}: {one}" for tenant, one in zip(tenants.all, counts, strict=True) if not one.is_perfect
        ],
    }


def _count_status(seen: Recovery, status: str, *, until: Progress) -> int:
    return until.statuses.get(status, 0) - seen.down.statuses.get(status, 0)


async def _go_through(tenants: Tenants, seconds: float, per_second: float) -> Recovery:
    down = await _suffer(tenants, seconds, per_second)
    waiting, back = await tenants.count_waiting(), await tenants.look()
    await _set_outage(tenants, is_on=False)
    feeding = asyncio.create_task(_feed(tenants))
    first = await _wait_for_drafts(tenants, sum(back.drafts) + 1)
    old = await _wait_for_drafts(tenants, sum(back.made))
    # Then no more come than were ordered, and the last of them are waited for.
    some = round(len(tenants.all) * PER_SECOND * 5)
    caught_up = await tenants.wait_for(
        lambda now: sum(now.backlog) <= some, within=_PATIENCE_SECONDS, what="the hub has caught up"
    )
    feeding.cancel()
    await asyncio.wait([feeding])
    done = await tenants.wait_for(lambda now: not any(now.backlog), within=_PATIENCE_SECONDS, what="all are drafted")
    return Recovery(down, waiting, back, first, old, caught_up, done)


async def _suffer(tenants: Tenants, seconds: float, per_second: float) -> Progress:
    """Let invoices come in, for so long, while Business Central is away. It goes in the midst of traffic."""
    loop = asyncio.get_running_loop()
    number, before = round(seconds * per_second), await tenants.look()
    wanted = [made + number for made in before.made]
    ordering = asyncio.create_task(tenants.order(dict.fromkeys(tenants.all, number), per_second=per_second))
    await tenants.wait_for(lambda now: sum(now.drafts) > sum(before.drafts), within=60, what="traffic has begun")
    await _set_outage(tenants, is_on=True)
    begun, down = loop.time(), await tenants.look()
    await ordering
    await tenants.wait_for(
        lambda now: all(made >= least for made, least in zip(now.made, wanted, strict=True)),
        within=seconds + 300,
        what="the invoices of the outage are finalized",
    )
    await asyncio.sleep(max(0.0, begun + seconds - loop.time()))
    return down


async def _feed(tenants: Tenants) -> None:
    """Let invoices go on coming: what each slice orders is finalized in the course of it."""
    loop = asyncio.get_running_loop()
    next_at = loop.time()
    while True:
        await tenants.order(dict.fromkeys(tenants.all, round(_SLICE_SECONDS * PER_SECOND)), per_second=PER_SECOND)
        next_at += _SLICE_SECONDS
        await asyncio.sleep(max(0.0, next_at - loop.time()))


async def _wait_for_drafts(tenants: Tenants, number: int) -> Progress:
    return await tenants.wait_for(
        lambda now: sum(now.drafts) >= number, within=_PATIENCE_SECONDS, what=f"there are {number} drafts"
    )


async def _set_outage(tenants: Tenants, *, is_on: bool) -> None:
    simulators = tenants.scene.simulators
    await simulators.call(simulators.bc, "POST", "outage", {"on": is_on})


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--outage-seconds", type=float, default=600.0)
    parser.add_argument("--per-second", type=float, default=PER_SECOND, help="of each connection, during the outage")
    parser.add_argument("--latency-ms", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.run(main())
