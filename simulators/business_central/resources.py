"""What can be done with an entity set: list, read, insert, modify, delete, expand; and the sets that need no more."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from simulators.business_central.company import Company
from simulators.business_central.entities import ENTITIES, ZERO_GUID
from simulators.business_central.errors import ApiError, dialog, not_found, same_key, unknown_property
from simulators.business_central.odata import Page, Query, list_rows, list_table, project
from simulators.business_central.store import Json, Row, Table
from simulators.business_central.values import read_body, to_wire


@dataclass(slots=True)
class Call:
    """One operation inside a company, already authenticated and parsed."""

    company: Company
    query: Query
    body: Any = None
    page_size: int = 20_000
    replica: bool = False
    hide_drafts: bool = False
    hide_posted: bool = False
    origin: str = ""
    parents: list[tuple[str, Row]] = field(default_factory=list[tuple[str, Row]])


class Resource:
    """An entity set stored in a table of its own."""

    # navigation -> (entity set it leads to, property that holds the id)
    links: Mapping[str, tuple[str, str]] = MappingProxyType({})
    # navigation -> entity set of the children
    children: Mapping[str, str] = MappingProxyType({})
    # properties that are streams, with an address of their own
    streams: frozenset[str] = frozenset()

    def __init__(self, set_name: str) -> None:
        self.set_name = set_name
        self.entity = ENTITIES[set_name]

    def table(self, company: Company) -> Table:
        """Return the table behind the set."""
        return company.table(self.set_name)

    def page(self, call: Call) -> Page:
        """List records; the replica may lag behind (Data-Access-Intent: ReadOnly)."""
        table = self.table(call.company)
        rows: Iterable[Row] | None = table.as_of_replica() if call.replica and call.company.core.replica_lag else None
        if call.parents:
            rows = self.below(call, call.parents[-1])
        return list_table(table, call.query, call.page_size, rows)

    def below(self, _call: Call, parent: tuple[str, Row]) -> Iterable[Row]:
        """Return the records below a parent."""
        raise not_found(self.set_name, parent[0])

    def get(self, call: Call, key: str) -> Row:
        """Return one record."""
        row = self.find(call, key)
        if row is None:
            raise not_found(self.set_name, key)
        return row

    def find(self, call: Call, key: str) -> Row | None:
        """Return one record or nothing."""
        if call.replica and call.company.core.replica_lag:
            return next((row for row in self.table(call.company).as_of_replica() if row.wire["id"] == key), None)
        return self.table(call.company).rows.get(key)

    def insert(self, call: Call) -> Row:
        """Create a record from the call's body."""
        body = self.checked(call, None)
        return self.table(call.company).insert(body)

    def modify(self, call: Call, row: Row) -> Row:
        """Change a record by the call's body."""
        return self.table(call.company).replace(row, row.wire | self.checked(call, row))

    def remove(self, call: Call, row: Row) -> None:
        """Delete a record."""
        self.table(call.company).delete(row)

    def checked(self, call: Call, _before: Row | None) -> Json:
        """Read the body; sets with rules of their own add them here."""
        return stored(read_body(self.entity, call.body))

    def act(self, _call: Call, _row: Row, action: str) -> None:
        """Run a bound action."""
        raise not_found(self.set_name, action)

    def show(self, call: Call, row: Row) -> Json:
        """Render a record with $select and $expand."""
        return project(row, self.entity, call.query, self.expander(call))

    def expander(self, call: Call) -> "Expander":
        """Return what $expand calls."""
        return Expander(self, call)


@dataclass(frozen=True, slots=True)
class Expander:
    """Follows navigations out of one set's records."""

    resource: Resource
    call: Call

    def __call__(self, row: Row, name: str, query: Query) -> Any:
        """Return the record or the list behind a navigation."""
        link = self.resource.links.get(name)
        if link is not None:
            return self._follow(row, link, query)
        child = self.resource.children.get(name)
        if child is None:
            raise unknown_property(name, self.resource.entity.name)
        resource = RESOURCES[child]
        call = Call(self.call.company, query, parents=[*self.call.parents, (self.resource.set_name, row)])
        page = list_rows(resource.below(call, (self.resource.set_name, row)), resource.entity, query)
        return [resource.show(call, found) for found in page.rows]

    def _follow(self, row: Row, link: tuple[str, str], query: Query) -> Any:
        set_name, prop = link
        found = self.call.company.get(set_name, row.wire[prop])
        if found is None:
            return None
        return RESOURCES[set_name].show(Call(self.call.company, query), found)


RESOURCES: dict[str, Resource] = {}


def stored(body: Json) -> Json:
    """Turn the Decimals of a checked body into what records hold."""
    return {name: to_wire(value) if isinstance(value, Decimal) else value for name, value in body.items()}


class CodeList(Resource):
    """A plain list keyed by a code: payment terms, currencies, units of measure and the like."""

    def __init__(self, set_name: str, table_name: str) -> None:
        super().__init__(set_name)
        self._table_name = table_name

    def checked(self, call: Call, before: Row | None) -> Json:
        """A code is mandatory and unique."""
        body = super().checked(call, before)
        code = body.get("code", before.wire["code"] if before else "")
        if not code:
            raise ApiError(400, "BadRequest_RequiredParamNotProvided", "The Code field must not be blank.")
        other = self.table(call.company).first("code", code)
        if other is not None and (before is None or other.wire["id"] != before.wire["id"]):
            raise same_key(self._table_name, f"Code='{code}'")
        return body


class TaxList(CodeList):
    """taxGroups and taxAreas: VAT posting groups in a VAT country (BC facts §8)."""

    def insert(self, call: Call) -> Row:
        """Mark the record as VAT; W1 without sales tax is always VAT."""
        return self.table(call.company).insert(self.checked(call, None) | {"taxType": "VAT"})


class DimensionValues(Resource):
    """The values of dimensions, at top level and below their dimension."""

    def below(self, call: Call, parent: tuple[str, Row]) -> Iterable[Row]:
        """Return the values of one dimension."""
        owner = parent[1].wire["id"]
        return [row for row in self.table(call.company).rows.values() if row.wire["dimensionId"] == owner]


class Dimensions(Resource):
    """The dimensions themselves."""

    children: Mapping[str, str] = MappingProxyType({"dimensionValues": "dimensionValues"})


class CompanyInformation(Resource):
    """The one record of the company itself."""

    def checked(self, call: Call, before: Row | None) -> Json:
        """A country must exist."""
        body = super().checked(call, before)
        call.company.check_country(body.get("country", ""), "Company Information")
        return body


def check_link(company: Company, set_name: str, prop: str, body: Json, shown: str) -> None:
    """Refuse an id property that points nowhere."""
    key = body.get(prop, ZERO_GUID)
    if key != ZERO_GUID and company.get(set_name, key) is None:
        raise dialog(f'The "{prop}" does not match to a {shown}.')


def register_lists() -> None:
    """Put the plain sets into the registry."""
    lists = {
        "currencies": "Currency",
        "paymentTerms": "Payment Terms",
        "paymentMethods": "Payment Method",
        "unitsOfMeasure": "Unit of Measure",
        "countriesRegions": "Country/Region",
        "shipmentMethods": "Shipment Method",
    }
    plain = [CodeList(set_name, table_name) for set_name, table_name in lists.items()]
    taxes = [TaxList("taxGroups", "VAT Product Posting Group"), TaxList("taxAreas", "VAT Business Posting Group")]
    others = [
        Resource("generalLedgerSetup"),
        Resource("accounts"),
        CompanyInformation("companyInformation"),
        Dimensions("dimensions"),
        DimensionValues("dimensionValues"),
    ]
    RESOURCES.update({resource.set_name: resource for resource in [*plain, *taxes, *others]})
