"""`hub waiting`: what waits, until when, and why."""

from datetime import datetime
from typing import Annotated, Any

import typer

from hub.app import Foundation
from hub.cli.context import choose_connection, open_foundation, run_command
from hub.cli.moments import tell_duration
from hub.cli.screen import print_json
from hub.cli.wording import name_command, say, show_table
from hub.waiting import WaitingEntry

NAME = "waiting"


def command(
    connection: Annotated[
        str | None, typer.Option("--connection", help="Connection id or Stripe account. Default: all connections.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")] = False,
) -> None:
    """List what waits: until when, since when, and why. It goes on by itself."""
    rows, now = run_command(_list(connection))
    if as_json:
        print_json(rows)
    elif not rows:
        say("Nothing waits.")
    else:
        _show(rows, now)


async def _list(wanted: str | None) -> tuple[list[dict[str, Any]], datetime]:
    async with open_foundation() as foundation:
        chosen = [await choose_connection(foundation, wanted)] if wanted else await foundation.directory.list_ids()
        rows = [row for connection in chosen for row in await _list_one(foundation, connection)]
        return rows, foundation.clock.now()


async def _list_one(foundation: Foundation, connection: str) -> list[dict[str, Any]]:
    return [_to_row(connection, entry) for entry in await foundation.waiting.list_entries(connection)]


def _to_row(connection: str, entry: WaitingEntry) -> dict[str, Any]:
    return {
        "connection": connection,
        "invoice": entry.wakeup.object_id,
        "due": entry.due.isoformat(timespec="seconds"),
        "since": entry.since.isoformat(timespec="seconds"),
        "stage": entry.stage,
        "cause": entry.wakeup.cause,
        "attempt": entry.wakeup.attempt,
        "code": entry.code,
        "reason": entry.reason,
    }


def _show(rows: list[dict[str, Any]], now: datetime) -> None:
    columns = ("Invoice", "Due", "Waiting for", "Attempt", "Stage", "Why")
    show_table(columns, [_to_cells(row, now) for row in rows], whole=("Invoice",))
    say(f"{len(rows)} wait. To let them be due now:")
    for connection in dict.fromkeys(row["connection"] for row in rows):
        say(name_command("connections resume", connection))


def _to_cells(row: dict[str, Any], now: datetime) -> tuple[str, ...]:
    left = (datetime.fromisoformat(row["due"]) - now).total_seconds()
    waits = tell_duration((now - datetime.fromisoformat(row["since"])).total_seconds())
    due = f"in {tell_duration(left)}" if left > 0 else "now"
    return row["invoice"], due, waits, str(row["attempt"]), row["stage"], row["reason"]
