"""salesInvoices, salesCreditMemos and their lines as entity sets: deep insert, changes, deletion, visibility."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from simulators.business_central.company import Company
from simulators.business_central.default_dimensions import values_of
from simulators.business_central.dimension_set_lines import set_dimension
from simulators.business_central.entities import ENTITIES, ZERO_GUID
from simulators.business_central.errors import ApiError, bad_request, dialog, not_found
from simulators.business_central.odata import Page, list_rows, list_table
from simulators.business_central.odata_filter import parse_filter
from simulators.business_central.posting import ACTIONS
from simulators.business_central.resources import Call, Resource
from simulators.business_central.sales_documents import (
    DocumentKind,
    SalesDocument,
    delete_document,
    document_of,
    fresh_document,
    header_row,
    lines_of,
    save_document,
)
from simulators.business_central.sales_headers import (
    POSTED_WRITABLE,
    check_open,
    discount_of,
    set_dates_again,
    set_header_fields,
    show_shortcuts,
)
from simulators.business_central.sales_lines import LINE_STEP, TOUCHES_MONEY, SalesLine, set_line_fields
from simulators.business_central.store import Json, Row
from simulators.business_central.values import read_body
from simulators.business_central.vat import NoDiscountableLinesError, apply_invoice_discount, update_amounts

_NO_DISCOUNT_LINES = (
    "Cannot apply an invoice discount because the document does not include lines where the Allow Invoice Disc. field "
    "is selected. To add a discount, specify a line discount in the Line Discount % field for the relevant lines, or "
    "add a line of type Item where the Allow Invoice Disc. field is selected."
)


class Documents(Resource):
    """One kind of sales document, drafts and posted ones in one set."""

    streams = frozenset({"pdfDocument"})

    def __init__(self, kind: DocumentKind) -> None:
        super().__init__(kind.set_name)
        self.kind = kind
        self.children = {kind.lines_name: kind.lines_name, "dimensionSetLines": "dimensionSetLines"}
        self.links = {
            "customer": ("customers", "customerId"),
            "currency": ("currencies", "currencyId"),
            "paymentTerm": ("paymentTerms", "paymentTermsId"),
            "shipmentMethod": ("shipmentMethods", "shipmentMethodId"),
        }
        self._navigations = frozenset({kind.lines_name, "dimensionSetLines"})

    def page(self, call: Call) -> Page:
        """List documents; without read permission drafts or posted ones are not there (BC facts §10)."""
        if not (call.hide_drafts or call.hide_posted):
            return super().page(call)
        table = self.table(call.company)
        rows = table.as_of_replica() if call.replica and call.company.core.replica_lag else table.rows.values()
        return list_table(table, call.query, call.page_size, [row for row in rows if _is_visible(call, row)])

    def find(self, call: Call, key: str) -> Row | None:
        """Return a document the caller may see."""
        row = super().find(call, key)
        return row if row is not None and _is_visible(call, row) else None

    def insert(self, call: Call) -> Row:
        """Insert header and nested lines as one: nothing stays when any part is refused, or what came before it."""
        company = call.company
        body = read_body(self.entity, call.body, self._navigations)
        # In the order of the JSON: lines take the header's dimensions over as they are when the line is made.
        nested = {name: body.pop(name) for name in list(body) if name in self._navigations}
        document = self._insert_header(company, body)
        empty = header_row(company, document)
        try:
            for name in nested:
                for entry in _nested(nested, name):
                    self._insert_nested(company, document, name, entry)
        except ApiError:
            if company.core.readings.deep_insert == "parts":
                self._save_new(company, document, empty)
            raise
        return self._save_new(company, document, empty)

    def _save_new(self, company: Company, document: SalesDocument, empty: Row) -> Row:
        document.header["number"] = empty.wire["number"] = company.take_number(self.kind.series)
        row = save_document(company, document, None)
        row.older = empty
        return row

    def _insert_nested(self, company: Company, document: SalesDocument, name: str, entry: Any) -> None:
        if name == self.kind.lines_name:
            add_line(company, document, _read_line(self.kind, entry, nested_in=True))
            return
        set_dimension(company, document.dimensions, entry)
        show_shortcuts(document, company)

    def _insert_header(self, company: Company, body: Json) -> SalesDocument:
        if body.get("customerId", ZERO_GUID) == ZERO_GUID and not body.get("customerNumber"):
            raise dialog('A "customerNumber" or a "customerId" must be provided.')
        company.series[self.kind.posted_series].check_named()
        company.series[self.kind.series].check(company.core.clock.today().isoformat())
        header = self.entity.blank() | {"id": company.core.ids.guid()}
        document = fresh_document(company, self.kind, header)
        set_header_fields(document, body, company)
        set_dates_again(document, body, company)
        # The header comes before its lines, so a positive discount finds none to fall on (BC facts §7).
        _apply_discount(document, discount_of(body))
        return document

    def modify(self, call: Call, row: Row) -> Row:
        """Change a header; on a posted document hardly anything may change."""
        if isinstance(call.body, dict) and self._navigations & call.body.keys():
            raise bad_request("Deep update is not supported: change lines one by one.")
        body = read_body(self.entity, call.body)
        document = document_of(row).copy()
        if document.posted:
            if not body or not POSTED_WRITABLE.issuperset(body):
                raise dialog(f"The {self.kind.word} has been posted and can no longer be modified.")
        else:
            check_open(document)
        set_header_fields(document, body, call.company)
        if not document.posted:
            _apply_discount(document, discount_of(body))
        return save_document(call.company, document, row)

    def remove(self, call: Call, row: Row) -> None:
        """Delete a draft; a posted document only where the setup allows its deletion."""
        document = document_of(row)
        limit = call.company.setup.allow_deletion_before
        if document.posted and not limit:
            raise dialog(
                "You cannot delete posted sales documents: Allow Document Deletion Before must have a value in "
                "Sales & Receivables Setup."
            )
        if document.posted and document.header["postingDate"] >= limit:
            raise dialog(f"You cannot delete posted sales documents that are posted after {limit}.")
        delete_document(call.company, row)

    def act(self, call: Call, row: Row, action: str) -> None:
        """Run post, cancel and the others; the answer is always empty."""
        run = ACTIONS.get((self.kind.set_name, action))
        if run is None:
            raise not_found(self.set_name, action)
        run(call.company, row)


class DocumentLines(Resource):
    """The lines of one kind of document, below it or at top level."""

    def __init__(self, kind: DocumentKind, parent: Documents) -> None:
        super().__init__(kind.lines_name)
        self.kind = kind
        self.parent = parent
        self.children = {"dimensionSetLines": "dimensionSetLines"}
        self.links = {
            "item": ("items", "itemId"),
            "account": ("accounts", "accountId"),
            "unitOfMeasure": ("unitsOfMeasure", "unitOfMeasureId"),
            parent.entity.name: (kind.set_name, "documentId"),
        }

    def page(self, call: Call) -> Page:
        """List lines of one document; without saying which, BC refuses."""
        if call.parents:
            return list_rows(self.below(call, call.parents[-1]), self.entity, call.query, call.page_size)
        node = parse_filter(call.query.filter, self.entity) if call.query.filter else None
        name, values = node.equal if node and node.equal else ("", ())
        if name not in {"id", "documentId"}:
            raise dialog("You must specify an Id or a Document Id to get the lines.")
        owners = values if name == "documentId" else [self._owner_id(call.company, key) for key in values]
        found = [self.parent.find(call, key) for key in owners if key]
        rows = [line for row in found if row for line in lines_of(row)]
        return list_rows(rows, self.entity, call.query, call.page_size)

    def below(self, _call: Call, parent: tuple[str, Row]) -> Iterable[Row]:
        """Return a document's lines in their order."""
        return lines_of(parent[1])

    def find(self, call: Call, key: str) -> Row | None:
        """Return a line by its own id."""
        owner = self.parent.find(call, self._owner_id(call.company, key))
        return next((row for row in lines_of(owner) if row.wire["id"] == key), None) if owner else None

    def _owner_id(self, company: Company, key: str) -> str:
        set_name, owner = company.line_owners.get(key, ("", ""))
        return owner if set_name == self.kind.set_name else ""

    def insert(self, call: Call) -> Row:
        """Add a line to a draft."""
        body = _read_line(self.kind, call.body)
        key = call.parents[-1][1].wire["id"] if call.parents else body.get("documentId", ZERO_GUID)
        if key == ZERO_GUID:
            raise dialog("You must specify a Document Id to insert a line.")
        if body.get("documentId", key) != key:
            raise dialog('The value for "documentId" cannot be modified.')
        row = self.parent.get(call, key)
        document = self._open(row)
        line = add_line(call.company, document, body)
        _redistribute(document)
        saved = save_document(call.company, document, row)
        return next(entry for entry in lines_of(saved) if entry.wire["id"] == line.id)

    def modify(self, call: Call, row: Row) -> Row:
        """Change a line; its sequence, document and object number stay as they are."""
        body = _read_line(self.kind, call.body)
        owner = self.parent.get(call, row.wire["documentId"])
        document = self._open(owner)
        if body.get("documentId", document.id) != document.id:
            raise dialog('The value for "documentId" cannot be modified.')
        if body.get("sequence", row.wire["sequence"]) != row.wire["sequence"]:
            raise dialog('The value for "sequence" cannot be modified. Delete and insert the line again.')
        line = next(entry for entry in document.lines if entry.id == row.wire["id"])
        _set_line(call.company, document, line, body)
        _redistribute(document)
        saved = save_document(call.company, document, owner)
        return next(entry for entry in lines_of(saved) if entry.wire["id"] == line.id)

    def remove(self, call: Call, row: Row) -> None:
        """Delete a line; the VAT of the others stays as it is until the next validation (BC facts §8)."""
        owner = self.parent.get(call, row.wire["documentId"])
        document = self._open(owner)
        document.lines = [line for line in document.lines if line.id != row.wire["id"]]
        _redistribute(document)
        save_document(call.company, document, owner)

    def _open(self, row: Row) -> SalesDocument:
        document = document_of(row).copy()
        if document.posted:
            raise dialog(f"The {self.kind.word} has been posted and can no longer be modified.")
        check_open(document)
        return document


def _is_visible(call: Call, row: Row) -> bool:
    """Apply permission gaps by status, as the page's filter does (SetPermissionFilters)."""
    if call.hide_drafts and row.wire["status"] in {"Draft", "In_x0020_Review"}:
        return False
    return not (call.hide_posted and row.wire["status"] in {"Canceled", "Corrective", "Open", "Paid"})


def _nested(nested: Json, name: str) -> list[Any]:
    entries = nested.get(name, [])
    if not isinstance(entries, list):
        raise bad_request("Invalid Request Body")
    return entries


def _read_line(kind: DocumentKind, body: Any, *, nested_in: bool = False) -> Json:
    checked = read_body(ENTITIES[kind.lines_name], body, frozenset({"dimensionSetLines"}))
    if nested_in:
        checked.pop("documentId", None)
    return checked


def add_line(company: Company, document: SalesDocument, body: Json) -> SalesLine:
    """Append a line; sequence defaults to the last plus 10 000 and must be free (BC facts §7)."""
    sequence = body.get("sequence", 0)
    taken = {line.sequence for line in document.lines}
    if sequence in taken:
        raise dialog("You cannot insert the line because a line already exists.")
    line = SalesLine(id=company.core.ids.guid(), sequence=sequence or max(taken, default=0) + LINE_STEP)
    _set_line(company, document, line, body)
    document.lines.append(line)
    return line


def _set_line(company: Company, document: SalesDocument, line: SalesLine, body: Json) -> None:
    nested = body.pop("dimensionSetLines", [])
    before = line.object_id
    set_line_fields(line, body, document.context(company))
    if line.object_id != before:
        line.dimensions = document.dimensions | _own_dimensions(company, line)
    for entry in nested:
        set_dimension(company, line.dimensions, entry)
    if not TOUCHES_MONEY.isdisjoint(body):
        # The amounts depend only on where the fields end up, so one computation stands for all validations.
        others = (other for other in document.lines if other is not line)
        precision = document.currency.precision
        update_amounts(line, others, prices_include_vat=document.prices_include_vat, precision=precision)


def _own_dimensions(company: Company, line: SalesLine) -> dict[str, str]:
    row = line.find_object(company)
    return values_of(row) if row else {}


def _apply_discount(document: SalesDocument, discount: Decimal | None) -> None:
    if discount is None:
        return
    precision = document.currency.precision
    try:
        apply_invoice_discount(
            document.lines, discount, prices_include_vat=document.prices_include_vat, precision=precision
        )
    except NoDiscountableLinesError:
        raise dialog(_NO_DISCOUNT_LINES) from None
    document.discount_value = discount


def _redistribute(document: SalesDocument) -> None:
    """Spread the invoice discount anew after a change of lines (RedistributeInvoiceDiscounts)."""
    if document.discount_value and any(line.allow_invoice_discount for line in document.lines):
        _apply_discount(document, document.discount_value)
