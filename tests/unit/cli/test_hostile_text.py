"""Names from Stripe and words of Business Central can hold anything: no terminal obeys them, whoever prints."""

import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
import typer

import hub.cli
from hub.cli.checks import Check, show_checks
from hub.cli.contacts import Contact, Difference, print_contact
from hub.cli.context import fail
from hub.cli.events import to_json, to_line
from hub.cli.screen import err, out, print_json, print_text, print_warning, speak_json
from hub.cli.topic_reader import StoredRecord
from hub.cli.wording import say, say_block, show_table
from hub.harmless import escape_json, make_harmless, make_line
from hub.ledger import CustomerLink, Ledger
from hub.log import configure_logging, get_logger
from hub.stage.ports import Parked
from hub.waiting import RedisWaitingSet
from schemas.connections import BlockedState
from schemas.messages import CustomerMatch
from tests.builders import build_head
from tests.unit.cli.conftest import Hub

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
GOLDEN = Path(__file__).parents[2] / "golden"
HOSTILE = {
    "title": "\x1b]0;owned\x07Ltd",
    "clear": "A\x1b[2J\x1b[1;1HB",
    "C1": "A\x9b31mB\x9d0;x\x9c",
    "return": "all is well\rFAILED",
    "backspace": "abc\x08\x08\x08xyz",
    "bidi": "GmbH \u202e001 latot\u202c\u2066x\u2069",
    "separators": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "hidden": "a\u200bb\ufeffc\u00add\U000e0041e",
    "half": "a\ud800b",
    "zero": "a\x00b\x7f",
    "markup": "[red]x[/red] [link=https://evil.example]pay[/link] [/]",
    "forged line": "Ltd\n✓ all invoices are paid\n\tOK",
}
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b\u2028-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f\ud800-\udfff]"
)
text = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


def read(capsys: pytest.CaptureFixture[str]) -> str:
    printed = capsys.readouterr()
    return printed.out + printed.err


def build_contact(text: str) -> Contact:
    return Contact("con_1", "cus_1", text, "C1", text, text, False, (text,), (Difference("name", text, text),))


def run_fail(text: str) -> None:
    with pytest.raises(typer.Exit):
        fail(text)


PRINTERS: dict[str, Callable[[str], object]] = {
    "say": say,
    "say in style": lambda text: say(("bold", "bold"), (text, "red")),
    "block": say_block,
    "table": lambda text: show_table(("a", text), [(text, "b")], whole=("a",)),
    "checks": lambda text: show_checks([Check("Name", "problem", text, text, text)], as_json=False),
    "checks as JSON": lambda text: show_checks([Check("Name", "problem", text, text, text)], as_json=True),
    "contact": lambda text: print_contact(build_contact(text)),
    "JSON": lambda text: print_json({text: [text]}),
    "CSV": print_text,
    "error": run_fail,
    "warning": print_warning,
    "plain": lambda text: out.print(text, markup=False),
    "status": lambda text: err.print(text, markup=False),
}


@text
@pytest.mark.parametrize("name", PRINTERS)
def test_nothing_that_a_terminal_obeys_is_printed(capsys: pytest.CaptureFixture[str], name: str, text: str) -> None:
    PRINTERS[name](text)
    printed = read(capsys)

    assert printed
    assert not OBEYED.search(printed)


@text
def test_one_line_stays_one(capsys: pytest.CaptureFixture[str], text: str) -> None:
    say(f"cus_1 {text}", (text, "bold"))

    assert read(capsys).count("\n") == 1


def test_foreign_lines_of_a_block_are_set_in(capsys: pytest.CaptureFixture[str]) -> None:
    say_block("one\ntwo\r\nthree")

    assert all(line.startswith("  | ") for line in read(capsys).splitlines())


@pytest.mark.parametrize("name", ["say", "say in style", "table", "checks", "contact"])
def test_markup_is_printed_as_it_is(capsys: pytest.CaptureFixture[str], name: str) -> None:
    PRINTERS[name]("[red]x[/red]")

    assert "[red]x[/red]" in read(capsys)


@text
def test_json_means_what_it_meant(capsys: pytest.CaptureFixture[str], text: str) -> None:
    print_json({"name": text})
    printed = capsys.readouterr().out

    assert json.loads(printed) == {"name": text}
    assert printed.isprintable() or not OBEYED.search(printed)


@text
def test_an_error_is_an_object_with_json_and_harmless(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with speak_json(wanted=True):
        run_fail(text)
    printed = capsys.readouterr().err

    assert json.loads(printed)["error"]["message"] == text
    assert not OBEYED.search(printed)


@text
@pytest.mark.parametrize("topic", ["contacts.resolved", "invoices.results", "metadata.updated", "hub.dead", "unknown"])
def test_events_are_harmless(capsys: pytest.CaptureFixture[str], topic: str, text: str) -> None:
    names = {"contacts.resolved": "ContactResolved", "invoices.results": "InvoiceResult", "hub.dead": "DeadMessage"}
    name = names.get(topic, "MetadataUpdated")
    golden = (GOLDEN / f"{name}.v1.json").read_text()
    spoiled = json.dumps(_spoil(json.loads(golden), text)).encode()
    record = StoredRecord(
        "metadata.updated" if topic == "unknown" else topic, 1, 2, AT, text.encode("utf-8", "replace"), spoiled
    )
    out.print(to_line(record), soft_wrap=True)
    printed = read(capsys)

    assert not OBEYED.search(printed)
    assert printed.count("\n") == 1
    print_json(to_json(record))
    assert not OBEYED.search(read(capsys))


def _spoil(value: object, text: str) -> object:
    """Put the text behind every text that people write."""
    if isinstance(value, dict):
        return {
            name: f"{one}{text}"
            if name in {"name", "how", "text", "error", "reason", "number"} and isinstance(one, str)
            else _spoil(one, text)
            for name, one in value.items()
        }
    return value


@pytest.mark.slow
@text
def test_what_is_stored_is_printed_harmless_by_every_command(hub: Hub, text: str) -> None:
    """On a real ledger: what blocks a connection, why an invoice waits, who a customer is."""
    stored = text.encode("utf-8", "replace").decode()
    connection = hub.connect(bc_company=stored)
    message = build_head("in_1").model_copy(update={"connection": connection})
    parked = Parked(message, AT + timedelta(days=900), "bc.answer.timeout", stored, "contacts", True)
    state = BlockedState(code="bc.sign_in.expired", message=stored, since=AT, next_probe_at=AT)
    link = CustomerLink(customer=CustomerMatch(id="1", number="C1", name=stored, how=stored), linked_at=AT, pinned=True)
    hub.prepare(lambda redis: RedisWaitingSet(redis).park(parked))
    hub.prepare(lambda redis: hub.build_directory(redis).save_block(connection, "bc", state))
    hub.prepare(lambda redis: Ledger(redis).save_customer_link(connection, "cus_1", link))
    for words in (
        *(("connections", "list"), ("connections", "show"), ("waiting",), ("contacts", "show", "cus_1"), ("doctor",)),
        *(("replay", "in_1", "--dry-run"), ("usage",), ("backfill",), ("contacts", "unlink", "cus_1")),
    ):
        for more in ((), ("--json",)):
            done = hub(*words, *more)
            assert not OBEYED.search(done.out + done.err), words


@text
@pytest.mark.parametrize("fmt", ["console", "json"])
def test_logs_are_harmless(text: str, fmt: str) -> None:
    stream = io.StringIO()
    configure_logging("test", fmt=fmt, stream=stream)  # pyright: ignore[reportArgumentType] - one of two
    try:
        get_logger().error("name.met", name=text, more={"of": [text]}, **{f"it{text}": 1})
        get_logger().error("name.failed", exc_info=ValueError(text))
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
    printed = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())  # the renderer's own colours

    assert printed
    assert not OBEYED.search(printed)


def test_what_is_harmless_stays() -> None:
    for plain in ("Müller & Søn ApS", "株式会社", "שלום", "مرحبا", "👩‍👩‍👧", "a\u0301", "100 %", "C:\\x1b"):
        assert make_harmless(plain) == make_line(plain) == plain
        assert escape_json(json.dumps(plain, ensure_ascii=False)) == json.dumps(plain, ensure_ascii=False)


def test_all_commands_print_through_one_place() -> None:
    """Whoever prints past `screen.py` prints raw."""
    folder = Path(hub.cli.__path__[0])
    past = {
        f"{path.relative_to(folder)}: {line.strip()}"
        for path in folder.rglob("*.py")
        if path.name != "screen.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"typer\.(echo|secho)|sys\.std(out|err)\.write|\bConsole\(|^\s*print\(", line)
    }

    assert past == {
        "errors.py: typer.echo(render_catalogue(), nl=False)",  # the project's own words
        "settings.py: typer.echo(dump_settings(settings), nl=False)",  # the user's own, to be read back
        "topics.py: typer.echo(render_asyncapi(), nl=False)",
    }
