"""A sales line and the validation of its fields, one after another in the order of the JSON (BC facts §7)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any

from simulators.business_central.company import Company, DocumentCurrency
from simulators.business_central.entities import BLANK_DATE, ENTITIES, ZERO_GUID
from simulators.business_central.errors import ApiError, dialog, invalid_relation, test_field
from simulators.business_central.store import Json, Row
from simulators.business_central.values import to_decimal
from simulators.business_central.vat import (
    HUNDRED,
    ONE,
    PERCENT_STEP,
    ZERO,
    VatLine,
    apply_discount_amount,
    apply_discount_percent,
    round_to,
)

UNIT_PRICE_STEP = Decimal("0.00001")
LINE_STEP = 10_000
LINE = ENTITIES["salesInvoiceLines"]
_TAX_CODE_INPUT = 20  # of 50 characters only these are used (BC facts §18.5)
_MONEY = frozenset({"quantity", "unitPrice", "discountAmount", "discountPercent", "taxCode", "itemId", "accountId"})
TOUCHES_MONEY = _MONEY | {"lineType", "lineObjectNumber", "unitOfMeasureCode", "unitOfMeasureId"}


@dataclass(slots=True, kw_only=True)
class SalesLine(VatLine):
    """One line of a sales document, as the base application holds it."""

    id: str
    sequence: int
    line_type: str = "Comment"
    object_id: str = ZERO_GUID
    number: str = ""
    description: str = ""
    description2: str = ""
    unit_id: str = ZERO_GUID
    unit_code: str = ""
    tax_group: str = ""
    shipment_date: str = BLANK_DATE
    variant_id: str = ZERO_GUID
    location_id: str = ZERO_GUID
    dimensions: dict[str, str] = field(default_factory=dict[str, str])

    def find_object(self, company: Company) -> Row | None:
        """Return the item or account that the line is booked on."""
        set_name = {"Item": "items", "Account": "accounts"}.get(self.line_type)
        return company.get(set_name, self.object_id) if set_name else None

    def reset(self, line_type: str, quantity: Decimal = ZERO) -> None:
        """Blank everything but the identity, as Init() does when type or object change; quantity may survive."""
        fresh = SalesLine(id=self.id, sequence=self.sequence, line_type=line_type, quantity=quantity)
        for entry in fields(SalesLine):
            setattr(self, entry.name, getattr(fresh, entry.name))


@dataclass(frozen=True, slots=True)
class LineContext:
    """What a line needs to know of its document."""

    company: Company
    currency: DocumentCurrency
    vat_business_group: str
    prices_include_vat: bool
    posting_date: str
    document_number: str
    credits: bool = False


def set_line_fields(line: SalesLine, body: Mapping[str, Any], context: LineContext) -> None:
    """Validate a checked body field by field; a value the line already holds is not validated."""
    if body.get("itemId", ZERO_GUID) != ZERO_GUID and body.get("accountId", ZERO_GUID) != ZERO_GUID:
        raise dialog('Both "itemId" and "accountId" are specified. Specify only one of them.')
    for name, value in body.items():
        setter = _SETTERS.get(name)
        if setter is not None:
            setter(line, value, context)


def _set_type(line: SalesLine, value: str, _context: LineContext) -> None:
    if value != line.line_type:
        line.reset(value)


def _set_item_id(line: SalesLine, value: str, context: LineContext) -> None:
    row = context.company.get("items", value)
    if row is None:
        raise dialog("Item does not exist.")
    if line.line_type != "Item":
        line.reset("Item", line.quantity)
    _copy_item(line, row, context)


def _set_account_id(line: SalesLine, value: str, context: LineContext) -> None:
    if value == ZERO_GUID and line.line_type != "Account":
        return
    row = context.company.get("accounts", value)
    if row is None:
        raise dialog("Account does not exist.")
    if line.line_type != "Account":
        line.reset("Account", line.quantity)
    _copy_account(line, row, context)


def _set_object_number(line: SalesLine, value: str, context: LineContext) -> None:
    """Look the number up by the type set SO FAR; that is why lineType must come first."""
    if value == line.number:
        return
    if line.number:
        raise dialog('The value for "lineObjectNumber" cannot be modified.')
    match line.line_type:
        case "Item":
            row = context.company.by_code("items", value)
            if row is None:
                raise dialog("Item does not exist.")
            _copy_item(line, row, context)
        case "Account":
            row = context.company.by_code("accounts", value)
            if row is None:
                raise dialog("Account does not exist.")
            _copy_account(line, row, context)
        case other:
            related = "Standard Text" if other == "Comment" else other.replace("_x0020_", " ")
            raise invalid_relation("No.", "Sales Line", value, related)


def _copy_item(line: SalesLine, row: Row, context: LineContext) -> None:
    item = row.wire
    if line.object_id == item["id"]:
        return
    _check_item(row, sells=not context.credits)
    line.reset("Item", line.quantity)
    line.object_id, line.number, line.description = item["id"], item["number"], item["displayName"]
    line.description2 = item["displayName2"]
    line.unit_id, line.unit_code = item["baseUnitOfMeasureId"], item["baseUnitOfMeasureCode"]
    line.allow_invoice_discount = True
    line.shipment_date = context.posting_date
    _set_tax_group(line, item["taxGroupCode"], context)
    line.unit_price = _price_of(item, line, context)


def _check_item(row: Row, *, sells: bool) -> None:
    item = row.wire
    key = f"No.={item['number']}"
    if item["blocked"]:
        text = f"Blocked must be equal to 'No'  in Item: {key}. Current value is 'Yes'."
        raise ApiError(400, "Application_FieldValidationException", text)
    if not item["generalProductPostingGroupCode"]:
        raise test_field("Gen. Prod. Posting Group", "Item", key)
    # What was sold may be taken back: a credit memo gets no more than a notification (SalesLine.CopyFromItem).
    if row.hidden.get("salesBlocked") and sells:
        text = "because the Sales Blocked check box is selected on the Item card."
        raise dialog(f"You cannot sell Item {item['number']} {text}")
    if item["type"] == "Inventory" and not item["inventoryPostingGroupCode"]:
        raise test_field("Inventory Posting Group", "Item", key)


def _price_of(item: Json, line: SalesLine, context: LineContext) -> Decimal:
    """Return the card price in the document's currency and VAT mode; it is kept in local currency."""
    if context.currency.factor is None:
        # The header accepted the currency; its lines cannot do without a rate (BC facts §8).
        raise test_field("Currency Factor", "Sales Header", f"Document Type=Invoice, No.={context.document_number}")
    price = to_decimal(item["unitPrice"]) * context.currency.factor
    factor = ONE + line.vat_percent / HUNDRED
    if item["priceIncludesTax"] and not context.prices_include_vat:
        price /= factor
    elif context.prices_include_vat and not item["priceIncludesTax"]:
        price *= factor
    return round_to(price, UNIT_PRICE_STEP)


def _copy_account(line: SalesLine, row: Row, context: LineContext) -> None:
    account = row.wire
    if line.object_id == account["id"]:
        return
    _check_account(account)
    if context.currency.factor is None:
        raise test_field("Currency Factor", "Sales Header", f"Document Type=Invoice, No.={context.document_number}")
    line.reset("Account", line.quantity)
    line.object_id, line.number, line.description = account["id"], account["number"], account["displayName"]
    line.allow_invoice_discount = False
    line.shipment_date = context.posting_date
    _set_tax_group(line, row.hidden.get("taxGroupCode", ""), context)


def _check_account(account: Json) -> None:
    key = f"No.={account['number']}"
    wanted = (
        ("accountType", "Posting", "Account Type"),
        ("blocked", False, "Blocked"),
        ("directPosting", True, "Direct Posting"),
    )
    for name, value, shown in wanted:
        if account[name] != value:
            current = _yes_no(account[name])
            text = f"{shown} must be equal to '{_yes_no(value)}'  in G/L Account: {key}. Current value is '{current}'."
            raise ApiError(400, "Application_FieldValidationException", text)


def _yes_no(value: Any) -> str:
    return ("Yes" if value else "No") if isinstance(value, bool) else str(value)


def _set_tax_group(line: SalesLine, code: str, context: LineContext) -> None:
    setup = context.company.vat_setup(context.vat_business_group, code)
    line.tax_group, line.identifier, line.vat_percent = code, setup.identifier, setup.percent


def _set_tax_code(line: SalesLine, value: str, context: LineContext) -> None:
    code = value[:_TAX_CODE_INPUT]
    if code == line.tax_group:
        return
    if code and context.company.by_code("taxGroups", code) is None:
        raise invalid_relation("VAT Prod. Posting Group", "Sales Line", code, "VAT Product Posting Group")
    if line.line_type == "Comment":
        raise test_field("Type", "Sales Line", f"Document No.={context.document_number}, Line No.={line.sequence}")
    before = line.vat_percent
    _set_tax_group(line, code, context)
    if context.prices_include_vat and line.line_type == "Item":
        price = line.unit_price * (HUNDRED + line.vat_percent) / (HUNDRED + before)
        line.unit_price = round_to(price, UNIT_PRICE_STEP)
        apply_discount_percent(line, context.currency.precision)


def _set_unit(line: SalesLine, row: Row | None, code: str, context: LineContext) -> None:
    if line.line_type == "Item" and line.number and code:
        item = context.company.get("items", line.object_id)
        units = item.hidden.get("units", ()) if item else ()
        if code != line.unit_code and code not in units:
            raise invalid_relation("Unit of Measure Code", "Sales Line", code, "Item Unit of Measure")
    elif code and row is None:
        raise invalid_relation("Unit of Measure Code", "Sales Line", code, "Unit of Measure")
    line.unit_code, line.unit_id = code, row.wire["id"] if row else ZERO_GUID


def _set_unit_code(line: SalesLine, value: str, context: LineContext) -> None:
    if value != line.unit_code:
        _set_unit(line, context.company.by_code("unitsOfMeasure", value), value, context)


def _set_unit_id(line: SalesLine, value: str, context: LineContext) -> None:
    if value == line.unit_id:
        return
    row = context.company.get("unitsOfMeasure", value)
    if row is None and value != ZERO_GUID:
        raise invalid_relation("Unit of Measure Id", "Sales Line", value, "Unit of Measure")
    _set_unit(line, row, row.wire["code"] if row else "", context)


def _set_quantity(line: SalesLine, value: Decimal, _context: LineContext) -> None:
    quantity = round_to(value, PERCENT_STEP)
    if quantity != line.quantity:
        line.quantity = quantity
        # Quantity re-finds the line discount, and there is no price list: it falls back to none (BC facts §8).
        line.discount_percent = line.discount_amount = ZERO


def _set_unit_price(line: SalesLine, value: Decimal, context: LineContext) -> None:
    if value != line.unit_price:
        line.unit_price = value
        apply_discount_percent(line, context.currency.precision)


def _set_discount_percent(line: SalesLine, value: Decimal, context: LineContext) -> None:
    if not ZERO <= value <= HUNDRED:
        raise dialog("The value in the Line Discount % field must be between 0 and 100.")
    if value != line.discount_percent:
        line.discount_percent = value
        apply_discount_percent(line, context.currency.precision)


def _set_discount_amount(line: SalesLine, value: Decimal, context: LineContext) -> None:
    if value < 0:
        raise dialog("Line discount amount must be positive.")
    if value == line.discount_amount:
        return
    if not line.quantity:
        raise test_field("Quantity", "Sales Line", f"Document No.={context.document_number}, Line No.={line.sequence}")
    line.discount_amount = value
    line.invoice_discount = ZERO
    apply_discount_amount(line, context.currency.precision)
    if not ZERO <= line.discount_percent <= HUNDRED:
        raise dialog("The value in the Line Discount % field must be between 0 and 100.")


def _plain(name: str) -> Callable[[SalesLine, Any, LineContext], None]:
    def assign(line: SalesLine, value: Any, _context: LineContext) -> None:
        setattr(line, name, value)

    return assign


_SETTERS: dict[str, Callable[[SalesLine, Any, LineContext], None]] = {
    "lineType": _set_type,
    "itemId": _set_item_id,
    "accountId": _set_account_id,
    "lineObjectNumber": _set_object_number,
    "description": _plain("description"),
    "description2": _plain("description2"),
    "unitOfMeasureId": _set_unit_id,
    "unitOfMeasureCode": _set_unit_code,
    "quantity": _set_quantity,
    "unitPrice": _set_unit_price,
    "discountAmount": _set_discount_amount,
    "discountPercent": _set_discount_percent,
    "taxCode": _set_tax_code,
    "shipmentDate": _plain("shipment_date"),
    "itemVariantId": _plain("variant_id"),
    "locationId": _plain("location_id"),
}
