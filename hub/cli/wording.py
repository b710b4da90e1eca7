"""Printing for people. What comes from outside is never taken for markup, and lines are never broken for a pipe."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from hub.cli.screen import out
from hub.harmless import make_harmless, make_line

NO_COUNTRY_RISK = (
    "one without a country may get no posting groups from Business Central, which then refuses its invoices "
    "(customers.new.without_country names a country for those)"
)
Part = str | tuple[str, str]
"""Plain text, or text and its style."""


def name_command(command: str, connection: str) -> str:
    """Name a command that can be pasted as it stands, also where there are several connections."""
    return f"hub {command} --connection {connection}"


def say(*parts: Part) -> None:
    """Print one line on stdout, after a blank one if the first part begins with a line break."""
    if (parts[0] if isinstance(parts[0], str) else parts[0][0]).startswith("\n"):
        out.print()
    out.print(Text.assemble(*(_make_part(part) for part in parts)), soft_wrap=True)


def say_block(text: str) -> None:
    """Print a text of several lines on stdout, set in so that none of them passes for one of ours."""
    for line in text.splitlines():
        out.print(Text(f"  | {make_line(line)}"), soft_wrap=True)


def _make_part(part: Part) -> Part:
    text, style = (part, "") if isinstance(part, str) else part
    return make_line(text.removeprefix("\n")), style


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, whole: Sequence[str] = ()) -> None:
    """Print a table on stdout; the columns in `whole` (ids, to be copied) are not broken."""
    table = Table()
    for column in columns:
        table.add_column(Text(make_harmless(column)), no_wrap=column in whole, overflow="fold")
    for row in rows:
        table.add_row(*(Text(make_harmless(cell)) if isinstance(cell, str) else cell for cell in row))
    out.print(table)
