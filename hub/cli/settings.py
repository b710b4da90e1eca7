"""`hub settings`: what a user sets for a connection, as YAML out and in. Every version is kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.app import Foundation
from hub.cli.context import Exit, choose_connection, confirm, fail, open_foundation, print_json, run_command
from hub.cli.field_listing import list_mapping_names
from hub.cli.line_target import ChosenTarget, resolve_line_target
from hub.cli.settings_file import build_settings, compare_settings, dump_settings, load_settings_file, merge_values
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

    async def work() -> None:
        _, settings = await _load(connection, version)
        if output is None:
            typer.echo(dump_settings(settings), nl=False)
        else:
            output.write_text(dump_settings(settings), encoding="utf-8")
            say(f"Written to {output}.")

    run_command(work())


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="YAML, as hub settings export writes it.")],
    connection: Wanted = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="The file is the whole: what it does not name goes back to its default.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and show what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Save without asking.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")] = False,
) -> None:
    """Check a file, show what changes, and save it as a new version.

    The file may name some settings only: the others stay as they are.
    """
    if as_json and not (yes or dry_run):
        fail("With --json nobody is asked: give --yes to save, or --dry-run to only look.", Exit.USAGE)

    async def work() -> None:
        values = load_settings_file(file)
        async with open_foundation() as foundation:
            snapshot = await foundation.directory.load(await choose_connection(foundation, connection))
            settings = build_settings(values if replace else merge_values(snapshot.settings.model_dump(), values))
            wanted = _Import(foundation, snapshot, settings, compare_settings(snapshot.settings, settings)[2:])
            lines = await wanted.find_new_lines()
            if not as_json:
                wanted.show(lines)
            version = None if dry_run or not wanted.changes else await wanted.save(ask=not yes)
        if as_json:
            print_json(wanted.describe(version))
        else:
            say(wanted.tell_end(version))

    run_command(work())


@app.command()
def fields(
    word: Annotated[str | None, typer.Argument(help="Only what has this word in its name or meaning.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")] = False,
) -> None:
    """List the fields of Business Central that can be mapped, and what templates can read of Stripe."""
    listing = list_mapping_names(word or "")
    if as_json:
        print_json(listing.describe())
    else:
        listing.show()


@dataclass(frozen=True)
class _Import:
    """Settings that were read and checked, beside those in force."""

    foundation: Foundation
    snapshot: Snapshot
    settings: Settings
    changes: list[str]
    """Lines as of `diff -u`, without its head."""

    async def find_new_lines(self) -> ChosenTarget | None:
        """An account or item that is new must exist: otherwise every invoice from now on would fail."""
        lines = self.settings.invoices.lines
        if lines is None or lines == self.snapshot.settings.invoices.lines:
            return None
        return await resolve_line_target(lines, self.foundation.clients.business_central(self.snapshot))

    def show(self, lines: ChosenTarget | None) -> None:
        """Print what changes."""
        for line in self.changes:
            say((line, _DIFF_COLOURS.get(line[0], "")))
        if lines is not None:
            say(f"Invoice lines will be booked on {lines.words}.")
        for risk in self.settings.describe_risks():
            say((risk, "bold yellow"))

    async def save(self, *, ask: bool) -> int:
        """Save as a new version, which is returned; what was compared with must still be in force by then."""
        connection = self.snapshot.connection.id
        if ask:
            confirm(f"Save this for {connection}?")
        if (await self.foundation.directory.load(connection)).settings_version != self.snapshot.settings_version:
            fail("The settings were changed by someone else meanwhile. Run the command again.", Exit.PROBLEM)
        return await self.foundation.directory.save_settings(connection, self.settings)

    def describe(self, version: int | None) -> dict[str, Any]:
        """Describe it for a script; a version is the one it was saved as."""
        return {
            "connection": self.snapshot.connection.id,
            "changes": self.changes,
            "risks": self.settings.describe_risks(),
            "saved": version is not None,
            "version": version or self.snapshot.settings_version,
            "settings": self.settings.model_dump(mode="json"),
        }

    def tell_end(self, version: int | None) -> str:
        """Say how it ended."""
        if version is not None:
            return f"Saved as version {version}; in force within a second, for invoices from now on."
        if self.changes:
            return "Nothing was saved."
        version = self.snapshot.settings_version
        return (
            f"Nothing changes: these are the settings of version {version}. What a file leaves out stays (--replace)."
        )


async def _load(connection: str | None, version: int | None) -> tuple[Snapshot, Settings]:
    async with open_foundation() as foundation:
        snapshot = await foundation.directory.load(await choose_connection(foundation, connection))
        if version is None:
            return snapshot, snapshot.settings
        return snapshot, await foundation.directory.load_settings(snapshot.connection.id, version)
