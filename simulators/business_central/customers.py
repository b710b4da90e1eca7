"""Customers: numbers, templates, currencies, and what a change of number or country drags along (BC facts §9)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from simulators.business_central.company import Company
from simulators.business_central.entities import ZERO_GUID
from simulators.business_central.errors import ApiError, dialog, same_key
from simulators.business_central.resources import Call, Resource, check_link
from simulators.business_central.sales_documents import KINDS, document_of, save_document
from simulators.business_central.store import Json, Row
from simulators.business_central.tax_numbers import check_tax_number
from simulators.business_central.values import raise_case

SERIES = "CUST"
_REFERENCES = {
    "paymentTermsId": ("paymentTerms", "Payment Terms"),
    "shipmentMethodId": ("shipmentMethods", "Shipment Method"),
    "paymentMethodId": ("paymentMethods", "Payment Method"),
    "taxAreaId": ("taxAreas", "Tax Area"),
}
_PLACE = {"city": "city", "postalCode": "code", "country": "country", "state": "county"}


class Customers(Resource):
    """The customers of a company."""

    links: Mapping[str, tuple[str, str]] = MappingProxyType(
        {
            "currency": ("currencies", "currencyId"),
            "paymentTerm": ("paymentTerms", "paymentTermsId"),
            "shipmentMethod": ("shipmentMethods", "shipmentMethodId"),
            "paymentMethod": ("paymentMethods", "paymentMethodId"),
        }
    )

    def insert(self, call: Call) -> Row:
        """Create a customer; what the request says wins over the template."""
        body = self.checked(call, None)
        if not body.get("displayName", "").strip():
            raise ApiError(400, "BadRequest_RequiredParamNotProvided", "The displayName must not be blank.")
        number = body.get("number", "")
        if number:
            call.company.series[SERIES].check_manual()
            self._check_free(call.company, number, None)
        validated = _validate(call.company, self.entity.blank(), body)
        return create_customer(call.company, validated)

    def modify(self, call: Call, row: Row) -> Row:
        """Change a customer; a new number renames it everywhere."""
        body = self.checked(call, row)
        if "displayName" in body and not body["displayName"].strip():
            raise ApiError(400, "BadRequest_RequiredParamNotProvided", "The displayName must not be blank.")
        body = _validate(call.company, row.wire, body)
        number = body.get("number") or row.wire["number"]
        body["number"] = number
        self._check_free(call.company, number, row)
        changed = self.table(call.company).replace(row, row.wire | body)
        if number != row.wire["number"]:
            _rename(call.company, changed)
        return changed

    def remove(self, call: Call, row: Row) -> None:
        """Delete a customer nobody has an open document for."""
        for document in call.company.documents():
            if document.wire["customerId"] == row.wire["id"] and not document_of(document).posted:
                raise dialog(
                    f"You cannot delete Customer {row.wire['number']} because there is at least one outstanding "
                    "Sales Invoice for this customer."
                )
        super().remove(call, row)

    def checked(self, call: Call, before: Row | None) -> Json:
        """Read the body and look every reference up."""
        body = super().checked(call, before)
        company = call.company
        company.check_salesperson(body.get("salespersonCode", ""), "Customer")
        for prop, (set_name, shown) in _REFERENCES.items():
            check_link(company, set_name, prop, body, shown)
        if "currencyId" in body or "currencyCode" in body:
            body |= company.shown_currency(company.choose_currency(body))
        if "taxAreaId" in body:
            body["taxAreaDisplayName"] = _area_name(company, body["taxAreaId"])
        return body

    def _check_free(self, company: Company, number: str, row: Row | None) -> None:
        other = self.table(company).first("number", number)
        if other is not None and (row is None or other.wire["id"] != row.wire["id"]):
            raise same_key("Customer", f"No.='{number}'")


def _validate(company: Company, before: Json, body: Json) -> Json:
    """Validate place and tax number one after another in the body's order, and return all that changes."""
    record = dict(before)
    for name, value in body.items():
        _VALIDATE.get(name, _set_plain)(company, record, name, value)
    return {name: value for name, value in record.items() if name in body or value != before[name]}


def _set_plain(_company: Company, record: Json, name: str, value: Any) -> None:
    record[name] = value


def _set_country(company: Company, record: Json, name: str, value: str) -> None:
    """A new country clears the place of the old one, and the tax number is checked anew (Customer field 35)."""
    company.check_country(value, "Customer")
    before, record[name] = record[name], value
    if value == before:
        return
    if before:
        record |= dict.fromkeys(("city", "postalCode", "state"), "")
    check_tax_number(company, record["taxRegistrationNumber"], value, _known_number(company, record))


def _set_post_code(company: Company, record: Json, name: str, value: str) -> None:
    """A code that the table has under any country brings city, county and country along (Customer field 91)."""
    record[name] = value
    found = company.post_codes.find(value, record["city"], record["country"])
    if found is not None:
        record |= {prop: getattr(found, column) for prop, column in _PLACE.items()}


def _set_tax_number(company: Company, record: Json, name: str, value: str) -> None:
    """The number is checked against the country that is there so far, or the company's (Customer field 86)."""
    before, record[name] = record[name], raise_case(value)
    if record[name] != before:
        check_tax_number(company, record[name], record["country"], _known_number(company, record))


def _known_number(company: Company, record: Json) -> str:
    return record["number"] if record["id"] in company.table("customers").rows else ""


_VALIDATE: dict[str, Callable[[Company, Json, str, Any], None]] = {
    "country": _set_country,
    "postalCode": _set_post_code,
    "taxRegistrationNumber": _set_tax_number,
}


def create_customer(company: Company, body: Json, posting: Json | None = None) -> Row:
    """Insert a customer with the posting groups of its template, or those given."""
    # After all fields, so by the country that a post code may have put there (ProcessNewRecordFromAPI).
    template = company.template_for(body.get("country", ""))
    values: dict[str, Any] = dict(template.values) if template else {}
    values |= posting or {}
    wire = _from_template(company, values) | body
    wire["number"] = body.get("number") or company.take_number(SERIES)
    wire["taxAreaDisplayName"] = _area_name(company, wire["taxAreaId"])
    return company.table("customers").insert(wire, values)


def _from_template(company: Company, values: Json) -> Json:
    area = company.by_code("taxAreas", values.get("vatBusPostingGroup", ""))
    terms = company.by_code("paymentTerms", values.get("paymentTermsCode", ""))
    return {
        "taxAreaId": area.wire["id"] if area else ZERO_GUID,
        "paymentTermsId": terms.wire["id"] if terms else ZERO_GUID,
        **company.shown_currency(""),
    }


def _area_name(company: Company, key: str) -> str:
    area = company.get("taxAreas", key)
    return area.wire["displayName"] if area else ""


def _rename(company: Company, customer: Row) -> None:
    key, number = customer.wire["id"], customer.wire["number"]
    for set_name in KINDS:
        for row in list(company.table(set_name).rows.values()):
            if key not in {row.wire["customerId"], row.wire["billToCustomerId"]}:
                continue
            document = document_of(row).copy()
            for side in ("customer", "billToCustomer"):
                if document.header[f"{side}Id"] == key:
                    document.header[f"{side}Number"] = number
            save_document(company, document, row)
