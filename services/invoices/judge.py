"""What a document shows of what was asked for: is it this request's, is it as it was sent, and where does it differ.

Pure. Which answers are believed, and how soon, is the protocol's affair.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from connectors.business_central.models import SalesInvoice, SalesInvoiceLine
from mapping.answers import Difference, compare_answer
from mapping.bc_fields import Entity
from mapping.sales_documents import LINES_FIELD, MappedDocument
from schemas.messages import DocumentKind
from schemas.money import get_exponent

ENTITIES: dict[DocumentKind, Entity] = {"invoice": "salesInvoices", "credit_memo": "salesCreditMemos"}
_LINE_ENTITIES: dict[DocumentKind, Entity] = {"invoice": "salesInvoiceLines", "credit_memo": "salesCreditMemoLines"}
_UNPOSTED = frozenset({"Draft", "In Review"})
# What a line is compared by: its field as it is sent, and what it has where it is not sent.
_COMPARED: dict[str, Any] = {
    "lineType": "",
    "lineObjectNumber": "",
    "quantity": 0,
    "unitPrice": 0,
    "discountAmount": 0,
    "description": "",
}
_MENDED_ON_LINES = ("quantity", "unitPrice", "discountAmount")
# What the document as a whole is known and judged by; the gate has the last word on it.
_JUDGED_BY_ITSELF = frozenset({"externalDocumentNumber", "customerId", "currencyCode"})
# Business Central counts one from the other when a document is changed; only a POST says them anew at its end.
_DATES = ("invoiceDate", "creditMemoDate", "postingDate", "paymentTermsId", "dueDate")
# Two clocks that are kept right; and how much longer a request may have run than its sender saw.
_CLOCKS_DIFFER = timedelta(minutes=5)
_RUN_ON = timedelta(seconds=2)


def bears_number(document: SalesInvoice, number: str) -> bool:
    """Tell whether a document is named as was asked. Case and outer blanks don't count, as in Business Central."""
    return document.external_document_number.strip().upper() == number.strip().upper()


def is_for(document: SalesInvoice, customer_id: str) -> bool:
    """Tell whether a document is for this customer."""
    return document.customer_id.lower() == customer_id.lower()


def passes_gate(document: SalesInvoice, mapped: MappedDocument) -> bool:
    """The equality gate: Business Central's total is Stripe's total, to the cent, in the same currency."""
    return document.total_amount_including_tax == mapped.total and document.currency_code.upper() == mapped.currency


def has_other_tax(document: SalesInvoice, mapped: MappedDocument) -> bool:
    """Tell whether the right total has another tax in it than Stripe's, where prices include it.

    Otherwise the total tells. Which groups are rounded together is Business Central's: a unit for each may differ.
    """
    if not document.prices_include_tax or not mapped.is_tax_foretold or not passes_gate(document, mapped):
        return False
    units = Decimal(len(mapped.taxes)).scaleb(-get_exponent(mapped.currency))
    return abs(document.total_tax_amount - mapped.predicted.tax) > units


def reads_right(document: SalesInvoice, mapped: MappedDocument, customer_id: str) -> bool:
    """Tell whether an answer shows just what was asked for, so that nothing needs to be read again.

    Lines are compared where it shows any: whether it does is Business Central's choice.
    """
    return (
        bears_number(document, mapped.external_document_number)
        and is_for(document, customer_id)
        and document.status in _UNPOSTED
        and passes_gate(document, mapped)
        and not has_other_tax(document, mapped)
        and not find_differences(document, mapped)
        and (not document.lines or has_lines_as_sent(document, mapped))
    )


def is_own_making(document: SalesInvoice, mapped: MappedDocument, customer_id: str) -> bool:
    """Tell whether a document is just what was sent, but for its number and what the header says of dates and places.

    Its total may be another: tax and rounding are Business Central's.
    """
    return document.status == "Draft" and is_for(document, customer_id) and has_lines_as_sent(document, mapped)


def has_lines_as_sent(document: SalesInvoice, mapped: MappedDocument) -> bool:
    """Tell whether a document has each line that was sent, in order, and no other."""
    return len(document.lines) == len(_get_sent(mapped)) and _has_first_lines(document, mapped)


def has_amounts(document: SalesInvoice) -> bool:
    """Tell whether the lines of a document add up to its total: then they show what Business Central computed.

    An answer may show them from before that, and their tax rates with them.
    """
    amounts = sum((line.net_amount_including_tax for line in document.lines), start=Decimal(0))
    return bool(document.lines) and amounts == document.total_amount_including_tax


def is_part(document: SalesInvoice, mapped: MappedDocument, customer_id: str) -> bool:
    """Tell whether a draft is what is left of our request where its lines were not all taken: the first ones, or none.

    Whether Business Central makes header and lines in one piece is not documented.
    """
    return (
        document.status == "Draft"
        and is_for(document, customer_id)
        and len(document.lines) < len(_get_sent(mapped))
        and _has_first_lines(document, mapped)
    )


def find_owned(documents: Sequence[SalesInvoice], owners: Mapping[str, str], owner: str) -> list[SalesInvoice]:
    """Pick the documents that are known to be another invoice's: owners by document id in lower case."""
    return [one for one in documents if owners.get(one.id.lower(), owner) != owner]


def is_untouched(answer: SalesInvoice, fresh: SalesInvoice, mapped: MappedDocument, run: timedelta) -> bool:
    """Tell whether a draft that is read right after its creation is as our own request left it.

    It is if it has the answer's etag. It may not have, where the answer shows the header from before its lines. Then it
    has our lines, and was not changed after the request could have ended, by Business Central's clock.

    Args:
        answer: What the POST answered.
        fresh: The same draft, read afterwards.
        mapped: What was sent.
        run: How long the request took.
    """
    if fresh.etag == answer.etag:
        return True
    times = [one.last_modified for one in (answer, fresh) if one.last_modified is not None]
    in_time = all(later - earlier <= run + _RUN_ON for earlier, later in pairwise(times))
    return fresh.status == "Draft" and has_lines_as_sent(fresh, mapped) and in_time


def is_older_than(document: SalesInvoice, moment: datetime) -> bool:
    """Tell whether a document was last changed before a moment, by another clock: it can't be of what came after."""
    return document.last_modified is not None and document.last_modified < moment - _CLOCKS_DIFFER


def find_differences(document: SalesInvoice, mapped: MappedDocument) -> tuple[Difference, ...]:
    """List what the header shows otherwise than it was sent: dates, terms, addresses, what the user maps."""
    found = compare_answer(ENTITIES[mapped.kind], mapped.payload, document.shown)
    return tuple(one for one in found if one.name not in _JUDGED_BY_ITSELF)


def complete_dates(mend: Mapping[str, Any], mapped: MappedDocument) -> dict[str, Any]:
    """Add the other dates to a mend that writes one of them."""
    if mend.keys().isdisjoint(_DATES):
        return dict(mend)
    dates = {name: mapped.payload[name] for name in _DATES if name in mapped.payload}
    return {name: value for name, value in mend.items() if name not in dates} | dates


def find_line_mends(document: SalesInvoice, mapped: MappedDocument) -> list[tuple[SalesInvoiceLine, dict[str, Any]]]:
    """List the lines whose quantity, price or discount is not as sent, with what to write.

    Nothing where a line is missing, or booked elsewhere than it was to be: that no write makes right.
    """
    sent = _get_sent(mapped)
    lines = sort_lines(document)
    if len(lines) != len(sent) or not all(_is_on_target(*pair) for pair in zip(lines, sent, strict=True)):
        return []
    mends: list[tuple[SalesInvoiceLine, dict[str, Any]]] = []
    for line, fields in zip(lines, sent, strict=True):
        found = line.model_dump(by_alias=True)
        if any(found[name] != fields.get(name, 0) for name in _MENDED_ON_LINES):
            mends.append((line, {name: fields[name] for name in _MENDED_ON_LINES if name in fields}))
    return mends


def describe_lines(document: SalesInvoice, mapped: MappedDocument) -> list[str]:
    """Say which lines are not as they were sent; nothing where the document shows none."""
    lines, sent = sort_lines(document), _get_sent(mapped)
    if not lines:
        return []
    if len(lines) != len(sent):
        return [f"it has {len(lines)} lines, and not {len(sent)}"]
    entity = _LINE_ENTITIES[mapped.kind]
    return [
        f"line {number}: {difference.words}"
        for number, (line, fields) in enumerate(zip(lines, sent, strict=True), start=1)
        for difference in compare_answer(entity, _pick(fields), line.model_dump(mode="json", by_alias=True))
    ]


def sort_lines(document: SalesInvoice) -> list[SalesInvoiceLine]:
    """Return the lines in their order."""
    return sorted(document.lines, key=lambda line: line.sequence)


def _get_sent(mapped: MappedDocument) -> Sequence[Mapping[str, Any]]:
    return mapped.payload[LINES_FIELD[mapped.kind]]


def _pick(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Leave the tax code out: a group is written, and its identifier read (BC facts 8); learned rules compare them."""
    return {name: value for name, value in fields.items() if name in _COMPARED}


def _has_first_lines(document: SalesInvoice, mapped: MappedDocument) -> bool:
    return all(_equals_line(*pair) for pair in zip(sort_lines(document), _get_sent(mapped), strict=False))


def _equals_line(line: SalesInvoiceLine, sent: Mapping[str, Any]) -> bool:
    found = line.model_dump(by_alias=True)
    return all(_fold(found[name]) == _fold(sent.get(name, blank)) for name, blank in _COMPARED.items())


def _is_on_target(line: SalesInvoiceLine, sent: Mapping[str, Any]) -> bool:
    found = line.model_dump(by_alias=True)
    return all(_fold(found[name]) == _fold(sent.get(name, "")) for name in ("lineType", "lineObjectNumber"))


def _fold(value: object) -> object:
    """Codes are stored in upper case, and blanks at the ends are not stored."""
    return value.strip().casefold() if isinstance(value, str) else value
