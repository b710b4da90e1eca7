"""What every command shares: finding the running hub, opening what it needs, and speaking to people or to scripts.

Exit codes: 0 done; 1 done, but something is not as it should be (a check failed, an invoice was refused); 2 wrong usage
or configuration; 3 a dependency does not answer; 4 what was named does not exist.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import asynccontextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import typer
from aiokafka.errors import KafkaError

from hub.app import Foundation, build_foundation
from hub.cli.running import find_running
from hub.cli.screen import print_error
from hub.config import HubConfig, load_config
from hub.harmless import make_line
from hub.log import configure_logging
from hub.stage.ports import describe
from schemas.errors import ConfigurationError, Gone, HubError, Poison, Refused, RetryLater, RetrySoon

T = TypeVar("T")


class Exit(IntEnum):
    """The exit codes of all commands."""

    OK = 0
    PROBLEM = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4


def find_data_dir() -> Path:
    """Return where embedded parts keep their data, and where a running `hub up` leaves its address."""
    return Path(os.environ.get("HUB_DATA_DIR", ".hub"))


def find_environment() -> dict[str, str]:
    """Return the environment that commands work with: one's own first, then that of a running `hub up`."""
    return find_running(find_data_dir()) | dict(os.environ)


def load_cli_config(environ: Mapping[str, str] | None = None) -> HubConfig:
    """Load the configuration for a command.

    Raises:
        ConfigurationError: something is missing, and no `hub up` runs here that could fill it in.
    """
    names = find_environment() if environ is None else environ
    try:
        return load_config(names)
    except ConfigurationError as error:
        if "HUB_REDIS_URL" in names and "HUB_KAFKA_BOOTSTRAP" in names:
            raise
        where = find_data_dir().resolve()
        hint = (
            f"No hub up runs with its data in {where}: start it, set HUB_DATA_DIR to where it does, or set these names."
        )
        raise ConfigurationError(f"{error.message}\n{hint}", code=error.code) from None


@asynccontextmanager
async def open_foundation(config: HubConfig | None = None, *, publishes: bool = False) -> AsyncGenerator[Foundation]:
    """Open ledger, directory and clients for a command; the broker too, if it publishes."""
    foundation = build_foundation(config or load_cli_config(), "cli")
    try:
        if publishes:
            await _start_broker(foundation)
        yield foundation
    finally:
        if publishes:
            await foundation.broker.stop()
        await foundation.clients.close()
        await foundation.redis.aclose(close_connection_pool=True)


async def _start_broker(foundation: Foundation) -> None:
    try:
        await foundation.broker.start()
    except KafkaError as error:
        raise ConfigurationError(
            f"Kafka does not answer at {foundation.config.kafka_bootstrap}. Check HUB_KAFKA_BOOTSTRAP and that the "
            "broker runs.",
            code="broker.unreachable",
        ) from error


def run_command(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work; errors become a sentence and an exit code. Stdout belongs to what the command says."""
    configure_logging("cli", fmt="console", level="error", stream=sys.stderr)
    try:
        return asyncio.run(work)
    except HubError as error:
        fail(tell_error(error), choose_exit(error), error.code)
    except OSError as error:
        if error.filename is None:
            raise  # no file's fault: see endings.py
        fail(f"{error.filename}: {error.strerror}. Check the path, and whether this user may use it.", Exit.USAGE)


def tell_error(error: HubError) -> str:
    """Say what happened and what to do. Unlike a service, a command does not wait and try again by itself."""
    match error:
        case RetrySoon(code="ledger.unavailable"):
            return f"{error.message.rstrip('.')} at {tell_redis()}. Check HUB_REDIS_URL and that Redis runs."
        case RetrySoon() | RetryLater():
            return f"{make_line(error.message)} Run the command again; hub doctor looks at everything that it needs."
        case ConfigurationError():
            return error.message
        case _:  # it may quote what Stripe or Business Central said, line breaks and all
            return make_line(describe(error).text)


def tell_redis() -> str:
    """Name Redis as it is configured, without its password."""
    url = urlsplit(find_environment().get("HUB_REDIS_URL", ""))  # which load_config has checked
    return url.path if url.scheme == "unix" else f"{url.hostname or 'localhost'}:{url.port or 6379}"


def choose_exit(error: HubError) -> Exit:
    """Map an error to the command's exit code."""
    match error:
        case ConfigurationError(code="broker.unreachable" | "broker.slow" | "ledger.unavailable"):
            return Exit.UNREACHABLE
        case ConfigurationError():
            return Exit.USAGE
        case RetrySoon() | RetryLater():
            return Exit.UNREACHABLE
        case Poison() | Gone() | Refused(code="preview.invoice.unknown" | "replay.event.missing"):
            return Exit.NOT_FOUND
        case _:
            return Exit.PROBLEM


def fail(message: str, exit_code: Exit = Exit.PROBLEM, code: str | None = None) -> NoReturn:
    """Say why, on stderr, and end; with --json as one JSON object, with the error's code if it has one."""
    print_error(message, int(exit_code), code)
    raise typer.Exit(int(exit_code))


def confirm(question: str) -> None:
    """Ask on stderr, for stdout may be a script's, and end the command unless the answer is yes."""
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        fail("Nobody answered. Give --yes to go on without being asked.", Exit.USAGE)
    if not agreed:
        fail("Nothing was changed.", Exit.PROBLEM)


async def choose_connection(foundation: Foundation, wanted: str | None) -> str:
    """Return the connection meant: by id or Stripe account, or the only one there is.

    Raises:
        typer.Exit: there is none, or several and none was named.
    """
    ids = await foundation.directory.list_ids()
    if not ids:
        fail("There is no connection yet. Add one: hub connections add --help", Exit.NOT_FOUND)
    if wanted is not None:
        if wanted in ids:
            return wanted
        ids = await foundation.directory.find_account(wanted)
    if len(ids) == 1:
        return ids[0]
    if not ids:
        fail(f"There is no connection {wanted!r}. See hub connections list.", Exit.NOT_FOUND)
    fail(f"Name one of the connections with --connection: {', '.join(ids)}", Exit.USAGE)
