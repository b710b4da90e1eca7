"""A machine that has run out: of disk for the log, of files. Work goes on, or waits; it does not become a defect."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

LOGS = """
import sys
from hub.log import configure_logging, get_logger
configure_logging("contacts", fmt="json")
for _ in range(1000):
    get_logger().info("stage.message.finished", outcome="done")
try:
    raise KeyError("a defect")
except KeyError as error:
    get_logger().error("stage.end.failed", exc_info=error)
print("went on", file=sys.stderr, flush=True)
sys.stderr.flush()
import os; os._exit(0)
"""

# A server and a client in one process, as the hub's own are; then every file that is left is taken.
RUNS_OUT_OF_FILES = """
import asyncio, os, resource, sys
from connectors.business_central.transport import build_http_client
from connectors.stripe.client import StripeApi
from connectors.stripe.transport import StripeHttp
from hub.redis import build_redis, run
from schemas.errors import HubError
from tests.unit.business_central.test_bc_bounds import build_client
from tests.unit.business_central.fakes import CUSTOMER_ID, send_nothing_first

async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    async with build_http_client() as http, StripeHttp(ca_bundle=None) as stripe:
        bc = build_client(http, "http://127.0.0.1:9")
        api = StripeApi(key="sk_test_x", api_base="http://127.0.0.1:9", account=None, http=stripe)
        redis = build_redis("redis://127.0.0.1:9/0")
        stripe._get_session()
        taken = []
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        for name, call in (
            ("read", bc.fetch_invoice(CUSTOMER_ID)),
            ("write", bc.create_invoice({}, before_send=send_nothing_first)),
            ("stripe", api.fetch_customer("cus_1")),
            ("ledger", run(redis.get("x"))),
        ):
            try:
                await call
            except HubError as error:
                print(name, error.kind, error.code, flush=True)

asyncio.run(main())
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_log_that_cannot_be_written_stops_no_work() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", LOGS], stdout=full, stderr=subprocess.PIPE, cwd=REPOSITORY, check=False, timeout=60
        )
    assert done.stderr.decode().splitlines() == ["went on"]
    assert done.returncode == 0


def test_a_process_without_free_files_waits_and_doubts_nothing() -> None:
    """Nothing was sent, so a write is not in doubt; and it is no defect, which would hold the connection."""
    done = subprocess.run(
        [sys.executable, "-c", RUNS_OUT_OF_FILES], capture_output=True, cwd=REPOSITORY, check=False, timeout=60
    )
    assert done.stdout.decode().splitlines() == [
        "read retry_soon bc.connection.failed",
        "write retry_soon bc.connection.failed",
        "stripe retry_soon stripe.connection.failed",
        "ledger retry_soon ledger.unavailable",
    ], done.stderr.decode()
