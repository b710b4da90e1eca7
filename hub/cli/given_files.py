"""Files that a person names to a command: read and written within limits, for a name may lead to anything."""

import errno
import os
import select
import stat
import time
from pathlib import Path
from typing import Final

LARGEST_FILE: Final = 5_000_000
_PATIENCE_SECONDS = 5.0
_CHUNK = 65_536


def write_given_file(path: Path, text: str) -> None:
    """Write a file that a person names; a pipe that nobody reads is refused, not waited for.

    Raises:
        OSError: it can't be written; names the file.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o666)
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)


class UnreadableFileError(Exception):
    """A file can't be used; says why, to be put behind its name: `is no text`."""


def read_given_file(path: Path) -> str:
    """Read a text of at most 5 MB; from a pipe (`<(…)`) for at most five seconds.

    Raises:
        UnreadableFileError: it can't be read, is no text, or does not end.
    """
    try:
        content = _read(path)
    except OSError as error:
        raise UnreadableFileError(f"can't be read: {error.strerror}") from error
    except ValueError as error:
        raise UnreadableFileError("can't be read: no file has such a name") from error
    if content is None:
        raise UnreadableFileError(f"is larger than {LARGEST_FILE // 1_000_000} MB, or does not end")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableFileError("is no text") from error


def _expand(path: Path) -> Path:
    """Put the home directory in for `~`, where there is one."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _read(path: Path) -> bytes | None:
    """Read all; None if it is too large, or no end comes. Opening never waits: a pipe may have no other side."""
    descriptor = os.open(_expand(path), os.O_RDONLY | os.O_NONBLOCK)
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        content = bytearray()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while len(content) <= LARGEST_FILE:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                return None
            part = os.read(descriptor, _CHUNK)
            if not part:
                return bytes(content)
            content += part
        return None
    finally:
        os.close(descriptor)
