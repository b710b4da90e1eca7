"""Items: numbers, units, posting groups (BC facts §9)."""

from collections.abc import Mapping
from types import MappingProxyType

from simulators.business_central.company import Company
from simulators.business_central.entities import ZERO_GUID
from simulators.business_central.errors import dialog, invalid_relation, same_key
from simulators.business_central.resources import Call, Resource, stored
from simulators.business_central.sales_documents import document_of
from simulators.business_central.store import Json, Row
from simulators.business_central.values import read_body

SERIES = "ITEM"
_PAIRS = {
    "taxGroup": ("taxGroups", "Tax Group Code", "Tax Group"),
    "baseUnitOfMeasure": ("unitsOfMeasure", "Base Unit of Measure", "Unit of Measure"),
}


class Items(Resource):
    """The items of a company."""

    links: Mapping[str, tuple[str, str]] = MappingProxyType(
        {"unitOfMeasure": ("unitsOfMeasure", "baseUnitOfMeasureId")}
    )

    def insert(self, call: Call) -> Row:
        """Create an item; `inventory` cannot be set here."""
        body = self.checked(call, None)
        if "inventory" in body:
            raise dialog("The inventory of an item cannot be set when the item is created.")
        if body.get("number"):
            call.company.series[SERIES].check_manual()
            self._check_free(call.company, body["number"], None)
        return create_item(call.company, body)

    def modify(self, call: Call, row: Row) -> Row:
        """Change an item; a new number renames it."""
        body = self.checked(call, row)
        body["number"] = body.get("number") or row.wire["number"]
        self._check_free(call.company, body["number"], row)
        units = {*row.hidden.get("units", ()), body.get("baseUnitOfMeasureCode", row.wire["baseUnitOfMeasureCode"])}
        return self.table(call.company).replace(row, row.wire | body, row.hidden | {"units": units})

    def remove(self, call: Call, row: Row) -> None:
        """Delete an item no open document uses."""
        for document in call.company.documents():
            entry = document_of(document)
            if not entry.posted and any(line.object_id == row.wire["id"] for line in entry.lines):
                raise dialog(
                    f"You cannot delete Item {row.wire['number']} because there is at least one outstanding Sales "
                    "Invoice that includes this item."
                )
        super().remove(call, row)

    def checked(self, call: Call, _before: Row | None) -> Json:
        """Read the body; id and code of one thing must agree."""
        body = stored(read_body(self.entity, call.body))
        for stem, (set_name, field, related) in _PAIRS.items():
            body |= _pair(call.company, body, stem, (set_name, field, related))
        return body

    def _check_free(self, company: Company, number: str, row: Row | None) -> None:
        other = self.table(company).first("number", number)
        if other is not None and (row is None or other.wire["id"] != row.wire["id"]):
            raise same_key("Item", f"No.='{number}'")


def _pair(company: Company, body: Json, stem: str, names: tuple[str, str, str]) -> Json:
    set_name, field, related = names
    key, code = body.get(f"{stem}Id", ZERO_GUID), body.get(f"{stem}Code", "")
    if key == ZERO_GUID and not code:
        return {}
    row = company.get(set_name, key) if key != ZERO_GUID else company.by_code(set_name, code)
    if row is None:
        raise invalid_relation(field, "Item", code or key, related)
    if code and row.wire["code"] != code:
        raise dialog(f"The {related} values do not match to a specific {related}.")
    return {f"{stem}Id": row.wire["id"], f"{stem}Code": row.wire["code"]}


def create_item(company: Company, body: Json, hidden: Json | None = None) -> Row:
    """Insert an item, with the defaults of the item template."""
    wire = {"generalProductPostingGroupCode": "RETAIL", "inventoryPostingGroupCode": "RESALE"} | body
    unit = company.by_code("unitsOfMeasure", wire.get("baseUnitOfMeasureCode") or "PCS")
    if unit is not None:
        wire |= {"baseUnitOfMeasureId": unit.wire["id"], "baseUnitOfMeasureCode": unit.wire["code"]}
    if not wire.get("taxGroupCode"):
        standard = company.by_code("taxGroups", "STANDARD")
        wire |= {"taxGroupId": standard.wire["id"], "taxGroupCode": "STANDARD"} if standard else {}
    wire["number"] = wire.get("number") or company.take_number(SERIES)
    units = {wire.get("baseUnitOfMeasureCode", ""), *(hidden or {}).get("units", ())}
    return company.table("items").insert(wire, (hidden or {}) | {"units": units})
