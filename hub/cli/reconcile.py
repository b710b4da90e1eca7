"""`hub reconcile`: compare Stripe's invoices with the ledger and Business Central, and have them repaired."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer
from rich.progress import Progress

from hub.app import Foundation
from hub.cli.context import Exit, choose_connection, fail, open_foundation, run_command
from hub.cli.moments import parse_moment
from hub.cli.replay import find_in_window
from hub.cli.screen import err, print_json
from hub.cli.wording import say, show_table
from hub.directory import Snapshot
from hub.learned import LearnedFacts
from services.ingest.findings import Finding
from services.ingest.history import History
from services.ingest.sweeper import Announcer, Sweeper

NAME = "reconcile"


def command(
    begin: Annotated[
        str, typer.Option("--from", metavar="DATE", help="Invoices finalized since this date or date-time, UTC.")
    ],
    end: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Invoices finalized before this. Default: now.")
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Send what was found round again: the services repair it.")
    ] = False,
    connection: Annotated[
        str | None,
        typer.Option("--connection", help="Connection id or Stripe account; not needed if there is only one."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")] = False,
) -> None:
    """Compare Stripe's invoices with the ledger and Business Central.

    Findings are missing, untold, closed, deleted, doubled, rounded, changed (docs/architecture.md says what each is).
    Without --fix it only tells, and ends with 1 if anything was found. A draft that a person deleted is not made again
    (hub replay --recreate does). What was changed, or rounded by Business Central when it was posted, stays as it is.
    """
    since, until = parse_moment(begin, "--from"), parse_moment(end, "--to") if end else None
    if until is not None and until <= since:
        fail("--to must be later than --from.", Exit.USAGE)
    run_command(_reconcile(since, until, connection, fix=fix, as_json=as_json))


async def _reconcile(since: datetime, until: datetime | None, wanted: str | None, *, fix: bool, as_json: bool) -> None:
    async with open_foundation() as foundation:
        snapshot = await foundation.directory.load(await choose_connection(foundation, wanted))
        found, looked = await _find_all(foundation, snapshot, since, until, quiet=as_json)
        sent = await _announce_all(foundation, snapshot, found) if fix else set[str]()
    if as_json:
        invoices = [_to_json(one, sent) for one in found]
        print_json({"connection": snapshot.connection.id, "looked_at": looked, "found": invoices})
    else:
        _show(found, looked, sent, fix=fix)
    if any(one.invoice.id not in sent for one in found):
        raise typer.Exit(int(Exit.PROBLEM))


async def _find_all(
    foundation: Foundation, snapshot: Snapshot, since: datetime, until: datetime | None, *, quiet: bool
) -> tuple[list[Finding], int]:
    """Return what is not fine, and how many invoices were looked at."""
    bc = foundation.clients.business_central(snapshot, live=False)
    learned = LearnedFacts(foundation.redis)
    sweeper = Sweeper(snapshot, bc, foundation.ledger, foundation.waiting, learned, foundation.clock)
    invoices = find_in_window(foundation.clients.stripe(snapshot), since, until)
    found: list[Finding] = []
    looked = 0
    # Stripe does not say how many there are: the bar goes by the days that lie behind.
    span = (until or foundation.clock.now()).timestamp() - since.timestamp()
    with Progress(console=err, transient=True, disable=quiet or not err.is_terminal) as progress:
        task = progress.add_task("Comparing…", total=span)
        async for finding in sweeper.sweep(invoices):
            looked += 1
            left = max(finding.invoice.created - since.timestamp(), 0)
            progress.update(
                task, completed=span - left, description=f"Comparing… {looked} invoices, {len(found)} found"
            )
            if finding.kind != "fine":
                found.append(finding)
    return found, looked


async def _announce_all(foundation: Foundation, snapshot: Snapshot, found: Sequence[Finding]) -> set[str]:
    announcer = Announcer(foundation.ledger, History(foundation.waiting), foundation.clock)
    return {one.invoice.id for one in found if await announcer.announce(snapshot, one)}


def _to_json(one: Finding, sent: set[str]) -> dict[str, object]:
    invoice = one.invoice
    return {
        "invoice_id": invoice.id,
        "number": invoice.number,
        "finding": one.kind,
        "code": one.code,
        "words": one.words,
        "sent_round": invoice.id in sent,
    }


def _show(found: Sequence[Finding], looked: int, sent: set[str], *, fix: bool) -> None:
    if found:
        rows = [(one.invoice.id, one.invoice.number or "", one.kind, one.words) for one in found]
        show_table(("Invoice", "Number", "Finding", "What"), rows, whole=("Invoice",))
    say(f"{looked} invoices were compared, {len(found)} are not as they should be.")
    if sent:
        say(f"{len(sent)} go round again. Watch them: hub events tail")
    elif found and not fix:
        say("Nothing was written. To have it repaired: --fix")
