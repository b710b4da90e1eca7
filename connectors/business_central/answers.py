"""Answers of Business Central read as records; what can't be read is an error of its own. No I/O."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from connectors.business_central.errors import Call, RawAnswer, classify_failure
from connectors.business_central.exact_json import parse_json
from connectors.business_central.models import BcRecord

R = TypeVar("R", bound=BcRecord)

# A link to the next page repeats the filter; no field of a record is nearly as long.
_LONGEST_TEXT = 2**14


def parse_object(call: Call, answer: RawAnswer) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        HubError: it is none; a write is then in doubt.
    """
    try:
        body = parse_json(answer.content)
    except ValueError as error:
        raise classify_failure(call, answer) from error
    if not isinstance(body, dict) or not has_bounds(cast("object", body)):
        raise classify_failure(call, answer)
    return cast("dict[str, Any]", body)


def has_bounds(value: object) -> bool:
    """Tell whether all texts within are as short as what Business Central stores."""
    left = [value]
    while left:
        match left.pop():
            case str() as text if len(text) > _LONGEST_TEXT:
                return False
            case dict() as members:
                left.extend(cast("dict[str, object]", members).values())
            case list() as members:
                left.extend(cast("list[object]", members))
            case _:
                pass
    return True


def parse_page(call: Call, answer: RawAnswer) -> tuple[list[dict[str, Any]], str | None]:
    """Read a page of a list: its rows, and the link to the next page."""
    body = parse_object(call, answer)
    rows, link = body.get("value"), body.get("@odata.nextLink")
    if not isinstance(rows, list) or not isinstance(link, str | None) or not all(isinstance(row, dict) for row in rows):
        raise classify_failure(call, answer)
    return cast("list[dict[str, Any]]", rows), link


def parse_record(call: Call, model: type[R], body: Mapping[str, Any], answer: RawAnswer) -> R:
    """Read a record from the body of an answer."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise classify_failure(call, answer) from error


def parse_all(call: Call, model: type[R], rows: Iterable[Mapping[str, Any]]) -> tuple[R, ...]:
    """Read the rows of a list."""
    return tuple(parse_record(call, model, row, RawAnswer(200)) for row in rows)
