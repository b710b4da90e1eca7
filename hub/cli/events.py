"""`hub events tail`: what travels on the topics, a line each."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.text import Text

from hub.cli.context import Exit, choose_connection, fail, load_cli_config, open_foundation, run_command
from hub.cli.screen import out, print_json
from hub.cli.topic_reader import StoredRecord, TopicReader, open_reader
from hub.harmless import make_line
from schemas.ids import parse_message_key
from schemas.messages import (
    ContactResolved,
    CustomerMatch,
    DeadMessage,
    InvoiceResult,
    MetadataUpdated,
    StripeEventReceived,
)
from schemas.topics import TOPICS

NAME = "events"
app = typer.Typer(help="Watch the topics.", no_args_is_help=True)

_MESSAGES = {topic.name: topic.message for topic in TOPICS}
_COLOURS = {"synced": "green", "failed": "bold red", "pending": "yellow", "attention": "bold magenta", "skipped": "dim"}


@app.callback()
def group() -> None:
    """Watch the topics."""


@app.command()
def tail(
    topic: Annotated[list[str] | None, typer.Option(help="Only this topic; may be repeated. Default: all.")] = None,
    connection: Annotated[
        str | None, typer.Option("--connection", help="Only this connection, by id or Stripe account.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Wait for what comes, or show what is stored and end.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, whole messages.")] = False,
    max_: Annotated[
        int | None, typer.Option("--max", min=1, help="End after so many; with --no-follow, show only the last ones.")
    ] = None,
) -> None:
    """Show a line for each message: time, topic, invoice, outcome, words. Reads along; nobody's offsets move."""
    if unknown := set(topic or ()) - set(_MESSAGES):
        fail(f"There is no topic {min(unknown)!r}; there are {', '.join(_MESSAGES)}.", Exit.USAGE)
    with suppress(KeyboardInterrupt):
        run_command(_tail(topic or list(_MESSAGES), connection, follow=follow, as_json=as_json, at_most=max_))


async def _tail(topics: list[str], wanted: str | None, *, follow: bool, as_json: bool, at_most: int | None) -> None:
    connection = await _find_connection(wanted) if wanted else None
    async with open_reader(load_cli_config(), topics) as reader:
        records = _follow(reader, connection, at_most) if follow else _list_last(reader, connection, at_most)
        async for record in records:
            if as_json:
                print_json(to_json(record))
            else:
                out.print(to_line(record), soft_wrap=True)


async def _find_connection(wanted: str) -> str:
    async with open_foundation() as foundation:
        return await choose_connection(foundation, wanted)


async def _follow(reader: TopicReader, connection: str | None, at_most: int | None) -> AsyncIterator[StoredRecord]:
    count = 0
    with suppress(asyncio.CancelledError):
        async for record in reader.follow():
            if is_of(record, connection):
                yield record
                count += 1
            if count == at_most:
                return


async def _list_last(reader: TopicReader, connection: str | None, at_most: int | None) -> AsyncIterator[StoredRecord]:
    """Partitions are read one after another: sorting by time brings the messages of all topics together."""
    kept: deque[StoredRecord] = deque(
        sorted([record async for record in reader.read_stored() if is_of(record, connection)], key=lambda one: one.at),
        maxlen=at_most,
    )
    for record in kept:
        yield record


def is_of(record: StoredRecord, connection: str | None) -> bool:
    """Tell whether a record belongs to the connection, by its key."""
    if connection is None:
        return True
    parsed = parse_message_key((record.key or b"").decode("utf-8", "replace"))
    return parsed is not None and parsed[0] == connection


def to_json(record: StoredRecord) -> dict[str, Any]:
    """Write a record for a script; a value that is no JSON stays text."""
    text = (record.value or b"").decode("utf-8", "replace")
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "at": record.at.isoformat(),
        "key": (record.key or b"").decode("utf-8", "replace"),
        "value": value,
    }


def to_line(record: StoredRecord) -> Text:
    """Write a record for a reader."""
    parsed = parse_message_key((record.key or b"").decode("utf-8", "replace"))
    outcome, words = describe(record)
    line = Text(f"{record.at.astimezone():%H:%M:%S}  ", style="dim")
    line.append(f"{record.topic:<17} ", style="cyan")
    line.append(f"{make_line(parsed[1]) if parsed else '?':<30} ", style="default")
    line.append(f"{outcome:<9} ", style=_COLOURS.get(outcome, "default"))
    return line.append(make_line(words), style="default")


def describe(record: StoredRecord) -> tuple[str, str]:
    """Return the outcome, or what comes nearest to one, and the words."""
    try:
        message = _MESSAGES[record.topic].model_validate_json(record.value or b"")
    except ValidationError:
        return "?", f"can't be read ({len(record.value or b'')} bytes)"
    match message:
        case StripeEventReceived():
            attempt = f", attempt {message.attempt + 1}" if message.attempt else ""
            told = message.cause, f"{message.event_type}{attempt}"
        case ContactResolved(customer=None):
            told = "resolved", "a new customer"
        case ContactResolved(customer=CustomerMatch() as customer):
            told = "resolved", f"{customer.number} {customer.name} ({customer.how})"
        case InvoiceResult():
            told = message.outcome, _describe_result(message)
        case MetadataUpdated():
            written = ", ".join(f"{key}={value!r}" for key, value in message.written.items())
            told = message.outcome, f"written: {written}" if written else message.reason
        case DeadMessage():
            told = message.reason, f"{message.stage}, from {message.topic}: {message.error}"
        case _:
            told = "?", ""
    return told


def _describe_result(message: InvoiceResult) -> str:
    if message.outcome == "synced" and message.document is not None:
        return f"{message.document.number}, {message.document.total} {message.document.currency}"
    return message.error.text if message.error else message.reason
