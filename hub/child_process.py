"""Child processes that never outlive the hub: started, probed, paused, stopped, each with a log of its own."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import IO

from schemas.errors import ConfigurationError

START_TIMEOUT = timedelta(seconds=15)  # the broker needs 0.1 s, Redis 0.1 s and more with a long append-only file
STOP_TIMEOUT = timedelta(seconds=10)
_PROBE_INTERVAL = timedelta(milliseconds=20)
_LAST_LINES = 8

# Runs between fork and the real program, in a Python of its own: `preexec_fn` is unsafe with threads. PR_SET_PDEATHSIG
# is 1. The parent may have died before the call, hence the comparison.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class ChildProcess:
    """One child process and its log. Blocking; usable from any thread.

    The child leads its own process group, so Ctrl-C in a terminal reaches the hub alone, which stops the child last.
    On Linux the child is killed when this interpreter ends, however it ends.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.command = tuple(command)
        self.log = log
        self._env = None if env is None else dict(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The id of the running process, None if there is none."""
        return self._process.pid if self._process is not None and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether the process runs; a paused one does."""
        return self._process is not None and self._process.poll() is None

    def spawn(self) -> None:
        """Start the process unless it runs; its output is appended to the log.

        Raises:
            ConfigurationError: Another process of this kind already works in the same directory.
        """
        if self.alive:
            return
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self.log, "ab", opener=_open_private) as log:
            self._lock(log)
            self._log_start = log.tell()
            self._process = _spawner().submit(self._popen, log).result()

    def stop(self, timeout: timedelta = STOP_TIMEOUT) -> None:
        """Ask the process to end, and kill it if it has not by then. A second call does nothing."""
        if self._process is None:
            return
        self.resume()  # a paused process would not see the request
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(timeout.total_seconds())
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        """Freeze the process: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._signal(signal.SIGCONT)

    def build_failure(self, what: str) -> ConfigurationError:
        """Return an error that says what happened and quotes the end of the log."""
        return ConfigurationError(
            f"The {self.name} {what}. Log: {self.log}. It ends with:\n{self._last_lines()}",
            code=f"embedded.{self.name}.not_started",
        )

    def _lock(self, log: IO[bytes]) -> None:
        """Lock the log: the child inherits the lock with its output and holds it until it is gone."""
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise ConfigurationError(
                f"Another {self.name} runs in {self.log.parent}. Stop it, or choose another data directory.",
                code=f"embedded.{self.name}.in_use",
            ) from exc

    def _popen(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        prefix: list[str] = []
        if sys.platform == "linux":
            prefix = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid())]
        return subprocess.Popen(  # noqa: S603 - the command is ours
            [*prefix, *self.command],
            stdin=subprocess.DEVNULL,
            env=self._env,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # What it writes, a ledger or a log, is its user's alone.
            umask=0o077,
        )

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.alive:
            os.killpg(self._process.pid, number)

    def _last_lines(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_LAST_LINES:]) or "(nothing)"


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@cache
def _spawner() -> ThreadPoolExecutor:
    """Return the thread that starts all children.

    The kernel sends the parent-death signal when the *thread* that forked ends, so a worker thread that comes and goes
    would take its children along. This one lasts as long as the interpreter.
    """
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


async def wait_until_ready(
    child: ChildProcess, is_ready: Callable[[], Awaitable[bool]], within: timedelta = START_TIMEOUT
) -> None:
    """Return once the child answers its protocol.

    Raises:
        ConfigurationError: It ended, or did not answer in time.
    """
    try:
        async with asyncio.timeout(within.total_seconds()):
            while not await is_ready():
                if not child.alive:
                    raise child.build_failure("ended while starting")
                await asyncio.sleep(_PROBE_INTERVAL.total_seconds())
    except TimeoutError as exc:
        raise child.build_failure(f"did not answer within {within.total_seconds():g} s") from exc
    if not child.alive:  # then something else answered on its port
        raise child.build_failure("ended while starting")
