"""$filter: a small parser, with the refusals and the silences of Business Central (BC facts §4).

The result is a predicate over wire records, and where the filter allows it an equality by which an index can be asked.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulators.business_central.entities import EntityType, Property
from simulators.business_central.errors import ApiError, bad_request, query_error, unknown_property
from simulators.business_central.values import raise_case

Predicate = Callable[[dict[str, Any]], bool]
_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')"
    r"|(?P<guid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})"
    r"|(?P<stamp>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))"
    r"|(?P<date>\d{4}-\d\d-\d\d)"
    r"|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_/]*)"
    r"|(?P<punct>[(),:]))"
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
}
_TEXT_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "startswith": lambda text, part: text.startswith(part),
    "endswith": lambda text, part: text.endswith(part),
    "contains": lambda text, part: part in text,
}
_LITERALS = frozenset({"string", "guid", "stamp", "date", "number"})
_ACCEPTED = {
    "guid": frozenset({"guid"}),
    "code": frozenset({"string"}),
    "text": frozenset({"string"}),
    "enum": frozenset({"string"}),
    "decimal": frozenset({"number"}),
    "int": frozenset({"number"}),
    "date": frozenset({"date"}),
    "datetime": frozenset({"stamp"}),
    "bool": frozenset({"name"}),
}


@dataclass(frozen=True, slots=True)
class Node:
    """One parsed part: its test, the fields it reads, and its equalities where it is nothing but equalities."""

    test: Predicate
    fields: frozenset[str]
    equal: tuple[str, tuple[Any, ...]] | None = None


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def parse_filter(text: str, entity: EntityType) -> Node:
    """Parse; raises ApiError in BC's words for what it refuses."""
    return _Parser(text, entity).parse()


class _Parser:
    def __init__(self, text: str, entity: EntityType) -> None:
        self._text = text
        self._entity = entity
        self._tokens = self._split(text)
        self._at = 0

    def _split(self, text: str) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        stripped = text.rstrip()
        while at < len(stripped):
            match = _TOKEN.match(stripped, at)
            if match is None or match.lastgroup is None:
                raise self._error(at)
            tokens.append(_Token(match.lastgroup, match.group(match.lastgroup)))
            at = match.end()
        return tokens

    def _error(self, at: int) -> ApiError:
        return query_error(f"Syntax error at position {at} in '{self._text}'.")

    def _peek(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else _Token("end", "")

    def _next(self) -> _Token:
        token = self._peek()
        self._at += 1
        return token

    def _take(self, text: str) -> None:
        if self._next().text != text:
            raise self._error(self._at)

    def parse(self) -> Node:
        node = self._either()
        if self._peek().kind != "end":
            raise self._error(self._at)
        return node

    def _either(self) -> Node:
        node = self._both()
        while self._peek().text == "or":
            self._next()
            node = _either(node, self._both())
        return node

    def _both(self) -> Node:
        node = self._term()
        while self._peek().text == "and":
            self._next()
            node = _both(node, self._term())
        return node

    def _term(self) -> Node:
        token = self._peek()
        if token.text == "not":
            self._next()
            inner = self._term()
            return Node(lambda record: not inner.test(record), inner.fields)
        if token.text == "(":
            self._next()
            node = self._either()
            self._take(")")
            return node
        if token.text in _TEXT_FUNCTIONS:
            return self._text_function()
        return self._comparison()

    def _text_function(self) -> Node:
        function = _TEXT_FUNCTIONS[self._next().text]
        self._take("(")
        prop, folded = self._field()
        self._take(",")
        part = self._literal(prop)
        self._take(")")
        name = prop.name
        if folded:
            part = part.casefold()
            return Node(lambda record: function(record[name].casefold(), part), frozenset({name}))
        return Node(lambda record: function(record[name], part), frozenset({name}))

    def _field(self) -> tuple[Property, bool]:
        """Read a property, possibly inside tolower or toupper, which only switch case sensitivity off."""
        token = self._next()
        if token.text in {"tolower", "toupper"}:
            self._take("(")
            prop, _ = self._field()
            self._take(")")
            return prop, True
        if token.kind != "name":
            raise self._error(self._at)
        prop = self._entity.properties.get(token.text)
        if prop is None:
            raise unknown_property(token.text, self._entity.name)
        return prop, False

    def _comparison(self) -> Node:
        if self._is_lambda():
            return self._skip_lambda()
        prop, folded = self._field()
        operator = self._next()
        if operator.text not in _COMPARISONS:
            raise self._error(self._at)
        return _compare(prop, operator.text, self._literal(prop), folded=folded)

    def _is_lambda(self) -> bool:
        token = self._peek()
        return token.kind == "name" and token.text.endswith(("/any", "/all"))

    def _skip_lambda(self) -> Node:
        """Ignore any/all without a word: the answer is then unfiltered (OData known limitations)."""
        self._next()
        depth = 0
        while True:
            token = self._next()
            if token.kind == "end":
                raise self._error(self._at)
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if not depth:
                return Node(lambda _record: True, frozenset())

    def _literal(self, prop: Property) -> Any:
        token = self._next()
        if token.text in {"tolower", "toupper"}:
            self._take("(")
            value = self._literal(prop)
            self._take(")")
            return value
        if token.kind == "end" or (token.kind not in _LITERALS and token.text not in {"true", "false", "null"}):
            raise self._error(self._at)
        if token.text == "null":
            return prop.blank
        if token.kind not in _ACCEPTED[prop.kind] and not (prop.kind == "datetime" and token.kind == "date"):
            raise bad_request(
                "A binary operator with incompatible types was detected. Found operand types "
                f"'Edm.{prop.kind.capitalize()}' and 'Edm.{token.kind.capitalize()}'."
            )
        return _read_literal(prop, token)


def _read_literal(prop: Property, token: _Token) -> Any:
    match token.kind:
        case "string":
            return _read_string(prop, token.text[1:-1].replace("''", "'"))
        case "guid":
            return token.text.lower()
        case "number":
            number = float(token.text)
            return int(number) if number.is_integer() else number
        case "stamp":
            return _comparable_stamp(token.text)
        case "name":
            return token.text == "true"
        case _:
            return token.text


def _read_string(prop: Property, value: str) -> str:
    # Longer than the field is an error, not an empty result (Error codes: Application_FilterErrorException).
    if prop.length is not None and len(value.encode("utf-16-le", "surrogatepass")) // 2 > prop.length:
        text = f"The filter value '{value}' exceeds the length of the field '{prop.name}' ({prop.length})."
        raise ApiError(400, "Application_FilterErrorException", text)
    if prop.kind == "enum" and value not in prop.members:
        raise bad_request(f"The value '{value}' is not a member of '{prop.name}'. Members: {', '.join(prop.members)}")
    return raise_case(value.strip(" ")) if prop.kind == "code" else value


def _comparable_stamp(text: str) -> str:
    """Pad to milliseconds, so that stamps compare as text; other zones than Z are not served."""
    body = text.rstrip("Z")
    seconds, _, fraction = body.partition(".")
    return f"{seconds}.{fraction[:3]:0<3}Z"


def _compare(prop: Property, operator: str, value: Any, *, folded: bool) -> Node:
    name, fields = prop.name, frozenset({prop.name})
    if isinstance(value, str) and prop.kind in {"text", "code"}:
        if operator in {"eq", "ne"} and ("*" in value or "?" in value):
            return _compare_pattern(name, value, wanted=operator == "eq")
        if folded:
            value = value.casefold()
            act = _COMPARISONS[operator]
            return Node(lambda record: act(record[name].casefold(), value), fields)
    if operator == "eq":
        return Node(lambda record: record[name] == value, fields, (name, (value,)))
    act = _COMPARISONS[operator]
    return Node(lambda record: act(record[name], value), fields)


def _compare_pattern(name: str, value: str, *, wanted: bool) -> Node:
    """Treat `*` and `?` in a value as wildcards, as AL filters do (BC facts §8)."""
    pattern = re.compile(re.escape(value).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
    return Node(lambda record: (pattern.fullmatch(record[name]) is not None) is wanted, frozenset({name}))


def _either(left: Node, right: Node) -> Node:
    fields = left.fields | right.fields
    if len(fields) > 1:
        raise bad_request("The 'OR' operator is not supported on distinct fields on an OData filter.")
    equal = None
    if left.equal and right.equal:
        equal = (left.equal[0], left.equal[1] + right.equal[1])
    return Node(lambda record: left.test(record) or right.test(record), fields, equal)


def _both(left: Node, right: Node) -> Node:
    equal = left.equal or right.equal
    return Node(lambda record: left.test(record) and right.test(record), left.fields | right.fields, equal)
