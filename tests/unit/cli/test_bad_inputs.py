"""No command ends in a stack trace, whatever it is given: each with each kind of bad input, by its own description."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.cli.context import Exit
from tests.unit.cli.conftest import Hub, Result
from tests.unit.cli.reference import walk

# A command takes a tenth of a second, and there are many.
pytestmark = pytest.mark.slow

COMMANDS = {name.removeprefix("hub "): command for name, command in walk()}
# These run until they are stopped, or bring a world of their own.
LASTING = {"up", "demo", "simulate"}
# What a process can't work with, one at a time.
ENVIRONMENTS = [
    {"HUB_REDIS_URL": url}
    for url in (
        "", "redis", "http://host", "redis://host:port", "redis://host:99999/0", "redis://[::1", "redis://h/0?nonsense=1",
        "redis://h/0?max_connections=many", "rediss://h/0?ssl_cert_reqs=perhaps",
    )
] + [
    {"HUB_KAFKA_BOOTSTRAP": "://"},
    {"HUB_KAFKA_BOOTSTRAP": "host:port"},
    {"HUB_KAFKA_BOOTSTRAP": ","},
    {"HUB_CA_BUNDLE": "/nowhere/ca.pem"},
    {"HUB_CA_BUNDLE": "/dev/zero"},
    {"HUB_CA_BUNDLE": "/"},
    {"HUB_CA_BUNDLE": __file__},
    {"HUB_STRIPE_API_BASE": "https://"},
    {"HUB_BC_API_BASE": "https://[::1"},
    {"HUB_ENTRA_AUTHORITY": "https://host:port"},
    {"HUB_LEASE_SECONDS": "inf"},
    {"HUB_SWEEP_HOURS": "1e308"},
    {"HUB_RETRY_WAITS": "99999999999999"},
    {"HUB_CATCH_UP_SECONDS": "nan"},
    {"HUB_SECRET_KEYS": "short"},
    {"HUB_HTTP_PORT": "99999"},
    {"HUB_ADMIN_PORT": "-1"},
    {"HUB_UNKNOWN_NAME": "\x1b[31m"},
]  # fmt: skip
WORDS = ["", "\x1b]0;title\x07", "x" * 20_000, "-", "@/nowhere", "\udcff", "é\n"]
NUMBERS = ["", "-1", "nan", "1e308", "9" * 400]
FILES = ["missing", "directory", "endless", "pipe", "binary", "deep", "deep.json", "empty", "huge", "list", "no access"]


def name_words(name: str, changed: str = "", value: str = "") -> list[str]:
    """Write a command with all that it requires, and one parameter as is wanted."""
    words: list[str] = []
    for one in COMMANDS[name].params:
        given = value if one.name == changed else "1" if one.required else None
        if given is None:
            continue
        is_option = one.opts[0].startswith("-")
        words += (
            [one.opts[0], *([] if one.is_flag else [given])]
            if is_option
            else ["--", given]
            if given[:1] == "-"
            else [given]
        )
    return name.split() + words


def list_parameters(kind: str) -> Iterator[tuple[str, str]]:
    """List commands and their parameters of one kind: file, number, text."""
    for name, command in COMMANDS.items():
        if name in LASTING:
            continue
        for one in command.params:
            if not getattr(one, "is_flag", False) and _get_kind(one) == kind and one.name != "help":
                yield name, one.name


def _get_kind(parameter: Any) -> str:
    wanted = getattr(parameter.type_descriptor, "annotation", str)
    return "file" if wanted is Path else "number" if wanted in {int, float} else "text"


def check(done: Result, *, as_json: bool = False) -> None:
    """A sentence, or an object, and an exit code that stands in the documentation."""
    assert done.code in {int(one) for one in Exit}
    assert "Traceback" not in done.err
    if done.code and done.code != Exit.PROBLEM:
        assert done.err.strip()
    if as_json and done.code not in {Exit.OK, Exit.PROBLEM}:
        objects = [json.loads(line) for line in done.err.splitlines()]
        assert objects[-1]["error"]["message"]
        assert objects[-1]["error"]["exit"] == done.code
        assert all("warning" in one for one in objects[:-1])
    assert "\x1b]" not in done.out + done.err


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """A word that means nothing is the name of a file for some commands: it is written in a folder of its own."""
    place = tmp_path / "here"
    place.mkdir()
    with contextlib.chdir(place):
        yield


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Files that are none."""
    place = tmp_path / "given"
    place.mkdir()
    os.mkfifo(place / "pipe")
    (place / "directory").mkdir()
    (place / "binary").write_bytes(bytes(range(256)))
    (place / "deep").write_text("[" * 100_000)
    (place / "deep.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    (place / "empty").write_text("")
    (place / "list").write_text("[1, 2, {}]")
    (place / "no access").write_text("{}")
    (place / "no access").chmod(0)
    with (place / "huge").open("wb") as huge:
        huge.truncate(10**10)
    return {name: str(place / name) for name in FILES} | {"endless": "/dev/zero"}


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda one: "=".join(next(iter(one.items()))))
@pytest.mark.parametrize("words", [("connections", "list", "--json"), ("doctor",), ("run", "ingest")])
def test_an_environment_that_can_not_be_is_said_in_words(
    hub: Hub, environment: dict[str, str], words: tuple[str, ...]
) -> None:
    done = hub(*words, **environment)

    check(done, as_json="--json" in words)
    assert done.code == (Exit.PROBLEM if words == ("doctor",) else Exit.USAGE)
    assert next(iter(environment)) in done.err + done.out


@pytest.mark.parametrize(("name", "parameter"), list(list_parameters("file")))
@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_none_is_said_in_words(
    hub: Hub, files: dict[str, str], name: str, parameter: str, file: str
) -> None:
    hub.connect()
    check(hub(*name_words(name, parameter, files[file]), answers="n\n"))


@pytest.mark.parametrize("file", FILES)
def test_a_secret_from_a_file_that_is_none_is_said_in_words(hub: Hub, files: dict[str, str], file: str) -> None:
    words = [*name_words("connections add", "stripe_key", f"@{files[file]}"), "--bc-client-secret", "@x", "--json"]
    check(done := hub(*words), as_json=True)
    if file != "list":
        assert done.code == Exit.USAGE


@pytest.mark.parametrize(("name", "parameter"), list(list_parameters("number")))
def test_a_number_that_is_none_is_said_in_words(hub: Hub, name: str, parameter: str) -> None:
    hub.connect()
    for number in NUMBERS:
        check(hub(*name_words(name, parameter, number), answers="n\n"))


@pytest.mark.parametrize(("name", "parameter"), list(list_parameters("text")))
def test_a_word_that_means_nothing_is_said_in_words(hub: Hub, name: str, parameter: str) -> None:
    hub.connect()
    has_json = any(one.name == "as_json" for one in COMMANDS[name].params)
    for word in WORDS:
        words = name_words(name, parameter, word)
        is_object = has_json and "--" not in words
        check(hub(*words, *(["--json"] if is_object else []), answers="n\n"), as_json=is_object)


def test_wrong_usage_is_an_object_too_with_json(hub: Hub) -> None:
    for words in (
        ["nonsense", "--json"],
        ["usage", "--nonsense", "--json"],
        ["events", "tail", "--max", "x", "--json"],
    ):
        done = hub(*words)
        check(done, as_json=True)
        assert done.code == Exit.USAGE


@pytest.mark.parametrize("stored", ["", "[", "{}", "[]", '{"environment": 1}', "[" * 100_000, "\x00"])
def test_what_a_hub_left_behind_and_is_damaged_is_left_alone(bare: Hub, tmp_path: Path, stored: str) -> None:
    (tmp_path / "running.json").write_text(stored)
    done = bare("connections", "list", HUB_DATA_DIR=str(tmp_path))

    check(done)
    assert done.code == Exit.USAGE


@pytest.mark.parametrize("directory", ["file", "file/below"])
def test_a_data_directory_that_is_none_is_said_in_words(bare: Hub, tmp_path: Path, directory: str) -> None:
    (tmp_path / "file").write_text("")
    check(bare("connections", "list", HUB_DATA_DIR=str(tmp_path / directory)))


def _run(words: str) -> subprocess.CompletedProcess[bytes]:
    command = ["/bin/bash", "-c", words]
    environment = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)


def test_a_reader_that_has_left_is_no_error() -> None:
    done = _run('"$PYTHON" -m hub errors --markdown | head -1')

    assert done.stdout
    assert done.stderr == b""


def test_a_full_disk_is_said_in_words() -> None:
    done = _run('"$PYTHON" -m hub errors --markdown > /dev/full')

    assert done.returncode == Exit.USAGE
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_what_an_encoding_lacks_is_written_as_an_escape() -> None:
    done = _run('PYTHONIOENCODING=ascii "$PYTHON" -m hub errors')

    assert (done.returncode, done.stderr) == (0, b"")
