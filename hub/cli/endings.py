"""How a command ends, whatever it meets: a sentence or a JSON object on stderr, an exit code, and no stack trace."""

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from typer import rich_utils
from typer._click.exceptions import ClickException  # typer re-exports only what is below it
from typer.core import TyperGroup

from hub.cli.context import Exit, choose_exit, tell_error
from hub.cli.screen import allow_any_text, print_error, speak_json
from schemas.errors import ConfigurationError, HubError

_INTERRUPTED = 130


class HubGroup(TyperGroup):
    """The command line as a whole."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002 - Click's signature
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run a command, and end the process's main function with its exit code."""
        words = list(sys.argv[1:] if args is None else args)
        allow_any_text()
        with speak_json(wanted="--json" in words):
            try:
                _require_text(words)
                code = super().main(words, prog_name, complete_var, False, windows_expand_args, **extra)
                sys.stdout.flush()
            except Exception as error:  # noqa: BLE001 - a command ends with a sentence, whatever it met
                code = _end(error, speaks_json="--json" in words)
        sys.exit(code if isinstance(code, int) else int(Exit.OK))


def _require_text(words: Sequence[str]) -> None:
    try:
        "".join(words).encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError("What was given is no text in UTF-8.", code="configuration.invalid") from error


def _end(error: Exception, *, speaks_json: bool) -> int:
    if isinstance(error, ClickException) and not speaks_json:
        rich_utils.rich_format_error(error)
        return error.exit_code
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        _leave_closed_pipe()
        return int(Exit.PROBLEM)
    message, code = _describe(error)
    try:
        print_error(message, code, getattr(error, "code", None))
        sys.stderr.flush()
    except OSError:  # nobody is there to be told, or there is no room
        _leave_closed_pipe()
    return code


def _describe(error: Exception) -> tuple[str, int]:  # noqa: PLR0911 - a table
    match error:
        case ClickException():
            return error.format_message(), error.exit_code
        case typer.Abort():
            return "Nobody answered.", int(Exit.USAGE)
        case HubError():
            return tell_error(error), int(choose_exit(error))
        case RecursionError():
            return "What was given is nested too deep to be read.", int(Exit.USAGE)
        case MemoryError():
            return "There is not enough memory for this.", int(Exit.PROBLEM)
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            reason = error.strerror or type(error).__name__
            return f"{where}{reason}. Check paths, disk and rights, and run the command again.", int(Exit.USAGE)
        case _:
            return _describe_defect(error), int(Exit.PROBLEM)


def _describe_defect(error: Exception) -> str:
    """Say where a defect is; the whole trace only to those who ask for it."""
    if os.environ.get("HUB_LOG_LEVEL") == "debug":
        return "".join(traceback.format_exception(error))
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} in {last.name}, line {last.lineno}"
    return f"The command met a defect of the hub ({where}). Run it with HUB_LOG_LEVEL=debug, and report what it says."


def _leave_closed_pipe() -> None:
    """Let the interpreter's last flush go nowhere: who read has left."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
