"""What posting makes of a total, told beforehand."""

from decimal import Decimal
from typing import Any

import pytest

from mapping.materials import Books
from mapping.posting import foretell_posting
from schemas.invoice_settings import RoundingSettings
from tests.builders import build_books

PRECISIONS = {"CHF": Decimal("0.05"), "AED": Decimal("0.25"), "HUF": Decimal(1), "KWD": Decimal("0.001")}


def foretell(
    total: str, currency: str = "CHF", local: str = "DKK", shown: str | None = None, **settings: Any
) -> str | None:
    books: Books = build_books(local_currency=local, invoice_precisions=PRECISIONS)
    seen = None if shown is None else Decimal(shown)
    notice = foretell_posting(Decimal(total), currency, seen, books, RoundingSettings.model_validate(settings))
    return notice.text if notice else None


def test_a_total_that_is_no_multiple_of_the_precision_is_told_with_what_it_becomes() -> None:
    assert foretell("19.93") == (
        "When it is posted, Business Central rounds it to 19.95 CHF, 0.02 CHF more than in Stripe, unless Invoice "
        "Rounding is off. To keep the total, set the Invoice Rounding Precision of CHF under Currencies there to 0.01."
    )


@pytest.mark.parametrize(
    ("total", "currency", "words"),
    [
        ("19.95", "CHF", None),
        ("19.92", "CHF", "19.90 CHF, 0.02 CHF less"),
        ("10.10", "AED", "10.00 AED, 0.10 AED less"),
        ("10.13", "AED", "10.25 AED, 0.12 AED more"),
        ("1250.50", "HUF", "1,251.00 HUF, 0.50 HUF more"),
        ("1.001", "KWD", None),
        # As fine as its amounts, as far as Business Central tells.
        ("19.93", "EUR", None),
        ("0", "CHF", None),
    ],
)
def test_by_currency(total: str, currency: str, words: str | None) -> None:
    told = foretell(total, currency)

    assert (told is None) == (words is None)
    assert words is None or words in (told or "")


def test_where_invoice_rounding_is_off_nothing_changes() -> None:
    assert foretell("19.93", invoice_rounding=False) is None


def test_of_the_local_currency_the_settings_know_else_what_microsoft_ships() -> None:
    told = foretell("19.93", local="CHF")

    assert told is not None
    assert "set Inv. Rounding Precision (LCY) in General Ledger Setup there to 0.01, and invoices.rounding" in told
    assert foretell("19.93", local="CHF", local_precision="0.01") is None
    assert "rounds it to 20.00 CHF" in (foretell("19.93", local="CHF", local_precision="1") or "")
    assert foretell("19.93", "DKK") is None
    assert "rounds it to 20.00 DKK" in (foretell("19.93", "DKK", local_precision=1) or "")


@pytest.mark.parametrize(
    ("currency", "local", "shown", "settings", "is_told"),
    [
        # Posted as it was: the switch is off, whatever the currency says.
        ("CHF", "DKK", "0.01", {}, False),
        ("CHF", "CHF", "0.01", {}, False),
        # Posted rounded: of a foreign currency the API says what holds now.
        ("CHF", "DKK", "0.05", {}, True),
        ("EUR", "DKK", "0.05", {}, False),
        # Of the local one, the settings, then what was seen, then what Microsoft ships.
        ("DKK", "DKK", "0.05", {}, True),
        ("DKK", "DKK", "0.05", {"local_precision": "0.01"}, False),
        ("DKK", "DKK", "0.01", {"local_precision": "0.05"}, True),
        ("DKK", "DKK", None, {}, False),
    ],
)
def test_what_posted_documents_have_shown_counts(
    currency: str, local: str, shown: str | None, settings: dict[str, str], is_told: bool
) -> None:
    assert (foretell("19.93", currency, local, shown, **settings) is not None) is is_told
