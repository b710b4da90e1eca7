"""Default dimensions of customers, items and accounts: merged into new documents, and checked when they are posted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from simulators.business_central.company import Company
from simulators.business_central.errors import dialog
from simulators.business_central.store import Json, Row

_RULES = frozenset({"", "Code Mandatory", "Same Code", "No Code"})


@dataclass(frozen=True, slots=True)
class DefaultDimension:
    """A dimension's id, the id of its default value or "", and the rule of value posting."""

    dimension: str
    value: str
    rule: str


def read_defaults(company: Company, given: Iterable[Json]) -> tuple[DefaultDimension, ...]:
    """Read `{"dimension": code, "value": code, "rule": "Code Mandatory"}`; raises ValueError for what is unknown."""
    return tuple(_read_default(company, entry) for entry in given)


def _read_default(company: Company, entry: Json) -> DefaultDimension:
    owner, rule = company.by_code("dimensions", entry["dimension"]), entry.get("rule", "")
    if owner is None or rule not in _RULES:
        raise ValueError(f"unknown dimension or rule: {entry}")
    value = company.find_dimension_value(owner.wire["id"], entry["value"]) if entry.get("value") else None
    if value is None and entry.get("value"):
        raise ValueError(f"unknown dimension value: {entry}")
    return DefaultDimension(owner.wire["id"], value.wire["id"] if value else "", rule)


def defaults_of(row: Row) -> tuple[DefaultDimension, ...]:
    """Return the default dimensions of a customer, item or account."""
    return row.hidden.get("defaultDimensions", ())


def values_of(row: Row) -> dict[str, str]:
    """Return what a new document or line takes over: value by dimension."""
    return {entry.dimension: entry.value for entry in defaults_of(row) if entry.value}


def check_not_blocked(dimension: Row | None, value: Row | None) -> None:
    """Refuse a dimension or value that is blocked (DimensionManagement.CheckDim, CheckDimValue)."""
    if dimension is not None and dimension.hidden.get("blocked"):
        raise dialog(f"Dimension {dimension.wire['code']} is blocked.")
    if dimension is not None and value is not None and value.hidden.get("blocked"):
        raise dialog(f"Dimension Value {dimension.wire['code']} - {value.wire['code']} is blocked.")


def check_posting_rules(company: Company, row: Row, table: str, dimensions: Mapping[str, str]) -> None:
    """Refuse a dimension set that breaks a rule of value posting (DimensionManagement.CheckValuePosting)."""
    for entry in defaults_of(row):
        code, found = _code_of(company, "dimensions", entry.dimension), dimensions.get(entry.dimension, "")
        owner = f"{table} {row.wire['number']}"
        if entry.rule == "Code Mandatory" and not found:
            raise dialog(f"Select a Dimension Value Code for the Dimension Code {code} for {owner}.")
        wanted = entry.value if entry.rule == "Same Code" else ""
        if entry.rule in {"Same Code", "No Code"} and found != wanted:
            shown, now = (_code_of(company, "dimensionValues", key) for key in (wanted, found))
            raise dialog(
                f"The Dimension Value Code must be {shown} for Dimension Code {code} for {owner}. Currently it's {now}."
            )


def _code_of(company: Company, set_name: str, key: str) -> Any:
    row = company.get(set_name, key) if key else None
    return row.wire["code"] if row else "blank"
