"""A Stripe invoice as a Business Central draft: header and lines in one request, and the total that they come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from mapping.document_header import HeaderMaker, get_document_kind
from mapping.document_lines import DraftLine, Form, LineMaker, list_vat
from mapping.materials import Materials
from mapping.posting import Notice, foretell_posting
from mapping.rounding import RateGroup, bound_rounding, group_rates
from mapping.sale import Piece, Sale, read_sale
from mapping.sheet import put_countries_first
from mapping.taxes import LearnedVat
from mapping.text import Notes
from mapping.totals import Totals, VatLine, add_up, predict_draft, predict_posted, predict_taxes
from schemas.errors import Refused
from schemas.invoice_settings import InvoiceSettings
from schemas.messages import DocumentKind
from schemas.money import format_amount, get_exponent, to_decimal
from schemas.settings import Settings
from schemas.stripe_objects import Invoice

# So many lines are enough to find the others.
_SHOWN = 4
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
    posting_precision: Decimal | None = None
    """What posted documents have shown that totals in the invoice's currency are rounded to."""
    is_price_form_known: bool = False
    """A document has shown whether prices include tax; else net ones are assumed."""


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
    is_tax_foretold: bool
    """Whether Stripe tells the tax of each line, so that Business Central's must come to `predicted`."""
    notice: Notice | None
    """What a person has to know before it is posted."""
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
    rounding = _round_off(invoice, sale, lines, maker)
    total, currency = to_decimal(sale.total, invoice.currency), invoice.currency.upper()
    notice = foretell_posting(total, currency, view.posting_precision, materials.books, settings.invoices.rounding)
    if notice is not None:
        notes.add(notice.text)
    vat, gross = list_vat(lines), maker.form == "gross"
    taxes = predict_taxes(vat, gross_prices=gross, decimals=maker.decimals)
    return MappedDocument(
        kind=kind,
        payload=put_countries_first(header.sheet.fields) | {LINES_FIELD[kind]: [line.fields for line in lines]},
        total=total,
        currency=currency,
        external_document_number=header.sheet.fields["externalDocumentNumber"],
        notes=tuple(notes.sentences),
        form=maker.form,
        lines=tuple(lines),
        header_sources=header.sheet.sources,
        predicted=add_up(vat, sum(taxes.values(), Decimal(0)), gross_prices=gross),
        taxes=taxes,
        is_tax_foretold=maker.form != "as_given" and not any(_is_silent(line.piece) for line in lines if line.piece),
        notice=notice,
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


def _round_off(invoice: Invoice, sale: Sale, lines: list[DraftLine], maker: LineMaker) -> Decimal:
    """Add the line that takes what both systems round differently; returns what it takes."""
    rounding = _find_rounding(invoice, sale, lines, maker)
    if rounding:
        lines.append(maker.build_rounding(rounding))
        maker.notes.add(f"A line of {rounding} takes what Stripe and Business Central round differently.")
    return rounding


def _find_rounding(invoice: Invoice, sale: Sale, lines: Sequence[DraftLine], maker: LineMaker) -> Decimal:
    """Return what is missing to Stripe's total, if it is of the size of rounding.

    Raises:
        Refused: it is more, or the draft and the posted document would differ.
    """
    vat, gross = list_vat(lines), maker.form == "gross"
    total = to_decimal(sale.total, invoice.currency)
    draft = predict_draft(vat, gross_prices=gross, decimals=maker.decimals).gross
    difference = total - draft
    units = difference.scaleb(get_exponent(invoice.currency))
    if not _is_rounding(units, sale, lines, maker):
        raise _build_total_refusal(invoice, total, draft, lines, maker)
    _check_limit(units, invoice, maker)
    posted = predict_posted(vat, gross_prices=gross, decimals=maker.decimals).gross
    if posted != draft:
        raise Refused(
            f"The draft of invoice {invoice.number or invoice.id} would be {draft}, and {posted} once it is posted: "
            "Business Central rounds the VAT of its negative lines differently then.",
            code="invoice.total.unstable",
            fix="Enter this invoice by hand, or post Stripe's tax as given (invoices.tax.mode); then replay.",
        )
    return difference


def _is_rounding(units: Decimal, sale: Sale, lines: Sequence[DraftLine], maker: LineMaker) -> bool:
    """Tell whether a difference, in minor units, is no more than rounding can do to this invoice."""
    if maker.form == "as_given":
        return units == sale.unexplained
    taxed = _list_taxed(lines)
    if maker.form == "gross":
        # Where Stripe says nothing of tax, prices that include it are parted by Business Central alone.
        taxed = [(vat, piece) for vat, piece in taxed if not _is_silent(piece)]
    is_rate_right = all(group.is_rounding for group in group_rates(taxed).values())
    return is_rate_right and abs(units) <= bound_rounding(taxed, sale.unexplained)


def _check_limit(units: Decimal, invoice: Invoice, maker: LineMaker) -> None:
    limit = maker.settings.invoices.rounding.limit
    if limit is None or abs(units) <= limit:
        return
    exponent = get_exponent(invoice.currency)
    amounts = [format_amount(one.scaleb(-exponent), invoice.currency) for one in (abs(units), Decimal(limit))]
    raise Refused(
        f"Stripe and Business Central round the tax of invoice {invoice.number or invoice.id} differently, by "
        f"{amounts[0]}; the settings allow {amounts[1]}.",
        code="invoice.rounding.over_limit",
        fix=f"Raise invoices.rounding.limit to {abs(units):f} at least, or leave it out, then replay.",
    )


def _build_total_refusal(
    invoice: Invoice, total: Decimal, draft: Decimal, lines: Sequence[DraftLine], maker: LineMaker
) -> Refused:
    """Say both totals, the tax that they differ by, and what to change."""
    shown = [format_amount(amount, invoice.currency) for amount in (total, draft)]
    name = f"Invoice {invoice.number or invoice.id}"
    words = f"{name} is {shown[0]} in Stripe, but its draft in Business Central would come to {shown[1]}."
    if total == draft:
        words = f"{name} comes to {shown[0]} in Stripe and in Business Central, but with another tax in it."
    return Refused(
        f"{words} {_name_culprit(invoice, lines, maker)}",
        code="invoice.total.unreachable",
        fix="Give that tax its own VAT product posting group under invoices.tax.rules, or post Stripe's tax as given "
        "(invoices.tax.mode: as_given); then replay.",
        context={"stripe_total": str(total), "bc_total": str(draft)},
    )


def _name_culprit(invoice: Invoice, lines: Sequence[DraftLine], maker: LineMaker) -> str:
    """Name the VAT identifier that differs, a wrong rate before what is most, with both amounts and its lines."""
    theirs = predict_taxes(list_vat(lines), gross_prices=maker.form == "gross", decimals=maker.decimals)
    by_name: dict[str, list[RateGroup]] = {}
    for (name, _), group in group_rates(_list_taxed(lines)).items():
        by_name.setdefault(name, []).append(group)

    def get_tax(name: str) -> Decimal:
        minor = sum(piece.tax.amount for group in by_name[name] for piece in group.pieces)
        return to_decimal(minor, invoice.currency)

    def weigh(name: str) -> tuple[bool, Decimal]:
        is_wrong = not all(group.is_rounding for group in by_name[name])
        return is_wrong, abs(get_tax(name) - theirs.get(name, Decimal(0)))

    if not by_name:
        return ""
    worst = max(by_name, key=weigh)
    groups = by_name[worst]
    labels = [piece.label for group in groups for piece in group.pieces]
    named = ", ".join(labels[:_SHOWN]) + (" …" if len(labels) > _SHOWN else "")
    percents = {group.pieces[0].tax.percent for group in groups}
    rate = " and ".join(f"{one.normalize():f} %" for one in percents if one is not None)
    return (
        f"On {named} Business Central adds {groups[0].percent.normalize():f} % ({worst}), "
        f"{format_amount(theirs.get(worst, Decimal(0)), invoice.currency)}, where Stripe has "
        f"{f'{rate}, ' if rate else ''}{format_amount(get_tax(worst), invoice.currency)}."
    )


def _is_silent(piece: Piece) -> bool:
    """Tell whether Stripe says nothing of a line's tax: neither a rate nor why there is none."""
    return not piece.tax.shares and not piece.tax.reason and not piece.is_part


def _list_taxed(lines: Sequence[DraftLine]) -> list[tuple[VatLine, Piece]]:
    """Return what VAT is computed of, where it stands for something in Stripe."""
    return [(line.vat, line.piece) for line in lines if line.vat is not None and line.piece is not None]
