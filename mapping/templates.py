"""Liquid templates over Stripe objects: parsed once, bounded in everything, free of the clock and of files.

Time is bounded in steps and not in seconds, so that a template which works in a preview works on a busy machine too.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from liquid import BoundTemplate, Environment, Expression, Node, RenderContext, Token, TokenStream, builtin
from liquid.builtin.expressions.logical import ContainsExpression
from liquid.builtin.expressions.loop import LoopExpression
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags import (
    assign_tag,
    capture_tag,
    case_tag,
    comment_tag,
    echo_tag,
    for_tag,
    if_tag,
    inline_comment_tag,
    unless_tag,
)
from liquid.exceptions import (
    BlockNestingError,
    LiquidError,
    LiquidSyntaxError,
    LocalNamespaceLimitError,
    LoopIterationLimitError,
    OutputStreamLimitError,
    ResourceLimitError,
)
from liquid.output import LimitedStringIO
from liquid.undefined import UNDEFINED
from liquid.utils import ReadOnlyChainMap

from mapping.template_filters import LIST_LIMIT, TEXT_LIMIT, build_filters
from schemas.field_mappings import TEMPLATE_LENGTH

STEP_LIMIT = 20_000
"""A step is a name that is read, a filter, or the shortest tag of a loop's body: 20,000 are some ten milliseconds."""
OUTPUT_LIMIT = 16_000
"""Bytes that a template may print; Stripe's longest memo has 1,500 characters."""
_MISSING = object()
_LONG = 50
"""Characters of a value that cost one more step."""
_FILTERS = build_filters()
# Liquid takes a second to read names in brackets in brackets, a thousand deep.
_NESTED = re.compile(r"(\[[^\[\]]*){10}")
_RESERVED = re.compile(r"expected an identifier, found (\w+)")


class TemplateError(Exception):
    """A template that can't be parsed or rendered. Line and column count from 1; 0 where they are not known."""

    def __init__(self, message: str, *, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column

    @property
    def place(self) -> str:
        """Where in the template, for the reader."""
        return f"line {self.line}, column {self.column}" if self.line else ""


class _BoundedLoop(LoopExpression):
    """A loop over no more than a list may have, before it is turned round, cut or skipped through."""

    __slots__ = ()

    def _to_iter(self, obj: object, context: RenderContext) -> tuple[Iterator[Any], int]:
        if isinstance(obj, range) and obj.stop - obj.start > LIST_LIMIT:
            raise LoopIterationLimitError("loop iteration limit reached", token=None)
        return super()._to_iter(obj, context)


class _ForTag(for_tag.ForTag):
    def parse(self, stream: TokenStream) -> Node:
        node = super().parse(stream)
        if isinstance(node, for_tag.ForNode):
            loop = node.expression
            node.expression = _BoundedLoop(
                loop.token,
                loop.identifier,
                loop.iterable,
                limit=loop.limit,
                offset=loop.offset,
                reversed_=loop.reversed,
                cols=loop.cols,
            )
        return node


class _Context(RenderContext):
    """Counts steps, and knows no clock: the names `now` and `today` of Liquid would make replays differ."""

    __slots__ = ("_body", "_steps")

    def __init__(self, template: BoundTemplate, **options: Any) -> None:
        super().__init__(template, **options)
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)
        # The shortest tag that prints nothing has some sixteen characters.
        self._body = 1 + len(template.name) // 16
        self._steps = 0

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        """Resolve a path; what is missing costs no words, for Stripe leaves much out."""
        value: object = self.scope.get(str(path[0]), _MISSING)
        try:
            for segment in path[1:]:
                value = self.get_item(value, segment)
        except (KeyError, TypeError, IndexError):
            value = _MISSING
        self._spend(1 + _weigh(value))
        if value is _MISSING:
            return self.env.undefined(str(path[0]), token=token) if default is UNDEFINED else default
        return value

    def raise_for_loop_limit(self, length: int = 1) -> None:
        super().raise_for_loop_limit(length)
        self._spend(length * self._body)

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        rule = super().filter(name, token)

        def bounded(value: object, *arguments: object, **named: object) -> object:
            self._spend(1 + _weigh(value) + sum(map(_weigh, arguments)))
            result = rule(value, *arguments, **named)
            self._spend(_weigh(result))
            return result

        return bounded

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > STEP_LIMIT:
            raise ResourceLimitError(f"it takes more than {STEP_LIMIT:,} steps", token=None)


_TAGS = (
    builtin.content.Literal,
    builtin.output.Output,
    builtin.illegal.Illegal,
    assign_tag.AssignTag,
    capture_tag.CaptureTag,
    case_tag.CaseTag,
    comment_tag.CommentTag,
    echo_tag.EchoTag,
    _ForTag,
    for_tag.BreakTag,
    for_tag.ContinueTag,
    if_tag.IfTag,
    inline_comment_tag.InlineCommentTag,
    unless_tag.UnlessTag,
)


class _Environment(Environment):
    """No `include` or `render`, no counters that outlive a value, and only our filters."""

    block_nesting_limit = 30
    context_depth_limit = 30
    loop_iteration_limit = LIST_LIMIT
    local_namespace_limit = TEXT_LIMIT
    output_stream_limit = OUTPUT_LIMIT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:  # noqa: ARG002 - Liquid's signature
        for tag in _TAGS:
            self.add_tag(tag)
        self.filters.update(_FILTERS)


_ENVIRONMENT = _Environment()
_LIMITS: Mapping[type[LiquidError], str] = {
    BlockNestingError: f"it nests more than {_Environment.block_nesting_limit} blocks",
    LoopIterationLimitError: f"it loops more than {_Environment.loop_iteration_limit:,} times",
    LocalNamespaceLimitError: "it keeps too much in variables",
    OutputStreamLimitError: f"it prints more than {OUTPUT_LIMIT:,} bytes",
}


@lru_cache(maxsize=2_000)
def parse_template(text: str) -> BoundTemplate:
    """Parse a template; the same text is parsed once.

    Raises:
        TemplateError: it is too long, is not Liquid, or uses a tag or filter that is not there.
    """
    if len(text) > TEMPLATE_LENGTH:
        raise TemplateError(f"the template has {len(text):,} characters; {TEMPLATE_LENGTH:,} are allowed")
    if _NESTED.search(text):
        raise TemplateError("it is nested too deep")
    try:
        # The context measures the body of loops by the template's length, which it knows by name.
        template = _ENVIRONMENT.from_string(text, name=text)
        filters = template.analyze(include_partials=False).filters
        _refuse_searched_ranges(template.nodes, RenderContext(template))
    except Exception as error:  # a template of the user's: whatever it does to Liquid is its fault
        raise _explain(text, error) from error
    for name, spans in filters.items():
        if name not in _FILTERS:
            nearest = get_close_matches(name, _FILTERS, n=1, cutoff=0.0)[0]
            line, column = find_place(text, spans[0].index)
            raise TemplateError(f"there is no filter {name}; did you mean {nearest}?", line=line, column=column)
    return template


def render_template(text: str, context: Mapping[str, Any]) -> str:
    """Render a template over plain dicts, lists and values. What Stripe does not send renders empty.

    Raises:
        TemplateError: it can't be parsed, a filter refuses its input, or it passes a limit.
    """
    template = parse_template(text)
    buffer = LimitedStringIO(OUTPUT_LIMIT)
    try:
        # What template.render() does, less copies of the context.
        template.render_with_context(_Context(template, globals=context), buffer)
    except Exception as error:  # as above
        raise _explain(text, error) from error
    return buffer.getvalue()


def list_filters() -> tuple[str, ...]:
    """List the names of all filters."""
    return tuple(sorted(_FILTERS))


def find_place(text: str, index: int) -> tuple[int, int]:
    """Return line and column of a character, both from 1."""
    before = text[: max(index, 0)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _refuse_searched_ranges(nodes: Iterable[Node], context: RenderContext) -> None:
    """Refuse `(1..99999999) contains x`: it would be searched one by one, and nothing counts that."""
    for node in nodes:
        for expression in node.expressions():
            _refuse_searched_range(expression)
        _refuse_searched_ranges(node.children(context, include_partials=False), context)


def _refuse_searched_range(expression: Expression) -> None:
    if isinstance(expression, ContainsExpression) and isinstance(expression.left, RangeLiteral):
        raise LiquidSyntaxError("a range can't be searched; compare with its ends", token=expression.token)
    for child in expression.children():
        _refuse_searched_range(child)


def _weigh(value: object) -> int:
    """Count the steps that a long value costs.

    Raises:
        ResourceLimitError: it is longer than any should be.
    """
    if isinstance(value, str):
        size, limit, cost = len(value), TEXT_LIMIT, len(value) // _LONG
    elif isinstance(value, list | tuple | dict):
        size, limit, cost = len(value), LIST_LIMIT, len(value)
    elif isinstance(value, range):
        size, limit, cost = value.stop - value.start, LIST_LIMIT, 0  # len() of a longer one fails
    else:
        return 0
    if size > limit:
        raise ResourceLimitError(
            f"a value has more than {limit:,} {'characters' if limit == TEXT_LIMIT else 'parts'}", token=None
        )
    return cost


def _explain(text: str, error: Exception) -> TemplateError:
    if not isinstance(error, LiquidError):
        return TemplateError(
            "it can't be evaluated" if not isinstance(error, RecursionError) else "it is nested too deep"
        )
    if isinstance(error.__cause__, RecursionError):
        return TemplateError("it is nested too deep")
    message = _LIMITS.get(type(error)) or _RESERVED.sub(
        r'"\1" is a word of Liquid; write ["\1"] for .\1', str(error.message)
    )
    if error.token is None or error.token.start_index < 0:
        return TemplateError(message)
    line, column = find_place(text, error.token.start_index)
    return TemplateError(message, line=line, column=column)
