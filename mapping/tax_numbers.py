"""Tax numbers in a form that Business Central accepts.

A company lists formats for each country (*VAT Registration No. Formats*), and refuses a number that fits none of them,
for API calls too (BC facts 20.2). `STANDARD` is Microsoft's own list, which a new company has; where a company has
another, its refusal lists it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from mapping.normal_forms import get_tax_prefix, normalise_country, normalise_tax_id, squeeze_code
from mapping.text import tidy
from schemas.stripe_objects import TaxId

_LENGTH = 20
# microsoft/BCApps, codeunit 5695 "Create VAT Reg. No. Format", c3414ede: `#` is a digit, `@` a letter, `?` anything.
# Countries that it does not have (EL, FI, IE, IT, PT, US …) take any number.
_STANDARD = """
AT: ATU########
BE: BE#########, BE #########, BE ###.###.###, BE ### ### ###, #########, ###.###.###, ### ### ###
BG: BG##########, BG#########
CH: CHE-###.###.###MWST, CHE-###.###.### TVA, CHE-###.###.### IVA, ### ###
CY: CY########@, ########@
CZ: CZ########, CZ#########, CZ##########
DE: DE#########, #########
DK: DK########, ########
EE: EE#########, #########
ES: ES########@, ########@, ES@########, @########, ES@#######@, @#######@, @########@, @######@, @#####@, #######@,
    ######@, #####@, @#######, @######, @#####
FR: FR###########, ###########
GB: GB#########, GB###-####-##, GB### #### ##, ###-####-##, ### #### ##, #########
HR: HR###########
HU: HU########, ########
LT: LT#########, LT############, #########, ############
LU: LU########, ########
LV: LV###########, ###########
MT: MT########, ########
NL: NL#########B##, #########B##
NO: NO ### ### ### MVA, ### ### ### MVA, NO ### ### ###, #########
PL: PL##########, ##########
RO: RO##########
SE: SE##########01, ##########01
SG: ##-#######-?
SI: SI########, ########
SK: SK#########, SK##########, #########, ##########
"""


def _read_standard() -> Mapping[str, tuple[str, ...]]:
    lines = re.sub(r",\n\s+", ", ", _STANDARD).strip().splitlines()
    return {code: tuple(formats.split(", ")) for code, formats in (line.split(": ", 1) for line in lines)}


STANDARD = _read_standard()
"""Microsoft's formats by country."""
# Kinds of Stripe's that are written like the VAT number of their country, less its prefix.
_LIKE_VAT = frozenset(("es_cif", "hr_oib", "pl_nip", "si_tin", "bg_uic", "sg_gst", "sg_uen", "ch_uid", "unknown", ""))
_OF_NO_COUNTRY = frozenset(("eu", "un"))
_SYMBOLS: Mapping[str, str] = {"#": "[0-9]", "@": "[A-Z]", "?": "."}
_NORTHERN_IRISH = re.compile(r"^XI\d{9}(\d{3})?$")


def write_tax_number(number: str, country: str, formats: Sequence[str]) -> str:
    """Write a number in a form that is accepted; empty where it fits none.

    As it is written where that fits; else in the first format that it fits, with or without the prefix of its country
    and a suffix like MVA. Nothing is added that says more than the number does.

    Args:
        number: As it is written in Stripe, or was refused by Business Central.
        country: ISO code of the customer's country; the number is one of that country.
        formats: Those that the country has in Business Central; without any, everything is accepted.
    """
    plain = tidy(number).upper()
    if not formats:
        return plain if len(plain) <= _LENGTH else ""
    if any(re.fullmatch(_build_pattern(one), plain) for one in formats):
        return plain
    variants = _list_variants(plain, country)
    written = (_dress(variant, one) for one in formats for variant in variants)
    return next((text for text in written if text and len(text) <= _LENGTH), "")


def is_vat_number(tax_id: TaxId) -> bool:
    """Tell whether a number of Stripe's is of a kind that Business Central's formats are for: `de_stn` is none."""
    return tax_id.type.endswith("_vat") or tax_id.type in _LIKE_VAT


def is_northern_irish(tax_ids: Iterable[TaxId]) -> bool:
    """Tell whether there is a tax number of Northern Ireland among them."""
    return any(_NORTHERN_IRISH.match(squeeze_code(one.value or "")) for one in tax_ids)


def read_issuer(tax_id: TaxId) -> str:
    """Return the ISO code of the country that gave a number: by its prefix, else by its kind; empty where unknown."""
    code = normalise_tax_id(tax_id.value or "", "")
    by_kind = "" if tax_id.type[:2] in _OF_NO_COUNTRY else normalise_country(tax_id.type[:2])
    prefix = next((one for one in ("CHE", code[:2]) if code.startswith(one)), "")
    by_prefix = {"CHE": "CH", "XI": "GB"}.get(prefix) or normalise_country(prefix)
    return by_kind or (by_prefix if tax_id.type == "eu_vat" else "")


def read_formats(listed: str) -> tuple[str, ...]:
    """Read the formats that a refusal lists: `DE#########, #########`; a list that is cut ends in dots."""
    found = (one.strip() for one in listed.removesuffix("...").split(","))
    return tuple(one for one in found if one and _SYMBOLS.keys() & set(one) and len(one) <= _LENGTH)


def _list_variants(plain: str, country: str) -> list[str]:
    """List the ways to write one number: with and without prefix and suffix."""
    code = squeeze_code(plain)
    prefix = get_tax_prefix(country)
    base = normalise_tax_id(code, country)
    bare = base.removeprefix("XI" if country == "GB" and _NORTHERN_IRISH.match(base) else prefix)
    whole = [code, code.removeprefix(prefix), base, bare]
    if code.startswith(bare):
        # With its suffix, and the prefix that Stripe leaves out.
        whole.append(prefix + code)
    if country == "BE" and bare.startswith("0"):
        # Belgium has put a 0 before numbers of nine digits.
        whole += [f"BE{bare[1:]}", bare[1:]]
    return list(dict.fromkeys(whole))


def _dress(code: str, one: str) -> str:
    """Put a code into a format, with its blanks, dots and dashes; empty where it does not fit."""
    if not re.fullmatch(_build_pattern(re.sub(r"[ .\-/]", "", one)), code):
        return ""
    signs = iter(code)
    return "".join(char if char in " .-/" else next(signs) for char in one)


def _build_pattern(one: str) -> str:
    return "".join(_SYMBOLS.get(char) or re.escape(char) for char in one)
