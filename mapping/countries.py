"""Codes of countries: Stripe's are ISO 3166-1 alpha-2, Business Central's are its own.

Microsoft's standard list (microsoft/BCApps, codeunit *Create Country/Region*, c3414ede) has ISO's codes but for three:
EL is Greece, IND is India, and NI is Northern Ireland, which ISO gives to Nicaragua. A company may have changed its
list: what it has counts, and what the settings name counts first.
"""

from collections.abc import Mapping

from mapping.normal_forms import normalise_country

# Business Central's other codes of a country, as Microsoft's list and older ones have them.
_OTHER_CODES: Mapping[str, tuple[str, ...]] = {"GR": ("EL",), "GB": ("UK",), "IN": ("IND",)}
_NORTHERN_IRELAND = ("XI", "NI")
# What a code of Business Central's may stand for, where it is not ISO's, or not that alone.
_MEANINGS: Mapping[str, frozenset[str]] = {
    "EL": frozenset(("GR",)),
    "UK": frozenset(("GB",)),
    "XI": frozenset(("GB",)),
    "NI": frozenset(("GB", "NI")),
    "IND": frozenset(("IN",)),
}
_NICARAGUA = ("nicaragua", "nikaragua")


def choose_country_code(iso: str, known: Mapping[str, str], *, northern_irish: bool = False) -> str:
    """Choose Business Central's code of a country; empty where its list has none for it.

    Args:
        iso: Stripe's code.
        known: The company's countries: the name by code. Where it is empty, nothing can be looked up.
        northern_irish: A British customer has a tax number of Northern Ireland, which has a code of its own.
    """
    codes = (iso, *_OTHER_CODES.get(iso, ()))
    if iso == "GB" and northern_irish:
        codes = (*_NORTHERN_IRELAND, *codes) if known else codes
    return next((code for code in codes if not known or (code in known and iso in _read_meanings(code, known))), "")


def read_countries(code: str, known: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return the ISO codes that a code of Business Central's may stand for: none where it is a code of its own.

    NI alone may stand for two; the company's own name of it, where `known` has one, tells which.
    """
    plain = code.strip().upper()
    return _read_meanings(plain, known or {}) if plain in _MEANINGS else frozenset(filter(None, (_read_iso(plain),)))


def may_be_same_country(iso: str, code: str) -> bool:
    """Tell whether Stripe's country and Business Central's code may be one; what either does not say differs from none.

    Stripe's GB is the same as NI, Stripe's GR as EL, and nothing can be said of a code that is Business Central's own.
    """
    meanings = read_countries(code)
    return not iso or not meanings or iso in meanings


def _read_meanings(code: str, known: Mapping[str, str]) -> frozenset[str]:
    if code == "NI" and (name := known.get(code, "").casefold()):
        return frozenset(("NI",)) if name.startswith(_NICARAGUA) else frozenset(("GB",))
    return _MEANINGS.get(code) or frozenset((code,))


def _read_iso(code: str) -> str:
    return normalise_country(code)
