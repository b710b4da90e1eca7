"""Settings as a YAML file: read with messages that name the path and what is allowed there, merged, compared."""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

import yaml
from pydantic import BaseModel, ValidationError

from hub.cli.given_files import UnreadableFileError, read_given_file
from mapping.mapping_checks import check_templates
from schemas.errors import ConfigurationError
from schemas.settings import Settings


class _PlainLoader(yaml.SafeLoader):
    """Reads scalars as they are written: 6110 and 0100 are account numbers, NO is a code, not false."""


# Only null, true and false keep a meaning of their own; everything else is text, which the settings' types read.
_PlainLoader.yaml_implicit_resolvers = {}
_PlainLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$", re.IGNORECASE), list("tTfF"))
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(~|null|)$", re.IGNORECASE), ["~", "n", "N", ""]
)


def load_settings_file(path: Path) -> dict[str, Any]:
    """Read a file's settings, whole or some, not yet checked.

    Raises:
        ConfigurationError: it can't be read, or is no YAML of that form.
    """
    try:
        text = read_given_file(path)
    except UnreadableFileError as error:
        raise _refuse([f"The file {path} {error}. Give one that hub settings export wrote."]) from error
    return parse_values(text)


def parse_values(text: str) -> dict[str, Any]:
    """Read settings from YAML, not yet checked.

    Raises:
        ConfigurationError: it is no YAML of that form.
    """
    try:
        values: object = yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a SafeLoader that knows less
    except yaml.MarkedYAMLError as error:
        raise _refuse([_describe_mark(text, error)]) from error
    except yaml.YAMLError as error:
        raise _refuse(["The file is not YAML."]) from error
    except RecursionError as error:
        raise _refuse(["The file is nested too deep."]) from error
    except ValueError as error:  # a date that is none, a key that can't be one
        raise _refuse(["The file holds a value that can't be read."]) from error
    if not isinstance(values, dict):
        raise _refuse(["The file must hold settings, one `name: value` a line."])
    return cast("dict[str, Any]", values)


def _describe_mark(text: str, error: yaml.MarkedYAMLError) -> str:
    """Say where YAML broke off; a template that is not in quotes looks like a group to it."""
    if error.problem_mark is None:
        return f"The file is not YAML: {error.problem}."
    number = error.problem_mark.line
    is_template = any(re.search(r"\{[{%]", line) for line in text.splitlines()[number : number + 1])
    hint = " Put the template in quotes, or on lines of its own after >-." if is_template else ""
    return f"The file is not YAML: {error.problem} in line {number + 1}.{hint}"


def merge_values(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Put changes over what there is: groups are merged by their names, anything else, also a list, is replaced.

    A group of another `type` has other names, and is replaced too.
    """
    merged = dict(base)
    for name, change in changes.items():
        old = _as_group(merged.get(name)) or {}
        new = _as_group(change)
        is_same_kind = new is not None and new.get("type") in {None, old.get("type")}
        merged[name] = merge_values(old, new) if new is not None and is_same_kind else change
    return merged


def _as_group(value: object) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def build_settings(values: Mapping[str, Any]) -> Settings:
    """Check values, and try the field mappings on the built-in samples.

    Raises:
        ConfigurationError: the message lists every place that is wrong.
    """
    try:
        settings = Settings.model_validate(_read_seconds(values))
    except ValidationError as error:
        raise _refuse([_describe(one) for one in error.errors(include_url=False)]) from None
    if problems := check_templates(settings):
        raise _refuse(problems)
    return settings


def dump_settings(settings: Settings) -> str:
    """Write settings as YAML; `parse_values` and `build_settings` give the same back."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def compare_settings(old: Settings, new: Settings) -> list[str]:
    """List the lines that change, in the form of `diff -u`; empty when nothing does."""
    before, after = dump_settings(old).splitlines(), dump_settings(new).splitlines()
    return list(difflib.unified_diff(before, after, "now", "new", lineterm="", n=2))


def _read_seconds(values: Mapping[str, Any]) -> dict[str, Any]:
    """A bare number is seconds; written as text, pydantic takes it for nothing."""
    window = values.get("doubt_window")
    is_number = isinstance(window, str) and re.fullmatch(r"\d+(\.\d+)?", window) is not None
    return {**values, "doubt_window": float(cast("str", window))} if is_number else dict(values)


_LIST = "{where} must be a list: [one, another], or each on a line of its own after a hyphen."
_GROUP = "{where} must be a group of settings, each `name: value` on a line of its own."
_TYPE = "{where}: its type must be one of Account, Item, Comment or Bundle."
# Pydantic's errors in words of the file.
_WORDS = {
    "missing": "{where} is missing.",
    "literal_error": "{where} must be {expected}.",
    "tuple_type": _LIST,
    "model_type": _GROUP,
    "dict_type": _GROUP,
    "union_tag_invalid": _TYPE,
    "union_tag_not_found": _TYPE,
    "too_short": "{where} must have at least {min_length}.",
    "too_long": "{where} must have at most {max_length}.",
    "int_parsing": "{where} must be a whole number.",
    "int_type": "{where} must be a whole number.",
    "decimal_parsing": "{where} must be a number.",
    "bool_parsing": "{where} must be true or false.",
    "bool_type": "{where} must be true or false.",
    "string_type": "{where} must be a text.",
    "string_pattern_mismatch": "{where} has a value that can't stand there; see docs/cli.md and hub settings fields.",
}


def _describe(error: Any) -> str:
    path: tuple[str | int, ...] = error["loc"]
    where = ".".join(str(part) for part in path)
    if error["type"] in _WORDS:
        return _WORDS[error["type"]].format(where=where, **error.get("ctx", {}))
    match error["type"]:
        case "extra_forbidden":
            return _describe_unknown(path)
        case "value_error":
            told = str(error["ctx"]["error"])
            return told if where in told else f"{where}: {told}."
        case _:
            return f"{where}: {error['msg'].replace('Input should', 'it must')}."


def _describe_unknown(path: Sequence[str | int]) -> str:
    """Name what there is, and what was meant if it is only misspelt: `rate` may mean tax_rate, and may mean percent."""
    names = list(_find_model(path[:-1]).model_fields)
    near = difflib.get_close_matches(str(path[-1]), names, n=1, cutoff=0.75)
    where, group = ".".join(map(str, path)), ".".join(map(str, path[:-1]))
    if near:
        return f"{where} is not a setting; did you mean {'.'.join(filter(None, (group, near[0])))}?"
    return f"{where} is not a setting. {group or 'The settings'} can have: {', '.join(names)}."


def _find_model(path: Sequence[str | int]) -> type[BaseModel]:
    """Find the part of the settings that a path leads to."""
    model: type[BaseModel] = Settings
    for part in path:
        if isinstance(part, str) and part in model.model_fields:
            model = _unwrap(model.model_fields[part].annotation) or model
    return model


def _unwrap(annotation: Any) -> type[BaseModel] | None:
    """Take the model out of `Model | None` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_unwrap(part) for part in get_args(annotation))
    return next((model for model in inner if model is not None), None)


def _refuse(problems: Sequence[str]) -> ConfigurationError:
    return ConfigurationError("\n".join(problems), code="settings.invalid")
