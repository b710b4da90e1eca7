"""A company with the set-up that Microsoft ships, for a country: strict where the built-in company is convenient.

Chart of accounts, items and VAT rates are the built-in company's, so that the same settings fit both.
"""

from decimal import Decimal
from typing import Any

from simulators.business_central.default_seed import CURRENCIES, EU, HOME_COUNTRY, default_seed
from simulators.business_central.microsoft_tables import INVOICE_ROUNDING, PAYMENT_TERMS
from simulators.business_central.post_code_lists import POST_CODES
from simulators.business_central.values import to_wire

_LOCAL = {"DK": "DKK", "CH": "CHF", "GB": "GBP", "NO": "NOK", "SE": "SEK", "US": "USD"}
# The euro, and what Microsoft's list rounds to more than the smallest unit: name, symbol, places, units per euro.
_MORE: dict[str, tuple[str, str, str, str | None]] = {
    "EUR": ("Euro", "€", "", "1"),
    "AED": ("United Arab Emirates dirham", "AED", "", "3.98"),
    "KES": ("Kenyan Shilling", "KES", "", "140"),
    "NGN": ("Nigerian Naira", "NGN", "", "1600"),
    "TND": ("Tunesian Dinar", "TND", "", "3.35"),
}
_ALL = CURRENCIES | _MORE
_TERMS = ("displayName", "dueDateCalculation", "discountDateCalculation", "discountPercent")
# Nobody makes rules for all the world: customers of other countries, and of none, get no template.
_EXPORT = "US CH NO GB NI CA AU".split()


def shipped_company(country: str, currency: str = "") -> dict[str, Any]:
    """Return the sections of a company of a country, in its currency or another; DK, CH and DE have post codes."""
    built_in = default_seed()["companies"][0]
    local = currency or _LOCAL.get(country, "EUR")
    return built_in | {
        "currency": local,
        "information": {"country": country},
        "postCodes": POST_CODES.get(country, {}),
        "setup": built_in["setup"] | {"invoice_rounding": True, "local_invoice_precision": _rounding(local, local)[0]},
        "currencies": [_currency(code, local) for code in _ALL if code != local],
        "paymentTerms": [
            {"code": code, **dict(zip(_TERMS, values, strict=False))} for code, values in PAYMENT_TERMS.items()
        ],
        "templates": [_for_countries(entry, country) for entry in built_in["templates"]],
        "customers": [{"number": "10000", "displayName": "Adatum Corporation", "country": country}],
    }


def _rounding(currency: str, local: str) -> tuple[str, str]:
    if currency == local == "CHF":
        return "0.05", "2:2"
    return INVOICE_ROUNDING.get(currency, ("0.01", "2:2"))


def _currency(code: str, local: str) -> dict[str, Any]:
    """Microsoft's list gives two decimals to yen and Icelandic kronas too."""
    precision, places = _rounding(code, local)
    name, symbol, _, rate = _ALL[code]
    per_euro = Decimal(_ALL[local][3] or 1)
    return {
        "code": code,
        "displayName": name,
        "symbol": symbol,
        "amountDecimalPlaces": places,
        "amountRoundingPrecision": to_wire(Decimal(precision)),
        "rate": rate and str(Decimal(rate) / per_euro),
    }


def _for_countries(template: dict[str, Any], country: str) -> dict[str, Any]:
    european = [code for code in [HOME_COUNTRY, *EU] if code != country]
    chosen = {"DOMESTIC": [country], "EU": european, "EXPORT": [code for code in _EXPORT if code != country]}
    return template | {"countries": chosen[template["code"]]}
