"""Everything of Business Central that the settings name, looked up there: settings and lists in, sentences out."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

from pydantic import BaseModel

from connectors.business_central.models import Account, Item
from hub.cli.line_target import find_obstacle
from hub.cli.settings_lists import suggest
from mapping.bc_fields import Entity, get_field
from mapping.taxes import LearnedVat
from schemas.customer_settings import CustomerDefaults
from schemas.field_mappings import FieldMapping
from schemas.invoice_settings import (
    DimensionRule,
    HeaderSettings,
    LineTarget,
    RoundingSettings,
    TaxRule,
    TaxSettings,
)
from schemas.settings import Settings

Kind = Literal[
    "account",
    "item",
    "tax_code",
    "tax_area",
    "payment_terms",
    "payment_method",
    "shipment_method",
    "unit",
    "currency",
    "country",
    "dimension",
    "salesperson",
]

WORDS: Mapping[Kind, str] = {
    "account": "G/L account",
    "item": "item",
    "tax_code": "VAT product posting group or tax group",
    "tax_area": "VAT business posting group or tax area",
    "payment_terms": "payment terms",
    "payment_method": "payment method",
    "shipment_method": "shipment method",
    "unit": "unit of measure",
    "currency": "currency",
    "country": "country/region",
    "dimension": "dimension",
    "salesperson": "salesperson",
}
_ENTITIES: dict[Kind, str] = {
    "tax_code": "taxGroups",
    "tax_area": "taxAreas",
    "payment_terms": "paymentTerms",
    "payment_method": "paymentMethods",
    "shipment_method": "shipmentMethods",
    "unit": "unitsOfMeasure",
    "currency": "currencies",
    "country": "countriesRegions",
    "dimension": "dimensions",
}
# What a field of the settings names. A test finds every field of that type that is missing here.
FIELDS: Mapping[tuple[type[BaseModel], str], Kind] = {
    (LineTarget, "tax_code"): "tax_code",
    (LineTarget, "unit"): "unit",
    (TaxRule, "code"): "tax_code",
    (TaxRule, "account"): "account",
    (TaxRule, "accounts"): "account",
    (TaxSettings, "zero_code"): "tax_code",
    (TaxSettings, "account"): "account",
    (RoundingSettings, "account"): "account",
    (DimensionRule, "dimension"): "dimension",
    (HeaderSettings, "salesperson"): "salesperson",
    (CustomerDefaults, "country"): "country",
    (CustomerDefaults, "currency"): "currency",
    (CustomerDefaults, "payment_terms"): "payment_terms",
    (CustomerDefaults, "tax_area"): "tax_area",
    (CustomerDefaults, "shipment_method"): "shipment_method",
    (CustomerDefaults, "payment_method"): "payment_method",
    (CustomerDefaults, "salesperson"): "salesperson",
}
# The same of fields that a mapping fills with a fixed text: by the table that Business Central looks into.
_TABLES: Mapping[str, Kind] = {
    "Country/Region": "country",
    "Currency": "currency",
    "Payment Terms": "payment_terms",
    "Payment Method": "payment_method",
    "Shipment Method": "shipment_method",
    "Unit of Measure": "unit",
    "Salesperson/Purchaser": "salesperson",
}
_SECTIONS: Mapping[str, Entity] = {"customer": "customers", "invoice": "salesInvoices", "line": "salesInvoiceLines"}
UNLISTED: Kind = "salesperson"
"""Business Central's API has no list of these."""


class BcLists(Protocol):
    """Reads a company's lists."""

    async def fetch_accounts(self) -> tuple[Account, ...]:
        """Return the chart of accounts."""
        ...

    async def fetch_items(self) -> tuple[Item, ...]:
        """Return all items."""
        ...

    async def fetch_list(self, entity: str, select: Iterable[str]) -> tuple[dict[str, Any], ...]:
        """Return all rows of an entity set."""
        ...


@dataclass(frozen=True)
class Name:
    """What the settings name, and where. `value` is that of a dimension."""

    path: str
    kind: Kind
    code: str
    value: str = ""
    is_id: bool = False
    """The code is the id (GUID) of the record."""


@dataclass(frozen=True)
class Listed:
    """A record of Business Central by its code: what it is called, and why it can't be used, if so."""

    name: str = ""
    id: str = ""
    obstacle: str = ""


@dataclass(frozen=True)
class CompanyNames:
    """The records of a company, by kind and code; those of kinds that nothing names are not read."""

    records: Mapping[Kind, Mapping[str, Listed]]
    values: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """Codes of values by code of dimension."""


def list_names(settings: Settings) -> list[Name]:
    """List everything that the settings name, in their order."""
    return [*_walk(settings, ""), *_list_constants(settings)]


async def fetch_names(bc: BcLists, names: Iterable[Name]) -> CompanyNames:
    """Read the lists that these names are looked up in.

    Raises:
        HubError: Business Central does not answer or refuses.
    """
    kinds = {one.kind for one in names} - {UNLISTED}
    records: dict[Kind, dict[str, Listed]] = {kind: await _fetch(bc, kind) for kind in WORDS if kind in kinds}
    values = await _fetch_values(bc, records["dimension"]) if "dimension" in kinds else {}
    return CompanyNames(records, values)


def find_problems(settings: Settings, company: CompanyNames) -> list[str]:
    """Say of each name that is not there, or can't be used, what is wrong and what was probably meant."""
    found = [problem for name in list_names(settings) if (problem := _judge(name, company))]
    return [*dict.fromkeys(found), *_check_rounding_account(settings)]


def find_taxed(settings: Settings, shown: Mapping[str, LearnedVat]) -> list[str]:
    """Say which accounts that must bear no VAT did, as drafts have shown for customers of a group (by its code)."""
    invoices = settings.invoices
    free = {
        "invoices.rounding.account": invoices.rounding.account,
        "invoices.tax.account": invoices.tax.account if invoices.tax.mode == "as_given" else None,
    }
    return [
        f"{path}: Business Central added {fact.percent.normalize():f} % ({fact.identifier}) on the account "
        f"{key.number} for customers of group {group}. Name an account without VAT, or set invoices.tax.zero_code to a "
        "code of 0 %."
        for path, account in free.items()
        for group, facts in shown.items()
        for key, fact in facts.items()
        if (key.type, key.number, key.tax_code) == ("Account", account, invoices.tax.zero_code or "") and fact.percent
    ]


def tell_lines(settings: Settings, company: CompanyNames) -> str:
    """Name the account or item that lines are booked on, as it is called there."""
    target = settings.invoices.lines
    if target is None:
        return ""
    kind: Kind = "account" if target.type == "Account" else "item"
    found = company.records.get(kind, {}).get(target.number, Listed())
    return f"{kind} {target.number} {found.name}".strip()


def list_unlisted(settings: Settings) -> list[str]:
    """Name what can't be looked up."""
    return [f"{one.path} ({one.code})" for one in list_names(settings) if one.kind == UNLISTED]


def _walk(part: object, path: str) -> Iterator[Name]:
    """Go through settings, groups and lists; people count from 1."""
    match part:
        case BaseModel():
            yield from _read_target(part, path) if isinstance(part, LineTarget) else ()
            for name in type(part).model_fields:
                yield from _read_field(part, name, f"{path}.{name}" if path else name)
        case dict():
            for key, value in cast("dict[str, object]", part).items():
                yield from _walk(value, f"{path}.{key}")
        case tuple():
            for number, value in enumerate(cast("tuple[object, ...]", part), start=1):
                yield from _walk(value, f"{path}, number {number}")
        case _:
            pass


def _read_field(part: BaseModel, name: str, path: str) -> Iterator[Name]:
    value, kind = getattr(part, name), FIELDS.get((type(part), name))
    if kind is None:
        yield from _walk(value, path)
    elif isinstance(part, DimensionRule):
        yield Name(path, kind, part.dimension, part.value or "")
    elif isinstance(value, dict):
        for key, one in cast("dict[str, str]", value).items():
            yield from (Name(path, kind, key), Name(f"{path}.{key}", kind, one))
    elif value is not None and not (kind == "currency" and value == "invoice"):
        yield Name(path, kind, value)


def _read_target(target: LineTarget, path: str) -> Iterator[Name]:
    yield Name(path, "account" if target.type == "Account" else "item", target.number)


def _list_constants(settings: Settings) -> Iterator[Name]:
    """Mappings without a template in them fill a field with the same for all."""
    for section, entity in _SECTIONS.items():
        mappings: tuple[FieldMapping, ...] = getattr(settings.fields, section)
        for number, mapping in enumerate(mappings, start=1):
            found = get_field(entity, mapping.field)
            kind = _TABLES.get(found.record) if found is not None else None
            text = mapping.template.strip()
            if found is not None and kind is not None and "{" not in text:
                path = f"fields.{section}, number {number}: {mapping.field}"
                yield Name(path, kind, text if found.type == "guid" else text.upper(), is_id=found.type == "guid")


async def _fetch(bc: BcLists, kind: Kind) -> dict[str, Listed]:
    match kind:
        case "account":
            accounts = await bc.fetch_accounts()
            return {one.number.upper(): Listed(one.display_name, one.id, find_obstacle(one) or "") for one in accounts}
        case "item":
            items = await bc.fetch_items()
            return {
                one.number.upper(): Listed(one.display_name, one.id, "is blocked" if one.blocked else "")
                for one in items
            }
        case _:
            rows = await bc.fetch_list(_ENTITIES[kind], ("id", "code", "displayName"))
            found = {
                str(row["code"]).upper(): Listed(str(row.get("displayName", "")), str(row.get("id", "")))
                for row in rows
            }
            return found | (await _fetch_local_currency(bc) if kind == "currency" else {})


async def _fetch_local_currency(bc: BcLists) -> dict[str, Listed]:
    """Read the company's own: it need not be in the list."""
    setup = await bc.fetch_list("generalLedgerSetup", ("localCurrencyCode",))
    return {str(row["localCurrencyCode"]).upper(): Listed() for row in setup}


async def _fetch_values(bc: BcLists, dimensions: Mapping[str, Listed]) -> dict[str, frozenset[str]]:
    codes = {one.id.lower(): code for code, one in dimensions.items()}
    values: dict[str, set[str]] = {code: set() for code in dimensions}
    for row in await bc.fetch_list("dimensionValues", ("code", "dimensionId")):
        if (dimension := codes.get(str(row["dimensionId"]).lower())) is not None:
            values[dimension].add(str(row["code"]).upper())
    return {code: frozenset(found) for code, found in values.items()}


def _judge(name: Name, company: CompanyNames) -> str:
    if name.kind == UNLISTED:
        return ""
    known = company.records[name.kind]
    if name.is_id:
        is_known = any(one.id.lower() == name.code.lower() for one in known.values())
        return "" if is_known else f"{name.path}: Business Central has no {WORDS[name.kind]} with the id {name.code}."
    found = known.get(name.code)
    if found is None:
        return f"{name.path}: Business Central has no {WORDS[name.kind]} {name.code}. {_suggest(name, known)}".strip()
    if found.obstacle:
        return f"{name.path}: the {WORDS[name.kind]} {name.code} {found.name} {found.obstacle} in Business Central."
    values = company.values.get(name.code, frozenset[str]())
    if name.value and name.value not in values:
        return (
            f"{name.path}: the dimension {name.code} has no value {name.value} in Business Central. "
            f"{suggest(name.value, values)}"
        ).strip()
    return ""


def _suggest(name: Name, known: Mapping[str, Listed]) -> str:
    if not known:
        return "It shows none at all: check that the hub's app may read them."
    # Somebody may have written what it is called.
    called = [code for code, one in known.items() if one.name.upper() == name.code]
    return f"Did you mean {called[0]}?" if called else suggest(name.code, known)


def _check_rounding_account(settings: Settings) -> Iterator[str]:
    """Accounts don't tell their VAT; but one that lines are booked on has some, unless a code takes it off."""
    invoices = settings.invoices
    account = invoices.rounding.account
    names = [one for one in list_names(settings) if one.kind == "account" and one.code == account]
    others = [one.path for one in names if one.path != "invoices.rounding.account"]
    if account is not None and invoices.tax.zero_code is None and others:
        yield (
            f"invoices.rounding.account: lines are booked on {account}, too ({others[0]}), so Business Central may add "
            "VAT to the cents there. Name an account without VAT, or set invoices.tax.zero_code."
        )
