"""Run the simulator: `python -m simulators.stripe --port 0 --ready-file ready.json`."""

import argparse
import asyncio
import gc
import json
import signal
import sys
from pathlib import Path

import uvloop

from simulators.stripe.accounts import add_account
from simulators.stripe.app import StripeSimulator
from simulators.stripe.server import serving
from simulators.stripe.state import Settings, World


def main(argv: list[str] | None = None) -> None:
    """Parse arguments and serve until SIGINT or SIGTERM."""
    options = _parser().parse_args(argv)
    settings = Settings(
        auto_send=options.auto_send,
        retry_base_ms=options.webhook_retry_base_ms,
        max_attempts=options.webhook_max_attempts,
        timeout_ms=options.webhook_timeout_ms,
        concurrency=options.webhook_concurrency,
    )
    world = World(settings)
    account = add_account(world, {"account": options.account, "api_keys": options.api_key or None})
    # Nothing here forms cycles by the thousand: full collections over a large world would only stall answers.
    gc.set_threshold(50_000, 20, 1_000)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(StripeSimulator(world), options, account.id, account.keys[0]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulators.stripe", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--ready-file", type=Path, help="gets the JSON line that is also printed, once it listens")
    parser.add_argument("--account", help="id of the first account, made up when absent")
    parser.add_argument("--api-key", action="append", help="key of the first account; may be repeated")
    parser.add_argument("--auto-send", action="store_true", help="emit invoice.sent when a send_invoice is finalized")
    parser.add_argument("--webhook-retry-base-ms", type=int, default=500)
    parser.add_argument("--webhook-max-attempts", type=int, default=8)
    parser.add_argument("--webhook-timeout-ms", type=int, default=10_000)
    parser.add_argument("--webhook-concurrency", type=int, default=32)
    return parser


async def _serve(simulator: StripeSimulator, options: argparse.Namespace, account: str, api_key: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(simulator, options.host, options.port) as port:
        base = f"http://{options.host}:{port}"
        _announce(
            {"api_base": base, "admin": f"{base}/_sim", "account": account, "api_key": api_key}, options.ready_file
        )
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
