"""What templates can read: the known paths into Stripe's objects, and what is wrong with one that is not known.

`data/stripe_fields.json` lists them with kind and meaning, for the API version that the hub pins; products, prices and
some addresses were added from the same version's types (stripe-python), and a test compares all with these types.
`gone` names what Stripe removed in 2025, and what it became.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Literal

Kind = Literal["text", "id", "choice", "number", "money", "time", "yes/no", "metadata"]
Segment = str | int | None
"""A name, an index, or None for one that is only known when the template runs."""
ANY = "[]"


@dataclass(frozen=True)
class PaletteField:
    """A path: `[]` stands for any member of a list, and metadata may have any key. Money is in minor units."""

    path: str
    kind: Kind
    about: str


@dataclass
class _Node:
    """A value (with kind), a list (with `[]` alone), or a group of names."""

    kind: Kind | None = None
    members: dict[str, "_Node"] = field(default_factory=dict[str, "_Node"])


def list_palette() -> tuple[PaletteField, ...]:
    """List all known paths."""
    return _load()[0]


def find_problem(path: Sequence[Segment], *, is_printed: bool) -> str:
    """Say what is wrong with a path, and what was probably meant; empty if it is known.

    `is_printed`: the path is put out as it is, so it must lead to a value.
    """
    node = _build_tree()
    for index, segment in enumerate(path):
        if segment == "size" and segment not in node.members:
            return ""
        following = _follow(node, segment)
        if following is None:
            return _explain(path, index, node)
        node = following
    if is_printed and (node.members or node.kind == "metadata"):
        return f"{write_path(path)} is no single value; name one in it, like {_find_nearest(write_path(path))}"
    return ""


def write_path(path: Sequence[Segment]) -> str:
    """Write a path as a template does: `invoice.custom_fields[0].value`, `metadata["my key"]`."""
    parts: list[str] = []
    for segment in path:
        match segment:
            case None:
                parts.append(ANY)
            case int():
                parts.append(f"[{segment}]")
            case str() if segment == ANY:
                parts.append(ANY)
            case str() if segment.replace("_", "a").replace("-", "a").isalnum():
                parts.append(f".{segment}" if parts else segment)
            case _:
                parts.append(f'["{segment}"]')
    return "".join(parts)


def _follow(node: _Node, segment: Segment) -> _Node | None:
    if node is _ANYTHING or node.kind == "metadata":
        return _ANYTHING
    if ANY in node.members:
        is_member = isinstance(segment, int) or segment in {None, ANY, "first", "last"}
        return node.members[ANY] if is_member else None
    if segment is None:
        return _ANYTHING if node.members else None
    return node.members.get(segment) if isinstance(segment, str) else None


def _explain(path: Sequence[Segment], index: int, parent: _Node) -> str:
    written, before = write_path(path), write_path(path[:index])
    for gone, instead in _load()[1].items():
        if f"{written}.".startswith(f"{gone}."):
            return f"Stripe has no {gone} any more" + (f"; use {instead}" if instead else "")
    if ANY in parent.members:
        return f"{before} is a list: name a member, like {_find_nearest(before)} with [0] for [], or loop over it"
    if parent.kind == "id":
        return f"{before} is only an id in Stripe; did you mean {_find_nearest(_write_last(path, index))}?"
    return f"there is no {written}; did you mean {_find_nearest(written)}?"


def _write_last(path: Sequence[Segment], index: int) -> str:
    """Write the end of a path, from the object that an id names: `customer.name` of `invoice.customer.name`."""
    return write_path(path[index - 1 :])


def _find_nearest(written: str) -> str:
    paths = [one.path for one in list_palette()]
    inside = [path for path in paths if path.startswith((f"{written}.", f"{written}{ANY}"))]
    nearest = (inside or get_close_matches(written, paths, n=1, cutoff=0.0))[0]
    return f"{nearest}.your_key" if nearest.endswith("metadata") else nearest


@cache
def _load() -> tuple[tuple[PaletteField, ...], Mapping[str, str]]:
    raw = json.loads(files("mapping").joinpath("data/stripe_fields.json").read_text(encoding="utf-8"))
    return tuple(PaletteField(*row) for row in raw["fields"]), raw["gone"]


_ANYTHING = _Node(kind="text")


@cache
def _build_tree() -> _Node:
    root = _Node()
    for known in list_palette():
        node = root
        for name in known.path.replace(ANY, f".{ANY}").split("."):
            node = node.members.setdefault(name, _Node())
        node.kind = known.kind
    invoice = root.members["invoice"]
    root.members["metadata"] = invoice.members["metadata"]
    invoice.members["lines"] = _Node(members={"data": _Node(members={ANY: root.members["line"]})})
    return root
