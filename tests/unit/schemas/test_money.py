"""Stripe's minor units are read as Stripe writes them, not as ISO 4217 would."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Refused
from schemas.money import format_amount, get_exponent, round_half_up, to_decimal, to_minor

CURRENCIES = st.sampled_from(("EUR", "USD", "JPY", "KWD", "UGX", "ISK", "MGA", "HUF", "TWD"))


@pytest.mark.parametrize(
    ("minor", "currency", "amount"),
    [
        (1050, "eur", "10.50"),
        (1050, "EUR", "10.50"),
        (1050, "jpy", "1050"),
        (1050, "kwd", "1.050"),
        (1000, "bhd", "1.000"),
        # In both of Stripe's lists; the special case rules: 5 UGX is 500.
        (500, "ugx", "5.00"),
        (500, "isk", "5.00"),
        # ISO gives the ariary two decimals, Stripe none.
        (500, "mga", "500"),
        (-1, "eur", "-0.01"),
        (0, "krw", "0"),
    ],
)
def test_minor_units_become_amounts(minor: int, currency: str, amount: str) -> None:
    assert to_decimal(minor, currency) == Decimal(amount)
    assert to_minor(Decimal(amount), currency) == minor


@pytest.mark.parametrize("currency", ["XXX", "BTC", "", "EURO"])
def test_an_unknown_currency_is_refused_instead_of_guessed(currency: str) -> None:
    with pytest.raises(Refused, match="is not one the hub knows") as caught:
        get_exponent(currency)
    assert caught.value.code == "invoice.currency.unknown"
    assert caught.value.fix


@given(st.integers(-(10**15), 10**15), CURRENCIES)
def test_amounts_survive_both_ways(minor: int, currency: str) -> None:
    assert to_minor(to_decimal(minor, currency), currency) == minor


@pytest.mark.parametrize(("amount", "currency"), [("0.001", "eur"), ("0.5", "jpy"), ("1.0005", "kwd")])
def test_an_amount_below_the_minor_unit_is_no_amount(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match="not a whole number of minor units"):
        to_minor(Decimal(amount), currency)


@pytest.mark.parametrize(
    ("amount", "decimals", "rounded"),
    [("0.125", 2, "0.13"), ("-0.125", 2, "-0.13"), ("0.124", 2, "0.12"), ("2.5", 0, "3"), ("1", 2, "1.00")],
)
def test_halves_are_rounded_away_from_zero(amount: str, decimals: int, rounded: str) -> None:
    assert round_half_up(Decimal(amount), decimals) == Decimal(rounded)


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [("1234.5", "eur", "1,234.50 EUR"), ("1234", "jpy", "1,234 JPY"), ("-0.5", "KWD", "-0.500 KWD")],
)
def test_readers_see_the_currencys_decimals(amount: str, currency: str, words: str) -> None:
    assert format_amount(Decimal(amount), currency) == words
