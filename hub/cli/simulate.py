"""`hub simulate`: a Business Central or a Stripe to try things on. They know nothing of the hub."""

import importlib
from collections.abc import Callable
from typing import Annotated, cast

import typer

from hub.cli.context import Exit, fail

NAME = "simulate"
_SIMULATORS = {"bc": "simulators.business_central.__main__", "stripe": "simulators.stripe.__main__"}

# For the Typer application: what it does not know itself belongs to the simulator.
CONTEXT_SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}


def command(
    system: Annotated[str, typer.Argument(help="bc or stripe.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGS]...", help="For the simulator; hub simulate bc -- --help lists them."),
    ] = None,
) -> None:
    """Run a simulated Business Central or Stripe until Ctrl-C. It prints where it listens as one JSON line."""
    if system not in _SIMULATORS:
        fail(f"There is no simulator {system!r}; there are {', '.join(_SIMULATORS)}.", Exit.USAGE)
    # Imported here alone: nothing in the hub's own work may depend on a simulator.
    main = cast("Callable[[list[str]], None]", importlib.import_module(_SIMULATORS[system]).main)
    main(arguments or [])
