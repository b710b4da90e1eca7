"""A Stripe invoice as a Business Central draft: header and lines in one request, and the total that they come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from mapping.document_header import HeaderMaker, get_document_kind
from mapping.document_lines import DraftLine, Form, LineMaker, list_vat
from mapping.materials import Materials
from mapping.sale import Sale, read_sale
from mapping.sheet import put_countries_first
from mapping.taxes import LearnedVat
from mapping.text import Notes
from mapping.totals import Totals, add_up, predict_draft, predict_posted, predict_taxes
from schemas.errors import Refused
from schemas.invoice_settings import InvoiceSettings
from schemas.messages import DocumentKind
from schemas.money import format_amount, get_exponent, to_decimal
from schemas.settings import Settings
from schemas.stripe_objects import Invoice

LINES_FIELD: dict[DocumentKind, str] = {"invoice": "salesInvoiceLines", "credit_memo": "salesCreditMemoLines"}


@dataclass(frozen=True)
class CustomerView:
    """What a draft depends on of its customer."""

    id: str | None = None
    """None where the mapping is tried before there is one."""
    prices_include_tax: bool = False
    """From the card. The API tells it only with a document, so it is learned from the first (`learned`)."""
    tax_area: str = ""
    learned: LearnedVat = field(default_factory=dict)


@dataclass(frozen=True)
class MappedDocument:
    """What would be sent, what it must come to, and what was changed on the way."""

    kind: DocumentKind
    payload: dict[str, Any]
    total: Decimal
    """Stripe's total, including tax: the draft's must equal it. Of a credit memo, what is given back."""
    currency: str
    external_document_number: str
    notes: tuple[str, ...]
    form: Form
    lines: tuple[DraftLine, ...]
    header_sources: dict[str, str]
    predicted: Totals
    taxes: Mapping[str, Decimal]
    """The tax of each VAT identifier."""
    rounding: Decimal
    """What the rounding line takes; zero where there is none."""
    dimensions: tuple[tuple[str, str], ...]
    """Codes of dimensions and values that the header has no field for: set after the draft is made."""


def build_document(
    invoice: Invoice, settings: Settings, materials: Materials, customer: CustomerView | None = None
) -> MappedDocument:
    """Map an invoice. Without a customer's id the payload lacks it: a trial, before one is created.

    Raises:
        Refused: a setting is missing, something does not exist in Business Central, or the total can't be reached.
    """
    view = customer or CustomerView()
    notes = Notes()
    sale, kind = _read(invoice, settings.invoices, materials)
    header = HeaderMaker(invoice, kind, settings, materials, notes).build(view.id)
    maker = LineMaker(
        invoice=invoice,
        settings=settings,
        materials=materials,
        form=choose_form(settings.invoices, view),
        tax_area=view.tax_area,
        learned=view.learned,
        decimals=materials.get_decimals(invoice.currency),
        notes=notes,
    )
    lines = maker.build(sale)
    rounding = _find_rounding(invoice, sale, lines, maker)
    if rounding:
        lines.append(maker.build_rounding(rounding))
        notes.add(f"A line of {rounding} takes what Stripe and Business Central round differently.")
    vat, gross = list_vat(lines), maker.form == "gross"
    taxes = predict_taxes(vat, gross_prices=gross, decimals=maker.decimals)
    return MappedDocument(
        kind=kind,
        payload=put_countries_first(header.sheet.fields) | {LINES_FIELD[kind]: [line.fields for line in lines]},
        total=to_decimal(sale.total, invoice.currency),
        currency=invoice.currency.upper(),
        external_document_number=header.sheet.fields["externalDocumentNumber"],
        notes=tuple(notes.sentences),
        form=maker.form,
        lines=tuple(lines),
        header_sources=header.sheet.sources,
        predicted=add_up(vat, sum(taxes.values(), Decimal(0)), gross_prices=gross),
        taxes=taxes,
        rounding=rounding,
        dimensions=header.dimensions,
    )


def choose_form(settings: InvoiceSettings, customer: CustomerView) -> Form:
    """Choose the form that reproduces Stripe's amounts, whatever the customer's card says of prices."""
    if settings.tax.mode == "as_given":
        return "as_given"
    return "gross" if customer.prices_include_tax else "net"


def describe_difference(expected: Decimal, actual: Decimal, currency: str, number: str) -> str:
    """Say both totals, for the reader of a failed gate."""
    return (
        f"Invoice {number} is {format_amount(expected, currency)} in Stripe, but its draft in Business Central came to "
        f"{format_amount(actual, currency)}."
    )


def _read(invoice: Invoice, settings: InvoiceSettings, materials: Materials) -> tuple[Sale, DocumentKind]:
    """Read the sale; of a negative total as what is given back."""
    sale = read_sale(invoice, materials)
    kind = get_document_kind(invoice)
    if kind == "invoice":
        return sale, kind
    if settings.negative_total == "stop":
        total = format_amount(to_decimal(invoice.total, invoice.currency), invoice.currency)
        raise Refused(
            f"Invoice {invoice.number or invoice.id} has a negative total, {total}: it is a credit.",
            code="invoice.total.negative",
            fix="Enter it by hand as a sales credit memo, or set invoices.negative_total to credit_memo; then replay.",
        )
    return sale.negate(), kind


def _find_rounding(invoice: Invoice, sale: Sale, lines: Sequence[DraftLine], maker: LineMaker) -> Decimal:
    """Return what is missing to Stripe's total, if it is of the size of rounding.

    Raises:
        Refused: it is more, or the draft and the posted document would differ.
    """
    vat, gross = list_vat(lines), maker.form == "gross"
    total = to_decimal(sale.total, invoice.currency)
    draft = predict_draft(vat, gross_prices=gross, decimals=maker.decimals).gross
    difference = total - draft
    limit = maker.settings.invoices.rounding.limit
    tolerated = max(5, len(vat) // 2) if limit is None else limit
    if abs(difference) > Decimal(tolerated).scaleb(-get_exponent(invoice.currency)):
        raise _build_total_refusal(invoice, total, draft, lines, maker)
    posted = predict_posted(vat, gross_prices=gross, decimals=maker.decimals).gross
    if posted != draft:
        raise Refused(
            f"The draft of invoice {invoice.number or invoice.id} would be {draft}, and {posted} once it is posted: "
            "Business Central rounds the VAT of its negative lines differently then.",
            code="invoice.total.unstable",
            fix="Enter this invoice by hand, or post Stripe's tax as given (invoices.tax.mode); then replay.",
        )
    return difference


def _build_total_refusal(
    invoice: Invoice, total: Decimal, draft: Decimal, lines: Sequence[DraftLine], maker: LineMaker
) -> Refused:
    """Say both totals, the tax that they differ by, and what to change."""
    shown = [format_amount(amount, invoice.currency) for amount in (total, draft)]
    return Refused(
        f"Invoice {invoice.number or invoice.id} is {shown[0]} in Stripe, but its draft in Business Central would come "
        f"to {shown[1]}. {_name_culprit(invoice, lines, maker)}",
        code="invoice.total.unreachable",
        fix="Give that tax its own VAT product posting group under invoices.tax.rules, or post Stripe's tax as given "
        "(invoices.tax.mode: as_given); then replay.",
        context={"stripe_total": str(total), "bc_total": str(draft)},
    )


def _name_culprit(invoice: Invoice, lines: Sequence[DraftLine], maker: LineMaker) -> str:
    """Name the VAT identifier on which the two differ most, with both amounts and the lines it comes from."""
    ours: dict[str, Decimal] = {}
    labels: dict[str, list[str]] = {}
    percents: dict[str, Decimal] = {}
    for line in lines:
        if line.vat is not None and line.piece is not None:
            tax = line.piece.tax.inclusive + line.piece.tax.exclusive
            name = line.vat.identifier
            ours[name] = ours.get(name, Decimal(0)) + to_decimal(tax, invoice.currency)
            labels.setdefault(name, []).append(line.label)
            percents[name] = line.vat.percent
    theirs = predict_taxes(list_vat(lines), gross_prices=maker.form == "gross", decimals=maker.decimals)
    if not ours:
        return ""
    worst = max(ours, key=lambda name: abs(ours[name] - theirs.get(name, Decimal(0))))
    named = ", ".join(labels[worst][:4]) + (" …" if len(labels[worst]) > 4 else "")  # noqa: PLR2004 - enough to find them
    return (
        f"On {named} Business Central adds {percents[worst].normalize():f} % ({worst}), "
        f"{format_amount(theirs.get(worst, Decimal(0)), invoice.currency)}, where Stripe has "
        f"{format_amount(ours[worst], invoice.currency)}."
    )
