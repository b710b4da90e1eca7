"""The pipeline: CPU of all four services per invoice, against the CPU of the bare HTTP requests it must make.

uv run python -m benchmarks.pipeline [--invoices 600] [--old-totals] [--json]

The services run as in `hub demo`, against the simulators, with the limiter opened wide (HUB_BC_REQUESTS), for what is
measured is the hub and not Business Central's limits. The bare requests are made in this process afterwards, by the
same clients and as many at once: for each invoice GET the invoice, POST the draft, POST the metadata, and the merged
look- ups.
"""

import argparse
import asyncio
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import uvloop

from hub.app import Foundation, build_foundation
from hub.cli.demo.count import count
from hub.cli.demo.scene import Scene, open_scene
from hub.config import load_config
from hub.directory import Snapshot
from schemas.errors import ConfigurationError
from schemas.stripe_objects import Invoice

AT_ONCE = 5
# More than any run needs: Business Central's own limits are not what is measured.
_WIDE = {"HUB_BC_REQUESTS": "100000000", "HUB_CATCH_UP_SECONDS": "30"}


async def main() -> None:
    """Run and print."""
    options = _parse()
    with tempfile.TemporaryDirectory() as folder:
        async with open_scene(Path(folder), {**os.environ, **_WIDE}) as scene:
            if options.old_totals:
                await scene.read_answers(totals="header", lines="none")
            result = await _measure(scene, options.invoices)
    print(json.dumps(result) if options.json else "\n".join(f"{name:32} {value}" for name, value in result.items()))


async def _measure(scene: Scene, number: int) -> dict[str, Any]:
    await scene.lift_bc_limits()
    # Customers are created once; what is measured is the ordinary case, a new invoice of a known customer.
    await _send(scene, 100, seed=7)
    before_requests = await _count_bc_requests(scene)
    before = _cpu(scene)
    begun = time.perf_counter()
    await _send(scene, number, seed=7)
    seconds = time.perf_counter() - begun
    used = {name: after - before[name] for name, after in _cpu(scene).items()}
    requests = await _count_bc_requests(scene) - before_requests
    bare = await _measure_bare(scene, number)
    total = sum(used.values())
    return {
        "invoices": number,
        "invoices_per_second": round(number / seconds, 1),
        "invoices_per_core_second": round(number / total, 1),
        "services_cpu_ms_per_invoice": round(total / number * 1000, 2),
        **{f"  {name}_cpu_ms": round(value / number * 1000, 2) for name, value in used.items()},
        "bare_cpu_ms_per_invoice": round(bare * 1000, 2),
        "ratio": round(total / number / bare, 2),
        "bc_requests_per_invoice": round(requests / number, 2),
    }


async def _send(scene: Scene, number: int, *, seed: int) -> None:
    """Send invoices through, and return when all of them say so in Stripe."""
    already = len(await scene.simulators.dump_stripe())
    await scene.make_invoices(number, seed=seed, per_second=None, customers=10)
    async with asyncio.timeout(300):
        while True:
            state = await scene.simulators.call(scene.simulators.stripe, "GET", "state")
            if state["metadata_writes"] >= already + number:
                counted = count(await scene.simulators.dump_stripe(), await scene.simulators.dump_bc())
                if counted.failed:
                    raise ConfigurationError(f"{counted.failed} invoices failed", code="benchmark.failed")
                if counted.metadata_written >= already + number:
                    return
            await asyncio.sleep(0.1)


async def _count_bc_requests(scene: Scene) -> int:
    state = await scene.simulators.call(scene.simulators.bc, "GET", "state")
    return sum(state["requests"].values())


def _cpu(scene: Scene) -> dict[str, float]:
    return {name: _cpu_of(process.child.pid) for name, process in scene.services.services.items()}


def _cpu_of(pid: int | None) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


async def _measure_bare(scene: Scene, number: int) -> float:
    """CPU seconds of this process per invoice, for the requests alone."""
    foundation = build_foundation(load_config(dict(scene.environment)), "benchmark")
    connection = (await foundation.directory.list_ids())[0]
    snapshot = await foundation.directory.get(connection)
    invoices = [one for one in await scene.simulators.dump_stripe() if one["status"] == "open"][:number]
    prepared = [await _prepare(foundation, snapshot, one["id"], index) for index, one in enumerate(invoices)]
    gate = asyncio.Semaphore(AT_ONCE)
    before = _own_cpu()
    await asyncio.gather(*(_request(foundation, snapshot, gate, *one) for one in prepared))
    used = _own_cpu() - before
    await foundation.clients.close()
    await foundation.redis.aclose()
    return used / len(prepared)


async def _prepare(
    foundation: Foundation, snapshot: Snapshot, invoice_id: str, index: int
) -> tuple[str, dict[str, Any]]:
    """Build the payload beforehand: its cost is the hub's, not the requests'."""
    invoice: Invoice | None = await foundation.clients.stripe(snapshot).fetch_invoice(invoice_id)
    if invoice is None:
        raise ConfigurationError("an invoice is gone", code="benchmark.invoice")
    link = await foundation.ledger.load_customer_link(snapshot.connection.id, invoice.customer or "")
    stripe, bc = foundation.clients.stripe(snapshot), foundation.clients.business_central(snapshot)
    mapped = await foundation.mapper.map(snapshot, invoice, stripe, bc, link.customer if link else None)
    return invoice_id, mapped.payload | {"externalDocumentNumber": f"BARE-{index}"}


async def _request(
    foundation: Foundation, snapshot: Snapshot, gate: asyncio.Semaphore, invoice_id: str, payload: dict[str, Any]
) -> None:
    stripe = foundation.clients.stripe(snapshot)
    bc = foundation.clients.business_central(snapshot)

    async def nothing() -> None: ...

    async with gate:
        await stripe.fetch_invoice(invoice_id)
        await bc.find_invoices(payload["externalDocumentNumber"])
        await bc.create_invoice(payload, before_send=nothing)
        changes = {"bc_status": "synced", "bc_invoice": payload["externalDocumentNumber"]}
        await stripe.update_invoice_metadata(invoice_id, changes, idempotency_key=f"bare:{invoice_id}")


def _own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--invoices", type=int, default=600)
    parser.add_argument("--old-totals", action="store_true", help="BC answers with totals of before the lines")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.run(main())
