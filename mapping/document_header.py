"""The header of a draft: number, dates, terms, addresses, dimensions."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from mapping.bc_fields import Entity
from mapping.countries import choose_country_code
from mapping.eligibility import get_effective_time
from mapping.field_values import build_context, render_fields
from mapping.materials import Materials
from mapping.sheet import Sheet
from mapping.tax_numbers import is_northern_irish
from mapping.text import Notes, fit_text
from schemas.errors import Refused
from schemas.invoice_settings import DimensionRule, InvoiceSettings
from schemas.messages import DocumentKind
from schemas.settings import Settings
from schemas.stripe_objects import Address, Invoice, Shipping

DOCUMENT_NUMBER_LENGTH = 35
NO_ID = "00000000-0000-0000-0000-000000000000"
"""Empties a reference, where the customer's own would be taken otherwise."""
_DATE_FIELD: dict[DocumentKind, str] = {"invoice": "invoiceDate", "credit_memo": "creditMemoDate"}


@dataclass(frozen=True)
class Header:
    """The header's fields, and the dimensions that it has no field for: (dimension, value) codes."""

    sheet: Sheet = field(default_factory=Sheet)
    dimensions: tuple[tuple[str, str], ...] = ()


def get_document_kind(invoice: Invoice) -> DocumentKind:
    """Return what an invoice is booked as: what it gives back, as a credit memo."""
    return "credit_memo" if invoice.total < 0 else "invoice"


def build_external_document_number(invoice: Invoice, settings: InvoiceSettings) -> str:
    """Build the number that the draft is found by. Business Central stores it in upper case.

    Raises:
        Refused: the invoice has no number yet, or it is longer than Business Central's field.
    """
    own = invoice.number if settings.external_document_number == "number" else invoice.id
    if not own:
        raise Refused(
            f"Stripe invoice {invoice.id} has no invoice number.",
            code="invoice.number.missing",
            fix="Finalize it in Stripe, or let the hub use the invoice id as external document number.",
        )
    number = f"{settings.external_document_prefix}{own}".strip().upper()
    if len(number) > DOCUMENT_NUMBER_LENGTH:
        raise Refused(
            f"The external document number {number} of invoice {own} is longer than Business Central's 35 characters.",
            code="invoice.number.too_long",
            fix="Shorten the prefix in the settings, then replay.",
        )
    return number


@dataclass(frozen=True)
class HeaderMaker:
    """Builds the header of one document."""

    invoice: Invoice
    kind: DocumentKind
    settings: Settings
    materials: Materials
    notes: Notes
    sheet: Sheet = field(default_factory=Sheet)

    def build(self, customer_id: str | None) -> Header:
        """Build the header. The customer comes first: all else defaults from it, and is then said anew.

        Raises:
            Refused: the number can't be written, or a dimension or its value does not exist.
        """
        header, put = self.settings.invoices.header, self.sheet.put
        number = build_external_document_number(self.invoice, self.settings.invoices)
        put("externalDocumentNumber", number, f"invoice {self.settings.invoices.external_document_number}")
        if customer_id is not None:
            put("customerId", customer_id, "matched customer")
        put("currencyCode", self.invoice.currency.upper(), "invoice currency")
        self._put_dates()
        if header.salesperson is not None:
            put("salesperson", header.salesperson, "invoices.header.salesperson")
        self._put_addresses()
        dimensions = self._put_dimensions()
        self._put_mapped()
        return Header(self.sheet, dimensions)

    def _put_mapped(self) -> None:
        """Put the user's own mappings over what the hub would write."""
        mappings = self.settings.fields.invoice
        if not mappings:
            return
        context = build_context(self.invoice, self.materials.customer, time_zone=self.settings.time_zone)
        entity: Entity = "salesInvoices" if self.kind == "invoice" else "salesCreditMemos"
        values = render_fields(mappings, entity, context, self.notes, of=f" of invoice {self.invoice.number}")
        self.sheet.put_all(values, "fields.invoice")

    def _put_dates(self) -> None:
        dated = get_effective_time(self.invoice).astimezone(ZoneInfo(self.settings.time_zone)).date()
        source = "invoice finalized" if self.invoice.effective_at is None else "invoice effective date"
        self.sheet.put(_DATE_FIELD[self.kind], dated.isoformat(), source)
        self.sheet.put("postingDate", dated.isoformat(), source)
        due = None if self.invoice.due_date is None else to_day(self.invoice.due_date, self.settings.time_zone)
        if self.settings.invoices.header.payment_terms == "match":
            self._put_terms(None if due is None else (due - dated).days)
        if due is not None:
            self.sheet.put("dueDate", due.isoformat(), "invoice due date")

    def _put_terms(self, days: int | None) -> None:
        """Put the terms of so many days; where there are none, the customer's own stay if they can't be a gift.

        An invoice that is due at once, or by no terms of the company's, is left without any in a company that knows
        cash discounts: the customer's own may grant one, and Stripe collects the whole.
        """
        books = self.materials.books
        if days is not None and (chosen := books.find_terms(days)) is not None:
            self.sheet.put("paymentTermsId", chosen.id, f"terms {chosen.code}, {days} days")
        elif books.grants_discounts:
            self.sheet.put("paymentTermsId", NO_ID, "none, for the customer's may grant a cash discount")
            if days is not None:
                words = f"No payment terms were written: Business Central has none of {days} days without a discount."
                self.notes.add(words)

    def _put_addresses(self) -> None:
        header, invoice = self.settings.invoices.header, self.invoice
        if header.sell_to_address == "invoice" and invoice.customer_address is not None:
            self._put_address("sellTo", invoice.customer_address)
        shipping = invoice.shipping_details or invoice.customer_shipping
        # A credit memo has no ship-to fields in the API.
        if (
            shipping is None
            or self.kind == "credit_memo"
            or not header.ship_to
            or not _goes_elsewhere(shipping, invoice)
        ):
            return
        if self._put_address("shipTo", shipping.address or Address()) and shipping.name:
            name = fit_text(shipping.name, 100, "The name to ship to", self.notes)
            self.sheet.put("shipToName", name, "shipping details")

    def _put_address(self, side: str, address: Address) -> bool:
        """Put an address, unless Business Central does not know its country: it would show it in the customer's."""
        code = self._choose_country(address.country, side)
        if code is None:
            what = "The invoice's address" if side == "sellTo" else "The address to ship to"
            self.notes.add(f"{what} was left out: its country {address.country} is not in Business Central's list.")
            return False
        # The country first: a change of it clears city, state and post code (BC facts 8).
        parts = (
            ("Country", code, 10),
            ("AddressLine1", address.line1, 100),
            ("AddressLine2", address.line2, 50),
            ("City", address.city, 30),
            ("State", address.state, 30),
            ("PostCode", address.postal_code, 20),
        )
        for name, text, limit in parts:
            if text:
                value = fit_text(text, limit, f"{side}{name}", self.notes)
                self.sheet.put(f"{side}{name}", value, "address in Stripe")
        return True

    def _choose_country(self, country: str | None, side: str) -> str | None:
        """Choose Business Central's code of a country; empty where there is none, None where it does not know it."""
        iso = (country or "").strip().upper()
        if not iso:
            return ""
        known = self.materials.books.known_countries
        # The customer's number says where it is, not where goods go.
        irish = side == "sellTo" and is_northern_irish(self.invoice.customer_tax_ids or ())
        named = self.settings.customers.new.choose_defaults(iso).country
        if named and (named in known or not known):
            return named
        return choose_country_code(iso, known, northern_irish=irish) or None

    def _put_dimensions(self) -> tuple[tuple[str, str], ...]:
        others: list[tuple[str, str]] = []
        shortcuts = self.materials.books.shortcut_dimensions[:2]
        for rule in self.settings.invoices.header.dimensions:
            value, source = _read_dimension(rule, self.invoice, self.materials)
            if not value:
                continue
            _check_dimension(rule.dimension, value, source, self.materials)
            if rule.dimension in shortcuts:
                self.sheet.put(f"shortcutDimension{shortcuts.index(rule.dimension) + 1}Code", value, source)
            else:
                others.append((rule.dimension, value))
        return tuple(others)


def to_day(seconds: int, time_zone: str) -> date:
    """Return the day that it is in the company's time zone."""
    return datetime.fromtimestamp(seconds, tz=UTC).astimezone(ZoneInfo(time_zone)).date()


def _goes_elsewhere(shipping: Shipping, invoice: Invoice) -> bool:
    """Tell whether goods go elsewhere than the invoice."""
    if shipping.address is None or not any(shipping.address.model_dump().values()):
        return False
    return shipping.address != invoice.customer_address or shipping.name not in {None, invoice.customer_name}


def _read_dimension(rule: DimensionRule, invoice: Invoice, materials: Materials) -> tuple[str, str]:
    """Return the value's code, upper case as Business Central stores it, and its source."""
    if rule.metadata is not None:
        if own := invoice.metadata.get(rule.metadata, "").strip():
            return own.upper(), f"invoice metadata {rule.metadata}"
        if materials.customer and (own := materials.customer.metadata.get(rule.metadata, "").strip()):
            return own.upper(), f"customer metadata {rule.metadata}"
    return rule.value or "", f"default of dimension {rule.dimension}"


def _check_dimension(dimension: str, value: str, source: str, materials: Materials) -> None:
    known = materials.books.dimensions
    if dimension not in known:
        raise Refused(
            f"Business Central has no dimension {dimension}.",
            code="invoice.dimension.missing",
            fix="Name one of its dimensions in invoices.header.dimensions, then replay.",
        )
    if value not in known[dimension]:
        raise Refused(
            f"The dimension {dimension} has no value {value} in Business Central ({source}).",
            code="invoice.dimension_value.missing",
            fix="Create the value there, or correct it in Stripe's metadata or the settings; then replay.",
        )
