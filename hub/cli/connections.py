"""`hub connections`: join a Stripe account with a Business Central company, look after it, and stop or start it."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from rich.table import Table

from connectors.business_central.entra import EntraApp
from connectors.business_central.sign_in import begin_device_code, complete_device_code
from hub.app import Foundation
from hub.cli.checks import check_connection, count_problems, show_checks
from hub.cli.connect import (
    ConnectionRequest,
    PreparedConnection,
    prepare_connection,
    release_connection,
    save_connection,
)
from hub.cli.context import Exit, choose_connection, err, fail, open_foundation, out, print_json, run_command
from hub.cli.key_rotation import rotate_all
from hub.cli.moments import parse_moment
from hub.cli.settings_file import load_settings_file
from hub.clients import Clients
from hub.directory import Directory, Snapshot
from schemas.connections import Connection
from services.ingest.decide import CAUGHT_UP

NAME = "connections"
app = typer.Typer(help="Add, check, pause and resume connections.", no_args_is_help=True)

Wanted = Annotated[
    str | None, typer.Option("--connection", help="Connection id or Stripe account; not needed if there is only one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")]
_OR_FILE = "; @FILE reads it from a file."


@app.command()
def add(
    stripe_account: Annotated[str, typer.Option(help="Stripe account, acct_….")],
    stripe_key: Annotated[
        str, typer.Option(envvar="STRIPE_API_KEY", help=f"Secret or restricted key of the account{_OR_FILE}")
    ],
    bc_tenant: Annotated[str, typer.Option(help="Microsoft Entra tenant: its id or a domain.")],
    bc_environment: Annotated[str, typer.Option(help="Environment, for example Production.")],
    bc_company: Annotated[str, typer.Option(help="Company, by name or display name.")],
    bc_client_id: Annotated[str, typer.Option(help="Application (client) id of the app registration.")],
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
    metadata_prefix: Annotated[str | None, typer.Option(help="Prefix of the metadata keys. Default: bc_.")] = None,
    doubt_window: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="How long a request without an answer may be carried out. Default: 1200."),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings as YAML; the options above come on top.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Connect a Stripe account with a company. Everything is checked before anything is saved.

    Adding the same five parts again replaces keys and options; settings, go-live date and history stay.
    """
    if login == (bc_client_secret is not None):
        fail("Give either --bc-client-secret (or BC_CLIENT_SECRET) or --login.", Exit.USAGE)
    changes = _collect_changes(line_account, line_item, tax_code, metadata_prefix, doubt_window)

    async def work() -> None:
        request = ConnectionRequest(
            stripe_account=stripe_account,
            stripe_key=_read_secret(stripe_key, "--stripe-key"),
            webhook_secrets=tuple(_read_secret(one, "--webhook-secret") for one in webhook_secret or ()),
            bc_tenant=bc_tenant,
            bc_environment=bc_environment,
            bc_company=bc_company,
            bc_client_id=bc_client_id,
            bc_client_secret=_read_secret(bc_client_secret, "--bc-client-secret") if bc_client_secret else None,
            sign_in="delegated" if login else "client_credentials",
            go_live=parse_moment(go_live, "--go-live") if go_live else None,
            dry_run=dry_run,
            settings_file=load_settings_file(settings) if settings else None,
            settings_changes=changes,
        )
        await _add(request, as_json=as_json)

    run_command(work())


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all connections and what state they are in."""

    async def work() -> None:
        async with open_foundation() as foundation:
            rows = [await _describe(foundation, one) for one in await foundation.directory.list_ids()]
        if as_json:
            print_json(rows)
        elif not rows:
            out.print("There is no connection yet: hub connections add --help")
        else:
            _show_list(rows)

    run_command(work())


@app.command()
def show(connection: Wanted = None, as_json: AsJson = False) -> None:
    """Show one connection: its parts, state, what blocks it. Never a secret."""

    async def work() -> None:
        async with open_foundation() as foundation:
            row = await _describe(foundation, await choose_connection(foundation, connection))
        if as_json:
            print_json(row)
            return
        table = Table(show_header=False, box=None)
        for name, value in row.items():
            table.add_row(name.replace("_", " "), ", ".join(value) if isinstance(value, list) else str(value))
        out.print(table)

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
        out.print(f"{chosen} is paused within a second; what comes in waits. Go on: hub connections resume")

    run_command(work())


@app.command()
def resume(connection: Wanted = None) -> None:
    """Go on: end the pause, clear what blocks, and let everything that waits be due now."""

    async def work() -> None:
        async with open_foundation() as foundation:
            chosen = await choose_connection(foundation, connection)
            await foundation.directory.set_paused(chosen, paused=False)
            waiting = await release_connection(foundation, chosen)
        out.print(f"{chosen} goes on. {waiting} waiting invoices are due now.")

    run_command(work())


@app.command()
def login(connection: Wanted = None) -> None:
    """Sign in to Business Central again by device code, and go on with what was blocked by it."""

    async def work() -> None:
        async with open_foundation() as foundation:
            chosen = await choose_connection(foundation, connection)
            snapshot = await foundation.directory.load(chosen)
            if snapshot.connection.sign_in != "delegated":
                fail(f"{chosen} signs in with a client secret: replace it with hub connections add.", Exit.USAGE)
            await _sign_in_by_code(foundation.clients, snapshot.connection, foundation.directory)
            await foundation.directory.save_block(chosen, "bc", None)
            await foundation.waiting.make_due(chosen, foundation.clock.now())
        out.print(f"Signed in. {chosen} goes on.")

    run_command(work())


@app.command("rotate-secrets")
def rotate_secrets(as_json: AsJson = False) -> None:
    """Encrypt all stored secrets again with the first key of HUB_SECRET_KEYS; then the others may be removed."""

    async def work() -> None:
        async with open_foundation() as foundation:
            rotated = await rotate_all(foundation)
        if as_json:
            print_json({"rotated": rotated})
        else:
            out.print(f"The secrets of {len(rotated)} connections are encrypted with the first key of HUB_SECRET_KEYS.")

    run_command(work())


async def _add(request: ConnectionRequest, *, as_json: bool) -> None:
    def say(sentence: str) -> None:
        if not as_json:
            out.print(f"[green]✓[/] {sentence}", highlight=False)

    async with open_foundation() as foundation:
        prepared = await prepare_connection(foundation, request, say=say, sign_in_by_code=_sign_in_by_code)
        await save_connection(foundation, prepared)
    if as_json:
        print_json(_describe_added(prepared))
    else:
        _show_added(prepared)


def _collect_changes(
    line_account: str | None,
    line_item: str | None,
    tax_code: str | None,
    metadata_prefix: str | None,
    doubt_window: float | None,
) -> dict[str, Any]:
    """Turn options into settings."""
    if line_account and line_item:
        fail("Give either --line-account or --line-item.", Exit.USAGE)
    changes: dict[str, Any] = {}
    if number := line_account or line_item:
        lines = {"type": "Account" if line_account else "Item", "number": number, "tax_code": tax_code}
        changes["invoices"] = {"lines": lines}
    elif tax_code:
        fail("--tax-code needs --line-account or --line-item.", Exit.USAGE)
    if metadata_prefix is not None:
        changes["metadata_prefix"] = metadata_prefix
    if doubt_window is not None:
        changes["doubt_window"] = timedelta(seconds=doubt_window)
    return changes


def _read_secret(given: str, option: str) -> SecretStr:
    """Take a secret as it is, or from the file after the @."""
    text = given
    if given.startswith("@"):
        try:
            text = Path(given[1:]).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            fail(f"{option}: the file {given[1:]} can't be read ({type(error).__name__}).", Exit.USAGE)
    if not text.strip():
        fail(f"{option} is empty.", Exit.USAGE)
    return SecretStr(text.strip())


async def _sign_in_by_code(clients: Clients, connection: Connection, directory: Directory) -> None:
    """Show the code on stderr, for stdout may be a script's, and wait until it was typed."""
    app_registration: EntraApp = clients.build_entra_app(connection, None)
    code = await begin_device_code(app_registration)
    err.print(f"Open [bold]{code.verification_uri}[/] and enter the code [bold]{code.user_code}[/].", highlight=False)

    with err.status("Waiting for the sign-in…") as status:

        async def progress(left: timedelta) -> None:
            status.update(f"Waiting for the sign-in… {left.total_seconds() / 60:.0f} min left")

        store = directory.build_token_store(connection.id)
        await complete_device_code(app_registration, code, store, progress=progress)


def _describe_added(prepared: PreparedConnection) -> dict[str, Any]:
    connection = prepared.connection
    return {
        "connection": connection.id,
        "replaced": prepared.replaces,
        "stripe_account": connection.stripe_account,
        "livemode": connection.livemode,
        "bc_company": connection.bc_company,
        "lines": prepared.lines.target.model_dump(mode="json"),
        "lines_chosen_because": prepared.lines.because,
        "go_live": connection.go_live.isoformat(),
        "dry_run": connection.dry_run,
        "paused": connection.paused,
        "webhook_path": _webhook_path(connection),
        "webhook_events": list(CAUGHT_UP),
        "remarks": list(prepared.remarks),
    }


def _show_added(prepared: PreparedConnection) -> None:
    connection, lines = prepared.connection, prepared.lines
    if lines.because:
        out.print(
            f"[bold yellow]Invoice lines will be booked on {lines.words}[/], because {lines.because}. "
            "Change with [bold]hub settings import[/].",
            highlight=False,
        )
    else:
        out.print(f"[green]✓[/] Invoice lines are booked on {lines.words}.", highlight=False)
    out.print(f"\n[bold]{'Replaced' if prepared.replaces else 'Added'}: {connection.id}[/]", highlight=False)
    out.print(f"Invoices finalized before {connection.go_live:%Y-%m-%d %H:%M} UTC are left alone.", highlight=False)
    out.print(f"Webhook to register in Stripe: POST {_webhook_path(connection)}", highlight=False)
    out.print(f"  with the events {', '.join(CAUGHT_UP)}", highlight=False)
    if connection.dry_run:
        out.print("[yellow]Dry run: nothing is written. End it by adding again with --no-dry-run.[/]")
    if connection.paused:
        out.print("[yellow]It is paused: hub connections resume[/]")
    for remark in prepared.remarks:
        out.print(f"[yellow]{remark}[/]", highlight=False)


def _webhook_path(connection: Connection) -> str:
    return f"/webhooks/stripe/{connection.stripe_account}"


async def _describe(foundation: Foundation, connection: str) -> dict[str, Any]:
    snapshot = await foundation.directory.load(connection)
    found = snapshot.connection
    return {
        "connection": found.id,
        "stripe_account": found.stripe_account,
        "mode": "live" if found.livemode else "test",
        "bc_tenant": found.bc_tenant,
        "bc_environment": found.bc_environment,
        "bc_company": found.bc_company,
        "bc_client_id": found.bc_client_id,
        "sign_in": found.sign_in,
        "go_live": found.go_live.isoformat(),
        "created_at": found.created_at.isoformat(),
        "state": _name_state(snapshot),
        "blocks": [f"{system}: {state.message}" for system, state in snapshot.blocks.items()],
        "settings_version": snapshot.settings_version,
        "webhook_secrets": len(snapshot.secrets.webhook_secrets),
        "webhook_path": _webhook_path(found),
        "waiting": await foundation.waiting.count(connection),
        "failed": len(await foundation.ledger.list_failed(connection)),
    }


def _name_state(snapshot: Snapshot) -> str:
    if snapshot.connection.paused:
        return "paused"
    if snapshot.blocks:
        return "blocked"
    return "dry run" if snapshot.connection.dry_run else "active"


def _show_list(rows: list[dict[str, Any]]) -> None:
    table = Table("Connection", "Stripe", "Business Central", "State", "Waiting", "Failed")
    colours = {"active": "green", "dry run": "yellow", "paused": "yellow", "blocked": "bold red"}
    for row in rows:
        table.add_row(
            row["connection"],
            f"{row['stripe_account']} ({row['mode']})",
            f"{row['bc_company']} ({row['bc_environment']})",
            f"[{colours[row['state']]}]{row['state']}[/]",
            str(row["waiting"]),
            str(row["failed"]),
        )
    out.print(table)
    for row in rows:
        for block in row["blocks"]:
            out.print(f"[bold red]{row['connection']} is blocked on {block}[/]", highlight=False)
