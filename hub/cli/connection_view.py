"""A connection in words: as it was added, as it is."""

from typing import Any

from rich.text import Text

from hub.app import Foundation
from hub.cli.connect import PreparedConnection, load_without_secrets
from hub.cli.wording import name_command, say, show_table
from hub.directory import Snapshot
from hub.gate import describe_system
from schemas.connections import Connection
from schemas.errors import Blocked, Refused
from services.ingest.decide import list_event_types

_COLOURS = {"active": "green", "dry run": "yellow", "paused": "yellow", "blocked": "bold red", "unreadable": "bold red"}


def describe_added(prepared: PreparedConnection) -> dict[str, Any]:
    """Describe what was saved, for scripts."""
    connection = prepared.connection
    return {
        "connection": connection.id,
        "replaced": prepared.replaces,
        "stripe_account": connection.stripe_account,
        "livemode": connection.livemode,
        "bc_company": connection.bc_company,
        "lines": prepared.settings.invoices.lines.model_dump(mode="json") if prepared.settings.invoices.lines else None,
        "time_zone": prepared.zone.name,
        "time_zone_from": prepared.zone.source,
        "go_live": connection.go_live.isoformat(),
        "dry_run": connection.dry_run,
        "ended_dry_run": prepared.ends_dry_run,
        "paused": connection.paused,
        "webhook_path": _webhook_path(connection),
        "webhook_events": list(list_event_types(prepared.settings)),
        "remarks": list(prepared.remarks),
    }


def show_added(prepared: PreparedConnection) -> None:
    """Print what was saved, and what is left to do."""
    connection = prepared.connection
    say(("✓ ", "green"), f"Invoice lines are booked on {prepared.lines}.")
    say(("✓ ", "green"), prepared.zone.words)
    say((f"\n{'Replaced' if prepared.replaces else 'Added'}: {connection.id}", "bold"))
    say(f"Invoices finalized before {connection.go_live:%Y-%m-%d %H:%M} UTC are left alone.")
    say(f"Webhook to register in Stripe: POST {_webhook_path(connection)}")
    say(f"  with the events {', '.join(list_event_types(prepared.settings))}")
    if connection.dry_run:
        live = name_command("connections live", connection.id)
        say((f"Dry run: nothing is written. End it with: {live}", "yellow"))
    if connection.paused:
        say((f"It is paused. Go on: {name_command('connections resume', connection.id)}", "yellow"))
    if prepared.ends_dry_run:
        say((tell_dry_run_end(connection), "yellow"))
    for remark in prepared.remarks:
        say((remark, "yellow"))


def build_replay_hint(connection: Connection) -> str:
    """Build the command that makes the drafts which a dry run only told of."""
    return name_command(f"replay --since {connection.go_live:%Y-%m-%dT%H:%M:%SZ}", connection.id)


def tell_dry_run_end(connection: Connection) -> str:
    """Say what is left to do after a dry run."""
    return (
        "What came in during the dry run has no draft yet. To make them: "
        f"{build_replay_hint(connection)} (with --dry-run first, to see which)"
    )


def _webhook_path(connection: Connection) -> str:
    return f"/webhooks/stripe/{connection.stripe_account}"


async def describe_connection(foundation: Foundation, connection: str) -> dict[str, Any]:
    """Describe a connection as it is now. Never a secret.

    Raises:
        Poison: there is no such connection.
    """
    try:
        snapshot = await foundation.directory.load(connection)
    except Blocked as error:
        return await _describe_readable(foundation, connection) | {
            "state": "unreadable",
            "blocks": [error.message],
            "waiting": 0,
            "failed": 0,
        }
    return _describe_parts(snapshot.connection) | {
        "state": _name_state(snapshot),
        "blocks": [
            f"is blocked on {describe_system(system)}: {state.message}" for system, state in snapshot.blocks.items()
        ],
        "settings_version": snapshot.settings_version,
        "webhook_secrets": len(snapshot.secrets.webhook_secrets),
        "waiting": await foundation.waiting.count(connection),
        "failed": len(await foundation.ledger.list_failed(connection)),
    }


async def _describe_readable(foundation: Foundation, connection: str) -> dict[str, Any]:
    """Describe what can be read of a connection whose key is lost, or which is damaged: then only its id."""
    try:
        stored = await load_without_secrets(foundation, connection)
    except Refused:
        stored = None
    nothing = {
        "connection": connection,
        **dict.fromkeys(("stripe_account", "mode", "bc_company", "bc_environment"), "?"),
    }
    return _describe_parts(stored[0]) if stored else nothing


def _describe_parts(found: Connection) -> dict[str, Any]:
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
        "webhook_path": _webhook_path(found),
    }


def _name_state(snapshot: Snapshot) -> str:
    if snapshot.connection.paused:
        return "paused"
    if snapshot.blocks:
        return "blocked"
    return "dry run" if snapshot.connection.dry_run else "active"


def show_list(rows: list[dict[str, Any]]) -> None:
    """Print all connections, and what blocks them."""
    columns = ("Connection", "Stripe", "Business Central", "State", "Waiting", "Failed")
    show_table(columns, [_to_cells(row) for row in rows], whole=("Connection",))
    for row in rows:
        for block in row["blocks"]:
            say((f"{row['connection']}: {block}", "bold red"))


def _to_cells(row: dict[str, Any]) -> tuple[str | Text, ...]:
    return (
        row["connection"],
        f"{row['stripe_account']} ({row['mode']})",
        f"{row['bc_company']} ({row['bc_environment']})",
        Text(row["state"], _COLOURS[row["state"]]),
        str(row["waiting"]),
        str(row["failed"]),
    )
