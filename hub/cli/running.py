"""The `hub up` that runs in a directory: it leaves its addresses there, and other commands find it by them."""

import fcntl
import json
import os
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.config import known_names
from schemas.errors import ConfigurationError

RUNNING = "running.json"
SECRET_KEY = "secret.key"  # noqa: S105 - the name of a file
# What concerns the services alone, or must not lie in a file.
_OWN = frozenset(
    "HUB_SECRET_KEYS HUB_DATA_DIR HUB_HTTP_PORT HUB_HTTP_HOST HUB_ADMIN_PORT HUB_ADMIN_HOST HUB_LOG_FORMAT "
    "HUB_LOG_LEVEL".split()
)


@contextmanager
def announce(directory: Path, environment: Mapping[str, str]) -> Generator[None]:
    """Leave the running hub's addresses, without secret keys, for as long as it runs.

    The file stays locked meanwhile: one that a killed hub has left behind is known by its missing lock.
    """
    told = {name: environment[name] for name in known_names() if name in environment and name not in _OWN}
    running = {"environment": told, "has_made_key": environment.get("HUB_SECRET_KEYS") == load_made_key(directory)}
    path = directory / RUNNING
    # Its owner's only: the address of Redis may hold a password.
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as file:
        path.chmod(0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate()
        file.write(json.dumps(running))
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def find_running(directory: Path) -> dict[str, str]:
    """Return the environment of the hub that runs in a directory, with the key made there unless it has its own."""
    made = load_made_key(directory)
    key = {"HUB_SECRET_KEYS": made} if made else {}
    try:
        with (directory / RUNNING).open(encoding="utf-8") as file:
            if not _is_locked(file.fileno()):
                return key
            running: Any = json.loads(file.read())
        return {**running["environment"], **(key if running["has_made_key"] else {})}
    except (FileNotFoundError, ValueError, LookupError, TypeError, RecursionError):
        return key  # none; or one that is just beginning to write, or that is damaged


def load_made_key(directory: Path) -> str | None:
    """Return this machine's key for secrets at rest, if one was made."""
    path = directory / SECRET_KEY
    try:
        return path.read_text().strip() if path.is_file() else None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path} is damaged: it holds no text. Put it back from a backup, for it encrypts what connections store.",
            code="secrets.key.missing",
        ) from error


def make_key(directory: Path) -> str:
    """Return this machine's key for secrets at rest, made at the first start and readable by its owner only."""
    if (made := load_made_key(directory)) is not None:
        return made
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / SECRET_KEY
    path.touch(mode=0o600)
    path.write_text(fresh := secrets.token_urlsafe(32))
    return fresh


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
