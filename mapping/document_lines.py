"""The lines of a draft: each piece of the sale on its account or item, at exactly its amount; then tax, and texts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from mapping.document_header import to_day
from mapping.field_values import Context, add_line, build_context, render_fields
from mapping.line_taxes import TaxShare
from mapping.materials import Materials
from mapping.pricing import Amounts, Priced, price_line
from mapping.sale import Piece, Sale, part_by_tax
from mapping.sheet import Sheet
from mapping.targets import Booked, book_by_tax, book_piece, check_object
from mapping.taxes import (
    LearnedVat,
    LineTax,
    VatFact,
    VatKey,
    check_code,
    choose_tax,
    choose_zero_tax,
    find_rule,
    reproduces,
)
from mapping.text import Notes, fit_text, split_lines, tidy
from mapping.totals import VatLine
from schemas.errors import Refused
from schemas.invoice_settings import InvoiceSettings, LineTarget
from schemas.money import format_amount, get_exponent, round_half_up, to_decimal
from schemas.settings import Settings
from schemas.stripe_objects import Invoice, Period

DESCRIPTION_LENGTH = 100
_HUNDRED = Decimal(100)

Form = Literal["net", "gross", "as_given"]
"""How amounts are written: without tax, with tax (where the customer's card says that prices include it), or without
tax on lines that bear none, and Stripe's tax on lines of its own."""


@dataclass(frozen=True)
class DraftLine:
    """A line as it is sent, and what it comes to."""

    fields: dict[str, Any]
    sources: dict[str, str]
    label: str
    """Of the piece it stands for; empty where it stands for none."""
    vat: VatLine | None = None
    vat_key: VatKey | None = None
    piece: Piece | None = None


@dataclass(frozen=True)
class LineMaker:
    """Builds lines for one document."""

    invoice: Invoice
    settings: Settings
    materials: Materials
    form: Form
    tax_area: str
    learned: LearnedVat
    decimals: int
    notes: Notes

    @cached_property
    def context(self) -> Context:
        """What templates see, but for the line."""
        return build_context(self.invoice, self.materials.customer, time_zone=self.settings.time_zone)

    def build(self, sale: Sale) -> list[DraftLine]:
        """Build all lines but the one for rounding, in the order of the invoice."""
        lines: list[DraftLine] = []
        legal: list[str] = []
        for piece in sale.pieces:
            for booked in book_piece(piece, self.invoice, self._invoices, self.materials):
                lines += self._build_piece(booked, legal)
        if self.form == "as_given":
            lines += self._build_tax_lines(sale)
        return [*lines, *self._build_texts(legal)]

    def build_rounding(self, difference: Decimal) -> DraftLine:
        """Build the line that takes what Stripe and Business Central round differently.

        Raises:
            Refused: no account is set for it.
        """
        account = self._invoices.rounding.account
        if account is None:
            raise Refused(
                f"Stripe and Business Central round the tax of invoice {self.invoice.number or self.invoice.id} "
                f"differently, by {difference.copy_abs()} {self.invoice.currency.upper()}.",
                code="invoice.rounding.no_account",
                fix="Set invoices.rounding.account to a G/L account without VAT that takes such cents, then replay.",
            )
        return self._build_plain(account, difference, "Rounding", "invoices.rounding.account")

    @property
    def _invoices(self) -> InvoiceSettings:
        return self.settings.invoices

    def _build_piece(self, booked: Booked, legal: list[str]) -> Iterator[DraftLine]:
        piece, target = booked.piece, booked.target
        if target is None:
            yield from self._build_comments(self._describe(piece, ""), booked.source)
            return
        for part in self._part(booked, target):
            yield from self._build_part(booked, target, part, legal)

    def _part(self, booked: Booked, target: LineTarget) -> list[Piece]:
        """Part a piece that is taxed in part, unless a code stands for what its tax comes to of the whole."""
        piece = booked.piece
        if not piece.tax.is_partial or self.form == "as_given" or self._has_own_code(booked, target):
            return [piece]
        parts = part_by_tax(piece)
        amounts = " and ".join(format_amount(self._to_amount(one.net, one), self.invoice.currency) for one in parts)
        self.notes.add(f"A part of {piece.label} only is taxed: it was written as {amounts}, each with its own tax.")
        return parts

    def _has_own_code(self, booked: Booked, target: LineTarget) -> bool:
        """Tell whether a rule names the percentage of the whole, or Business Central takes it by the code chosen."""
        piece = booked.piece
        _, rule = find_rule(piece, self._invoices.tax)
        if rule is not None and rule.percent is not None and piece.tax.percent:
            return True
        own, _ = book_by_tax(booked, target, piece, self._invoices, self.materials)
        fact = self._find_fact(own, choose_tax(piece, own, self._invoices.tax, self.materials))
        return fact is not None and reproduces(fact.percent, piece)

    def _build_part(self, booked: Booked, default: LineTarget, piece: Piece, legal: list[str]) -> Iterator[DraftLine]:
        target, source = book_by_tax(booked, default, piece, self._invoices, self.materials)
        tax = self._choose_tax(piece, target)
        if tax.text and tax.text not in legal:
            legal.append(tax.text)
        priced = price_line(self._want(piece), self.decimals)
        told = "" if priced.is_kept else _tell_quantity(piece)
        first, *rest = self._wrap(self._describe(piece, told), piece.label)
        sheet = self._fill(target, source, priced, tax, first)
        self._put_period(sheet, piece)
        sheet.put_all(self._render_mapped(piece), "fields.line")
        yield self._finish(sheet, target, tax, priced, piece)
        for text in rest:
            yield _build_comment(text, "rest of the description")

    def _render_mapped(self, piece: Piece) -> dict[str, Any]:
        """Render the user's own mappings of lines."""
        mappings, line = self.settings.fields.line, piece.line
        if not mappings or line is None:
            return {}
        details = line.pricing.price_details if line.pricing else None
        product = self.materials.products.get((details.product if details else None) or "")
        price = self.materials.prices.get((details.price if details else None) or "")
        context = add_line(self.context, line, product, price)
        return dict(render_fields(mappings, "salesInvoiceLines", context, self.notes, of=f" of {piece.label}"))

    def _fill(self, target: LineTarget, source: str, priced: Priced, tax: LineTax, text: str) -> Sheet:
        """Fill a line in, in the order that Business Central validates in.

        Unit and tax code come before the price: the one would look it up anew, the other convert it (BC facts 7).
        """
        sheet = Sheet()
        sheet.put("lineType", target.type, source)
        sheet.put("lineObjectNumber", target.number, source)
        if tax.code:
            sheet.put("taxCode", tax.code, tax.source)
        if target.unit is not None:
            sheet.put("unitOfMeasureCode", target.unit, source)
        sheet.put("quantity", priced.quantity, "line quantity" if priced.is_kept else "one piece at the line's amount")
        sheet.put("unitPrice", priced.unit_price, "line price" if priced.is_kept else "line amount")
        if priced.discount:
            sheet.put("discountAmount", priced.discount, "discounts of the line")
        sheet.put("description", text, "line description")
        return sheet

    def _finish(self, sheet: Sheet, target: LineTarget, tax: LineTax, priced: Priced, piece: Piece | None) -> DraftLine:

        after = round_half_up(priced.quantity * priced.unit_price, self.decimals) - priced.discount
        key = VatKey(self.tax_area, target.type, target.number, tax.code)
        vat = VatLine(after, tax.identifier, tax.percent)
        return DraftLine(sheet.fields, sheet.sources, piece.label if piece else "", vat, key, piece)

    def _choose_tax(self, piece: Piece, target: LineTarget) -> LineTax:
        settings = self._invoices.tax
        if self.form == "as_given":
            return choose_zero_tax(settings)
        chosen = choose_tax(piece, target, settings, self.materials)
        fact = self._find_fact(target, chosen)
        return chosen if fact is None else _apply(fact, chosen)

    def _find_fact(self, target: LineTarget, chosen: LineTax) -> VatFact | None:
        return self.learned.get(VatKey(self.tax_area, target.type, target.number, chosen.code))

    def _want(self, piece: Piece) -> Amounts:
        """Say the amounts in the terms of the form; where Stripe's are in other terms, all are scaled alike."""
        after = self._to_amount(piece.gross if self.form == "gross" else piece.net, piece)
        natural = self._to_amount(piece.amount - piece.discount, piece)
        before = self._to_amount(piece.amount, piece)
        price = None
        if piece.unit_price is not None:
            price = piece.unit_price.scaleb(-self._stripe_exponent)
        if natural == after or not natural:
            return Amounts(before, after, piece.quantity, price)

        scale = after / natural
        scaled = round_half_up(before * scale, self.decimals)
        return Amounts(scaled, after, piece.quantity, None if price is None else price * scale)

    @property
    def _stripe_exponent(self) -> int:

        return get_exponent(self.invoice.currency)

    def _to_amount(self, minor: int, piece: Piece | None) -> Decimal:
        amount = to_decimal(minor, self.invoice.currency)

        if amount != round_half_up(amount, self.decimals):
            currency = self.invoice.currency.upper()
            raise Refused(
                f"{amount} {currency} of {piece.label if piece else 'the tax'} has more decimals than Business Central "
                f"keeps for {currency} ({self.decimals}).",
                code="invoice.currency.precision",
                fix=f"Raise the amount decimal places of {currency} under Currencies there, or enter it by hand.",
            )
        return amount

    def _describe(self, piece: Piece, told: str) -> str:
        own = piece.description if tidy(piece.description) else ""
        text = own or self._name_product(piece) or "Stripe invoice line"
        period = piece.line.period if piece.line else None
        if self._invoices.text.period == "description" and period is not None and period.end > period.start:
            text = f"{text} ({self._write_period(period)})"
        return f"{told}{text}"

    def _name_product(self, piece: Piece) -> str:
        details = piece.line.pricing.price_details if piece.line and piece.line.pricing else None
        product = self.materials.products.get((details.product if details else None) or "")
        return tidy(product.name or "") if product else ""

    def _write_period(self, period: Period) -> str:
        first, last = (to_day(at, self.settings.time_zone) for at in (period.start, period.end - 1))
        return f"{first}" if first == last else f"{first} to {last}"

    def _put_period(self, sheet: Sheet, piece: Piece) -> None:
        period = piece.line.period if piece.line else None
        if self._invoices.text.period == "shipment_date" and period is not None and period.end > period.start:
            sheet.put("shipmentDate", to_day(period.end - 1, self.settings.time_zone).isoformat(), "end of the period")

    def _wrap(self, text: str, label: str) -> list[str]:
        what = f"The description of {label}"
        if self._invoices.text.long_text == "comments":
            return split_lines(text, DESCRIPTION_LENGTH, what, self.notes)
        return [fit_text(text, DESCRIPTION_LENGTH, what, self.notes)]

    def _build_tax_lines(self, sale: Sale) -> Iterator[DraftLine]:
        """Build a line for each tax rate: Stripe's own amounts, added up."""
        sums: dict[str, list[TaxShare]] = {}
        for piece in sale.pieces:
            for share in piece.tax.shares:
                sums.setdefault(share.rate_id, []).append(share)
        for shares in sums.values():
            minor = sum(share.amount for share in shares)
            if minor and self._invoices.tax.account is not None:
                amount = self._to_amount(minor, None)
                yield self._build_plain(
                    self._invoices.tax.account, amount, _name_tax(shares[0]), "invoices.tax.account"
                )

    def _build_plain(self, account: str, amount: Decimal, text: str, source: str) -> DraftLine:
        """Build a line on an account, one piece, on which Business Central adds no tax."""
        target = LineTarget(type="Account", number=account)
        check_object(target, self.materials)
        tax = choose_zero_tax(self._invoices.tax)
        if tax.code:
            check_code(tax.code, self.materials, "invoices.tax.zero_code")
        priced = Priced(Decimal(1) if amount >= 0 else Decimal(-1), amount.copy_abs(), Decimal(0), is_kept=True)
        sheet = self._fill(target, source, priced, tax, fit_text(text, DESCRIPTION_LENGTH, text, self.notes))
        return self._finish(sheet, target, tax, priced, None)

    def _build_texts(self, legal: Iterable[str]) -> Iterator[DraftLine]:
        """Build comment lines: legal texts of taxes, then memo, custom fields and footer as the settings say."""
        header, invoice = self._invoices.header, self.invoice
        for text in legal:
            yield from self._build_comments(text, "text of a tax rule")
        if header.memo and invoice.description:
            yield from self._build_comments(invoice.description, "invoice memo")
        if header.custom_fields:
            for one in invoice.custom_fields or ():
                yield from self._build_comments(f"{one.name}: {one.value}", "custom field")
        if header.footer and invoice.footer:
            yield from self._build_comments(invoice.footer, "invoice footer")

    def _build_comments(self, text: str, source: str) -> Iterator[DraftLine]:
        for part in split_lines(text, DESCRIPTION_LENGTH, f"The {source}", self.notes):
            yield _build_comment(part, source)


def _build_comment(text: str, source: str) -> DraftLine:
    fields = {"lineType": "Comment", "description": text}
    return DraftLine(fields, dict.fromkeys(fields, source), "")


def _apply(fact: VatFact, chosen: LineTax) -> LineTax:
    """Take what Business Central has made of the same line before."""
    source = f"{chosen.source}; {fact.percent.normalize():f} % in Business Central, as seen before"
    return LineTax(chosen.code, fact.identifier, fact.percent, source, chosen.text)


def _tell_quantity(piece: Piece) -> str:
    if piece.quantity is None or piece.quantity in {0, 1}:
        return ""
    return f"{piece.quantity.normalize():f} x "


def _name_tax(share: TaxShare) -> str:
    """Name a rate as Stripe does."""
    if share.rate is None:
        return "Tax"
    return f"{share.rate.display_name or 'Tax'} {share.rate.percentage.normalize():f} %"


def list_vat(lines: Sequence[DraftLine]) -> list[VatLine]:
    """Return what VAT is computed of."""
    return [line.vat for line in lines if line.vat is not None]
