"""`hub replay`: send invoices round again through the head topic, or tell what would happen."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Protocol

import typer
from rich.progress import Progress
from rich.text import Text

from hub.app import Foundation
from hub.broker import open_admin
from hub.cli.context import Exit, choose_connection, fail, load_cli_config, open_foundation, run_command
from hub.cli.moments import parse_moment
from hub.cli.replay_plan import PlannedInvoice, ReplayPlanner, Verdict, count_verdicts
from hub.cli.screen import err, print_json
from hub.cli.topic_reader import quiet_kafka
from hub.cli.wording import name_command, say, show_table
from hub.directory import Snapshot
from hub.stage.ports import Outgoing
from hub.trace import begin_trace
from hub.usage import Usage
from mapping.eligibility import LONGEST_DRAFT, is_issued_within
from schemas.errors import Refused
from schemas.ids import build_message_key
from schemas.messages import StripeEventReceived
from schemas.stripe_objects import Event, Invoice
from schemas.topics import STRIPE_EVENTS
from services.contacts.app import build_search
from services.contacts.claims import Claims, Held

NAME = "replay"
EVENT_TYPE = "hub.replay"
# As many as one connection has in hand at once; asking for more only fills the broker's buffer.
_AT_ONCE = 64
# Business Central serves five at once, and production needs some of them.
_PLANNED_AT_ONCE = 3
_COLOURS: dict[Verdict, str] = {"create": "green", "adopt": "green", "fail": "bold red", "attention": "bold magenta"}


class StripeReader(Protocol):
    """Finds what to replay."""

    async def fetch_event(self, event_id: str) -> Event | None:
        """Return the event, or None if Stripe has it no longer."""
        ...

    def list_invoices(self, *, created_gte: int | None = None, created_lt: int | None = None) -> AsyncIterator[Invoice]:
        """Yield invoices by the creation of their drafts, newest first."""
        ...


@dataclass(frozen=True)
class Selection:
    """What the operator asked for."""

    invoices: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    failed: bool = False
    since: datetime | None = None
    until: datetime | None = None
    settings_version: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked for."""
        return not (self.invoices or self.events or self.failed or self.since or self.until)


def command(
    invoices: Annotated[
        list[str] | None, typer.Argument(metavar="[INVOICE_ID]...", help="Stripe invoices, in_….")
    ] = None,
    event: Annotated[
        list[str] | None, typer.Option(help="The invoice of a Stripe event, evt_…; may be repeated.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All invoices that failed.")] = False,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="All invoices finalized since this date or date-time, UTC.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="All invoices finalized before this.")] = None,
    recreate: Annotated[
        bool, typer.Option("--recreate", help="Make a new draft where one was deleted in Business Central.")
    ] = False,
    settings_version: Annotated[
        int | None, typer.Option(min=1, help="Map by an earlier version of the settings. Default: the newest.")
    ] = None,
    connection: Annotated[
        str | None,
        typer.Option("--connection", help="Connection id or Stripe account; not needed if there is only one."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would happen; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")] = False,
) -> None:
    """Send invoices round again. Harmless: what is synced stays as it is."""
    selection = Selection(
        invoices=tuple(invoices or ()),
        events=tuple(event or ()),
        failed=failed,
        since=parse_moment(since, "--since") if since else None,
        until=parse_moment(until, "--until") if until else None,
        settings_version=settings_version,
    )
    if selection.is_empty:
        fail("Say what to replay: invoice ids, --event, --failed, --since or --until.", Exit.USAGE)
    for option, given, prefix in (("", selection.invoices, "in_"), ("--event ", selection.events, "evt_")):
        if wrong := [one for one in given if not one.startswith(prefix)]:
            fail(f"{option}{wrong[0]!r} is no id: give those that Stripe shows, {prefix}….", Exit.USAGE)
    work = _tell if dry_run else _replay
    run_command(work(selection, connection, recreate=recreate, as_json=as_json))


async def _replay(selection: Selection, wanted: str | None, *, recreate: bool, as_json: bool) -> None:
    config = load_cli_config()
    quiet_kafka()
    async with open_admin(config.kafka_bootstrap):
        pass  # says in plain words that the broker is away, before anything else is done
    async with open_foundation(config, publishes=True) as foundation:
        snapshot = await foundation.directory.load(
            await choose_connection(foundation, wanted), settings_version=selection.settings_version
        )
        messages = await build_messages(selection, foundation, snapshot, recreate=recreate)
        with Progress(console=err, transient=True, disable=as_json or not err.is_terminal) as progress:
            task = progress.add_task("Publishing…", total=len(messages))
            async for count in _publish(foundation, messages):
                progress.update(task, completed=count)
    if as_json:
        print_json({"connection": snapshot.connection.id, "published": [one.object_id for one in messages]})
        return
    say(f"{len(messages)} invoices go round again. Watch them: hub events tail")
    if snapshot.connection.paused:
        resume = name_command("connections resume", snapshot.connection.id)
        say((f"The connection is paused, and they wait. Go on: {resume}", "yellow"))


async def build_messages(
    selection: Selection, foundation: Foundation, snapshot: Snapshot, *, recreate: bool
) -> list[StripeEventReceived]:
    """Build the head messages of a selection, each invoice once."""
    stripe: StripeReader = foundation.clients.stripe(snapshot)
    now = foundation.clock.now()
    events = {str(event.data.object.id): event for event in await _fetch_events(stripe, selection.events)}
    ids = await list_invoice_ids(selection, foundation, snapshot, stripe)

    def build(invoice_id: str) -> StripeEventReceived:
        event = events.get(invoice_id)
        return StripeEventReceived(
            connection=snapshot.connection.id,
            cause="replay",
            object_id=invoice_id,
            event_type=event.type if event else EVENT_TYPE,
            event_id=event.id if event else None,
            occurred_at=min(datetime.fromtimestamp(event.created, tz=UTC), now) if event else now,
            recreate=recreate,
            settings_version=selection.settings_version,
        )

    # What only the event tells must not be lost: that the invoice was sent.
    for invoice_id, event in events.items():
        if event.type == "invoice.sent":
            sent_at = datetime.fromtimestamp(event.created, tz=UTC)
            await foundation.ledger.record_sent(snapshot.connection.id, invoice_id, sent_at)
    return [build(invoice_id) for invoice_id in dict.fromkeys((*events, *ids))]


async def list_invoice_ids(
    selection: Selection, foundation: Foundation, snapshot: Snapshot, stripe: StripeReader
) -> list[str]:
    """List the invoices named, failed, or finalized in the window; each once."""
    ids = list(selection.invoices)
    if selection.failed:
        ids += await foundation.ledger.list_failed(snapshot.connection.id)
    if selection.since or selection.until:
        ids += [invoice.id async for invoice in find_in_window(stripe, selection.since, selection.until)]
    return list(dict.fromkeys(ids))


async def find_in_window(
    stripe: StripeReader, since: datetime | None, until: datetime | None
) -> AsyncIterator[Invoice]:
    """Yield what was finalized (or, never finalized, made) in the window; drafts are left out."""
    created_gte = int((since - LONGEST_DRAFT).timestamp()) if since else None
    created_lt = int(until.timestamp()) if until else None
    async for invoice in stripe.list_invoices(created_gte=created_gte, created_lt=created_lt):
        if is_issued_within(invoice, since, until):
            yield invoice


async def _fetch_events(stripe: StripeReader, ids: Iterable[str]) -> list[Event]:
    events: list[Event] = []
    for event_id in ids:
        event = await stripe.fetch_event(event_id)
        if event is None:
            raise Refused(
                f"Stripe has no event {event_id} (any more: it keeps them for 30 days).",
                code="replay.event.missing",
                fix="Replay its invoice by id.",
            )
        if not str(event.data.object.id).startswith("in_"):
            raise Refused(f"The event {event_id} ({event.type}) is about no invoice.", code="replay.event.no_invoice")
        events.append(event)
    return events


async def _publish(foundation: Foundation, messages: Sequence[StripeEventReceived]) -> AsyncIterator[int]:
    """Publish in batches; yields how many are acknowledged."""
    for begin in range(0, len(messages), _AT_ONCE):
        batch = messages[begin : begin + _AT_ONCE]
        await asyncio.gather(*(_publish_one(foundation, message) for message in batch))
        yield begin + len(batch)


async def _publish_one(foundation: Foundation, message: StripeEventReceived) -> None:
    begin_trace()
    key = build_message_key(message.connection, message.object_id)
    await foundation.publisher.publish(Outgoing(STRIPE_EVENTS, key, message))


async def _tell(selection: Selection, wanted: str | None, *, recreate: bool, as_json: bool) -> None:
    async with open_foundation() as foundation:
        snapshot = await foundation.directory.load(
            await choose_connection(foundation, wanted), settings_version=selection.settings_version
        )
        stripe = foundation.clients.stripe(snapshot)
        events = await _fetch_events(stripe, selection.events)
        ids = [str(event.data.object.id) for event in events]
        ids += await list_invoice_ids(selection, foundation, snapshot, stripe)
        planner = build_planner(foundation, snapshot, recreate=recreate)
        await _plan_and_show(planner, list(dict.fromkeys(ids)), as_json=as_json)


async def plan_window(
    foundation: Foundation, snapshot: Snapshot, since: datetime, until: datetime, *, as_json: bool
) -> None:
    """Tell what a backfill would do with all that was finalized in a period."""
    stripe = foundation.clients.stripe(snapshot)
    ids = [invoice.id async for invoice in find_in_window(stripe, since, until)]
    await _plan_and_show(build_planner(foundation, snapshot, is_backfill=True), ids, as_json=as_json)


async def _plan_and_show(planner: ReplayPlanner, ids: Sequence[str], *, as_json: bool) -> None:
    planned, snapshot = await _plan_all(planner, ids, quiet=as_json), planner.snapshot
    if as_json:
        print_json({"connection": snapshot.connection.id, "invoices": [asdict(one) for one in planned]})
    else:
        _show(planned, snapshot)
    counts = count_verdicts(planned)
    if counts.get("fail") or counts.get("unknown"):
        raise typer.Exit(int(Exit.PROBLEM))


def build_planner(
    foundation: Foundation, snapshot: Snapshot, *, recreate: bool = False, is_backfill: bool = False
) -> ReplayPlanner:
    """Build what foretells: it reads as the services do, and writes nothing."""
    return ReplayPlanner(
        snapshot=snapshot,
        stripe=foundation.clients.stripe(snapshot),
        bc=foundation.clients.business_central(snapshot, live=False),
        ledger=foundation.ledger,
        mapper=foundation.mapper,
        search=build_search(foundation),
        usage=Usage(foundation.redis),
        load_claims=partial(_load_claims, foundation, snapshot),
        clock=foundation.clock,
        asked_at=foundation.clock.now(),
        recreate=recreate,
        is_backfill=is_backfill,
    )


async def _load_claims(foundation: Foundation, snapshot: Snapshot, names: Sequence[str]) -> Held:
    return await Claims(foundation.redis, snapshot.connection.company_key, names).load()


async def _plan_all(planner: ReplayPlanner, ids: Sequence[str], *, quiet: bool) -> list[PlannedInvoice]:
    room = asyncio.Semaphore(_PLANNED_AT_ONCE)
    with Progress(console=err, transient=True, disable=quiet or not err.is_terminal) as progress:
        task = progress.add_task("Looking…", total=len(ids))

        async def plan(invoice_id: str) -> PlannedInvoice:
            async with room:
                planned = await planner.plan(invoice_id)
            progress.advance(task)
            return planned

        return list(await asyncio.gather(*(plan(invoice_id) for invoice_id in ids)))


def _show(planned: Sequence[PlannedInvoice], snapshot: Snapshot) -> None:
    if not planned:
        say("There is nothing to replay.")
        return
    rows = [
        (one.invoice_id, one.number, Text("\n".join((one.words, *one.notes)), _COLOURS.get(one.verdict, "")))
        for one in planned
    ]
    show_table(("Invoice", "Number", "What would happen"), rows, whole=("Invoice",))
    counts = ", ".join(f"{count} {verdict}" for verdict, count in count_verdicts(planned).items())
    say(f"{counts}. Nothing was written.")
    for guess, count in Counter(one.guess for one in planned if one.guess).items():
        say((f"Of {count}: {guess}", "yellow"))
    if snapshot.connection.dry_run:
        live = name_command("connections live", snapshot.connection.id)
        say((f"The connection is a dry run: a replay would only tell this. End it with: {live}", "yellow"))
    if snapshot.connection.paused or snapshot.blocks:
        state = "paused" if snapshot.connection.paused else "blocked"
        say((f"The connection is {state}: a replay would wait for it first.", "yellow"))
