"""Business Central's own limits, in a steady backlog: how much of them is used, and how often it answers 429.

uv run python -m benchmarks.limits [--latency-ms 100] [--seconds 60] [--json]

All four services as in `hub demo`, one connection, the simulator's own limits (6,000 requests in 5 minutes, 5 at once);
each request holds its slot for the latency. What can be had is min(20/s, 5 / latency). Measured is a stretch of time in
the midst of a backlog, without the burst of the limiter's bucket. Exit code 1 when a target is missed.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from hub.app import build_foundation
from hub.cli.demo.scene import Scene, open_scene
from hub.clients import get_limiter_key
from hub.config import load_config
from schemas.errors import ConfigurationError

# Requests a second, and requests at once, that Business Central allows.
RATE = 20.0
AT_ONCE = 5
WARM_UP_SECONDS = 20.0
LEAST_USE = 0.9
MOST_REFUSED = 0.001


@dataclass(frozen=True)
class Reading:
    """The simulator's counts at one moment."""

    at: float
    requests: int
    refused: int
    drafts: int


async def main() -> None:
    """Run and print."""
    options = _parse()
    ceiling = min(RATE, AT_ONCE * 1000 / options.latency_ms)
    with tempfile.TemporaryDirectory() as folder:
        async with open_scene(Path(folder), {**os.environ, "HUB_CATCH_UP_SECONDS": "30"}) as scene:
            result = await _measure(scene, options.latency_ms, options.seconds, ceiling)
    print(json.dumps(result) if options.json else "\n".join(f"{name:24} {value}" for name, value in result.items()))
    sys.exit(0 if result["use"] >= LEAST_USE and result["refused_share"] < MOST_REFUSED else 1)


async def _measure(scene: Scene, latency_ms: int, seconds: float, ceiling: float) -> dict[str, Any]:
    await scene.simulators.call(scene.simulators.bc, "POST", "limits", {"service_ms": latency_ms})
    # One request an invoice is the least; the burst is on top.
    number = round(ceiling * (WARM_UP_SECONDS + seconds) * 1.1) + 300
    await scene.make_invoices(number, seed=11, per_second=None, customers=10)
    await asyncio.sleep(WARM_UP_SECONDS)
    async with _open_bucket(scene) as (redis, key):
        # The burst would make the use look better than it stays.
        await redis.hset(f"{key}:state", "tokens", 0)
        before = await _read(scene)
        slots = await _watch_slots(redis, key, seconds)
        after = await _read(scene)
    made = len(await scene.simulators.dump_stripe())
    if made <= after.drafts + AT_ONCE:
        raise ConfigurationError("the backlog ran out while it was measured", code="benchmark.backlog")
    requests = after.requests - before.requests
    rate = requests / (after.at - before.at)
    return {
        "latency_ms": latency_ms,
        "requests": requests,
        "requests_per_second": round(rate, 2),
        "ceiling_per_second": ceiling,
        "use": round(rate / ceiling, 3),
        "slots_taken": round(slots, 2),
        "refused_429": after.refused,
        "refused_share": round(after.refused / after.requests, 5),
        "drafts_per_second": round((after.drafts - before.drafts) / (after.at - before.at), 2),
        "waiting_at_the_end": made - after.drafts,
    }


@asynccontextmanager
async def _open_bucket(scene: Scene) -> AsyncGenerator[tuple[Any, str]]:
    """Find the limiter's part of Redis: a client, and the key's beginning."""
    foundation = build_foundation(load_config(dict(scene.environment)), "benchmark")
    try:
        (connection,) = await foundation.directory.list_ids()
        yield foundation.redis, get_limiter_key((await foundation.directory.load(connection)).connection)
    finally:
        await foundation.redis.aclose()


async def _watch_slots(redis: Any, key: str, seconds: float) -> float:
    """Return how many slots were taken on average, within a stretch of time."""
    ends = time.perf_counter() + seconds
    taken: list[int] = []
    while time.perf_counter() < ends:
        taken.append(int(await redis.zcard(f"{key}:slots")))
        await asyncio.sleep(0.05)
    return statistics.fmean(taken)


async def _read(scene: Scene) -> Reading:
    state = await scene.simulators.call(scene.simulators.bc, "GET", "state")
    requests = sum(state["requests"].values())
    return Reading(time.perf_counter(), requests, state["statuses"].get("429", 0), state["drafts"])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.run(main())
