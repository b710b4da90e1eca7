"""`hub up`: all services on one machine, with the parts that are not given."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from rich.markup import escape

from hub.broker import apply_topics
from hub.cli.context import find_data_dir, run_command
from hub.cli.processes import ServiceProcesses
from hub.cli.run import SERVICES
from hub.cli.running import announce, make_key
from hub.cli.screen import out
from hub.config import load_config
from hub.embedded import HOST, EmbeddedBroker, EmbeddedRedis
from hub.log import configure_logging
from hub.port import open_port

NAME = "up"
# What the embedded broker needs (hub/embedded.py).
EMBEDDED_BROKER_ENVIRONMENT = {"HUB_KAFKA_SESSION_SECONDS": "3"}

_EMBEDDED_WARNING = (
    "[bold yellow]The message broker is the embedded one: what is in flight is lost when it stops.[/] "
    "Ledger and catch-up restore it at the next start. It listens on 127.0.0.1 and asks for no password: any user "
    "of this machine can read and write what is in flight. For production, set HUB_KAFKA_BOOTSTRAP."
)


def command() -> None:
    """Run all services on this machine until Ctrl-C. Kafka and Redis are embedded unless HUB_… names them."""
    run_command(_up())


async def _up() -> None:
    directory = find_data_dir().resolve()
    configure_logging("up", fmt="auto")
    async with open_parts(directory, dict(os.environ)) as environment:
        config = load_config(environment)
        # Before anything is begun: the service that needs it would only say so in its log.
        open_port(HOST, config.http_port).close()
        await apply_topics(config.kafka_bootstrap)
        processes = ServiceProcesses(environment, directory / "logs")
        processes.start(SERVICES, ports={"ingest": config.http_port})
        try:
            with announce(directory, environment):
                await processes.wait_until_ready()
                out.print(
                    f"[green]The hub is up.[/] Webhooks: http://127.0.0.1:{config.http_port}/webhooks/stripe/ACCOUNT"
                )
                out.print(
                    f"Logs: {escape(str(directory / 'logs'))}. Add a connection: [bold]hub connections add --help[/]"
                )
                await _until_stopped(processes)
        finally:
            await processes.stop()


@asynccontextmanager
async def open_parts(
    directory: Path, environ: Mapping[str, str], *, quiet: bool = False
) -> AsyncGenerator[dict[str, str]]:
    """Start the embedded parts that the environment does not name, and yield the environment that names them all."""
    environment = {**environ, "HUB_DATA_DIR": str(directory)}
    if "HUB_SECRET_KEYS" not in environment:
        environment["HUB_SECRET_KEYS"] = make_key(directory)
    async with AsyncExitStack() as stack:
        if "HUB_REDIS_URL" not in environment:
            environment["HUB_REDIS_URL"] = (await stack.enter_async_context(EmbeddedRedis(directory))).url
        if "HUB_KAFKA_BOOTSTRAP" not in environment:
            if not quiet:
                out.print(_EMBEDDED_WARNING)
            broker = await stack.enter_async_context(EmbeddedBroker(directory))
            environment |= {"HUB_KAFKA_BOOTSTRAP": broker.bootstrap, **EMBEDDED_BROKER_ENVIRONMENT}
        yield environment


async def _until_stopped(processes: ServiceProcesses) -> None:
    """Watch over the services until SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    watch = asyncio.create_task(processes.supervise())
    await stopped.wait()
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch
    out.print("Stopping: services finish what they have in hand.")
