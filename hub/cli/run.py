"""`hub run SERVICE`: one service as a process."""

import importlib
from collections.abc import Callable
from typing import Annotated, cast, get_args

import typer
import uvloop

from hub.app import Foundation, Service, build_foundation, run_service
from hub.cli.context import choose_exit, fail, load_cli_config, tell_error
from schemas.errors import HubError
from schemas.messages import StageName

NAME = "run"
SERVICES: tuple[StageName, ...] = get_args(StageName)


def command(service: Annotated[StageName, typer.Argument(metavar="SERVICE", help="Which.")]) -> None:
    """Run one service until SIGTERM, then drain. Configured by environment alone."""
    try:
        _start(service)
    except HubError as error:
        fail(tell_error(error), choose_exit(error), error.code)


def _start(name: StageName) -> None:
    config = load_cli_config()
    module = importlib.import_module(f"services.{name}.app")
    build_app = cast("Callable[[Foundation], Service]", module.build_app)

    async def serve() -> None:
        await run_service(build_app(build_foundation(config, name)))

    # uvloop's sockets cost a third less than asyncio's.
    uvloop.run(serve())
