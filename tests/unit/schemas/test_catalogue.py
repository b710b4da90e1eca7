"""Every code in the source has an entry in the catalogue, every entry a code, and the document is up to date."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from connectors.stripe.metadata import MAX_VALUE, limit_value
from schemas.catalogue import (
    CATALOGUE,
    Entry,
    business_central,
    find_entry,
    get_entry,
    invoices,
    operations,
    render_catalogue,
    stripe,
)
from schemas.messages import ErrorDetail

ROOT = Path(__file__).parents[3]
SOURCES = ("schemas", "services", "hub", "connectors", "mapping")
# Tables in connectors hold codes as plain texts; nothing else there looks like one.
_CODE_IN_TABLE = re.compile(r"(bc|stripe)(\.[a-z_]+){2}")


def find_codes() -> dict[str, str]:
    """Every code given as `code=…` or standing in a connector's table, and a place where; `*` for what varies."""
    trees = {
        path.relative_to(ROOT): ast.parse(path.read_text(encoding="utf-8"))
        for source in SOURCES
        for path in sorted((ROOT / source).rglob("*.py"))
        if "catalogue" not in path.parts
    }
    constants = {name: text for tree in trees.values() for name, text in list_constants(tree)}
    found: dict[str, str] = {}
    for path, tree in trees.items():
        for line, code in list_codes(tree, constants, is_table=path.parts[0] == "connectors"):
            found.setdefault(code, f"{path}:{line}")
    return found


def list_constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str() as text)):
                yield name, text
            case _:
                pass


def list_codes(tree: ast.Module, constants: Mapping[str, str], *, is_table: bool) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "code":
            yield from ((node.value.lineno, code) for code in read_codes(node.value, constants))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "get_entry":
            yield from ((node.lineno, code) for argument in node.args for code in read_codes(argument, constants))
        elif is_table and isinstance(node, ast.Constant) and _CODE_IN_TABLE.fullmatch(str(node.value)):
            yield node.lineno, str(node.value)


def read_codes(value: ast.expr, constants: Mapping[str, str]) -> Iterator[str]:
    match value:
        case ast.Constant(value=str() as code):
            yield code
        case ast.Name(id=name) if name in constants:
            yield constants[name]
        case ast.JoinedStr(values=parts):
            yield "".join(part.value if isinstance(part, ast.Constant) else "*" for part in parts)  # pyright: ignore[reportCallIssue, reportArgumentType]
        case ast.IfExp(body=body, orelse=other):
            yield from read_codes(body, constants)
            yield from read_codes(other, constants)
        case _:
            pass


def test_every_code_in_the_source_has_an_entry() -> None:
    known = {one.code for one in CATALOGUE}
    missing = {code: place for code, place in find_codes().items() if code not in known}

    assert not missing, "add to a module of schemas/catalogue, then run hub errors --markdown > docs/errors.md:\n" + (
        "\n".join(
            f'    Entry("{code}", "What it means.", "What to do.", Page.…),  # {missing[code]}' for code in missing
        )
    )


def test_every_entry_is_used() -> None:
    used = set(find_codes())

    assert not (unused := [one.code for one in CATALOGUE if one.code not in used]), (
        f"delete from the catalogue: {unused}"
    )


@pytest.mark.parametrize("module", [invoices, business_central, stripe, operations])
def test_codes_stand_in_order_and_once(module: ModuleType) -> None:
    codes = [one.code for one in module.ENTRIES]

    assert codes == sorted(set(codes))


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda one: one.code)
def test_an_entry_says_in_whole_sentences_what_is_wrong_and_what_to_do(entry: Entry) -> None:
    assert re.fullmatch(r"[a-z_]+(\.([a-z_]+|\*))+", entry.code)
    for sentence in (entry.cause, entry.fix):
        assert sentence[0].isupper() or sentence.startswith("HUB_")
        assert sentence.endswith(".")
    assert limit_value(entry.cause, entry.fix) == f"{entry.cause} {entry.fix}"
    assert len(entry.cause) + len(entry.fix) < MAX_VALUE // 2


def test_a_code_is_found_by_its_pattern() -> None:
    assert get_entry("stripe.invoice.missing").code == "stripe.*.missing"
    assert get_entry("bc.invoice.posted").code == "bc.invoice.posted"
    assert find_entry("nobody.knows.it") is None
    with pytest.raises(KeyError, match="not in schemas/catalogue"):
        get_entry("nobody.knows.it")


def test_an_error_without_words_on_what_to_do_takes_those_of_the_catalogue() -> None:
    passing = ErrorDetail(kind="retry_later", code="bc.answer.timeout", message="Business Central did not answer.")
    own = ErrorDetail(kind="refused", code="contact.blocked", message="Blocked.", fix="Unblock it.")
    blocked = ErrorDetail(kind="blocked", code="bc.sign_in.expired", message="Connect again.")

    assert passing.text == "Business Central did not answer. Nothing: the hub tries again by itself."
    assert (own.text, blocked.text) == ("Blocked. Unblock it.", "Connect again.")


def test_the_document_has_not_drifted() -> None:
    kept = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")

    assert kept == render_catalogue(), "run: hub errors --markdown > docs/errors.md"
