"""`hub usage`: how many invoices were synced, month by month; plan limits; and counting again after a loss."""

import asyncio
import csv
import io
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.app import Foundation
from hub.cli.context import Exit, choose_connection, fail, open_foundation, run_command
from hub.cli.given_files import write_given_file
from hub.cli.moments import parse_moment
from hub.cli.screen import err, print_json, print_text
from hub.cli.usage_rebuild import rebuild_usage
from hub.cli.wording import say, show_table
from hub.ledger import name_month
from hub.usage import Counted, Usage
from schemas.connections import Plan

NAME = "usage"
app = typer.Typer(help="Count synced invoices, and set how many a month may be synced.")
# One round trip each; the ledger takes many at once.
_AT_ONCE = 64

Wanted = Annotated[
    str | None, typer.Option("--connection", help="Connection id or Stripe account. Default: all connections.")
]
TheWanted = Annotated[
    str | None, typer.Option("--connection", help="Connection id or Stripe account; not needed if there is only one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")]


@dataclass(frozen=True)
class MonthlyUsage:
    """One connection's month."""

    connection: str
    month: str
    invoices: int
    soft_limit: int | None
    hard_limit: int | None


@dataclass(frozen=True)
class UsageRow:
    """One counted invoice and its document."""

    connection: str
    month: str
    invoice: str
    first_synced_at: str
    bc_invoice: str
    bc_invoice_id: str
    external_document_number: str
    total: str
    currency: str


@app.callback(invoke_without_command=True)
def command(
    context: typer.Context,
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Only this month. Default: all; with --csv, the current one.")
    ] = None,
    csv_: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help="Write each invoice with its document; - is stdout.")
    ] = None,
    connection: Wanted = None,
    as_json: AsJson = False,
) -> None:
    """Count the invoices that were synced, by month in UTC. Each counts once, on its first success."""
    if context.invoked_subcommand is not None:
        return
    if month is not None:
        _check_month(month)
    if csv_ is not None:
        rows = run_command(_collect(connection, month))
        _write_csv(csv_, rows)
        return
    found = run_command(_count(connection, month))
    if as_json:
        print_json([asdict(one) for one in found])
    elif not found:
        say("Nothing was synced.")
    else:
        columns = ("Connection", "Month (UTC)", "Invoices", "Plan: warns at", "Plan: stops at")
        show_table(columns, [_to_cells(one) for one in found], whole=("Connection",))


@app.command()
def limits(
    soft: Annotated[int | None, typer.Option(min=0, help="Warn beyond so many invoices a month.")] = None,
    hard: Annotated[int | None, typer.Option(min=0, help="Skip invoices beyond so many a month.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Take both limits away.")] = False,
    connection: TheWanted = None,
) -> None:
    """Set the plan's limits. What was skipped at the hard limit can be replayed after it was raised."""
    if none == (soft is not None or hard is not None):
        fail("Give --soft, --hard or both; or --none.", Exit.USAGE)

    async def work() -> None:
        async with open_foundation() as foundation:
            chosen = await choose_connection(foundation, connection)
            stored = (await foundation.directory.load(chosen)).connection.plan
            plan = (
                Plan()
                if none
                else Plan(soft_limit=_or(soft, stored.soft_limit), hard_limit=_or(hard, stored.hard_limit))
            )
            if problem := find_limit_problem(plan):
                fail(problem, Exit.USAGE)
            await foundation.directory.set_plan(chosen, plan)
        say(f"{chosen}: {tell_plan(plan)}")

    run_command(work())


@app.command()
def rebuild(
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="Invoices finalized since. Default: the go-live date.")
    ] = None,
    connection: TheWanted = None,
    as_json: AsJson = False,
) -> None:
    """Count again what a lost ledger has forgotten, by Stripe's metadata and Business Central's documents.

    Only what both agree on counts, so the result may be too low, never too high. Doing it twice changes nothing.
    """
    begin = parse_moment(since, "--from") if since else None

    async def work() -> None:
        async with open_foundation() as foundation:
            snapshot = await foundation.directory.load(await choose_connection(foundation, connection))
            with nullcontext() if as_json else err.status("Reading Stripe's invoices…"):
                done = await rebuild_usage(foundation, snapshot, begin)
        if as_json:
            print_json({"connection": snapshot.connection.id, **asdict(done)})
        else:
            say(f"{done.added} invoices were counted again, {done.known} were counted already.")
            if done.unproved:
                say((f"{done.unproved} say that they were synced, but have no document of theirs any more.", "yellow"))

    run_command(work())


async def _count(wanted: str | None, month: str | None) -> list[MonthlyUsage]:
    async with open_foundation() as foundation:
        usage = Usage(foundation.redis)
        found: list[MonthlyUsage] = []
        for connection in await _choose(foundation, wanted):
            plan = await _load_plan(foundation, connection)
            for one in [month] if month else await usage.list_months(connection):
                count = await usage.count(connection, one)
                found.append(MonthlyUsage(connection, one, count, plan.soft_limit, plan.hard_limit))
    return found


async def _collect(wanted: str | None, month: str | None) -> list[UsageRow]:
    async with open_foundation() as foundation:
        chosen = month or name_month(foundation.clock.now())
        return [
            row
            for connection in await _choose(foundation, wanted)
            for row in await _collect_one(foundation, connection, chosen)
        ]


async def _collect_one(foundation: Foundation, connection: str, month: str) -> list[UsageRow]:
    room = asyncio.Semaphore(_AT_ONCE)

    async def build(counted: Counted) -> UsageRow:
        async with room:
            document = (await foundation.ledger.load_invoice(connection, counted.invoice_id)).state.document
        return UsageRow(
            connection,
            month,
            counted.invoice_id,
            counted.at.isoformat(timespec="seconds"),
            document.number if document else "",
            document.id if document else "",
            document.external_document_number if document else "",
            str(document.total) if document else "",
            document.currency if document else "",
        )

    counted = await Usage(foundation.redis).list_counted(connection, month)
    return list(await asyncio.gather(*(build(one) for one in counted)))


async def _choose(foundation: Foundation, wanted: str | None) -> Sequence[str]:
    """A connection that was removed has its usage still, under its id."""
    if wanted is None:
        return await foundation.directory.list_ids()
    if await Usage(foundation.redis).list_months(wanted):
        return [wanted]
    return [await choose_connection(foundation, wanted)]


async def _load_plan(foundation: Foundation, connection: str) -> Plan:
    if connection not in await foundation.directory.list_ids():
        return Plan()
    return (await foundation.directory.load(connection)).connection.plan


def _write_csv(target: str, rows: Iterable[UsageRow]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, UsageRow.__dataclass_fields__, lineterminator="\n")
    writer.writeheader()
    count = 0
    for row in rows:
        writer.writerow(asdict(row))
        count += 1
    if target == "-":
        print_text(text.getvalue())
        return
    try:
        write_given_file(Path(target), text.getvalue())
    except OSError as error:
        fail(f"{target} can't be written ({type(error).__name__}).", Exit.USAGE)
    say(f"{count} invoices written to {target}.")


def _check_month(month: str) -> None:
    try:
        datetime.strptime(month, "%Y-%m")  # noqa: DTZ007 - only its form is looked at
    except ValueError:
        fail(f"--month: {month!r} is no month such as 2026-11.", Exit.USAGE)


def _to_cells(one: MonthlyUsage) -> tuple[Any, ...]:
    return one.connection, one.month, f"{one.invoices:,}", _tell(one.soft_limit), _tell(one.hard_limit)


def find_limit_problem(plan: Plan) -> str:
    """Say why these limits can't hold together; empty where they can."""
    soft, hard = plan.soft_limit, plan.hard_limit
    if soft is None or hard is None or soft < hard:
        return ""
    return (
        f"The hub can't warn at {soft:,} invoices a month when it stops at {hard:,}: the warning would never come. "
        f"Give a --soft below {hard:,}, or a --hard above {soft:,}. Nothing was changed."
    )


def tell_plan(plan: Plan) -> str:
    """Say what the limits do."""
    if plan.soft_limit is None and plan.hard_limit is None:
        return "no limits; any number of invoices a month is synced."
    warns = "it never warns" if plan.soft_limit is None else f"it warns at {plan.soft_limit:,} invoices a month (UTC)"
    stops = "never stops" if plan.hard_limit is None else f"stops at {plan.hard_limit:,} invoices a month (UTC)"
    return f"{warns} and {stops}."


def _tell(limit: int | None) -> str:
    return "never" if limit is None else f"{limit:,}"


def _or(given: int | None, stored: int | None) -> int | None:
    return stored if given is None else given
