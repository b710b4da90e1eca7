"""A Stripe invoice as a Business Central sales invoice: one payload, header and lines in one request."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mapping.eligibility import get_issue_time
from mapping.text import Notes, fit_text, tidy
from schemas.errors import Refused
from schemas.invoice_settings import InvoiceSettings, LineTarget
from schemas.money import format_amount, get_exponent, round_half_up, to_decimal
from schemas.stripe_objects import Invoice, Line

DESCRIPTION_LENGTH = 100
DOCUMENT_NUMBER_LENGTH = 35
# Business Central keeps quantities and unit prices to five decimals by default.
_PRECISION = 5


@dataclass(frozen=True)
class MappedInvoice:
    """What would be sent, what it must come to, and what was changed on the way."""

    payload: dict[str, Any]
    total: Decimal
    """Stripe's total, including tax: the draft's must equal it."""
    currency: str
    external_document_number: str
    notes: tuple[str, ...]


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


def build_sales_invoice(invoice: Invoice, settings: InvoiceSettings, *, customer_id: str | None) -> MappedInvoice:
    """Map an invoice. With `customer_id` None the payload lacks its customer: a check, before one is created.

    Raises:
        Refused: a setting is missing, or the invoice can't be expressed.
    """
    target = _require_bookable(invoice, settings)
    notes = Notes()
    number = build_external_document_number(invoice, settings)
    lines = [_build_line(line, target, notes) for line in invoice.lines.data]
    if (shipping := _build_shipping(invoice, target)) is not None:
        lines.append(shipping)
    payload = _build_header(invoice, number, customer_id) | {"salesInvoiceLines": lines}
    total = to_decimal(invoice.total, invoice.currency)
    return MappedInvoice(payload, total, invoice.currency.upper(), number, tuple(notes.sentences))


def _require_bookable(invoice: Invoice, settings: InvoiceSettings) -> LineTarget:
    """Return where its lines go.

    Raises:
        Refused: nobody has said where, or it is no invoice that a draft can be made of.
    """
    if settings.lines is None:
        raise Refused(
            "No account or item is set for invoice lines.",
            code="settings.lines.missing",
            fix="Set invoices.lines in the settings (an account or item number of Business Central), then replay.",
        )
    if not invoice.lines.data:
        raise Refused(
            f"Invoice {invoice.number or invoice.id} has no lines.",
            code="invoice.lines.missing",
            fix="There is nothing to book; enter it by hand if it should be.",
        )
    if invoice.total < 0:
        total = format_amount(to_decimal(invoice.total, invoice.currency), invoice.currency)
        raise Refused(
            f"Invoice {invoice.number or invoice.id} has a negative total, {total}: it is a credit, and Business "
            "Central takes no invoices below zero.",
            code="invoice.total.negative",
            fix="Enter it by hand as a sales credit memo in Business Central.",
        )
    return settings.lines


def describe_difference(expected: Decimal, actual: Decimal, currency: str, number: str) -> str:
    """Say both totals, for the reader of a failed gate."""
    return (
        f"Invoice {number} is {format_amount(expected, currency)} in Stripe, but its draft in Business Central came to "
        f"{format_amount(actual, currency)}."
    )


def _build_header(invoice: Invoice, number: str, customer_id: str | None) -> dict[str, Any]:
    issued = _to_day(get_issue_time(invoice))
    header: dict[str, Any] = {
        "externalDocumentNumber": number,
        "invoiceDate": issued,
        "postingDate": issued,
    }
    if invoice.due_date is not None:
        header["dueDate"] = _to_day(datetime.fromtimestamp(invoice.due_date, tz=UTC))
    if customer_id is not None:
        header["customerId"] = customer_id
    header["currencyCode"] = invoice.currency.upper()
    return header


def _build_line(line: Line, target: LineTarget, notes: Notes) -> dict[str, Any]:
    """Build a line. The order of keys matters: BC validates them one by one, and each may overwrite earlier ones."""
    quantity, unit_price, told = _choose_quantity(line)
    name = tidy(line.description or "")
    text = line.description if name and line.description else "Stripe invoice line"
    built: dict[str, Any] = {
        "lineType": target.type,
        "lineObjectNumber": target.number,
        "quantity": quantity,
        "unitPrice": unit_price,
    }
    if discount := sum(part.amount for part in line.discount_amounts or ()):
        built["discountAmount"] = to_decimal(discount, line.currency)
    if target.tax_code is not None:
        built["taxCode"] = target.tax_code
    built["description"] = fit_text(f"{told}{text}", DESCRIPTION_LENGTH, f"The description “{name[:30]}”", notes)
    return built


def _build_shipping(invoice: Invoice, target: LineTarget) -> dict[str, Any] | None:
    """Build the line for shipping, which is no line in Stripe; net, for Business Central adds the tax."""
    cost = invoice.shipping_cost
    if cost is None or not cost.amount_total:
        return None
    net = cost.amount_total - (cost.amount_tax or 0)
    built: dict[str, Any] = {
        "lineType": target.type,
        "lineObjectNumber": target.number,
        "quantity": Decimal(1),
        "unitPrice": to_decimal(net, invoice.currency),
    }
    if target.tax_code is not None:
        built["taxCode"] = target.tax_code
    built["description"] = "Shipping"
    return built


def _choose_quantity(line: Line) -> tuple[Decimal, Decimal, str]:
    """Keep quantity and unit price where they give the amount exactly; else one piece at the amount, the quantity told.

    A negative amount is a negative quantity: Business Central takes no negative prices on items.
    """
    amount = to_decimal(line.amount, line.currency)
    quantity = _parse_quantity(line)
    unit = line.pricing.unit_amount_decimal if line.pricing else None
    if unit is not None and quantity is not None:
        price = Decimal(unit).scaleb(-get_exponent(line.currency))
        if _is_exact(quantity, price, amount, get_exponent(line.currency)):
            return quantity, price, ""
    told = f"{quantity.normalize():f} x " if quantity is not None and quantity != 1 else ""
    return (Decimal(1), amount, told) if amount >= 0 else (Decimal(-1), -amount, told)


def _parse_quantity(line: Line) -> Decimal | None:
    if line.quantity_decimal is not None:
        return Decimal(line.quantity_decimal)
    return None if line.quantity is None else Decimal(line.quantity)


def _is_exact(quantity: Decimal, price: Decimal, amount: Decimal, decimals: int) -> bool:
    fits = all(value == round_half_up(value, _PRECISION) for value in (quantity, price))
    return fits and price >= 0 and round_half_up(quantity * price, decimals) == amount


def _to_day(moment: datetime) -> str:
    day: date = moment.date()
    return day.isoformat()
