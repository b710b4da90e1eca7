"""Commands as an operator types them: on a real ledger, with a broker that is not there."""

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from hub.cli.context import Exit
from hub.directory import Directory, Snapshot
from hub.redis import connection_key
from hub.secrets import SecretBox
from hub.stage.ports import Parked
from hub.waiting import RedisWaitingSet
from schemas.connections import BlockedState
from schemas.settings import Settings
from tests.builders import ACCOUNT, build_connection, build_head, build_secrets
from tests.unit.cli.conftest import NEW_KEY, OLD_KEY, Hub
from tests.unit.cli.reference import build_reference, read_document, walk

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
COMMANDS = dict(walk())
ADD = (
    *("connections", "add", "--stripe-account", "acct_1", "--bc-tenant", "t", "--bc-environment", "e"),
    *("--bc-company", "c", "--bc-client-id", "i"),
)


def block(hub: Hub, connection: str, *, next_probe_at: datetime = AT) -> None:
    state = BlockedState(code="bc.sign_in.expired", message="Sign in again.", since=AT, next_probe_at=next_probe_at)
    hub.prepare(lambda redis: hub.build_directory(redis).save_block(connection, "bc", state))


def park(hub: Hub, connection: str) -> None:
    message = build_head("in_1").model_copy(update={"connection": connection})
    due = datetime.now(UTC) + timedelta(minutes=5)
    parked = Parked(message, due, "bc.answer.timeout", "Business Central did not answer.", "contacts", True)
    hub.prepare(lambda redis: RedisWaitingSet(redis).park(parked))


def load(hub: Hub, connection: str) -> Snapshot:
    return hub.prepare(lambda redis: hub.build_directory(redis).load(connection))


def test_the_reference_has_not_drifted() -> None:
    written, generated = read_document()

    assert generated == build_reference() + "\n", "run: python -m tests.unit.cli.reference"
    for code in Exit:
        assert f"| {int(code)} |" in written


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(hub: Hub, name: str) -> None:
    shown = hub(*name.split()[1:], "--help")

    assert shown.code == 0
    for option in COMMANDS[name].params:
        assert option.help, f"{name} {option.name}"


@pytest.mark.parametrize(
    "words",
    [
        ("connections", "list"),
        ("settings", "show"),
        ("waiting",),
        ("replay", "in_1"),
        ("topics", "check"),
        ("dead", "list"),
        ("events", "tail"),
    ],
)
def test_without_configuration_a_command_says_what_is_missing(bare: Hub, words: tuple[str, ...]) -> None:
    done = bare(*words)

    assert done.code == Exit.USAGE
    assert "HUB_REDIS_URL is missing" in " ".join(done.err.split())
    assert done.out == ""


@pytest.mark.parametrize(
    "words",
    [
        ("topics", "check", "--json"),
        ("topics", "apply"),
        ("dead", "list"),
        ("dead", "replay", "--all"),
        ("events", "tail", "--no-follow"),
        ("replay", "in_1"),
    ],
)
def test_a_broker_that_is_away_is_said_once_in_words(hub: Hub, words: tuple[str, ...]) -> None:
    done = hub(*words)

    assert done.code == Exit.UNREACHABLE
    sentence = "Kafka does not answer at 127.0.0.1:1. Check HUB_KAFKA_BOOTSTRAP and that the broker runs."
    if "--json" in words:
        assert json.loads(done.err) == {"error": {"message": sentence, "code": "broker.unreachable", "exit": 3}}
    else:
        assert " ".join(done.err.split()) == sentence
    assert done.out == ""


def test_a_ledger_that_is_away_is_said_in_words(hub: Hub) -> None:
    done = hub("connections", "list", HUB_REDIS_URL="redis://127.0.0.1:1/0")

    assert done.code == Exit.UNREACHABLE
    assert (
        done.err
        == "The hub's ledger (Redis) does not answer at 127.0.0.1:1. Check HUB_REDIS_URL and that Redis runs.\n"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("replay",), "Say what to replay"),
        (("replay", "in-1"), "'in-1' is no id: give those that Stripe shows, in_…"),
        (("replay", "--event", "in_1"), "--event 'in_1' is no id: give those that Stripe shows, evt_…"),
        (("replay", "--since", "yesterday"), "is no ISO date"),
        (("backfill", "--dry-run"), "Say where it begins: --from DATE."),
        (("backfill", "--from", "2026-01-01", "--stop"), "Either --from or --stop."),
        (("backfill", "--from", "soon"), "--from: 'soon' is no ISO date"),
        (("dead", "replay"), "Give ids, or --all"),
        (("dead", "replay", "1-1", "--all"), "Give ids, or --all"),
        (("dead", "list", "--stage", "nope"), "'nope' is not one of 'ingest'"),
        (("dead", "replay", "--all", "--reason", "nope"), "'nope' is not one of 'poison'"),
        (("run", "nope"), "'nope' is not one of 'ingest'"),
        (("events", "tail", "--topic", "nope"), "There is no topic 'nope'"),
        (("simulate", "sap"), "There is no simulator 'sap'"),
        ((*ADD, "--stripe-key", "k"), "Give either --bc-client-secret"),
        ((*ADD, "--stripe-key", "k", "--bc-client-secret", "s", "--login"), "Give either --bc-client-secret"),
        (
            (*ADD, "--stripe-key", "@missing", "--bc-client-secret", "s"),
            "--stripe-key: the file missing can't be read: No such file",
        ),
        ((*ADD, "--stripe-key", " ", "--bc-client-secret", "s"), "--stripe-key is empty"),
        ((*ADD, "--stripe-key", "k", "--bc-client-secret", "s", "--tax-code", "A"), "--tax-code needs"),
        (
            (*ADD, "--stripe-key", "k", "--bc-client-secret", "s", "--line-item", "A", "--line-account", "B"),
            "Give either --line-account or --line-item",
        ),
        ((*ADD, "--stripe-key", "k", "--bc-client-secret", "s", "--go-live", "soon"), "--go-live: 'soon' is no ISO"),
    ],
)
def test_wrong_usage_is_said_in_words(hub: Hub, words: tuple[str, ...], told: str) -> None:
    done = hub(*words)

    assert done.code == Exit.USAGE
    assert told in " ".join(done.err.split())


def test_a_key_that_can_not_be_one_is_refused_without_being_shown(hub: Hub) -> None:
    done = hub(*ADD, "--stripe-key", "päss word", "--bc-client-secret", "s3cr3t")

    assert done.code == Exit.PROBLEM
    assert "has not the form of a secret" in " ".join(done.err.split())
    assert "päss" not in done.out + done.err
    assert "s3cr3t" not in done.out + done.err


def test_secrets_come_from_the_environment_and_from_files(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("  \n")
    key = f"@{tmp_path / 'key'}"

    done = hub(*ADD, STRIPE_API_KEY=key, BC_CLIENT_SECRET="s", STRIPE_WEBHOOK_SECRET="whsec_1 whsec_2")

    assert done.code == Exit.USAGE
    assert "--stripe-key is empty" in done.err


@pytest.mark.parametrize("command", [("connections", "show"), ("settings", "show"), ("connections", "pause")])
def test_without_a_connection_there_is_nothing_to_show(hub: Hub, command: tuple[str, ...]) -> None:
    done = hub(*command)
    assert (done.code, "hub connections add" in done.err) == (Exit.NOT_FOUND, True)
    hub.connect()
    done = hub(*command, "--connection", "acct_nobody")
    assert (done.code, "There is no connection 'acct_nobody'" in done.err) == (Exit.NOT_FOUND, True)


def test_with_several_connections_one_must_be_named(hub: Hub) -> None:
    first, second = hub.connect(), hub.connect(bc_company="Other", stripe_account="acct_2")

    done = hub("connections", "show")

    assert done.code == Exit.USAGE
    assert first in "".join(done.err.split())
    assert hub("connections", "show", "--connection", "acct_2", "--json").out.count(second) == 1


def test_a_connection_is_listed_with_its_state_and_never_a_secret(hub: Hub) -> None:
    connection = hub.connect()
    park(hub, connection)

    (row,) = json.loads(hub("connections", "list", "--json").out)

    assert (row["connection"], row["state"], row["waiting"], row["failed"]) == (connection, "active", 1, 0)
    for done in (hub("connections", "list"), hub("connections", "show"), hub("connections", "show", "--json")):
        assert done.code == 0
        assert connection in done.out
        assert not any(secret in done.out for secret in ("sk_test_tests", "whsec_tests", "secret\n"))


def test_data_with_brackets_is_no_markup(hub: Hub) -> None:
    hub.connect(bc_company="[/red] & Sons [bold]")

    assert "[/red] & Sons [bold]" in hub("connections", "list").out
    assert "[/red] & Sons [bold]" in hub("connections", "show").out


def test_a_pause_ends_with_resume_which_also_clears_blocks_and_lets_everything_be_due(hub: Hub) -> None:
    connection = hub.connect()
    park(hub, connection)
    block(hub, connection)

    assert hub("connections", "pause").code == 0
    assert load(hub, connection).connection.paused
    assert json.loads(hub("connections", "list", "--json").out)[0]["state"] == "paused"
    done = hub("connections", "resume")

    assert "1 waiting invoices are due now" in done.out
    snapshot = load(hub, connection)
    assert not snapshot.connection.paused
    assert not snapshot.blocks
    woken = hub.prepare(lambda redis: RedisWaitingSet(redis).wake(connection, datetime.now(UTC)))
    assert len(woken) == 1


def test_a_dry_run_is_ended_with_what_is_left_to_do(hub: Hub) -> None:
    connection = hub.connect(dry_run=True, go_live=datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC))

    done = hub("connections", "live")

    assert done.code == 0
    assert "hub replay --since 2026-01-31T12:00:05Z" in done.out
    assert not load(hub, connection).connection.dry_run
    again = hub("connections", "live")
    assert "was no dry run" in again.out
    assert json.loads(hub("connections", "live", "--json").out)["was_dry_run"] is False


def test_a_connection_is_removed_only_after_a_yes_that_was_told_what_goes(hub: Hub) -> None:
    connection = hub.connect()
    park(hub, connection)

    refused = hub("connections", "remove", answers="n\n")
    assert (refused.code, "Nothing was changed." in refused.err) == (Exit.PROBLEM, True)
    assert "1 invoices that wait" in refused.err
    assert "drafts in Business Central" in refused.err
    assert hub("connections", "remove").code == Exit.USAGE
    removed = hub("connections", "remove", answers="y\n")

    assert removed.code == 0
    assert "1 waiting invoices were forgotten" in removed.out
    assert "endpoint for /webhooks/stripe/" in removed.out
    assert json.loads(hub("connections", "list", "--json").out) == []
    assert hub("connections", "remove", "--yes", "--connection", connection).code == Exit.NOT_FOUND


def test_a_backfill_is_asked_for_once_and_told_and_stopped(hub: Hub) -> None:
    hub.connect(go_live=AT)
    none = hub("backfill")
    assert "No backfill was asked for." in none.out
    late = hub("backfill", "--from", "2026-12-01", "--yes")
    assert (late.code, "before it begins" in late.err) == (Exit.USAGE, True)
    refused = hub("backfill", "--from", "2026-01-01", answers="n\n")
    assert (refused.code, "booked twice" in refused.err) == (Exit.PROBLEM, True)

    asked = hub("backfill", "--from", "2026-01-01", answers="y\n")
    assert (asked.code, "from 2026-01-01 00:00 to 2026-11-24 09:30 UTC" in asked.out) == (0, True)
    again = hub("backfill", "--from", "2025-01-01", "--to", "2026-01-01", "--yes")
    assert (again.code, "hub backfill --stop" in again.err) == (Exit.PROBLEM, True)
    assert json.loads(hub("backfill", "--json").out)["backfill"]["looked"] == 0
    assert "It is stopped; what waits goes on." in hub("backfill", "--stop").out
    assert hub("backfill", "--stop").code == Exit.NOT_FOUND


def test_a_connection_whose_secrets_can_not_be_read_is_removed(hub: Hub) -> None:
    connection = hub.connect()
    neighbour = hub.connect(bc_company="Other")

    removed = hub("connections", "remove", "--yes", "--json", "--connection", connection, HUB_SECRET_KEYS=NEW_KEY)

    assert json.loads(removed.out) == {"connection": connection, "forgotten": 0, "unused_webhook_path": None}
    assert json.loads(hub("connections", "show", "--json").out)["connection"] == neighbour


def test_what_blocks_is_said_beside_the_list(hub: Hub) -> None:
    connection = hub.connect()
    block(hub, connection)

    done = hub("connections", "list")

    assert "blocked" in done.out
    assert "is blocked on bc: Sign in again." in done.out


def test_secrets_are_encrypted_again_with_the_newest_key(hub: Hub) -> None:
    connection = hub.connect()
    hub.prepare(lambda redis: hub.build_directory(redis).build_token_store(connection).save("refresh token"))

    assert hub("connections", "rotate-secrets", HUB_SECRET_KEYS=f"{NEW_KEY},{OLD_KEY}").code == 0

    assert hub("connections", "show", HUB_SECRET_KEYS=NEW_KEY).code == 0
    assert "unreadable" in hub("connections", "list").out
    again = hub("connections", "rotate-secrets", "--json", HUB_SECRET_KEYS=f"{OLD_KEY},{NEW_KEY}")
    assert json.loads(again.out) == {"rotated": [connection]}
    assert hub.prepare(lambda redis: hub.build_directory(redis).build_token_store(connection).load()) == "refresh token"


def test_secrets_whose_key_is_lost_are_said_to_be_so(hub: Hub) -> None:
    connection = hub.connect()

    done = hub("connections", "list", HUB_SECRET_KEYS=NEW_KEY)

    assert done.code == 0
    assert connection in done.out
    assert "Put the key they were saved with back into the list" in done.out
    assert hub("connections", "rotate-secrets", HUB_SECRET_KEYS=NEW_KEY).code == Exit.PROBLEM


def test_login_is_for_delegated_connections(hub: Hub) -> None:
    hub.connect()

    done = hub("connections", "login")

    assert done.code == Exit.USAGE
    assert "signs in with a client secret" in done.err


def export(hub: Hub, path: Path, **changes: str) -> Path:
    """Export the settings and replace some words."""
    assert hub("settings", "export", "--output", str(path)).code == 0
    text = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_doubt_window_that_may_double_drafts_is_saved_with_a_warning(hub: Hub, tmp_path: Path) -> None:
    """Tests and demos need seconds; nobody else may come to them without having been told."""
    hub.connect()
    file = tmp_path / "settings.yaml"
    file.write_text("doubt_window: 959\n")
    looked = json.loads(hub("settings", "import", str(file), "--dry-run", "--json").out)
    done = hub("settings", "import", str(file), answers="y\n")

    assert "below 16 minutes, an invoice whose answer was lost can be drafted twice" in looked["risks"][0]
    assert "doubt_window is 959 s." in done.out
    assert "Saved as version 2" in done.out
    file.write_text("doubt_window: 960\n")
    assert json.loads(hub("settings", "import", str(file), "--yes", "--json").out)["risks"] == []


def test_settings_go_out_and_come_back(hub: Hub, tmp_path: Path) -> None:
    connection = hub.connect()
    file = export(hub, tmp_path / "settings.yaml", finalized="paid")

    done = hub("settings", "import", str(file), answers="y\n")

    assert done.code == 0
    assert "-- finalized" in done.out
    assert "+- paid" in done.out
    assert load(hub, connection).settings.triggers == ("paid",)
    shown: dict[str, Any] = json.loads(hub("settings", "show", "--json").out)
    assert (shown["version"], shown["settings"]["triggers"]) == (2, ["paid"])
    assert "finalized" in hub("settings", "show", "--version", "1").out
    assert hub("settings", "export").out == file.read_text(encoding="utf-8")


def test_settings_that_do_not_change_are_not_saved(hub: Hub, tmp_path: Path) -> None:
    connection = hub.connect()

    done = hub("settings", "import", str(export(hub, tmp_path / "s.yaml")))

    assert "Nothing changes" in done.out
    assert load(hub, connection).settings_version == 1


def test_settings_are_saved_only_after_a_yes(hub: Hub, tmp_path: Path) -> None:
    connection = hub.connect()
    file = export(hub, tmp_path / "s.yaml", finalized="sent")

    assert hub("settings", "import", str(file), answers="n\n").code == Exit.PROBLEM
    unanswered = hub("settings", "import", str(file))
    assert (unanswered.code, "Give --yes" in unanswered.err) == (Exit.USAGE, True)
    assert hub("settings", "import", str(file), "--json").code == Exit.USAGE
    assert load(hub, connection).settings_version == 1
    assert hub("settings", "import", str(file), "--yes").code == 0
    assert load(hub, connection).settings_version == 2


def test_a_part_of_the_settings_leaves_the_others_as_they_are(hub: Hub, tmp_path: Path) -> None:
    connection = hub.connect()
    file = tmp_path / "part.yaml"
    file.write_text("triggers: [paid]\nmetadata_prefix: nav_\n", encoding="utf-8")
    assert hub("settings", "import", str(file), "--yes").code == 0
    file.write_text("triggers: [sent]\n", encoding="utf-8")

    looked = json.loads(hub("settings", "import", str(file), "--dry-run", "--json").out)
    assert (looked["saved"], looked["version"], load(hub, connection).settings_version) == (False, 2, 2)
    saved = json.loads(hub("settings", "import", str(file), "--yes", "--json").out)

    assert {"-- paid", "+- sent"} <= set(saved["changes"])
    assert saved["changes"] == looked["changes"]
    assert (saved["saved"], saved["version"]) == (True, 3)
    kept = load(hub, connection).settings
    assert (kept.triggers, kept.metadata_prefix) == (("sent",), "nav_")
    assert saved["settings"] == kept.model_dump(mode="json")


def test_a_whole_file_puts_back_what_it_does_not_name(hub: Hub, tmp_path: Path) -> None:
    connection = hub.connect()
    file = tmp_path / "whole.yaml"
    file.write_text("metadata_prefix: nav_\n", encoding="utf-8")

    shown = hub("settings", "import", str(file), "--replace", "--dry-run")
    assert "Nothing was saved." in shown.out
    assert load(hub, connection).settings_version == 1
    assert hub("settings", "import", str(file), "--replace", "--yes").code == 0

    assert load(hub, connection).settings == Settings(metadata_prefix="nav_")


def test_what_can_be_mapped_is_listed(bare: Hub) -> None:
    listed: dict[str, Any] = json.loads(bare("settings", "fields", "--json").out)

    fields = {(one["section"], one["field"]) for one in listed["targets"]}
    assert ("invoice", "customerPurchaseOrderReference") in fields
    assert ("line", "unitPrice") not in fields
    assert "invoice.customer_name" in {one["path"] for one in listed["sources"]}
    assert {"money", "date", "upcase"} <= set(listed["filters"])
    shown = bare("settings", "fields", "salesperson").out
    assert "salespersonCode" in shown
    assert "shipToName" not in shown


def test_a_file_that_can_not_be_written_is_said_in_words(hub: Hub, tmp_path: Path) -> None:
    hub.connect()

    done = hub("settings", "export", "--output", str(tmp_path / "missing" / "s.yaml"))

    assert done.code == Exit.USAGE
    assert "missing/s.yaml: No such file or directory. Check the path" in done.err


def test_wrong_settings_are_refused_with_their_place(hub: Hub, tmp_path: Path) -> None:
    hub.connect()
    file = export(hub, tmp_path / "s.yaml", triggers="trigers")

    done = hub("settings", "import", str(file), "--yes")

    assert done.code == Exit.USAGE
    assert "did you mean triggers?" in done.err
    assert hub("settings", "show", "--version", "7").code == Exit.PROBLEM
    assert hub("replay", "in_1", "--dry-run", "--settings-version", "7").code == Exit.PROBLEM


def test_what_waits_is_told_with_its_reason(hub: Hub) -> None:
    assert "Nothing waits." in hub("waiting").out
    connection = hub.connect()
    park(hub, connection)

    (row,) = json.loads(hub("waiting", "--json").out)

    assert (row["invoice"], row["attempt"], row["code"]) == ("in_1", 1, "bc.answer.timeout")
    shown = hub("waiting", "--connection", connection).out
    assert "in_1" in shown
    assert "Business Central did not answer." in shown


def test_doctor_says_of_each_dependency_how_to_fix_it(hub: Hub) -> None:
    done = hub("doctor", "--json", HUB_STRIPE_API_BASE="http://127.0.0.1:1")

    checks: dict[str, Any] = {check["name"]: check for check in json.loads(done.out)["checks"]}
    assert done.code == Exit.PROBLEM
    assert checks["Configuration"]["verdict"] == "ok"
    assert checks["Kafka"]["verdict"] == "problem"
    assert "HUB_KAFKA_BOOTSTRAP" in checks["Kafka"]["fix"]
    assert checks["Redis"]["verdict"] == "ok"
    assert checks["Clock"]["verdict"] == "skipped"
    assert checks["Connections"]["verdict"] == "warning"


def test_doctor_tells_a_mistyped_name(bare: Hub) -> None:
    done = bare("doctor", "--json", HUB_REDIS_ULR="x")

    (check,) = json.loads(done.out)["checks"]
    assert done.code == Exit.PROBLEM
    assert "did you mean HUB_REDIS_URL?" in check["words"]


def test_the_asyncapi_document_is_printed_as_it_is_kept(bare: Hub) -> None:
    kept = Path(__file__).parents[3] / "docs" / "asyncapi.yaml"

    assert bare("topics", "asyncapi").out == kept.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [("run", "ingest"), ("up",)])
def test_a_taken_port_ends_the_command_with_what_to_change(hub: Hub, command: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = hub(*command, HUB_HTTP_PORT=str(port), HUB_HTTP_HOST="127.0.0.1")

    assert ended.code == Exit.USAGE
    assert f"Port {port} on 127.0.0.1 is taken by another program." in ended.err
    assert "HUB_HTTP_PORT" in ended.err


def test_a_connection_is_found_by_its_account_though_another_can_not_be_read(hub: Hub) -> None:
    wanted = hub.connect()
    other = build_connection(stripe_account="acct_2Lost")
    hub.prepare(lambda redis: Directory(redis, SecretBox([SecretStr(NEW_KEY)])).add(other, build_secrets(), Settings()))
    shown = hub("connections", "show", "--connection", ACCOUNT, "--json")

    assert json.loads(shown.out)["connection"] == wanted


@pytest.mark.parametrize("damage", ["text", "type"])
@pytest.mark.parametrize("command", [("connections", "list"), ("connections", "show"), ("doctor",)])
def test_a_damaged_connection_is_named_and_hides_no_other(hub: Hub, damage: str, command: tuple[str, ...]) -> None:
    damaged, other = hub.connect(), hub.connect(stripe_account="acct_other")

    async def break_it(redis: Any) -> None:
        if damage == "type":
            await redis.delete(connection_key(damaged))
            await redis.set(connection_key(damaged), "not ours")
        else:
            await redis.hset(connection_key(damaged), "connection", "{")

    hub.prepare(break_it)
    named = ("--connection", damaged) if "show" in command else ()
    done = hub(*command, *named, HUB_STRIPE_API_BASE="http://127.0.0.1:1", HUB_BC_API_BASE="http://127.0.0.1:1")
    assert damaged in done.out + done.err
    if command == ("connections", "list"):
        assert other in done.out
