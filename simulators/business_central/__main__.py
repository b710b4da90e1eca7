"""Run the simulator: `python -m simulators.business_central --cert-dir certs --ready-file ready.json`."""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path

import uvloop

from simulators.business_central.app import LONG_OPERATION_SECONDS, BusinessCentralSimulator
from simulators.business_central.server import serving


def main(argv: list[str] | None = None) -> None:
    """Parse arguments and serve until SIGINT or SIGTERM."""
    options = _parser().parse_args(argv)
    seed = json.loads(options.seed_file.read_text(encoding="utf-8")) if options.seed_file else None
    simulator = BusinessCentralSimulator(seed, long_operation_seconds=options.long_operation_seconds)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(simulator, options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulators.business_central", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="of the API; 0 takes any free port")
    parser.add_argument("--auth-port", type=int, default=0, help="of the sign-in, https; 0 takes any free port")
    parser.add_argument(
        "--cert-dir",
        type=Path,
        help="gets ca.pem, the CA of the sign-in; else a folder that lasts as long as this runs",
    )
    parser.add_argument("--seed-file", type=Path, help="JSON as POST /_sim/seed takes it, on top of the built-in data")
    parser.add_argument("--ready-file", type=Path, help="gets the JSON line that is also printed, once it listens")
    parser.add_argument(
        "--long-operation-seconds",
        type=float,
        default=LONG_OPERATION_SECONDS,
        help="longest time a late_commit fault may hold a write back",
    )
    return parser


async def _serve(simulator: BusinessCentralSimulator, options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory() as passing:
        certificates = options.cert_dir or Path(passing)
        async with serving(simulator, options.host, options.port, options.auth_port, certificates) as listening:
            _announce(listening.announcement(), options.ready_file)
            await stop.wait()


def _announce(ready: dict[str, str], ready_file: Path | None) -> None:
    """Print the line; the file appears whole or not at all."""
    line = json.dumps(ready)
    if ready_file is not None:
        draft = ready_file.with_name(ready_file.name + ".part")
        draft.write_text(line + "\n", encoding="utf-8")
        draft.replace(ready_file)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
