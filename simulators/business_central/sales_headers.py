"""Validation of a sales header's fields in the order of the JSON, with what each one drags along (BC facts §5, §8)."""

from collections.abc import Callable, Mapping
from typing import Any

from simulators.business_central.company import Company
from simulators.business_central.default_dimensions import check_not_blocked, values_of
from simulators.business_central.due_dates import due_date
from simulators.business_central.entities import BLANK_DATE, ZERO_GUID
from simulators.business_central.errors import ApiError, dialog, invalid_relation, test_field
from simulators.business_central.sales_documents import CREDIT_MEMO, INVOICE, DocumentKind, SalesDocument
from simulators.business_central.sales_lines import SalesLine, set_line_fields
from simulators.business_central.store import Json, Row
from simulators.business_central.values import to_decimal
from simulators.business_central.vat import ZERO, update_amounts

POSTED_ONLY = frozenset({"promisedPayDate", "disputeStatus", "disputeStatusId"})
POSTED_WRITABLE = POSTED_ONLY | {"dueDate"}
_SIDES = frozenset({"sellTo", "shipTo", "billTo"})
_ADDRESS = {
    "AddressLine1": "addressLine1",
    "AddressLine2": "addressLine2",
    "City": "city",
    "Country": "country",
    "State": "state",
    "PostCode": "postalCode",
}
_CURRENCY = frozenset({"currencyId", "currencyCode"})


def set_header_fields(document: SalesDocument, body: Mapping[str, Any], company: Company) -> None:
    """Validate a checked body; the customer pair and the currency pair each count as one field."""
    done: set[_Setter] = set()
    for name, value in body.items():
        if name in POSTED_ONLY and not document.posted:
            text = "Posted must be equal to 'Yes'  in Sales Invoice Entity Aggregate. Current value is 'No'."
            raise ApiError(400, "Application_FieldValidationException", text)
        setter = _SETTERS.get(name)
        if setter is None:
            _set_plain(document, name, value, company)
        elif setter not in done:
            done.add(setter)
            setter(document, value, company, body)
    _copy_sell_to_bill(document)


def set_dates_again(document: SalesDocument, body: Mapping[str, Any], company: Company) -> None:
    """Re-apply the dates a POST sent, so that their order does not matter there (SetDates)."""
    names = (document.kind.date_property, "postingDate", "dueDate")
    set_header_fields(document, {name: body[name] for name in names if name in body}, company)


def _set_plain(document: SalesDocument, name: str, value: Any, company: Company) -> None:
    if document.header.get(name) == value:
        return
    if name == "salesperson":
        company.check_salesperson(value, "Sales Header")
    side, suffix = name[: len("sellTo")], name[len("sellTo") :]
    if side in _SIDES and suffix in _ADDRESS:
        _set_address(document, side, suffix, value, company)
    else:
        document.header[name] = value


def _set_address(document: SalesDocument, side: str, suffix: str, value: str, company: Company) -> None:
    """Validate one field of an address; the ship-to address follows the sell-to one as long as they are equal."""
    header = document.header
    follows = side == "sellTo" and document.kind is INVOICE and _same_address(header, "shipTo", "sellTo")
    header[f"{side}{suffix}"] = value
    match suffix:
        case "Country":
            company.check_country(value, "Sales Header")
            if side != "shipTo" and not company.uses_county(value):
                header[f"{side}State"] = ""
        case "PostCode":
            _fill_place(header, side, company)
        case _:
            pass
    if follows:
        header |= {f"shipTo{part}": header[f"sellTo{part}"] for part in _ADDRESS}


def _same_address(header: Json, one: str, other: str) -> bool:
    return all(header[f"{one}{part}"] == header[f"{other}{part}"] for part in _ADDRESS)


def _fill_place(header: Json, side: str, company: Company) -> None:
    """A post code that the table has under any country brings city, county and country along (PostCode.Table.al)."""
    found = company.post_codes.find(header[f"{side}PostCode"], header[f"{side}City"], header[f"{side}Country"])
    if found is not None:
        place = {"PostCode": found.code, "City": found.city, "State": found.county, "Country": found.country}
        header |= {f"{side}{part}": text for part, text in place.items()}


def _set_sell_to(document: SalesDocument, _value: Any, company: Company, body: Mapping[str, Any]) -> None:
    customer = _find_customer(company, body, "customerId", "customerNumber", "sell-to")
    if document.header["customerId"] == customer.wire["id"]:
        return
    check_customer(customer, document.kind)
    wire = customer.wire
    document.header |= {"customerId": wire["id"], "customerNumber": wire["number"], "customerName": wire["displayName"]}
    document.header |= {f"sellTo{suffix}": wire[name] for suffix, name in _ADDRESS.items()}
    document.header |= {
        "phoneNumber": wire["phoneNumber"],
        "email": wire["email"],
        "salesperson": wire["salespersonCode"],
    }
    if document.kind is INVOICE:
        document.header |= {f"shipTo{suffix}": wire[name] for suffix, name in _ADDRESS.items()}
        document.header |= {"shipToName": wire["displayName"], "shipmentMethodId": wire["shipmentMethodId"]}
    _bill_to(document, customer, company)


def _set_bill_to(document: SalesDocument, _value: Any, company: Company, body: Mapping[str, Any]) -> None:
    customer = _find_customer(company, body, "billToCustomerId", "billToCustomerNumber", "bill-to")
    if document.header["billToCustomerId"] != customer.wire["id"]:
        check_customer(customer, document.kind)
        _bill_to(document, customer, company)


def _find_customer(company: Company, body: Mapping[str, Any], by_id: str, by_number: str, side: str) -> Row:
    key, number = body.get(by_id), body.get(by_number)
    by_key = company.get("customers", key) if key else None
    named = company.by_code("customers", number) if number else None
    if key and number and by_key and by_key.wire["number"] != number:
        raise dialog(f"The {side} customer values do not match to a specific Customer.")
    found = by_key if key else named
    if found is None:
        raise dialog(f"The {side} customer cannot be found.")
    return found


def check_customer(customer: Row, kind: DocumentKind, action: str = "create") -> None:
    """Refuse a blocked customer, or one without posting groups, at once (Customer.CheckBlockedCustOnDocs)."""
    wire = customer.wire
    if customer.hidden.get("privacyBlocked"):
        blocked = "is blocked for privacy."
        raise dialog(f"You cannot {action} this type of document when Customer {wire['number']} {blocked}")
    if wire["blocked"] == "All" or (wire["blocked"] == "Invoice" and kind is INVOICE):
        blocked = f"is blocked with type {wire['blocked']}"
        raise dialog(f"You cannot {action} this type of document when Customer {wire['number']} {blocked}")
    key = f"No.={wire['number']}"
    if not customer.hidden.get("genBusPostingGroup"):
        raise test_field("Gen. Bus. Posting Group", "Customer", key)
    if not customer.hidden.get("customerPostingGroup"):
        raise test_field("Customer Posting Group", "Customer", key)


def check_open(document: SalesDocument) -> None:
    """Refuse changes of a released or in-review document (SalesHeader TestStatusOpen)."""
    if document.state != "Open":
        state = {"Pending": "Pending Approval"}.get(document.state, document.state)
        text = f"Status must be equal to 'Open'  in Sales Header: {document.key_text()}. Current value is '{state}'."
        raise ApiError(400, "Application_FieldValidationException", text)


def _bill_to(document: SalesDocument, customer: Row, company: Company) -> None:
    """Take what the bill-to customer decides: currency, terms, VAT, whether prices include VAT."""
    wire = customer.wire
    document.header |= {
        "billToName": wire["displayName"],
        "billToCustomerId": wire["id"],
        "billToCustomerNumber": wire["number"],
        "paymentTermsId": wire["paymentTermsId"],
    }
    document.header |= {f"billTo{suffix}": wire[name] for suffix, name in _ADDRESS.items()}
    document.general_business_group = customer.hidden.get("genBusPostingGroup", "")
    document.customer_group = customer.hidden.get("customerPostingGroup", "")
    area = company.get("taxAreas", wire["taxAreaId"])
    document.vat_business_group = area.wire["code"] if area else ""
    document.prices_include_vat = bool(customer.hidden.get("pricesIncludingVat"))
    document.dimensions |= values_of(customer)
    show_shortcuts(document, company)
    _use_currency(document, company.read_currency_id(wire["currencyId"]), company)
    _use_terms(document, company)
    recreate_lines(document, company)


def _copy_sell_to_bill(document: SalesDocument) -> None:
    """Keep the bill-to address equal to the sell-to address of the same customer (CopySellToAddressToBillToAddress)."""
    if document.header["customerId"] == document.header["billToCustomerId"]:
        document.header |= {f"billTo{suffix}": document.header[f"sellTo{suffix}"] for suffix in _ADDRESS}


def _set_currency(document: SalesDocument, _value: Any, company: Company, body: Mapping[str, Any]) -> None:
    code = company.choose_currency({name: body[name] for name in body if name in _CURRENCY})
    if code != document.currency.code:
        _use_currency(document, code, company)
        recreate_lines(document, company)


def _use_currency(document: SalesDocument, code: str, company: Company) -> None:
    document.currency = company.currency(code)
    document.header |= company.shown_currency(code)


def recreate_lines(document: SalesDocument, company: Company) -> None:
    """Rebuild the lines: new ids, prices back to the card, account lines to 0 (BC facts §8)."""
    old, document.lines = document.lines, []
    context = document.context(company)
    for line in old:
        fresh = SalesLine(id=company.core.ids.guid(), sequence=line.sequence)
        body: dict[str, Any] = {"lineType": line.line_type}
        if line.number:
            body |= {"lineObjectNumber": line.number, "unitOfMeasureCode": line.unit_code, "quantity": line.quantity}
        else:
            body["description"] = line.description
        set_line_fields(fresh, body, context)
        precision = document.currency.precision
        update_amounts(fresh, document.lines, prices_include_vat=document.prices_include_vat, precision=precision)
        document.lines.append(fresh)


def _set_document_date(document: SalesDocument, value: Any, company: Company, _body: Mapping[str, Any]) -> None:
    if document.header[document.kind.date_property] != value:
        document.header[document.kind.date_property] = value
        _recompute_due_date(document, company)


def _set_posting_date(document: SalesDocument, value: Any, company: Company, body: Mapping[str, Any]) -> None:
    if value == BLANK_DATE:
        raise test_field("Posting Date", "Sales Header", document.key_text())
    if document.header["postingDate"] != value:
        document.header["postingDate"] = value
        if company.setup.link_document_date:
            _set_document_date(document, value, company, body)


def _set_payment_terms(document: SalesDocument, value: Any, company: Company, _body: Mapping[str, Any]) -> None:
    company.check_reference("paymentTerms", "paymentTermsId", value, "Payment Terms")
    if document.header["paymentTermsId"] != value:
        document.header["paymentTermsId"] = value
        _use_terms(document, company)


def _use_terms(document: SalesDocument, company: Company) -> None:
    """Take due date and cash discount from the payment terms (SalesHeader field 23)."""
    _recompute_due_date(document, company)
    row = company.get("paymentTerms", document.header["paymentTermsId"])
    grants = row is not None and (document.kind is INVOICE or row.wire["calculateDiscountOnCreditMemos"])
    document.payment_discount = to_decimal(row.wire["discountPercent"]) if row and grants else ZERO


def _recompute_due_date(document: SalesDocument, company: Company) -> None:
    row = company.get("paymentTerms", document.header["paymentTermsId"])
    formula = row.wire["dueDateCalculation"] if row else ""
    day = document.header[document.kind.date_property]
    document.header["dueDate"] = due_date(day, formula) if day != BLANK_DATE else BLANK_DATE


def _set_shipment_method(document: SalesDocument, value: Any, company: Company, _body: Mapping[str, Any]) -> None:
    company.check_reference("shipmentMethods", "shipmentMethodId", value, "Shipment Method")
    document.header["shipmentMethodId"] = value


def _set_dimension_1(document: SalesDocument, value: Any, company: Company, _body: Mapping[str, Any]) -> None:
    _set_shortcut(document, "shortcutDimension1Code", value, company.setup.global_dimension_1, company)


def _set_dimension_2(document: SalesDocument, value: Any, company: Company, _body: Mapping[str, Any]) -> None:
    _set_shortcut(document, "shortcutDimension2Code", value, company.setup.global_dimension_2, company)


def _set_shortcut(document: SalesDocument, name: str, value: str, dimension: str, company: Company) -> None:
    owner = company.by_code("dimensions", dimension) if dimension else None
    found = company.find_dimension_value(owner.wire["id"], value) if owner and value else None
    if value and not found:
        raise invalid_relation(name[0].upper() + name[1:], "Sales Header", value, "Dimension Value")
    check_not_blocked(owner, found)
    document.header[name] = value
    if owner:
        document.dimensions.pop(owner.wire["id"], None)
        if found:
            document.dimensions[owner.wire["id"]] = found.wire["id"]


def show_shortcuts(document: SalesDocument, company: Company) -> None:
    """Keep the header's two global dimensions in step with its dimension set (BC facts §16)."""
    for at, dimension in enumerate((company.setup.global_dimension_1, company.setup.global_dimension_2), start=1):
        owner = company.by_code("dimensions", dimension) if dimension else None
        value = company.get("dimensionValues", document.dimensions.get(owner.wire["id"], "")) if owner else None
        document.header[f"shortcutDimension{at}Code"] = value.wire["code"] if value else ""


def _set_invoice_id(document: SalesDocument, _value: Any, company: Company, body: Mapping[str, Any]) -> None:
    """Apply a credit memo to a posted invoice; id and number must name the same one."""
    key, number = body.get("invoiceId", ZERO_GUID), body.get("invoiceNumber", "")
    table = company.table("salesInvoices")
    found = table.rows.get(key) or (table.first("number", number) if number else None)
    if found is None or not found.hidden["document"].posted or (number and found.wire["number"] != number):
        raise dialog("The invoice values do not match to a specific posted invoice.")
    document.header |= {"invoiceId": found.wire["id"], "invoiceNumber": found.wire["number"]}


def discount_of(body: Mapping[str, Any]) -> Any:
    """Return the header discount a body asks for, or None."""
    return to_decimal(body["discountAmount"]) if "discountAmount" in body else None


def _ignore(_document: SalesDocument, _value: Any, _company: Company, _body: Mapping[str, Any]) -> None:
    """Leave it to the caller: the invoice discount is applied when everything else is done."""


_Setter = Callable[[SalesDocument, Any, Company, Mapping[str, Any]], None]
_SETTERS: dict[str, _Setter] = {
    "customerId": _set_sell_to,
    "customerNumber": _set_sell_to,
    "billToCustomerId": _set_bill_to,
    "billToCustomerNumber": _set_bill_to,
    "currencyId": _set_currency,
    "currencyCode": _set_currency,
    INVOICE.date_property: _set_document_date,
    CREDIT_MEMO.date_property: _set_document_date,
    "postingDate": _set_posting_date,
    "paymentTermsId": _set_payment_terms,
    "shipmentMethodId": _set_shipment_method,
    "shortcutDimension1Code": _set_dimension_1,
    "shortcutDimension2Code": _set_dimension_2,
    "invoiceId": _set_invoice_id,
    "invoiceNumber": _set_invoice_id,
    "discountAmount": _ignore,
}
