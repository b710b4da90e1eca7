"""One service of the bench as a process: the hub's own, with a wrong clock or without one protection if so asked.

python -m benchmarks.chaos.service invoices --skew -30 --without "invoice lease"
"""

import argparse
import importlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast

import uvloop

from benchmarks.chaos.without import PROTECTIONS, narrow_window
from hub.app import Foundation, Service, build_foundation, run_service
from hub.cli.run import SERVICES
from hub.clock import SystemClock
from hub.config import load_config
from schemas.messages import StageName


class SkewedClock(SystemClock):
    """A machine's clock that goes right, but shows the wrong time."""

    def __init__(self, skew: timedelta) -> None:
        self._skew = skew

    def now(self) -> datetime:
        """Return what this machine takes for the current moment."""
        return super().now() + self._skew


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("--skew", type=float, default=0.0, help="seconds that the clock is ahead")
    parser.add_argument("--without", choices=PROTECTIONS, help="a protection to take out")
    parser.add_argument("--window", type=int, help="records in hand, with small batches and a watch over it")
    given = parser.parse_args()
    if given.without:
        PROTECTIONS[given.without]()
    if given.window:
        narrow_window(given.window)
    name = cast("StageName", given.service)
    module = importlib.import_module(f"services.{name}.app")
    build_app = cast("Callable[[Foundation], Service]", module.build_app)
    clock = SkewedClock(timedelta(seconds=given.skew))

    async def serve() -> None:
        await run_service(build_app(build_foundation(load_config(), name, clock)))

    uvloop.run(serve())


if __name__ == "__main__":
    main()
