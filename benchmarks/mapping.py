"""Mapping: the CPU of one invoice of 10 lines, and how it grows with the lines.

uv run python -m benchmarks.mapping

Mixed taxes and discounts, totals foretold, without and with field mappings; no I/O. CPU time, the least of several
rounds.
"""

import sys
import time
from decimal import Decimal

from mapping.sales_documents import CustomerView, build_document
from schemas.field_mappings import FieldMapping, FieldMappings
from schemas.invoice_settings import InvoiceSettings, LineTarget, RoundingSettings, TaxRule, TaxSettings
from schemas.settings import Settings
from schemas.stripe_objects import Invoice
from tests.builders import build_invoice, build_line, build_materials, build_taxes

ROUNDS, REPEATS = 7, 50
TARGET_MS = 1.0
SETTINGS = Settings(
    invoices=InvoiceSettings(
        lines=LineTarget(type="Account", number="6110"),
        rounding=RoundingSettings(account="6910"),
        tax=TaxSettings(
            rules=(TaxRule(percent=Decimal(25), code="STANDARD"), TaxRule(percent=Decimal(7), code="REDUCED")),
            zero_code="ZERO",
        ),
    )
)
MAPPED = SETTINGS.model_copy(
    update={
        "fields": FieldMappings(
            invoice=(
                FieldMapping(
                    field="customerPurchaseOrderReference", template="{{ metadata.po }} / {{ customer.name }}"
                ),
                FieldMapping(field="dueDate", template="{{ invoice.created | date }}"),
            ),
            line=(FieldMapping(field="description2", template="{{ line.metadata.project | upcase }}"),),
        )
    }
)
MATERIALS = build_materials()
CUSTOMER = CustomerView(id="customer")


def build(lines: int) -> Invoice:
    """Build an invoice whose lines are taxed and discounted in turn."""
    return build_invoice(
        lines=[
            build_line(
                1_033,
                quantity=1,
                description=f"Line {number}, with a description of common length",
                discount_amounts=[{"amount": 33}],
                taxes=build_taxes(250) if number % 2 else build_taxes(70, "7"),
            )
            for number in range(lines)
        ]
    )


def measure(lines: int, settings: Settings = SETTINGS) -> float:
    """Return the CPU milliseconds of mapping one invoice."""
    invoice = build(lines)
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(REPEATS):
            build_document(invoice, settings, MATERIALS, CUSTOMER)
        best = min(best, (time.process_time() - begun) / REPEATS)
    return best * 1000


def main() -> int:
    """Print and judge: 1 ms for ten lines, and no more than linear growth to a hundred."""
    ten, hundred, mapped = measure(10), measure(100), measure(10, MAPPED)
    print(f"10 lines: {ten:.3f} ms CPU (target {TARGET_MS} ms); 100 lines: {hundred:.3f} ms, {hundred / ten:.1f} times")
    print(f"10 lines with a mapping on each and two on the header: {mapped:.3f} ms")
    return 0 if mapped <= TARGET_MS and hundred <= 12 * ten else 1


if __name__ == "__main__":
    sys.exit(main())
