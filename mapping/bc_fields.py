"""The fields of Business Central that a mapping may fill: type, length and members; and which are the hub's own.

`data/bc_fields.json` holds the customers, salesInvoices, salesInvoiceLines, salesCreditMemos and salesCreditMemoLines
of API v2.0 (microsoft/BCApps, pages APIV2*.Page.al, app 29.0, W1). Of each property: its EDM type (`code` where the AL
type is Code), the length of the table field, `read_only` where page or field can't be edited, enum members as they
travel, and the table in which a value must exist. A test compares it with the simulator, which was written apart.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Entity = Literal["customers", "salesInvoices", "salesInvoiceLines", "salesCreditMemos", "salesCreditMemoLines"]
FieldType = Literal["text", "code", "guid", "date", "decimal", "int", "bool", "datetime", "enum"]

_IDENTITY = "it decides whose invoice this is"
_ONCE = "the hub finds its draft by it"
_CURRENCY = "the currency is the Stripe invoice's"
_AMOUNT = "it decides the amount, which is Stripe's to the cent"
_OBJECT = "where a line is booked is set under invoices.lines and invoices.products"
_TAX = "tax is set under invoices.tax"
_UNIT = "another unit of measure fetches another price; units are set with the account or item under invoices"
_ORDER = "lines keep the order of the Stripe invoice"
_POSTED = "Business Central takes it only once the invoice is posted"

_CUSTOMER = {
    "number": "numbers of customers are set under customers",
    "currencyId": _CURRENCY,
    "currencyCode": _CURRENCY,
    "taxAreaId": "it decides the tax, and is set under customers",
    "taxLiable": "it decides the tax, and is set under customers",
    "blocked": "a blocked customer can't be invoiced",
}
_DOCUMENT = {
    "externalDocumentNumber": _ONCE,
    "customerId": _IDENTITY,
    "customerNumber": _IDENTITY,
    "billToCustomerId": _IDENTITY,
    "billToCustomerNumber": _IDENTITY,
    "currencyId": _CURRENCY,
    "currencyCode": _CURRENCY,
    "discountAmount": _AMOUNT,
    "promisedPayDate": _POSTED,
    "disputeStatusId": _POSTED,
    "disputeStatus": _POSTED,
    "invoiceId": "it decides which invoice a credit memo settles",
    "invoiceNumber": "it decides which invoice a credit memo settles",
}
_LINE = {
    "documentId": "a line belongs to its own document",
    "sequence": _ORDER,
    "itemId": _OBJECT,
    "accountId": _OBJECT,
    "lineType": _OBJECT,
    "lineObjectNumber": _OBJECT,
    "itemVariantId": "another variant fetches another price",
    "unitOfMeasureId": _UNIT,
    "unitOfMeasureCode": _UNIT,
    "quantity": _AMOUNT,
    "unitPrice": _AMOUNT,
    "discountAmount": _AMOUNT,
    "discountPercent": _AMOUNT,
    "taxCode": _TAX,
}
_OWN: Mapping[Entity, Mapping[str, str]] = {
    "customers": _CUSTOMER,
    "salesInvoices": _DOCUMENT,
    "salesCreditMemos": _DOCUMENT,
    "salesInvoiceLines": _LINE,
    "salesCreditMemoLines": _LINE,
}
_ON_CREDIT_MEMOS = {"invoiceDate": "creditMemoDate"}


@dataclass(frozen=True)
class BcField:
    """A property of an entity. `length` is in UTF-16 code units."""

    name: str
    type: FieldType
    length: int | None = None
    members: tuple[str, ...] = ()
    """Of an enum, as they travel: `Fixed_x0020_Asset`."""
    format: Literal["", "phone", "email"] = ""
    record: str = ""
    """The table of Business Central in which the value must exist."""
    obstacle: str = ""
    """Why no mapping may fill it, for the reader; empty where one may."""


def get_field(entity: Entity, name: str) -> BcField | None:
    """Return a field by its exact name; None if the entity has none of it."""
    return _load()[entity].get(name)


def get_credit_memo_field(name: str) -> BcField | None:
    """Return the field of a credit memo's header that stands for one of an invoice; None where it has none."""
    return get_field("salesCreditMemos", _ON_CREDIT_MEMOS.get(name, name))


def list_fields(entity: Entity) -> tuple[BcField, ...]:
    """List the fields that a mapping may fill."""
    return tuple(field for field in _load()[entity].values() if not field.obstacle)


def find_obstacle(entity: Entity, name: str) -> str:
    """Say in one sentence why no mapping may fill a field; empty where one may."""
    field = get_field(entity, name)
    if field is None:
        nearest = get_close_matches(name, [one.name for one in list_fields(entity)], n=1, cutoff=0.0)[0]
        return f"Business Central's {entity} have no field {name}; did you mean {nearest}?"
    return f"{name} can't be mapped: {field.obstacle}." if field.obstacle else ""


@cache
def _load() -> Mapping[Entity, Mapping[str, BcField]]:
    raw = json.loads(files("mapping").joinpath("data/bc_fields.json").read_text(encoding="utf-8"))
    return {entity: {name: _build(entity, name, row) for name, row in rows.items()} for entity, rows in raw.items()}


def _build(entity: Entity, name: str, row: Mapping[str, Any]) -> BcField:
    obstacle = "Business Central computes it" if row.get("read_only") else _OWN[entity].get(name, "")
    return BcField(
        name,
        row["type"],
        length=row.get("length"),
        members=tuple(row.get("members", ())),
        format=row.get("format", ""),
        record=row.get("record", ""),
        obstacle=obstacle,
    )
