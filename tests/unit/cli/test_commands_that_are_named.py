"""Every command that a message of the command line names exists, and runs as it stands with several connections."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.reference import walk

ROOT = Path(__file__).parents[3]
COMMANDS = {path.removeprefix("hub "): command for path, command in walk()}
# A message may speak of a command (`hub settings import FILE`); what stands after a colon is to be pasted.
_NAMED = re.compile(r"(?:: |See )hub ((?:[a-z]+)(?: [a-z-]+)?)((?: [^\s.;,)]+)*)")


def list_texts() -> Iterator[tuple[str, str]]:
    """Every text of a message, with its place; help texts and docstrings are read beside --help, not pasted."""
    for path in sorted((ROOT / "hub" / "cli").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        left_out = {id(one) for one in find_help(tree)}
        for node in ast.walk(tree):
            if id(node) not in left_out and isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.name}:{node.lineno}", node.value


def find_help(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant() as docstring):
                yield docstring
            case ast.keyword(arg="help" | "metavar"):
                yield from ast.walk(node.value)
            case _:
                pass


def list_named() -> Iterator[tuple[str, str]]:
    """Every command after `name_command(` and every one that is written out, with its place."""
    for path in sorted((ROOT / "hub" / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="name_command"), args=[ast.Constant(value=str() as command), *_]):
                    yield f"{path.name}:{node.lineno}", command
                case ast.Call(func=ast.Name(id="name_command"), args=[ast.JoinedStr(values=parts), *_]):
                    yield f"{path.name}:{node.lineno}", "".join(str(getattr(one, "value", "")) for one in parts[:1])
                case _:
                    pass


def find_command(words: str) -> str:
    """Return the command that these words begin with."""
    return next((name for name in sorted(COMMANDS, key=len, reverse=True) if f"{words} ".startswith(f"{name} ")), "")


@pytest.mark.parametrize(("place", "command"), list(list_named()))
def test_a_command_that_is_named_with_its_connection_exists_and_takes_one(place: str, command: str) -> None:
    name = find_command(command.strip())

    assert name, f"{place}: there is no command hub {command}"
    options = {option for one in COMMANDS[name].params for option in (*one.opts, *one.secondary_opts)}
    assert "--connection" in options, place
    assert set(re.findall(r"--[a-z-]+", command)) <= options, place


def test_what_is_written_out_needs_no_connection() -> None:
    found = [(place, match) for place, text in list_texts() for match in _NAMED.finditer(text)]

    assert len(found) > 5
    for place, match in found:
        name = find_command(f"{match[1]}{match[2]}")
        assert name, f"{place}: there is no command {match[0]!r}"
        needs = {option for one in COMMANDS[name].params for option in one.opts} & {"--connection"}
        is_general = name in {"events tail", "connections add", "dead list"}
        assert not needs or is_general, f"{place}: use name_command, for there may be several connections"
