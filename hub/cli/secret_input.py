"""Secrets as a person gives them to a command: from a file, the environment or a prompt, at worst as a bare word."""

import sys
from pathlib import Path

import typer
from pydantic import SecretStr

from hub.cli.context import Exit, fail
from hub.cli.given_files import UnreadableFileError, read_given_file
from hub.cli.screen import print_warning

ASK = "-"
_LONGEST = 10_000
_FROM_FILE = "@"


def warn_of_bare_secrets(context: typer.Context, *parameters: str) -> None:
    """Say which secrets stand in the list of processes: what was typed as a word, and not as @FILE or -."""
    bare = [f"--{name.replace('_', '-')}" for name in parameters if _is_bare(context, name)]
    if bare:
        print_warning(
            f"What is given with {' and '.join(bare)} stands in the machine's list of processes, where all its users "
            "can read it, and in your shell's history. Better: @FILE, - to be asked, or the environment (docs/cli.md)."
        )


def read_secret(given: str | None, option: str) -> SecretStr:
    """Take a secret as it is, from the file after the @, or from who is asked; ends the command if there is none."""
    if given == ASK or (given is None and sys.stdin.isatty()):
        text = _ask(option)
    elif given is None:
        text = ""
    elif given.startswith(_FROM_FILE):
        text = _read(given.removeprefix(_FROM_FILE), option)
    else:
        text = given
    if not text.strip():
        fail(
            f"{option} is empty. Give @FILE of a file that holds the secret, or - to be asked for it.",
            Exit.USAGE,
        )
    return SecretStr(text.strip())


def _is_bare(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    if source is None or source.name != "COMMANDLINE":
        return False
    value = context.params[name]
    given = [value] if isinstance(value, str) else list(value or ())
    return any(one != ASK and not one.startswith(_FROM_FILE) for one in given)


def _ask(option: str) -> str:
    """Ask on stderr, without showing what is typed. What is piped in is not asked for: its first line is the answer."""
    if not sys.stdin.isatty():
        return sys.stdin.readline(_LONGEST)
    try:
        return str(typer.prompt(f"The secret for {option}", hide_input=True, err=True))
    except typer.Abort:
        fail(f"Nobody gave the secret for {option}. Give @FILE, - to be asked, or the environment.", Exit.USAGE)


def _read(path: str, option: str) -> str:
    try:
        return read_given_file(Path(path))
    except UnreadableFileError as error:
        fail(f"{option}: the file {path} {error}. Give one that holds the secret alone.", Exit.USAGE)
