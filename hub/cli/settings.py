"""`hub settings`: what a user sets for a connection, as YAML out and in. Every version is kept."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from hub.app import Foundation
from hub.cli.context import choose_connection, open_foundation, print_json, run_command
from hub.cli.line_target import resolve_line_target
from hub.cli.settings_file import compare_settings, dump_settings, load_settings_file
from hub.cli.wording import say
from hub.directory import Snapshot
from schemas.settings import Settings

NAME = "settings"
app = typer.Typer(help="Show, export and import the settings of a connection.", no_args_is_help=True)
_DIFF_COLOURS = {"+": "green", "-": "red", "@": "dim"}

Wanted = Annotated[
    str | None, typer.Option("--connection", help="Connection id or Stripe account; not needed if there is only one.")
]
Version = Annotated[int | None, typer.Option("--version", min=1, help="An earlier version. Default: the current one.")]


@app.command()
def show(
    connection: Wanted = None,
    version: Version = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")] = False,
) -> None:
    """Show the settings and their version."""
    snapshot, settings = run_command(_load(connection, version))
    number = version or snapshot.settings_version
    if as_json:
        print_json({"version": number, "settings": settings.model_dump(mode="json")})
        return
    say((f"# {snapshot.connection.id}, settings version {number}", "dim"))
    typer.echo(dump_settings(settings), nl=False)


@app.command()
def export(
    connection: Wanted = None,
    version: Version = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write. Default: stdout.")
    ] = None,
) -> None:
    """Write the settings as YAML, to be edited and imported."""
    _, settings = run_command(_load(connection, version))
    if output is None:
        typer.echo(dump_settings(settings), nl=False)
    else:
        output.write_text(dump_settings(settings), encoding="utf-8")
        say(f"Written to {output}.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="YAML, as hub settings export writes it.")],
    connection: Wanted = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Save without asking.")] = False,
) -> None:
    """Check a file, show what changes, and save it as a new version."""

    async def work() -> None:
        settings = load_settings_file(file)
        async with open_foundation() as foundation:
            snapshot = await foundation.directory.load(await choose_connection(foundation, connection))
            await _check_lines(foundation, snapshot, settings)
            await _save(foundation, snapshot, settings, yes=yes)

    run_command(work())


async def _load(connection: str | None, version: int | None) -> tuple[Snapshot, Settings]:
    async with open_foundation() as foundation:
        snapshot = await foundation.directory.load(await choose_connection(foundation, connection))
        if version is None:
            return snapshot, snapshot.settings
        return snapshot, await foundation.directory.load_settings(snapshot.connection.id, version)


async def _check_lines(foundation: Foundation, snapshot: Snapshot, settings: Settings) -> None:
    """An account or item that is new must exist: otherwise every invoice from now on would fail."""
    lines = settings.invoices.lines
    if lines is not None and lines != snapshot.settings.invoices.lines:
        chosen = await resolve_line_target(lines, foundation.clients.business_central(snapshot))
        say(f"Invoice lines will be booked on {chosen.words}.")


async def _save(foundation: Foundation, snapshot: Snapshot, settings: Settings, *, yes: bool) -> None:
    changes = compare_settings(snapshot.settings, settings)
    if not changes:
        say(f"Nothing changes: these are the settings of version {snapshot.settings_version}.")
        return
    for line in changes[2:]:
        say((line, _DIFF_COLOURS.get(line[0], "")))
    if not yes:
        typer.confirm(f"Save this for {snapshot.connection.id}?", abort=True, err=not sys.stdout.isatty())
    version = await foundation.directory.save_settings(snapshot.connection.id, settings)
    say(f"Saved as version {version}; in force within a second, for invoices from now on.")
