"""Ingest: signed webhooks to broker acknowledgement, against the same ASGI server answering 200 with no work.

The same server: uvicorn, Starlette and the garbage collector's settings as ingest has them, the same route, the body
read, the same JSON answered.

uv run python -m benchmarks.ingest [--number 6000] [--json]

Both servers run as processes of their own under the same uvicorn settings; the load, the broker and Redis share the two
cores with them. Bodies are a 10 KB event, each with an id and signature of its own.
"""

import argparse
import asyncio
import json
import secrets
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from operator import truediv
from pathlib import Path
from typing import Any

import httpx
import psutil
import stripe
import uvloop
from pydantic import SecretStr

from benchmarks.load import Load, build_request, pace, saturate
from hub.app import build_foundation
from hub.broker import apply_topics
from hub.child_process import ChildProcess
from hub.cli.processes import ServiceProcess, ServiceProcesses
from hub.cli.up import open_parts
from hub.config import load_config
from hub.embedded import find_free_port
from schemas.connections import Connection, ConnectionSecrets
from schemas.settings import Settings

ACCOUNT = "acct_1BenchmarkIngest"
SECRET = "whsec_benchmark"
SAMPLE = Path(__file__).parent / "invoice.finalized.json"
CONNECTIONS = 64
ROUNDS = 7
_PATH = f"/webhooks/stripe/{ACCOUNT}"

_NO_WORK = """
import gc, sys, uvicorn, uvloop
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def receive(request):
    await request.body()
    return JSONResponse({"received": True, "published": 0})

app = Starlette(routes=[Route("/webhooks/stripe/{account}", receive, methods=["POST"])])
server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=int(sys.argv[1]), lifespan="off", log_config=None,
    access_log=False, proxy_headers=False))
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 100)
uvloop.run(server.serve())
"""


def build_requests(number: int) -> list[bytes]:
    """Sign the sample under as many event and invoice ids."""
    event = json.loads(SAMPLE.read_text())
    now = int(time.time())
    requests: list[bytes] = []
    for _ in range(number):
        event["id"] = f"evt_{secrets.token_hex(12)}"
        event["created"] = now
        event["data"]["object"]["id"] = f"in_{secrets.token_hex(12)}"
        body = json.dumps(event)
        signature = stripe.WebhookSignature.generate_signature_header(body, SECRET)
        requests.append(build_request(_PATH, body.encode(), {"Stripe-Signature": signature}))
    return requests


async def main() -> None:
    """Run and print."""
    options = _parse()
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        async with open_parts(directory, {}, quiet=True) as environment:
            await _prepare(environment)
            processes = ServiceProcesses(environment, directory / "logs")
            processes.start(["ingest"])
            bare = _start_bare(directory)
            try:
                await processes.wait_until_ready()
                result = await _measure(processes.services["ingest"], bare, options.number)
            finally:
                await processes.stop()
                bare.child.stop()
    print(json.dumps(result) if options.json else _format(result))


async def _prepare(environment: dict[str, str]) -> None:
    config = load_config(environment)
    await apply_topics(config.kafka_bootstrap)
    foundation = build_foundation(config, "benchmark")
    connection = Connection(
        stripe_account=ACCOUNT,
        livemode=False,
        bc_tenant="tenant",
        bc_environment="sandbox",
        bc_company="CRONUS",
        bc_company_id="00000000-0000-0000-0000-000000000001",
        bc_client_id="client",
        created_at=datetime.now(UTC),
        go_live=datetime.now(UTC),
        # The catch-up loop would ask Stripe, which is not there: what is measured is the webhook's way alone.
        paused=True,
    )
    secrets_ = ConnectionSecrets(stripe_key=SecretStr("sk_test_x"), webhook_secrets=(SecretStr(SECRET),))
    await foundation.directory.add(connection, secrets_, Settings())
    await foundation.redis.aclose()


def _start_bare(directory: Path) -> ServiceProcess:
    port = find_free_port()
    child = ChildProcess("no work", (sys.executable, "-c", _NO_WORK, str(port)), directory / "no-work.log")
    child.spawn()
    return ServiceProcess("no work", port, port, child)


async def _measure(ingest: ServiceProcess, bare: ServiceProcess, number: int) -> dict[str, Any]:
    """Alternate between the two servers, so that noise meets both; keep the medians, also of the rounds' ratios."""
    await _warm_up(bare.port)
    requests = build_requests(number)
    rates: dict[str, list[float]] = {"no work": [], "ingest": []}
    cpu: dict[str, list[float]] = {"no work": [], "ingest": []}
    for _ in range(ROUNDS):
        for name, process in (("no work", bare), ("ingest", ingest)):
            load, used = await _saturate(process, requests)
            rates[name].append(load.rate)
            cpu[name].append(used / load.answered * 1e6)
    top = statistics.median(rates["ingest"])
    half = await pace(
        ingest.port, lambda index: requests[index % number], rate=top / 2, seconds=8, connections=CONNECTIONS
    )
    return {
        "no_work_per_second": round(statistics.median(rates["no work"])),
        "ingest_per_second": round(top),
        "ratio": round(statistics.median(map(truediv, rates["ingest"], rates["no work"])), 3),
        "no_work_cpu_us": round(statistics.median(cpu["no work"])),
        "ingest_cpu_us": round(statistics.median(cpu["ingest"])),
        "half_rate_p50_ms": round(half.percentile(0.5) * 1000, 1),
        "half_rate_p99_ms": round(half.percentile(0.99) * 1000, 1),
        "half_rate_refused": half.refused,
    }


async def _saturate(process: ServiceProcess, requests: list[bytes]) -> tuple[Load, float]:
    before = _cpu(process)
    load = await saturate(process.port, requests.__getitem__, number=len(requests), connections=CONNECTIONS)
    if load.refused:
        raise SystemExit(f"{process.name} refused {load.refused} requests; see its log")
    return load, _cpu(process) - before


def _cpu(process: ServiceProcess) -> float:
    times = psutil.Process(process.child.pid).cpu_times()
    return times.user + times.system


async def _warm_up(port: int) -> None:
    async with asyncio.timeout(20), httpx.AsyncClient() as client:
        while True:
            try:
                await client.post(f"http://127.0.0.1:{port}{_PATH}")
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
            else:
                return


def _format(result: dict[str, Any]) -> str:
    return "\n".join(f"{name:24} {value}" for name, value in result.items())


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=6000, help="requests a round")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.run(main())
