"""`hub backfill`: ask for the drafts of a period before the go-live date, see how far it has come, or stop it."""

from datetime import datetime
from typing import Annotated, Any

import typer

from hub.app import Foundation
from hub.backfill import Backfill, Backfills
from hub.cli.context import Exit, choose_connection, confirm, fail, open_foundation, run_command
from hub.cli.moments import parse_moment
from hub.cli.replay import plan_window
from hub.cli.screen import print_json
from hub.cli.wording import name_command, say
from hub.directory import Snapshot
from mapping.eligibility import LONGEST_DRAFT

NAME = "backfill"


def command(
    begin: Annotated[
        str | None,
        typer.Option("--from", metavar="DATE", help="Ask for invoices finalized since this date or date-time, UTC."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Finalized before this. Default: the go-live date.")
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Stop it; what waits already goes on.")] = False,
    connection: Annotated[
        str | None,
        typer.Option("--connection", help="Connection id or Stripe account; not needed if there is only one."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would happen; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")] = False,
) -> None:
    """Make drafts of older invoices, behind live traffic. Without --from: tell how far it has come.

    The services carry it out, day by day, and go on where they were after a restart. What is synced stays as it is, and
    what failed before is left to hub replay. A person's own booking of an invoice is found by its external document
    number alone: what was booked by hand under another one would be booked twice.
    """
    if begin is None and (end or dry_run):
        fail("Say where it begins: --from DATE.", Exit.USAGE)
    if begin is not None and stop:
        fail("Either --from or --stop.", Exit.USAGE)
    since, until = parse_moment(begin, "--from") if begin else None, parse_moment(end, "--to") if end else None
    if since is None:
        run_command(_stop(connection, as_json=as_json) if stop else _tell(connection, as_json=as_json))
    elif dry_run:
        run_command(_plan(since, until, connection, as_json=as_json))
    else:
        run_command(_ask(since, until, connection, yes=yes, as_json=as_json))


async def _ask(since: datetime, until: datetime | None, wanted: str | None, *, yes: bool, as_json: bool) -> None:
    async with open_foundation() as foundation:
        snapshot = await foundation.directory.load(await choose_connection(foundation, wanted))
        end = _choose_end(snapshot, since, until)
        if not yes:
            confirm(
                f"Make drafts of all invoices of {snapshot.connection.stripe_account} that were finalized from "
                f"{since:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC? Those that somebody booked by hand under another "
                "external document number will be booked twice."
            )
        asked = Backfill(begin=since, end=end, asked_at=foundation.clock.now(), reached=since - LONGEST_DRAFT)
        if (before := await Backfills(foundation.redis).place(snapshot.connection.id, asked)) is not None:
            stop = name_command("backfill --stop", snapshot.connection.id)
            fail(f"{_describe(before)} Wait for its end, or stop it: {stop}")
        await _show(foundation, snapshot.connection.id, asked, as_json=as_json)


async def _plan(since: datetime, until: datetime | None, wanted: str | None, *, as_json: bool) -> None:
    async with open_foundation() as foundation:
        snapshot = await foundation.directory.load(await choose_connection(foundation, wanted))
        await plan_window(foundation, snapshot, since, _choose_end(snapshot, since, until), as_json=as_json)


async def _tell(wanted: str | None, *, as_json: bool) -> None:
    async with open_foundation() as foundation:
        connection = await choose_connection(foundation, wanted)
        await _show(foundation, connection, await Backfills(foundation.redis).load(connection), as_json=as_json)


async def _stop(wanted: str | None, *, as_json: bool) -> None:
    async with open_foundation() as foundation:
        connection = await choose_connection(foundation, wanted)
        stopped = await Backfills(foundation.redis).stop(connection)
        if stopped is None:
            fail("No backfill is under way.", Exit.NOT_FOUND)
        await _show(foundation, connection, stopped, as_json=as_json, is_stopped=True)


def _choose_end(snapshot: Snapshot, since: datetime, until: datetime | None) -> datetime:
    end = until or snapshot.connection.go_live
    if end <= since:
        fail(
            f"The period ends ({end:%Y-%m-%d %H:%M} UTC) before it begins: give --to, or an earlier --from.", Exit.USAGE
        )
    return end


async def _show(
    foundation: Foundation, connection: str, found: Backfill | None, *, as_json: bool, is_stopped: bool = False
) -> None:
    waits = await foundation.waiting.count(connection)
    if as_json:
        shown: dict[str, Any] | None = found.model_dump(mode="json") if found else None
        print_json({"connection": connection, "backfill": shown, "stopped": is_stopped, "waiting": waits})
        return
    if found is None:
        ask = name_command("backfill --from DATE --dry-run", connection)
        say(f"No backfill was asked for. Ask for one: {ask}")
        return
    say(f"{_describe(found)} {waits} invoices wait now (hub waiting).")
    if is_stopped:
        say("It is stopped; what waits goes on.")
    elif found.ended_at is None:
        look, stop = (name_command(one, connection) for one in ("backfill", "backfill --stop"))
        say(f"The services carry it out. See how far it is: {look}. Stop it: {stop}")


def _describe(found: Backfill) -> str:
    period = f"Backfill of what was finalized from {found.begin:%Y-%m-%d %H:%M} to {found.end:%Y-%m-%d %H:%M} UTC"
    if found.ended_at is not None:
        state = f"every invoice was looked at by {found.ended_at:%Y-%m-%d %H:%M} UTC"
    else:
        state = f"drafts created in Stripe before {found.reached:%Y-%m-%d %H:%M} UTC were looked at"
    return f"{period}: {state}; {found.looked} are of the period, {found.sent_round} of them due and sent round."
