"""Which paths into Stripe's objects a template reads, found without running it: through variables and loops too."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from liquid import BoundTemplate, Expression, Node
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.echo_tag import EchoNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.context import RenderContext

from mapping.palette import ANY, Segment
from mapping.templates import TemplateError, parse_template
from schemas.field_mappings import FieldMapping

Segments = tuple[Segment, ...]


@dataclass(frozen=True)
class Reference:
    """A path that a template reads, with what its variables stand for put in."""

    path: Segments
    index: int
    """Of the first character in the template."""
    is_printed: bool
    """Whether the value is put out as it is."""


@lru_cache(maxsize=2_000)
def list_references(text: str) -> tuple[Reference, ...]:
    """List the paths a template reads. What it made itself by filters or captures is left out.

    Raises:
        TemplateError: it can't be parsed.
    """
    template = parse_template(text)
    try:
        return tuple(_Reader(template).read(template.nodes, {}))
    except RecursionError as error:
        raise TemplateError("it is nested too deep") from error


def list_roots(mappings: Iterable[FieldMapping]) -> frozenset[str]:
    """List the objects that templates look at, of `invoice`, `customer`, `metadata`, `line`, `product` and `price`.

    A template that can't be parsed looks at none; rendering it says why.
    """
    roots: set[str] = set()
    for mapping in mappings:
        with suppress(TemplateError):
            roots.update(str(reference.path[0]) for reference in list_references(mapping.template))
    return frozenset(roots)


class _Reader:
    """Walks one template. A name stands for a path, or for None where that is not known."""

    def __init__(self, template: BoundTemplate) -> None:
        self._context = RenderContext(template)
        self._assigned: dict[str, Segments | None] = {}

    def read(self, nodes: Iterable[Node], loops: dict[str, Segments | None]) -> Iterator[Reference]:
        """Yield what these nodes read; `loops` has the variables of the loops around them."""
        for node in nodes:
            for expression in node.expressions():
                yield from self._read_expression(expression, loops, is_printed=_is_printed(node))
            for name in node.template_scope():
                self._assign(str(name), self._resolve_assigned(node, loops))
            inner = {**loops, **self._list_loop_names(node, loops)}
            yield from self.read(node.children(self._context, include_partials=False), inner)

    def _read_expression(
        self, expression: Expression, loops: dict[str, Segments | None], *, is_printed: bool
    ) -> Iterator[Reference]:
        if isinstance(expression, Path):
            path = self._resolve(expression, loops)
            if path is not None:
                yield Reference(path, expression.token.start_index, is_printed)
        is_bare = isinstance(expression, FilteredExpression) and not expression.filters
        for child in expression.children():
            yield from self._read_expression(child, loops, is_printed=is_printed and is_bare)

    def _resolve(self, path: Path, loops: dict[str, Segments | None]) -> Segments | None:
        segments = tuple(None if isinstance(segment, Path) else segment for segment in path.path)
        names = {**self._assigned, **loops}
        root = segments[0]
        if not isinstance(root, str) or root not in names:
            return segments
        start = names[root]
        return None if start is None else (*start, *segments[1:])

    def _resolve_bare(self, expression: Expression, loops: dict[str, Segments | None]) -> Segments | None:
        if isinstance(expression, FilteredExpression) and not expression.filters:
            expression = expression.left
        return self._resolve(expression, loops) if isinstance(expression, Path) else None

    def _resolve_assigned(self, node: Node, loops: dict[str, Segments | None]) -> Segments | None:
        return self._resolve_bare(node.expression, loops) if isinstance(node, AssignNode) else None

    def _assign(self, name: str, path: Segments | None) -> None:
        """A name that is given twice may stand for either: nothing is known of it then."""
        self._assigned[name] = None if name in self._assigned else path

    def _list_loop_names(self, node: Node, loops: dict[str, Segments | None]) -> dict[str, Segments | None]:
        if not isinstance(node, ForNode):
            return dict.fromkeys(map(str, node.block_scope()))
        path = self._resolve_bare(node.expression.iterable, loops)
        return {"forloop": None, str(node.expression.identifier): None if path is None else (*path, ANY)}


def _is_printed(node: Node) -> bool:
    return isinstance(node, OutputNode | EchoNode)
