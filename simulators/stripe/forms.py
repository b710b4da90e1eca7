"""Form bodies and query strings in Stripe's bracket notation: `a[b][0]=c`, `types[]=x`, `%5B` (Stripe facts §64)."""

from typing import Any
from urllib.parse import parse_qsl

from simulators.stripe.errors import ApiError, invalid


def parse_form(raw: str) -> dict[str, Any]:
    """Turn an encoded form into nested dicts of text; arrays stay dicts with numbers as keys."""
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as exc:
        raise ApiError(400, "Invalid request: the body is not UTF-8.", stored=False) from exc
    root: dict[str, Any] = {}
    for key, value in pairs:
        name, bracket, rest = key.partition("[")
        if not bracket:
            root[name] = value
        elif not rest.endswith("]"):
            raise invalid(f"Invalid parameter name: {key}", key)
        else:
            _place(root, [name, *rest[:-1].split("][")], value, key)
    return root


def _place(root: dict[str, Any], path: list[str], value: str, key: str) -> None:
    node = root
    for at, name in enumerate(path[:-1]):
        child = node.setdefault(_slot(node, name, path[at + 1]), {})
        if not isinstance(child, dict):
            raise invalid(f"Invalid parameter: {key}", path[0])
        node = child
    node[_slot(node, path[-1], None)] = value


def _slot(node: dict[str, Any], name: str, following: str | None) -> str:
    """Number an empty bracket: a hash goes on being filled until one of its names comes again."""
    if name:
        return name
    last = node.get(str(len(node) - 1))
    if following and isinstance(last, dict) and following not in last:
        return str(len(node) - 1)
    return str(len(node))


def flatten(params: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """List all leaves with their full names, sorted: what two equal requests have in common."""
    leaves: list[tuple[str, str]] = []
    for name, value in params.items():
        full = f"{prefix}[{name}]" if prefix else name
        if isinstance(value, dict):
            leaves += flatten(value, full)
        else:
            leaves.append((full, str(value)))
    return sorted(leaves)
