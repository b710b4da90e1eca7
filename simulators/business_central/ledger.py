"""What happens to documents outside of the API: release, approval, payment, hand edits by an accountant."""

from decimal import Decimal

from simulators.business_central.company import Company
from simulators.business_central.posting import post
from simulators.business_central.sales_documents import KINDS, SalesDocument, document_of, save_document
from simulators.business_central.store import Json, Row
from simulators.business_central.vat import ZERO, recalculate

_STATES = {"release": "Released", "reopen": "Open", "request_approval": "Pending"}


def change_document(company: Company, given: Json) -> Json:
    """Do one of release, reopen, request_approval, post, pay, edit to a document; raises KeyError or ValueError."""
    row = _find(company, given)
    action = given["action"]
    if action == "post":
        return post(company, row).wire
    document = document_of(row).copy()
    if action in _STATES:
        _set_state(document, action)
    elif action == "pay":
        _pay(document, given)
    elif action == "edit":
        document.header |= given["set"]
    else:
        raise ValueError(f"unknown action {action}")
    return save_document(company, document, row).wire


def _find(company: Company, given: Json) -> Row:
    wanted = {given.get("id"), given.get("number")} - {None}
    for set_name in KINDS:
        for row in company.table(set_name).rows.values():
            if wanted & {row.wire["id"], row.wire["number"]}:
                return row
    raise KeyError(f"no document {wanted}")


def _set_state(document: SalesDocument, action: str) -> None:
    if document.posted:
        raise ValueError("the document is posted")
    document.state = _STATES[action]
    if action == "release":
        recalculate(
            document.lines, prices_include_vat=document.prices_include_vat, precision=document.currency.precision
        )


def _pay(document: SalesDocument, given: Json) -> None:
    if not document.posted or document.remaining is None:
        raise ValueError("only a posted document can be paid")
    amount = Decimal(str(given["amount"])) if "amount" in given else document.remaining
    document.remaining -= amount
    if document.remaining == ZERO:
        document.state = "Paid"
