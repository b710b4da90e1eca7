"""Filling the world from a seed: the built-in one, a file, or POST /_sim/seed.

A company that exists already is extended (records of the same code or number are changed); a new one takes the
sections its seed leaves out from the built-in company, or with `"as_shipped": "DK"` from Microsoft's set-up for a
country. Ids are derived from the codes, so they are the same each run.
"""

import uuid
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from simulators.business_central.as_shipped import shipped_company
from simulators.business_central.company import Company, CustomerTemplate, Setup, VatSetup
from simulators.business_central.customers import create_customer
from simulators.business_central.default_dimensions import read_defaults
from simulators.business_central.default_seed import TENANT, default_seed
from simulators.business_central.entities import ENTITIES
from simulators.business_central.items import create_item
from simulators.business_central.number_series import NumberSeries
from simulators.business_central.post_codes import read_post_codes
from simulators.business_central.store import Json, Row
from simulators.business_central.values import raise_case
from simulators.business_central.vat import precision_of
from simulators.business_central.world import App, World

_NAMESPACE = uuid.UUID("0b5f1c2e-77aa-4c58-9a3a-6045bd8e1a10")
_LISTS = "paymentTerms paymentMethods shipmentMethods unitsOfMeasure countriesRegions".split()
_SECTIONS = frozenset(
    (
        "setup series vat currencies taxGroups taxAreas dimensions accounts items customers templates salespeople "
        "paymentTerms paymentMethods shipmentMethods unitsOfMeasure countriesRegions information vatFormats postCodes"
    ).split()
)
_HIDDEN = frozenset(
    {"defaultDimensions", "posting", "salesBlocked", "units", "taxAreaCode", "privacyBlocked", "blocked"}
)
_IDENTITY = frozenset(
    {"tenant", "environment", "name", "id", "currency", "local_decimal_places", "replace", "as_shipped"}
)


def apply_seed(world: World, seed: Json) -> Json:
    """Apply a seed and say what is there now; raises ValueError for members it does not know."""
    unknown = set(seed) - {"tenants", "apps", "companies"}
    if unknown:
        raise ValueError(f"unknown members of the seed: {sorted(unknown)}")
    for tenant in seed.get("tenants", ()):
        world.add_tenant(tenant["id"], tenant.get("domain", ""))
    for app in seed.get("apps", ()):
        entry = App(**(app | {"tenant": app.get("tenant", TENANT).lower()}))
        world.add_tenant(entry.tenant)
        world.apps[entry.tenant, entry.client_id] = entry
    companies = [_apply_company(world, given) for given in seed.get("companies", ())]
    return {"companies": [{"name": company.name, "id": company.id} for company in companies]}


def _apply_company(world: World, given: Json) -> Company:
    unknown = set(given) - _SECTIONS - _IDENTITY
    if unknown:
        raise ValueError(f"unknown sections of a company: {sorted(unknown)}")
    tenant, environment = given.get("tenant", TENANT).lower(), given.get("environment", "sandbox").lower()
    world.add_tenant(tenant)
    here = world.environments.get((tenant, environment), {})
    company = next((entry for entry in here.values() if entry.name == given["name"]), None)
    if company is None or given.get("replace"):
        base = shipped_company(given["as_shipped"], given.get("currency", "")) if "as_shipped" in given else _built_in()
        given = {name: part for name, part in base.items() if name in {*_SECTIONS, "currency"}} | given
        company = _open_company(world, given, f"{tenant}/{environment}")
        world.add_company(tenant, environment, company)
    for section, fill in _FILLERS.items():
        if section in given:
            fill(company, given[section])
    return company


def _built_in() -> Json:
    return default_seed()["companies"][0]


def _open_company(world: World, given: Json, place: str) -> Company:
    local = given.get("currency", "EUR")
    places = given.get("local_decimal_places") or _usual_places(local)
    company_id = given.get("id") or str(uuid.uuid5(_NAMESPACE, f"{place}/{given['name']}"))
    setup = Setup(local, places, local_invoice_precision=str(precision_of(places)))
    company = Company(world.core, given["name"], company_id.lower(), setup)
    information = {"id": _id(company, "info", ""), "displayName": company.name, "currencyCode": local}
    company.table("companyInformation").insert(information)
    company.table("generalLedgerSetup").insert({"id": _id(company, "setup", ""), "localCurrencyCode": local})
    return company


def _usual_places(code: str) -> str:
    found = (entry["amountDecimalPlaces"] for entry in _built_in()["currencies"] if entry["code"] == code)
    return next(found, "2:2")


def _id(company: Company, set_name: str, code: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{company.id}/{set_name}/{code}"))


def _find(company: Company, set_name: str, key: str) -> Row | None:
    """Return a record by its code or number, also one that a client made; values of dimensions by their seeded id."""
    if set_name == "dimensionValues":
        return company.get(set_name, _id(company, set_name, key))
    return company.by_code(set_name, raise_case(key))


def change_record(company: Company, given: Json) -> Json:
    """Change a customer, account, item or entry of a list by its number or code; raises KeyError or ValueError."""
    set_name, changes = given["set"], given["changes"]
    name = "code" if company.table(set_name).is_indexed("code") else "number"
    found = _find(company, set_name, given[name]) if set_name in _FILLERS else None
    if found is None:
        raise KeyError(f"no {set_name} {given[name]}")
    unknown = set(changes) - set(ENTITIES[set_name].properties) - _HIDDEN
    if unknown:
        raise ValueError(f"unknown properties of {set_name}: {sorted(unknown)}")
    _FILLERS[set_name](company, [{name: found.wire[name]} | changes])
    return company.table(set_name).rows[found.wire["id"]].wire


def _put(company: Company, set_name: str, key: str, wire: Json, hidden: Json | None = None) -> None:
    """Insert a record, or change the one of the same code or number."""
    table = company.table(set_name)
    row = _find(company, set_name, key)
    if row is None:
        table.insert({"id": _id(company, set_name, key)} | wire, hidden)
    else:
        table.replace(row, row.wire | wire, row.hidden | (hidden or {}))


def _fill_list(set_name: str) -> Callable[[Company, list[Json]], None]:
    def fill(company: Company, entries: list[Json]) -> None:
        for entry in entries:
            _put(company, set_name, entry["code"], entry)

    return fill


def _fill_taxes(set_name: str) -> Callable[[Company, list[Json]], None]:
    def fill(company: Company, entries: list[Json]) -> None:
        for entry in entries:
            _put(company, set_name, entry["code"], entry | {"taxType": "VAT"})

    return fill


def _fill_setup(company: Company, given: Json) -> None:
    for name, value in given.items():
        if not hasattr(company.setup, name):
            raise ValueError(f"unknown setup: {name}")
        setattr(company.setup, name, value)
    table = company.table("generalLedgerSetup")
    shown = {
        "allowPostingFrom": company.setup.allow_posting_from or "0001-01-01",
        "allowPostingTo": company.setup.allow_posting_to or "0001-01-01",
        "shortcutDimension1Code": company.setup.global_dimension_1,
        "shortcutDimension2Code": company.setup.global_dimension_2,
    }
    for row in list(table.rows.values()):
        table.replace(row, row.wire | shown)


def _fill_information(company: Company, given: Json) -> None:
    table = company.table("companyInformation")
    for row in list(table.rows.values()):
        table.replace(row, row.wire | given)


def _fill_vat_formats(company: Company, given: dict[str, str]) -> None:
    """Take formats of tax numbers by country, `"DE": "DE#########; #########"`; none lifts the check."""
    read = {country: tuple(form.strip() for form in text.split(";") if form.strip()) for country, text in given.items()}
    company.vat_formats |= read


def _fill_post_codes(company: Company, given: dict[str, str]) -> None:
    """Take post codes by country, `"DK": "2000=Frederiksberg; 1500-1799=København V"`."""
    for country, text in given.items():
        company.post_codes.add(read_post_codes(country, text))


def _fill_series(company: Company, given: Json) -> None:
    for code, entry in given.items():
        old = company.series.get(code) or NumberSeries(code, code)
        company.series[code] = replace(old, **entry)


def _fill_vat(company: Company, given: list[Json]) -> None:
    for entry in given:
        setup = VatSetup(entry["identifier"], Decimal(str(entry["percent"])))
        company.vat[entry["business"], entry["product"]] = setup


def _fill_currencies(company: Company, given: list[Json]) -> None:
    for entry in given:
        if entry["code"] == company.setup.local_currency:
            continue
        rate = entry.get("rate")
        if rate is not None:
            company.rates[entry["code"]] = Decimal(str(rate))
        wire = {name: value for name, value in entry.items() if name != "rate"}
        _put(company, "currencies", entry["code"], wire)


def _fill_dimensions(company: Company, given: list[Json]) -> None:
    for entry in given:
        key = _id(company, "dimensions", entry["code"])
        wire, hidden = _split(company, entry, "blocked", "values")
        _put(company, "dimensions", entry["code"], wire, hidden)
        for value in entry.get("values", ()):
            wire, hidden = _split(company, value, "blocked")
            _put(company, "dimensionValues", f"{entry['code']}/{value['code']}", wire | {"dimensionId": key}, hidden)


def _split(company: Company, entry: Json, *hidden: str) -> tuple[Json, Json]:
    """Tell what clients read from what only the application knows, as far as the entry says."""
    wire = {name: value for name, value in entry.items() if name not in {*hidden, "defaultDimensions"}}
    kept = {name: entry[name] for name in hidden if name in entry}
    if "defaultDimensions" in entry:
        kept["defaultDimensions"] = read_defaults(company, entry["defaultDimensions"])
    return wire, kept


def _fill_accounts(company: Company, given: list[Json]) -> None:
    for entry in given:
        wire, hidden = _split(company, entry, "taxGroupCode")
        known = _find(company, "accounts", entry["number"]) is not None
        usual: Json = {} if known else {"accountType": "Posting", "directPosting": True}
        _put(company, "accounts", entry["number"], usual | wire, hidden)


def _fill_items(company: Company, given: list[Json]) -> None:
    for entry in given:
        wire, hidden = _split(company, entry, "units", "salesBlocked")
        known = _find(company, "items", entry["number"])
        if "units" in hidden:
            base = wire.get("baseUnitOfMeasureCode") or (known.wire["baseUnitOfMeasureCode"] if known else "")
            hidden["units"] = {base, *hidden["units"]}
        if known is not None:
            _put(company, "items", entry["number"], wire, hidden)
            continue
        code = wire.get("taxGroupCode")
        if code:
            wire["taxGroupId"] = _id(company, "taxGroups", code)
        create_item(company, wire | {"id": _id(company, "items", entry["number"])}, hidden)


def _fill_customers(company: Company, given: list[Json]) -> None:
    """Take customers; `posting` overrides what the template gives: posting groups, pricesIncludingVat."""
    for entry in given:
        wire, hidden = _split(company, entry, "posting", "currencyCode", "taxAreaCode", "privacyBlocked")
        kept = ("defaultDimensions", "privacyBlocked")
        posting = {name: hidden[name] for name in kept if name in hidden} | entry.get("posting", {})
        if "currencyCode" in entry:
            wire |= company.shown_currency(company.read_currency_code(entry["currencyCode"]))
        area = company.by_code("taxAreas", entry.get("taxAreaCode", ""))
        wire |= {"taxAreaId": area.wire["id"]} if area else {}
        number = entry.get("number", "")
        if number and _find(company, "customers", number) is not None:
            _put(company, "customers", number, wire, posting)
            continue
        wire |= {"id": _id(company, "customers", number)} if number else {}
        create_customer(company, wire, posting)


def _fill_templates(company: Company, given: list[Json]) -> None:
    company.templates = [_read_template(entry) for entry in given]


def _read_template(entry: Json) -> CustomerTemplate:
    values: dict[str, Any] = {name: value for name, value in entry.items() if name not in {"code", "countries"}}
    return CustomerTemplate(entry["code"], frozenset(entry["countries"]), values)


def _fill_salespeople(company: Company, given: list[str]) -> None:
    company.salespeople.update(given)


# In this order: later sections refer to earlier ones.
_FILLERS: dict[str, Callable[[Company, Any], None]] = {
    "information": _fill_information,
    "vatFormats": _fill_vat_formats,
    "postCodes": _fill_post_codes,
    "series": _fill_series,
    "vat": _fill_vat,
    "currencies": _fill_currencies,
    **{set_name: _fill_list(set_name) for set_name in _LISTS},
    "taxGroups": _fill_taxes("taxGroups"),
    "taxAreas": _fill_taxes("taxAreas"),
    "dimensions": _fill_dimensions,
    "setup": _fill_setup,
    "salespeople": _fill_salespeople,
    "templates": _fill_templates,
    "accounts": _fill_accounts,
    "items": _fill_items,
    "customers": _fill_customers,
}
