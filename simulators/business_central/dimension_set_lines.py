"""Dimensions of documents and lines: only below their parent, keyed by the dimension's id (BC facts §16)."""

from collections.abc import Callable, Iterable
from typing import Any

from simulators.business_central.company import Company
from simulators.business_central.default_dimensions import check_not_blocked
from simulators.business_central.entities import ENTITIES, ZERO_GUID
from simulators.business_central.errors import dialog, not_found
from simulators.business_central.odata import Page, list_rows
from simulators.business_central.resources import Call, Resource
from simulators.business_central.sales_documents import KINDS, LINE_KINDS, SalesDocument, document_of, save_document
from simulators.business_central.sales_headers import show_shortcuts
from simulators.business_central.store import Json, Row
from simulators.business_central.values import read_body

ENTITY = ENTITIES["dimensionSetLines"]


class DimensionSetLines(Resource):
    """The dimension set of a document or of one of its lines; editable on posted ones too."""

    def page(self, call: Call) -> Page:
        """List the set of the parent."""
        if not call.parents:
            raise dialog("You must get to the parent first to get to the dimension set lines.")
        return list_rows(self.below(call, call.parents[-1]), self.entity, call.query, call.page_size)

    def below(self, call: Call, parent: tuple[str, Row]) -> Iterable[Row]:
        """Render the set of a document or line."""
        document, dimensions = _locate(call.company, parent, document_row(call.company, parent))
        parent_type = document.kind.parent_type + ("_x0020_Line" if parent[0] in LINE_KINDS else "")
        for ordinal, (key, value) in enumerate(dimensions.items(), start=1):
            wire = _render(call.company, key, value) | {"parentId": parent[1].wire["id"], "parentType": parent_type}
            yield Row({"@odata.etag": parent[1].wire["@odata.etag"]} | wire, ordinal)

    def find(self, call: Call, key: str) -> Row | None:
        """Return one entry of the parent's set."""
        rows = self.below(call, call.parents[-1]) if call.parents else ()
        return next((row for row in rows if row.wire["id"] == key), None)

    def insert(self, call: Call) -> Row:
        """Add a dimension the set does not have yet."""
        if not call.parents:
            raise dialog("You must get to the parent first to get to the dimension set lines.")

        def apply(dimensions: dict[str, str]) -> str:
            return set_dimension(call.company, dimensions, call.body)

        return self._change(call, apply)

    def modify(self, call: Call, row: Row) -> Row:
        """Choose another value; the dimension itself stays."""
        body = read_body(self.entity, call.body)
        if body.get("id", row.wire["id"]) != row.wire["id"] or body.get("code", row.wire["code"]) != row.wire["code"]:
            raise dialog("The dimension of a dimension set line cannot be changed.")
        value = _find_value(call.company, row.wire["id"], body)

        def apply(dimensions: dict[str, str]) -> str:
            dimensions[row.wire["id"]] = value
            return row.wire["id"]

        return self._change(call, apply)

    def remove(self, call: Call, row: Row) -> None:
        """Take a dimension out of the set."""

        def apply(dimensions: dict[str, str]) -> str:
            del dimensions[row.wire["id"]]
            return ""

        self._change(call, apply)

    def _change(self, call: Call, apply: Callable[[dict[str, str]], str]) -> Row:
        parent = call.parents[-1]
        before = document_row(call.company, parent)
        document = document_of(before).copy()
        document, dimensions = _locate(call.company, parent, Row({}, 0, {"document": document}))
        key = apply(dimensions)
        show_shortcuts(document, call.company)
        save_document(call.company, document, before)
        return self.find(call, key) or Row({}, 0)


def document_row(company: Company, parent: tuple[str, Row]) -> Row:
    """Return the row of the document that a parent is, or belongs to."""
    set_name, row = parent
    if set_name in KINDS:
        return company.table(set_name).rows[row.wire["id"]]
    owner = company.table(LINE_KINDS[set_name].set_name).rows.get(row.wire["documentId"])
    if owner is None:
        raise not_found(set_name, row.wire["id"])
    return owner


def _locate(_company: Company, parent: tuple[str, Row], owner: Row) -> tuple[SalesDocument, dict[str, str]]:
    document = document_of(owner)
    if parent[0] in KINDS:
        return document, document.dimensions
    line = next(entry for entry in document.lines if entry.id == parent[1].wire["id"])
    return document, line.dimensions


def set_dimension(company: Company, dimensions: dict[str, str], body: Any) -> str:
    """Add an entry to a dimension set and return the dimension's id."""
    checked = read_body(ENTITY, body)
    key = checked.get("id", ZERO_GUID)
    code = checked.get("code", "")
    owner = company.get("dimensions", key) if key != ZERO_GUID else company.by_code("dimensions", code)
    if owner is None:
        raise dialog("The dimension does not exist: specify an id or a code.")
    key = owner.wire["id"]
    if key in dimensions:
        raise dialog(
            "The dimension set line already exists. Check existing dimension set lines and the default dimension set "
            "lines on the parent."
        )
    dimensions[key] = _find_value(company, key, checked)
    return key


def _find_value(company: Company, dimension: str, body: Json) -> str:
    key, code = body.get("valueId", ZERO_GUID), body.get("valueCode", "")
    for row in company.table("dimensionValues").rows.values():
        if row.wire["dimensionId"] == dimension and (row.wire["id"] == key or (code and row.wire["code"] == code)):
            check_not_blocked(company.get("dimensions", dimension), row)
            return row.wire["id"]
    raise dialog("The dimension value does not exist: specify a valueId or a valueCode.")


def _render(company: Company, key: str, value: str) -> Json:
    dimension, entry = company.table("dimensions").rows[key].wire, company.table("dimensionValues").rows[value].wire
    return ENTITY.blank() | {
        "id": key,
        "code": dimension["code"],
        "displayName": dimension["displayName"],
        "valueId": value,
        "valueCode": entry["code"],
        "valueDisplayName": entry["displayName"],
    }
