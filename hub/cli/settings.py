"""`hub settings`: what a user sets for a connection, as YAML out and in. Every version is kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.app import Foundation
from hub.cli.connect import build_wrong_names
from hub.cli.context import (
    Exit,
    choose_connection,
    choose_exit,
    confirm,
    fail,
    open_foundation,
    run_command,
    tell_error,
)
from hub.cli.field_listing import list_mapping_names
from hub.cli.given_files import write_given_file
from hub.cli.screen import print_json
from hub.cli.settings_file import build_settings, compare_settings, dump_settings, load_settings_file, merge_values
from hub.cli.settings_ids import find_missing, list_new_ids
from hub.cli.settings_lists import list_problems
from hub.cli.settings_names import CompanyNames, fetch_names, find_problems, list_names, list_unlisted, tell_lines
from hub.cli.wording import say
from hub.directory import Snapshot
from schemas.errors import HubError
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
            write_given_file(output, dump_settings(settings))
            say(f"Written to {output}.")

    run_command(work())


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="YAML, as hub settings export writes it.")],
    connection: Wanted = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="The file is the whole: what it does not name goes back to its default.")
    ] = False,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Do not look up what it names, in Business Central and Stripe's lists.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and show what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Save without asking.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")] = False,
) -> None:
    """Check a file, show what changes, and save it as a new version.

    The file may name some settings only: the others stay as they are. Every account, item, code and dimension that the
    settings name then is looked up in Business Central.
    """
    if as_json and not (yes or dry_run):
        fail("With --json nobody is asked: give --yes to save, or --dry-run to only look.", Exit.USAGE)

    async def work() -> None:
        values = load_settings_file(file)
        async with open_foundation() as foundation:
            snapshot = await foundation.directory.load(await choose_connection(foundation, connection))
            settings = build_settings(values if replace else merge_values(snapshot.settings.model_dump(), values))
            wanted = _Import(foundation, snapshot, settings, compare_settings(snapshot.settings, settings)[2:])
            company = None if unchecked else await wanted.check()
            if not as_json:
                wanted.show(company, unchecked=unchecked)
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

    async def check(self) -> CompanyNames | None:
        """Look up what the settings name; None where they name nothing new, so that Business Central is not asked.

        Raises:
            ConfigurationError: something is not there, or can't be meant so.
        """
        try:
            company, missing = await self._look_up()
        except HubError as error:
            told = "Nothing was saved: what the settings name could not be looked up. To save without it: --unchecked."
            fail(f"{tell_error(error)}\n{told}", choose_exit(error))
        wrong = find_problems(self.settings, company) if company else ()
        problems = [*list_problems(self.settings), *missing, *wrong]
        if problems and self.changes:
            raise build_wrong_names(problems)
        return company

    async def _look_up(self) -> tuple[CompanyNames | None, list[str]]:
        clients, names = self.foundation.clients, list_names(self.settings)
        ids = list_new_ids(self.settings, self.snapshot.settings)
        missing = await find_missing(clients.stripe(self.snapshot), ids)
        if names == list_names(self.snapshot.settings):
            return None, missing
        return await fetch_names(clients.business_central(self.snapshot), names), missing

    def show(self, company: CompanyNames | None, *, unchecked: bool) -> None:
        """Print what changes, and what was not looked up."""
        for line in self.changes:
            say((line, _DIFF_COLOURS.get(line[0], "")))
        if company is not None and (lines := tell_lines(self.settings, company)):
            say(f"Invoice lines are booked on {lines}.")
        unlisted = list_unlisted(self.settings)
        if company is not None and unlisted:
            say((f"Not looked up, for Business Central's API has no list of them: {', '.join(unlisted)}", "yellow"))
        if unchecked and self.changes:
            say(("What the settings name was not looked up in Business Central.", "bold yellow"))
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
            "not_looked_up": list_unlisted(self.settings),
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
