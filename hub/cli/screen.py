"""Stdout and stderr of the commands: the one place through which all that they print passes, and is made harmless."""

import json
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from hub.harmless import escape_json, make_harmless

_speaks_json: ContextVar[bool] = ContextVar("speaks_json", default=False)


class Screen(Console):
    """A console that obeys nothing but its own styles."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, with all that a terminal would obey in a text written out."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=make_harmless(segment.text))


out = Screen()
err = Screen(stderr=True)


@contextmanager
def speak_json(*, wanted: bool) -> Generator[None]:
    """Let errors and warnings be JSON while the block runs: the command was given --json."""
    token = _speaks_json.set(wanted)
    try:
        yield
    finally:
        _speaks_json.reset(token)


def print_json(value: object) -> None:
    """Print one JSON document on stdout, on one line, for scripts."""
    typer.echo(_write_json(value))


def print_text(text: str) -> None:
    """Print a text as it is, for a file perhaps, but harmless: YAML and CSV."""
    typer.echo(make_harmless(text), nl=False)


def print_error(message: str, exit_code: int, code: str | None = None) -> None:
    """Say on stderr why the command ends: a sentence, or with --json an object."""
    if _speaks_json.get():
        typer.echo(_write_json({"error": {"message": message, "code": code, "exit": exit_code}}), err=True)
    else:
        err.print(message, style="bold red", highlight=False, markup=False, soft_wrap=True)


def print_warning(message: str) -> None:
    """Say on stderr what should be known: a sentence, or with --json an object on a line of its own."""
    if _speaks_json.get():
        typer.echo(_write_json({"warning": message}), err=True)
    else:
        err.print(message, style="yellow", highlight=False, markup=False, soft_wrap=True)


def allow_any_text() -> None:
    """Write what the terminal's encoding lacks as an escape, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="backslashreplace")


def _write_json(value: object) -> str:
    return escape_json(json.dumps(value, default=str, ensure_ascii=False))
