"""`hub dead`: messages that could not be decoded or met a defect: list them, look at one, send them round again."""

import asyncio
import base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from textwrap import shorten
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError
from rich.progress import Progress

from hub.cli.context import Exit, confirm, fail, load_cli_config, run_command
from hub.cli.moments import parse_moment
from hub.cli.screen import err, print_json
from hub.cli.topic_reader import RawWriter, StoredRecord, open_reader, open_writer
from hub.cli.wording import say, say_block, show_table
from schemas.messages import DeadMessage, StageName
from schemas.topics import DEAD, TOPICS

NAME = "dead"
app = typer.Typer(help="Look at dead messages, and send them round again.", no_args_is_help=True)

DeadReason = Literal["poison", "unexpected"]
Stage = Annotated[StageName | None, typer.Option(help="Only of this service.")]
Reason = Annotated[DeadReason | None, typer.Option(help="Only of this reason.")]
Of = Annotated[str | None, typer.Option("--connection", help="Only of this connection, con_….")]
Since = Annotated[str | None, typer.Option(metavar="DATE", help="Only since this date or date-time, UTC.")]
Until = Annotated[str | None, typer.Option(metavar="DATE", help="Only before this.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")]
# A body can have megabytes; --json gives it whole.
_SHOWN_CHARACTERS = 4_000


@dataclass(frozen=True)
class DeadRecord:
    """A dead message and where it lies: `partition-offset`."""

    id: str
    message: DeadMessage


@dataclass(frozen=True)
class Filters:
    """Which dead messages are asked for; all of these must fit."""

    stage: StageName | None = None
    reason: DeadReason | None = None
    connection: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def read(
        cls,
        stage: StageName | None,
        reason: DeadReason | None,
        connection: str | None,
        since: str | None,
        until: str | None,
    ) -> "Filters":
        """Read them as they were typed."""
        begin = parse_moment(since, "--since") if since else None
        end = parse_moment(until, "--until") if until else None
        return cls(stage, reason, connection, begin, end)

    def fit(self, one: DeadMessage) -> bool:
        """Tell whether a message is meant. Whose it is stands in its key, `connection/invoice`."""
        return (
            self.stage in {None, one.stage}
            and self.reason in {None, one.reason}
            and (self.connection is None or (_bytes(one.key) or b"").startswith(f"{self.connection}/".encode()))
            and (self.since is None or one.at >= self.since)
            and (self.until is None or one.at < self.until)
        )


@app.command("list")
def list_(
    stage: Stage = None,
    reason: Reason = None,
    connection: Of = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """List dead messages, oldest first. They stay 30 days, also after a replay."""
    found = _select(run_command(_load()), Filters.read(stage, reason, connection, since, until))
    if as_json:
        print_json([_to_row(one) for one in found])
    elif not found:
        say("No dead messages.")
    else:
        columns = ("Id", "When (UTC)", "Stage", "Reason", "From", "Error")
        show_table(columns, [_to_cells(one) for one in found], whole=("Id",))


@app.command()
def show(
    id_: Annotated[str, typer.Argument(metavar="OFFSET_ID", help="As hub dead list shows it: partition-offset.")],
    as_json: AsJson = False,
) -> None:
    """Show one dead message whole: error, trace, key, headers, body."""
    one = _find(run_command(_load()), [id_])[0]
    if as_json:
        print_json({**_to_row(one), "trace": one.message.trace, "value": _decode(one.message.value)})
        return
    for name, value in _to_row(one).items():
        say((f"{name}: ", "bold"), str(value))
    for title, text in (("body", _decode(one.message.value)), ("trace", one.message.trace)):
        if text:
            say((f"{title}:", "bold"))
            say_block(text[:_SHOWN_CHARACTERS])


@app.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[OFFSET_ID]...", help="Which; else give --all.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All that pass the filters.")] = False,
    stage: Stage = None,
    reason: Reason = None,
    connection: Of = None,
    since: Since = None,
    until: Until = None,
    rate: Annotated[float, typer.Option(min=0.1, help="Messages per second at most.")] = 20,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Send without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Publish the original bytes, with key and headers, to the topic they came from. Twice does no harm."""
    if bool(ids) == all_:
        fail("Give ids, or --all with or without filters.", Exit.USAGE)
    filters = Filters.read(stage, reason, connection, since, until)
    dead = run_command(_load())
    found = _select(_find(dead, ids) if ids else dead, filters)
    if found and not yes:
        confirm(f"Publish {len(found)} messages again?")
    run_command(_replay(found, rate))
    if as_json:
        print_json({"published": [one.id for one in found]})
    else:
        say(f"{len(found)} messages were published again.")


async def _load() -> list[DeadRecord]:
    async with open_reader(load_cli_config(), [DEAD.name]) as reader:
        found = [_parse(record) async for record in reader.read_stored()]
    return sorted((one for one in found if one is not None), key=lambda one: one.message.at)


def _parse(record: StoredRecord) -> DeadRecord | None:
    place = f"{record.partition}-{record.offset}"
    try:
        return DeadRecord(place, DeadMessage.model_validate_json(record.value or b""))
    except ValidationError:
        err.print(f"The record {place} of {DEAD.name} can't be read and is left out.", style="yellow", soft_wrap=True)
        return None


def _select(found: Iterable[DeadRecord], filters: Filters) -> list[DeadRecord]:
    return [one for one in found if filters.fit(one.message)]


def _find(dead: Iterable[DeadRecord], ids: Iterable[str]) -> list[DeadRecord]:
    by_id = {one.id: one for one in dead}
    if unknown := [id_ for id_ in ids if id_ not in by_id]:
        fail(f"There is no dead message {unknown[0]!r}. See hub dead list.", Exit.NOT_FOUND)
    return [by_id[id_] for id_ in ids]


async def _replay(found: list[DeadRecord], rate: float) -> None:
    async with open_writer(load_cli_config()) as writer:
        with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
            for one in progress.track(found, description="Publishing…"):
                await send_again(writer, one.message)
                await asyncio.sleep(1 / rate)


async def send_again(writer: RawWriter, message: DeadMessage) -> None:
    """Publish the original bytes to the topic they came from."""
    if message.topic not in {topic.name for topic in TOPICS}:
        fail(
            f"The topic {message.topic!r} is none of the hub's, so it can't go back. See hub dead show.",
            Exit.PROBLEM,
        )
    headers = [(name, base64.b64decode(value)) for name, value in message.headers]
    await writer.send(message.topic, key=_bytes(message.key), value=_bytes(message.value), headers=headers)


def _bytes(encoded: str | None) -> bytes | None:
    return None if encoded is None else base64.b64decode(encoded)


def _decode(encoded: str | None) -> str:
    return (_bytes(encoded) or b"").decode("utf-8", "backslashreplace")


def _to_cells(one: DeadRecord) -> tuple[str, ...]:
    message = one.message
    place = f"{message.topic} {message.partition}-{message.offset}"
    return (
        one.id,
        f"{message.at:%Y-%m-%d %H:%M:%S}",
        message.stage,
        message.reason,
        place,
        shorten(message.error, 120, placeholder=" …"),
    )


def _to_row(one: DeadRecord) -> dict[str, Any]:
    message = one.message
    return {
        "id": one.id,
        "at": message.at.isoformat(),
        "stage": message.stage,
        "reason": message.reason,
        "code": message.code,
        "error": message.error,
        "attempts": message.attempts,
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "key": _decode(message.key),
    }
