"""Bound actions of sales documents: post, cancel, corrective credit memo, send (BC facts §5)."""

from collections.abc import Callable
from dataclasses import replace

from simulators.business_central.company import Company
from simulators.business_central.default_dimensions import check_posting_rules
from simulators.business_central.entities import ENTITIES
from simulators.business_central.errors import ApiError, dialog, test_field
from simulators.business_central.sales_documents import (
    CREDIT_MEMO,
    INVOICE,
    SalesDocument,
    document_of,
    fresh_document,
    save_document,
)
from simulators.business_central.sales_headers import check_customer, check_open
from simulators.business_central.sales_lines import LINE_STEP, SalesLine
from simulators.business_central.store import Row
from simulators.business_central.vat import HUNDRED, ONE, ZERO, recalculate, round_to


def _draft(row: Row) -> SalesDocument:
    document = document_of(row)
    if document.posted:
        raise dialog(f"The action can be applied to a draft {document.kind.word} only.")
    return document.copy()


def _posted(row: Row) -> SalesDocument:
    document = document_of(row)
    if not document.posted:
        raise dialog(f"The action can be applied to a posted {document.kind.word} only.")
    return document.copy()


def post(company: Company, row: Row) -> Row:
    """Post a draft: amounts are recomputed by VAT amount lines, the number changes, the id stays."""
    document = _draft(row)
    _check_before_posting(company, document)
    recalculate(document.lines, prices_include_vat=document.prices_include_vat, precision=document.currency.precision)
    if company.setup.invoice_rounding:
        _round_total(company, document)
    document.posted, document.state = True, "Open"
    document.header["number"] = company.take_number(document.kind.posted_series, document.header["postingDate"])
    document.remaining = document.total()
    if not document.remaining:
        document.state = "Paid"
    posted = save_document(company, document, row)
    if company.core.journal is not None:
        # Posting commits, so a snapshot batch cannot take it back (BC facts §13).
        company.core.journal.commit(company.core.writes + 1)
    return posted


def _round_total(company: Company, document: SalesDocument) -> None:
    """Bring the total to the invoice rounding precision by a line of its own (SalesPost.InvoiceRounding)."""
    currency = document.currency
    if not currency.invoice_precision:
        raise test_field("Invoice Rounding Precision", "Currency", f"Code={currency.code}")
    difference = round_to(document.total(), currency.invoice_precision) - document.total()
    if not difference:
        return
    account = company.by_code("accounts", company.setup.invoice_rounding_account)
    if account is None:
        raise test_field("Invoice Rounding Account", "Customer Posting Group", f"Code={document.customer_group}")
    code = account.hidden.get("taxGroupCode", "")
    vat = company.vat_setup(document.vat_business_group, code)
    net = round_to(difference / (ONE + vat.percent / HUNDRED), currency.precision)
    document.lines.append(
        SalesLine(
            id=company.core.ids.guid(),
            sequence=max(line.sequence for line in document.lines) + LINE_STEP,
            line_type="Account",
            object_id=account.wire["id"],
            number=account.wire["number"],
            description=account.wire["displayName"],
            tax_group=code,
            identifier=vat.identifier,
            vat_percent=vat.percent,
            quantity=ONE,
            unit_price=difference if document.prices_include_vat else net,
            line_amount=difference if document.prices_include_vat else net,
            amount=net,
            amount_including_vat=difference,
        )
    )


def _check_before_posting(company: Company, document: SalesDocument) -> None:
    if document.state == "Pending":
        check_open(document)
    if not document.lines:
        raise dialog(f"Please add at least one line item to the {document.kind.word}.")
    customer = company.get("customers", document.header["billToCustomerId"])
    if customer is None:
        raise dialog("The bill-to customer cannot be found.")
    check_customer(customer, document.kind, "post")
    day, setup = document.header["postingDate"], company.setup
    if (setup.allow_posting_from and day < setup.allow_posting_from) or (
        setup.allow_posting_to and day > setup.allow_posting_to
    ):
        raise dialog("Posting Date is not within your range of allowed posting dates.")
    if setup.external_document_number_mandatory and not document.header["externalDocumentNumber"]:
        raise test_field("External Document No.", "Sales Header", document.key_text())
    _check_general_posting(company, document)
    if all(not line.quantity for line in document.lines):
        raise dialog("There is nothing to post.")
    if document.kind is INVOICE and document.total() < 0 and sum(line.line_amount for line in document.lines) < 0:
        raise dialog("The total amount for the invoice must be 0 or greater.")
    _check_dimensions(company, document, customer)


def _check_general_posting(company: Company, document: SalesDocument) -> None:
    if document.general_business_group in company.setup.without_general_posting:
        item = next((line.find_object(company) for line in document.lines if line.line_type == "Item"), None)
        group = item.wire["generalProductPostingGroupCode"] if item else ""
        text = (
            "The General Posting Setup does not exist. Identification fields and values: "
            f"Gen. Bus. Posting Group='{document.general_business_group}',Gen. Prod. Posting Group='{group}'"
        )
        raise ApiError(400, "Internal_RecordNotFound", text)


def _check_dimensions(company: Company, document: SalesDocument, customer: Row) -> None:
    check_posting_rules(company, customer, "Customer", document.dimensions)
    for line in document.lines:
        found = line.find_object(company) if line.quantity else None
        if found is not None:
            table = "Item" if line.line_type == "Item" else "G/L Account"
            check_posting_rules(company, found, table, line.dimensions)


def send(_company: Company, row: Row) -> None:
    """Mail the document; it needs an address, and nothing is really sent."""
    if document_of(row).kind is CREDIT_MEMO:
        _posted(row)
    if not row.wire["email"]:
        raise dialog(
            "The send-to email is empty. Specify email either for the customer or for the invoice in email preview."
        )


def post_and_send(company: Company, row: Row) -> None:
    """Post, commit, then mail: a mail error leaves a posted invoice behind."""
    send(company, post(company, row))


def cancel(company: Company, row: Row) -> None:
    """Cancel a posted document by a posted credit memo."""
    document = _posted(row)
    if document.state == "Canceled":
        raise dialog(f"The {document.kind.word} cannot be canceled because it has already been canceled.")
    if document.state == "Paid":
        raise dialog(f"You cannot cancel this posted sales {document.kind.word} because it is fully or partially paid.")
    if document.kind is INVOICE:
        memo = _credit_memo_for(company, document)
        memo.posted, memo.state = True, "Corrective"
        memo.header["number"] = company.take_number(CREDIT_MEMO.posted_series)
        save_document(company, memo, None)
    document.state, document.remaining = "Canceled", ZERO
    save_document(company, document, row)


def cancel_and_send(company: Company, row: Row) -> None:
    """Cancel, then mail."""
    cancel(company, row)
    send(company, row)


def make_corrective_credit_memo(company: Company, row: Row) -> None:
    """Make a DRAFT credit memo for a posted invoice; its id is not in the answer, it must be searched."""
    document = _posted(row)
    if document.state in {"Paid", "Canceled"}:
        raise dialog("The invoice is closed. The corrective credit memo will not be applied to the invoice.")
    if document.remaining != document.total():
        raise dialog(
            "The invoice is partially paid or credited. The corrective credit memo may not be fully closed by the "
            "invoice."
        )
    memo = _credit_memo_for(company, document)
    memo.header["number"] = company.take_number(CREDIT_MEMO.series)
    save_document(company, memo, None)


def _credit_memo_for(company: Company, invoice: SalesDocument) -> SalesDocument:
    entity = ENTITIES[CREDIT_MEMO.set_name]
    shared = {name: value for name, value in invoice.header.items() if name in entity.properties}
    header = entity.blank() | shared | {"id": company.core.ids.guid()}
    memo = fresh_document(company, CREDIT_MEMO, header)
    memo.header |= {
        "invoiceId": invoice.id,
        "invoiceNumber": invoice.header["number"],
        **company.shown_currency(invoice.currency.code),
    }
    memo.currency = invoice.currency
    memo.vat_business_group, memo.prices_include_vat = invoice.vat_business_group, invoice.prices_include_vat
    memo.general_business_group, memo.customer_group = invoice.general_business_group, invoice.customer_group
    memo.dimensions = dict(invoice.dimensions)
    memo.lines = [replace(line, id=company.core.ids.guid(), dimensions=dict(line.dimensions)) for line in invoice.lines]
    return memo


Action = Callable[[Company, Row], object]
_SHARED: dict[str, Action] = {
    "post": post,
    "postAndSend": post_and_send,
    "send": send,
    "cancel": cancel,
    "cancelAndSend": cancel_and_send,
}
ACTIONS: dict[tuple[str, str], Action] = {
    (kind.set_name, f"Microsoft.NAV.{name}"): act for kind in (INVOICE, CREDIT_MEMO) for name, act in _SHARED.items()
}
ACTIONS[INVOICE.set_name, "Microsoft.NAV.makeCorrectiveCreditMemo"] = make_corrective_credit_memo
