"""A sales document: header and lines together, how it is rendered and how it is saved."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from simulators.business_central.company import Company, DocumentCurrency
from simulators.business_central.entities import BLANK_DATE, ZERO_GUID
from simulators.business_central.sales_lines import LINE, LineContext, SalesLine
from simulators.business_central.store import Json, Row
from simulators.business_central.values import to_wire
from simulators.business_central.vat import HUNDRED, ONE, ZERO, round_to


@dataclass(frozen=True, slots=True)
class DocumentKind:
    """What differs between invoices and credit memos."""

    set_name: str
    lines_name: str
    date_property: str
    word: str
    parent_type: str
    series: str
    posted_series: str


INVOICE = DocumentKind(
    "salesInvoices", "salesInvoiceLines", "invoiceDate", "invoice", "Sales_x0020_Invoice", "S-INV", "S-INV+"
)
CREDIT_MEMO = DocumentKind(
    "salesCreditMemos",
    "salesCreditMemoLines",
    "creditMemoDate",
    "credit memo",
    "Sales_x0020_Credit_x0020_Memo",
    "S-CR",
    "S-CR+",
)
KINDS = {kind.set_name: kind for kind in (INVOICE, CREDIT_MEMO)}
LINE_KINDS = {kind.lines_name: kind for kind in (INVOICE, CREDIT_MEMO)}


@dataclass(slots=True)
class SalesDocument:
    """Header properties as stored, plus what the base application keeps beside them."""

    kind: DocumentKind
    header: Json
    currency: DocumentCurrency
    vat_business_group: str = ""
    general_business_group: str = ""
    customer_group: str = ""
    payment_discount: Decimal = ZERO
    """Cash discount in percent that the payment terms grant; it is not in the API."""
    prices_include_vat: bool = False
    discount_value: Decimal = ZERO
    posted: bool = False
    state: str = "Open"
    remaining: Decimal | None = None
    lines: list[SalesLine] = field(default_factory=list[SalesLine])
    dimensions: dict[str, str] = field(default_factory=dict[str, str])

    def copy(self) -> "SalesDocument":
        """Return a copy to work on; the stored one is never changed."""
        lines = [replace(line, dimensions=dict(line.dimensions)) for line in self.lines]
        return replace(self, header=dict(self.header), lines=lines, dimensions=dict(self.dimensions))

    @property
    def id(self) -> str:
        """Return the id, which survives posting (BC facts §5)."""
        return self.header["id"]

    def context(self, company: Company) -> LineContext:
        """Return what lines need to know."""
        return LineContext(
            company,
            self.currency,
            self.vat_business_group,
            self.prices_include_vat,
            self.header["postingDate"],
            self.header["number"],
            credits=self.kind is CREDIT_MEMO,
        )

    def total(self) -> Decimal:
        """Return the amount including VAT."""
        return sum((line.amount_including_vat for line in self.lines), ZERO)

    def status(self) -> str:
        """Return the wire status: released drafts are `Open` although they are not posted (BC facts §5)."""
        if self.posted:
            return self.state
        return {"Open": "Draft", "Pending": "In_x0020_Review", "Released": "Open"}[self.state]

    def key_text(self) -> str:
        """Name the document as AL errors do."""
        name = "Invoice" if self.kind is INVOICE else "Credit Memo"
        return f"Document Type={name}, No.={self.header['number']}"


def document_of(row: Row) -> SalesDocument:
    """Return the document behind a row of salesInvoices or salesCreditMemos."""
    return row.hidden["document"]


def lines_of(row: Row) -> list[Row]:
    """Return the rendered lines of a document."""
    return row.hidden["lines"]


def save_document(company: Company, document: SalesDocument, before: Row | None) -> Row:
    """Store a document; etag, totals and lastModifiedDateTime of the header change with every line (BC facts §11)."""
    table = company.table(document.kind.set_name)
    hidden: Json = {"document": document, "lines": _render_lines(company, document, before)}
    # Owners of lines that are gone stay listed: a rolled back batch may bring the lines back.
    owner = (document.kind.set_name, document.id)
    company.line_owners.update((line.id, owner) for line in document.lines)
    wire = _render_header(document)
    return table.insert(wire, hidden) if before is None else table.replace(before, wire, hidden)


def header_row(company: Company, document: SalesDocument) -> Row:
    """Return a document as it is when its header is in and its first line is not."""
    wire = {"@odata.etag": company.core.etag()} | _render_header(document)
    wire["lastModifiedDateTime"] = company.core.clock.stamp()
    return Row(wire, 0, {"document": document.copy(), "lines": []})


def delete_document(company: Company, row: Row) -> None:
    """Remove a document with its lines."""
    company.table(document_of(row).kind.set_name).delete(row)


def _render_header(document: SalesDocument) -> Json:
    net = sum((line.amount for line in document.lines), ZERO)
    gross = document.total()
    wire = document.header | {
        "pricesIncludeTax": document.prices_include_vat,
        "discountAmount": to_wire(sum((line.invoice_discount for line in document.lines), ZERO)),
        "discountAppliedBeforeTax": not document.prices_include_vat,
        "totalAmountExcludingTax": to_wire(net),
        "totalTaxAmount": to_wire(gross - net),
        "totalAmountIncludingTax": to_wire(gross),
        "status": document.status(),
    }
    if document.kind is INVOICE:
        wire["remainingAmount"] = to_wire(gross if document.remaining is None else document.remaining)
    return wire


def _render_lines(company: Company, document: SalesDocument, before: Row | None) -> list[Row]:
    """Render the lines; one that did not change keeps its row and with it its etag."""
    old = {row.wire["id"]: row for row in lines_of(before)} if before else {}
    rendered: list[Row] = []
    for line in sorted(document.lines, key=lambda entry: entry.sequence):
        wire = _render_line(document, line)
        same = old.get(line.id)
        if same is None or any(same.wire[name] != value for name, value in wire.items()):
            rendered.append(Row({"@odata.etag": company.core.etag()} | wire, line.sequence))
        else:
            rendered.append(same)
    return rendered


def _render_line(document: SalesDocument, line: SalesLine) -> Json:
    excluding, including = _line_amounts(document, line)
    allocated = excluding - line.amount if document.prices_include_vat else line.invoice_discount
    values: dict[str, Any] = {
        "id": line.id,
        "documentId": document.id,
        "sequence": line.sequence,
        "itemId": line.object_id if line.line_type == "Item" else ZERO_GUID,
        "accountId": line.object_id if line.line_type == "Account" else ZERO_GUID,
        "lineType": line.line_type,
        "lineObjectNumber": line.number,
        "description": line.description,
        "description2": line.description2,
        "unitOfMeasureId": line.unit_id,
        "unitOfMeasureCode": line.unit_code,
        "quantity": to_wire(line.quantity),
        "unitPrice": to_wire(line.unit_price),
        "discountAmount": to_wire(line.discount_amount),
        "discountPercent": to_wire(line.discount_percent),
        "discountAppliedBeforeTax": False,
        "amountExcludingTax": to_wire(excluding),
        "taxCode": line.identifier or "",
        "taxPercent": to_wire(line.vat_percent),
        "totalTaxAmount": to_wire(including - excluding),
        "amountIncludingTax": to_wire(including),
        "invoiceDiscountAllocation": to_wire(allocated),
        "netAmount": to_wire(line.amount),
        "netTaxAmount": to_wire(line.amount_including_vat - line.amount),
        "netAmountIncludingTax": to_wire(line.amount_including_vat),
        "shipmentDate": line.shipment_date,
        "itemVariantId": line.variant_id,
        "locationId": line.location_id,
    }
    return {name: values[name] for name in LINE.properties}


def _line_amounts(document: SalesDocument, line: SalesLine) -> tuple[Decimal, Decimal]:
    """Return the amounts before the invoice discount (GetLineAmountExclVAT, GetLineAmountInclVAT)."""
    factor = ONE + line.vat_percent / HUNDRED
    precision = document.currency.precision
    if document.prices_include_vat:
        return round_to(line.line_amount / factor, precision), line.line_amount
    return line.line_amount, round_to(line.line_amount * factor, precision)


def fresh_document(company: Company, kind: DocumentKind, header: Json) -> SalesDocument:
    """Return a document as InitRecord leaves it: dated today, in local currency, with a number still to come."""
    today = company.core.clock.today().isoformat()
    dates = {kind.date_property: today, "postingDate": today, "dueDate": BLANK_DATE}
    return SalesDocument(kind, header | dates | company.shown_currency(""), company.currency(""))
