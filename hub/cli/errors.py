"""`hub errors`: the catalogue of codes: cause, fix, and where to go."""

from dataclasses import asdict
from typing import Annotated

import typer

from hub.cli.context import Exit, fail
from hub.cli.screen import print_json
from hub.cli.wording import say, show_table
from schemas.catalogue import CATALOGUE, find_entry, render_catalogue

NAME = "errors"


def command(
    code: Annotated[
        str | None, typer.Argument(metavar="[CODE]", help="As a result, the log or hub waiting shows it. Default: all.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="All of them, as docs/errors.md has them.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")] = False,
) -> None:
    """Explain an error's code: what it means, what to do, and where."""
    if markdown:
        typer.echo(render_catalogue(), nl=False)
        return
    entry = find_entry(code) if code else None
    if code and entry is None:
        fail(f"There is no code {code!r}. hub errors lists all.", Exit.NOT_FOUND)
    found = [entry] if entry else list(CATALOGUE)
    if as_json:
        print_json([asdict(one) for one in found])
    elif entry:
        for name, words in (("cause", entry.cause), ("fix", entry.fix), ("where", entry.page)):
            say((f"{name:<6}", "dim"), words)
    else:
        show_table(("Code", "Cause", "What to do"), [(one.code, one.cause, one.fix) for one in found], whole=("Code",))
