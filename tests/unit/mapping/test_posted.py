"""Why a posted document comes to another total than its draft."""

from decimal import Decimal

import pytest

from mapping.posted import Posted, explain_posted

CENT = Decimal("0.01")


def explain(wanted: str, booked: str, *lines: str, known: str = "", unit: Decimal = CENT) -> Posted:
    amounts = [Decimal(line) for line in lines]
    return explain_posted(Decimal(wanted), Decimal(booked), amounts, unit, Decimal(known) if known else None)


@pytest.mark.parametrize(
    ("found", "cause", "precision"),
    [
        # Business Central's own line shows it.
        (explain("19.93", "19.95", "19.93", "0.02"), "rounded", "0.05"),
        (explain("19.97", "19.95", "19.97", "-0.02"), "rounded", "0.05"),
        (explain("100.12", "100.00", "100.12", "-0.12"), "rounded", "0.25"),
        (explain("100.40", "100.00", "100.40", "-0.40"), "rounded", "0.5"),
        (explain("1003", "1005", "1003", "2", unit=Decimal(1)), "rounded", "5"),
        # What is known of the currency shows it, too.
        (explain("19.93", "19.95", known="0.05"), "rounded", "0.05"),
        (explain("19.93", "19.95", "10.00", "9.95", known="0.05"), "rounded", "0.05"),
        # VAT computed anew: a cent for a line at most.
        (explain("100.00", "100.01", "60.01", "40.00"), "recomputed", None),
        (explain("100.00", "99.98", "60.00", "39.98"), "recomputed", None),
        # Somebody was there.
        (explain("19.93", "19.95"), "changed", None),
        (explain("100.00", "90.00", "90.00"), "changed", None),
        (explain("100.00", "90.00", "90.00", known="0.05"), "changed", None),
        (explain("100.00", "99.93", "99.93", known="0.05"), "changed", None),
        (explain("100.00", "103.33", "100.00", "3.33"), "changed", None),
        # As drafted: an odd cent shows that nothing is rounded, a round total shows nothing.
        (explain("19.93", "19.93", "19.93"), "same", "0.01"),
        (explain("19.95", "19.95", "19.95"), "same", None),
        (explain("1003", "1003", "1003", unit=Decimal(1)), "same", None),
    ],
)
def test_each_cause_shows_in_the_amounts(found: Posted, cause: str, precision: str | None) -> None:
    assert found == Posted(cause, None if precision is None else Decimal(precision))  # pyright: ignore[reportArgumentType]
