"""How commands find the `hub up` that runs in a directory."""

import stat
from pathlib import Path

import pytest

from hub.cli.context import Exit
from hub.cli.running import RUNNING, announce, find_running, make_key
from tests.unit.cli.conftest import OLD_KEY, Hub

ADDRESSES = {
    "HUB_KAFKA_BOOTSTRAP": "127.0.0.1:9092",
    "HUB_REDIS_URL": "redis://:word@127.0.0.1:6379/0",
    "HUB_STRIPE_API_BASE": "http://127.0.0.1:4000",
}


def test_a_running_hub_is_found_with_its_addresses_and_the_key_that_was_made(tmp_path: Path) -> None:
    key = make_key(tmp_path)
    own = {"HUB_HTTP_PORT": "8080", "HUB_DATA_DIR": str(tmp_path), "PATH": "/bin", "HUB_LOG_FORMAT": "json"}

    with announce(tmp_path, {**ADDRESSES, **own, "HUB_SECRET_KEYS": key}):
        assert find_running(tmp_path) == {**ADDRESSES, "HUB_SECRET_KEYS": key}
        assert key not in (tmp_path / RUNNING).read_text()
        assert stat.S_IMODE((tmp_path / RUNNING).stat().st_mode) == 0o600
    assert find_running(tmp_path) == {"HUB_SECRET_KEYS": key}


def test_a_key_that_was_made_is_not_taken_for_that_of_a_hub_with_keys_of_its_own(tmp_path: Path) -> None:
    make_key(tmp_path)

    with announce(tmp_path, {**ADDRESSES, "HUB_SECRET_KEYS": "keys of its own"}):
        assert find_running(tmp_path) == ADDRESSES


@pytest.mark.parametrize("left", ['{"environment": {"HUB_REDIS_URL": "redis://gone"}, "has_made_key": true}', "", "{"])
def test_what_a_killed_hub_has_left_behind_is_not_believed(tmp_path: Path, left: str) -> None:
    (tmp_path / RUNNING).write_text(left)

    assert find_running(tmp_path) == {}
    with announce(tmp_path, ADDRESSES):
        assert find_running(tmp_path) == ADDRESSES


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    key = make_key(tmp_path / "new")

    assert make_key(tmp_path / "new") == key
    assert stat.S_IMODE((tmp_path / "new" / "secret.key").stat().st_mode) == 0o600


def test_without_a_hub_a_command_says_where_it_looked(bare: Hub, tmp_path: Path) -> None:
    done = bare("waiting")

    assert done.code == Exit.USAGE
    assert f"No hub up runs with its data in {tmp_path}" in done.err


def test_ones_own_environment_comes_before_that_of_a_running_hub(bare: Hub, tmp_path: Path) -> None:
    with announce(tmp_path, {**ADDRESSES, "HUB_SECRET_KEYS": OLD_KEY}):
        done = bare("waiting", HUB_SECRET_KEYS=OLD_KEY, HUB_REDIS_URL="redis://:secret@127.0.0.1:1/0")

    assert done.code == Exit.UNREACHABLE
    assert "at 127.0.0.1:1. Check HUB_REDIS_URL" in done.err
    assert "secret" not in done.err
