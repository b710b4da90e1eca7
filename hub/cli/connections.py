"""`hub connections`: join a Stripe account with a Business Central company, look after it, and stop or start it."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from hub.cli.checks import check_connection, count_problems, show_checks
from hub.cli.connect import ConnectionRequest, prepare_connection, release_connection, save_connection
from hub.cli.connection_view import (
    build_replay_hint,
    describe_added,
    describe_connection,
    show_added,
    show_list,
    tell_dry_run_end,
)
from hub.cli.context import Exit, choose_connection, confirm, fail, open_foundation, run_command
from hub.cli.device_sign_in import sign_in_by_code
from hub.cli.key_rotation import rotate_all
from hub.cli.moments import parse_moment
from hub.cli.removal import Removal, ask_removal, remove_connection
from hub.cli.screen import err, print_json
from hub.cli.secret_input import read_secret, warn_of_bare_secrets
from hub.cli.settings_file import load_settings_file
from hub.cli.wording import name_command, say
from schemas.connections import Connection

NAME = "connections"
app = typer.Typer(help="Add, check, pause, resume and remove connections.", no_args_is_help=True)

Wanted = Annotated[
    str | None, typer.Option("--connection", help="Connection id or Stripe account; not needed if there is only one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")]
_OR_FILE = "; @FILE reads it from a file, - asks for it."


@app.command()
def add(
    context: typer.Context,
    stripe_account: Annotated[str, typer.Option(help="Stripe account, acct_….")],
    bc_tenant: Annotated[str, typer.Option(help="Microsoft Entra tenant: its id or a domain.")],
    bc_environment: Annotated[str, typer.Option(help="Environment, for example Production.")],
    bc_company: Annotated[str, typer.Option(help="Company, by name or display name.")],
    bc_client_id: Annotated[str, typer.Option(help="Application (client) id of the app registration.")],
    stripe_key: Annotated[
        str | None,
        typer.Option(envvar="STRIPE_API_KEY", help=f"Secret or restricted key of the account{_OR_FILE}"),
    ] = None,
    bc_client_secret: Annotated[
        str | None, typer.Option(envvar="BC_CLIENT_SECRET", help=f"Client secret, its value{_OR_FILE}")
    ] = None,
    webhook_secret: Annotated[
        list[str] | None,
        typer.Option(
            envvar="STRIPE_WEBHOOK_SECRET",
            help=f"Signing secret of the webhook endpoint; repeat it while it is rolled{_OR_FILE}",
        ),
    ] = None,
    login: Annotated[
        bool, typer.Option("--login", help="Sign in as a user by device code, instead of a client secret.")
    ] = False,
    go_live: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Leave invoices finalized before this alone; ISO, UTC. Default: now."),
    ] = None,
    dry_run: Annotated[
        bool | None, typer.Option("--dry-run/--no-dry-run", help="Do everything but write; results say what would be.")
    ] = None,
    line_account: Annotated[str | None, typer.Option(metavar="NO", help="G/L account to book lines on.")] = None,
    line_item: Annotated[str | None, typer.Option(metavar="NO", help="Item to book lines on.")] = None,
    tax_code: Annotated[str | None, typer.Option(help="VAT product posting group or tax group of each line.")] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE",
            help="The company's, like Europe/Copenhagen. Default: that of the account's Stripe dashboard.",
        ),
    ] = None,
    metadata_prefix: Annotated[str | None, typer.Option(help="Prefix of the metadata keys. Default: bc_.")] = None,
    doubt_window: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="How long a request without an answer may be carried out. Default: 1200."),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings as YAML, all or some; the options above come on top.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Connect a Stripe account with a company. Everything is checked before anything is saved.

    Adding the same account and company again, however spelt, replaces keys and options; settings, go-live date and
    history stay.
    """
    if login == (bc_client_secret is not None):
        fail("Give either --bc-client-secret (or BC_CLIENT_SECRET) or --login.", Exit.USAGE)
    warn_of_bare_secrets(context, "stripe_key", "bc_client_secret", "webhook_secret")
    changes = _collect_changes(line_account, line_item, tax_code)
    plain = {"time_zone": time_zone, "metadata_prefix": metadata_prefix}
    changes |= {name: value for name, value in plain.items() if value is not None}
    if doubt_window is not None:
        changes["doubt_window"] = doubt_window

    async def work() -> None:
        request = ConnectionRequest(
            stripe_account=stripe_account,
            stripe_key=read_secret(stripe_key, "--stripe-key"),
            webhook_secrets=tuple(read_secret(one, "--webhook-secret") for one in webhook_secret or ()),
            bc_tenant=bc_tenant,
            bc_environment=bc_environment,
            bc_company=bc_company,
            bc_client_id=bc_client_id,
            bc_client_secret=read_secret(bc_client_secret, "--bc-client-secret") if bc_client_secret else None,
            sign_in="delegated" if login else "client_credentials",
            go_live=parse_moment(go_live, "--go-live") if go_live else None,
            dry_run=dry_run,
            settings_file=load_settings_file(settings) if settings else {},
            settings_changes=changes,
        )
        await _add(request, as_json=as_json)

    run_command(work())


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all connections and what state they are in."""

    async def work() -> None:
        async with open_foundation() as foundation:
            rows = [await describe_connection(foundation, one) for one in await foundation.directory.list_ids()]
        if as_json:
            print_json(rows)
        elif not rows:
            say("There is no connection yet: hub connections add --help")
        else:
            show_list(rows)

    run_command(work())


@app.command()
def show(connection: Wanted = None, as_json: AsJson = False) -> None:
    """Show one connection: its parts, state, what blocks it. Never a secret."""

    async def work() -> None:
        async with open_foundation() as foundation:
            row = await describe_connection(foundation, await choose_connection(foundation, connection))
        if as_json:
            print_json(row)
            return
        for name, value in row.items():
            told = ", ".join(cast("list[str]", value)) if isinstance(value, list) else str(value)
            say((f"{name.replace('_', ' '):<18}", "dim"), told)

    run_command(work())


@app.command("test")
def try_(connection: Wanted = None, as_json: AsJson = False) -> None:
    """Try everything a connection needs, without writing, and say how to fix what is wrong."""

    async def work() -> int:
        async with open_foundation() as foundation:
            chosen = await choose_connection(foundation, connection)
            with err.status("Checking…"):
                checks = await check_connection(foundation, await foundation.directory.load(chosen))
        show_checks(checks, as_json=as_json)
        return count_problems(checks)

    if run_command(work()):
        raise typer.Exit(int(Exit.PROBLEM))


@app.command()
def pause(connection: Wanted = None) -> None:
    """Stop writing to Business Central for a connection. What comes in waits."""

    async def work() -> None:
        async with open_foundation() as foundation:
            chosen = await choose_connection(foundation, connection)
            await foundation.directory.set_paused(chosen, paused=True)
        resume = name_command("connections resume", chosen)
        say(f"{chosen} is paused within a second; what comes in waits. Go on: {resume}")

    run_command(work())


@app.command()
def resume(connection: Wanted = None) -> None:
    """Go on: end the pause, clear what blocks, and let everything that waits be due now."""

    async def work() -> None:
        async with open_foundation() as foundation:
            chosen = await choose_connection(foundation, connection)
            await foundation.directory.set_paused(chosen, paused=False)
            waiting = await release_connection(foundation, chosen)
        say(f"{chosen} goes on. {waiting} waiting invoices are due now.")

    run_command(work())


@app.command()
def live(connection: Wanted = None, as_json: AsJson = False) -> None:
    """End the dry run: write to Business Central and Stripe from now on."""

    async def work() -> Connection:
        async with open_foundation() as foundation:
            chosen = await choose_connection(foundation, connection)
            found = (await foundation.directory.load(chosen)).connection
            await foundation.directory.end_dry_run(chosen)
        return found

    found = run_command(work())
    if as_json:
        print_json({"connection": found.id, "was_dry_run": found.dry_run, "replay": build_replay_hint(found)})
    elif not found.dry_run:
        say(f"{found.id} was no dry run: nothing changes.")
    else:
        say(f"{found.id} writes from now on. {tell_dry_run_end(found)}")


@app.command()
def login(connection: Wanted = None) -> None:
    """Sign in to Business Central again by device code, and go on with what was blocked by it."""

    async def work() -> None:
        async with open_foundation() as foundation:
            chosen = await choose_connection(foundation, connection)
            snapshot = await foundation.directory.load(chosen)
            if snapshot.connection.sign_in != "delegated":
                fail(f"{chosen} signs in with a client secret: replace it with hub connections add.", Exit.USAGE)
            await sign_in_by_code(foundation.clients, snapshot.connection, foundation.directory)
            await foundation.directory.save_block(chosen, "bc", None)
            await foundation.waiting.make_due(chosen, foundation.clock.now())
        say(f"Signed in. {chosen} goes on.")

    run_command(work())


@app.command()
def remove(
    connection: Wanted = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget a connection: keys, sign-in, settings, and what waits. Drafts and metadata stay as they are.

    What the hub knows of its invoices stays, too: added again, it makes no second draft.
    """

    async def work() -> Removal:
        async with open_foundation() as foundation:
            chosen = await choose_connection(foundation, connection)
            if not yes:
                confirm(await ask_removal(foundation, chosen))
            return await remove_connection(foundation, chosen)

    removal = run_command(work())
    if as_json:
        print_json(asdict(removal))
    else:
        say(removal.words)


@app.command("rotate-secrets")
def rotate_secrets(as_json: AsJson = False) -> None:
    """Encrypt all stored secrets again with the first key of HUB_SECRET_KEYS; then the others may be removed."""

    async def work() -> None:
        async with open_foundation() as foundation:
            rotated = await rotate_all(foundation)
        if as_json:
            print_json({"rotated": rotated})
        else:
            say(f"Connections encrypted with the first key of HUB_SECRET_KEYS: {len(rotated)}, all there are.")

    run_command(work())


async def _add(request: ConnectionRequest, *, as_json: bool) -> None:
    def report(sentence: str) -> None:
        if not as_json:
            say(("✓ ", "green"), sentence)

    async with open_foundation() as foundation:
        prepared = await prepare_connection(foundation, request, say=report, sign_in_by_code=sign_in_by_code)
        await save_connection(foundation, prepared)
    if as_json:
        print_json(describe_added(prepared))
    else:
        show_added(prepared)


def _collect_changes(line_account: str | None, line_item: str | None, tax_code: str | None) -> dict[str, Any]:
    """Turn options about lines into settings."""
    if line_account and line_item:
        fail("Give either --line-account or --line-item.", Exit.USAGE)
    changes: dict[str, Any] = {}
    if number := line_account or line_item:
        lines = {"type": "Account" if line_account else "Item", "number": number, "tax_code": tax_code}
        changes["invoices"] = {"lines": lines}
    elif tax_code:
        fail("--tax-code needs --line-account or --line-item.", Exit.USAGE)
    return changes
