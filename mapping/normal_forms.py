"""Values in the one form that they are compared in, however Stripe and Business Central write them.

Taking the form of a form changes nothing, and nothing is guessed: what differs in more than its writing keeps different
forms. Countries are ISO 3166-1 alpha-2, empty where unknown.
"""

import re
import unicodedata
from collections.abc import Callable

from phonenumbers import (
    SUPPORTED_REGIONS,
    NumberParseException,
    PhoneNumberFormat,
    format_number,
    is_possible_number,
    parse,
)

from schemas.customer_settings import CustomerTarget

# Prefixes of VAT numbers that are no ISO country code, and the other way that some are written.
_TAX_PREFIXES = {"GR": "EL", "CH": "CHE"}
_TAX_ALIASES = {"GR": "EL", "UK": "GB"}
# Numbers that begin with one of these say their country themselves.
_KNOWN_PREFIXES = (
    "AT BE BG CHE CY CZ DE DK EE EL ES FI FR GB HR HU IE IT LT LU LV MT NL NO PL PT RO SE SI SK XI"
).split()
_TAX_SUFFIXES = re.compile(r"^(NO.*?)(?:MVA)+$|^(CHE.*?)(?:MWST|TVA|IVA|VAT)+$")
# Belgium has put a 0 before its numbers of nine digits.
_BELGIAN = re.compile(r"^BE(\d{9})$", re.ASCII)
_ONE_BY_LAW = tuple(
    (re.compile(pattern, re.ASCII), form)
    for pattern, form in (
        (r"^XI(\d{9}(?:\d{3})?)$", r"GB\1"),
        (r"^SE(\d{10})$", r"SE\g<1>01"),
        (r"^HU(\d{8})\d{3}$", r"HU\1"),
    )
)
_SHORTEST_TAX_ID = 4
_SHORTEST_PHONE = 5
# Quotes and dashes of all kinds; before NFKC, which takes some of them apart.
_LIKE = str.maketrans(
    dict.fromkeys(map(chr, (0x60, 0xB4, 0x05F3, 0x2018, 0x2019)), "'")
    | dict.fromkeys(map(chr, (0xAB, 0xBB, 0x05F4, 0x201C, 0x201D, 0x201E)), '"')
    | dict.fromkeys(map(chr, (0x2010, 0x2011, 0x2013, 0x2014)), "-")
)
_UNSEEN = frozenset(("Cf", "Cn", "Cs"))
# As the hub writes one in Business Central, where a telephone number has no letters.
_EXTENSION = re.compile(r" / (\d{1,5})$")
_ZIP_PLUS_4 = re.compile(r"^(\d{5})-\d{4}$")
_POSTAL_PREFIX = re.compile(r"^[A-Z]{1,3}-(?=\d)")


def get_forms(field: CustomerTarget, text: str, country: str) -> frozenset[str]:
    """Return the forms of a value of this field: none where it says nothing, several where it holds several addresses.

    Args:
        field: In Business Central.
        text: As it is written, on either side.
        country: Of the customer.
    """
    if field == "email":
        return frozenset(form for part in re.split(r"[;,]", _compose(text)) if (form := normalise_email(part)))
    if field == "taxRegistrationNumber":
        form = fold_tax_id(normalise_tax_id(text, country))
    else:
        form = normalise_phone(text, country) if field == "phoneNumber" else _PLAIN[field](text)
    return frozenset((form,) if form else ())


# The countries that have telephones, and those without, where nobody lives for long.
_COUNTRIES = SUPPORTED_REGIONS | frozenset("AQ BV GS HM PN TF UM".split())


def normalise_country(text: str) -> str:
    """Return an ISO code; empty where the text is another kind of code, of which nothing can be said."""
    code = _compose(text).strip().upper()
    code = {"EL": "GR", "UK": "GB"}.get(code, code)
    return code if code in _COUNTRIES else ""


def normalise_email(text: str) -> str:
    """Return an address without regard to case, width and blanks."""
    return _settle(lambda part: "".join(_fold(part).split()), text)


def normalise_name(text: str) -> str:
    """Return a name without regard to case, width, blanks and the kind of its quotes and dashes."""
    return " ".join(_fold(text).split())


def normalise_phone(text: str, country: str) -> str:
    """Return a number as E.164, with its extension; digits alone where neither it nor the country tells whose it is."""
    plain = _EXTENSION.sub(r" ext. \1", _compose(text).strip())
    digits = "".join(str(unicodedata.digit(char)) for char in plain if unicodedata.digit(char, None) is not None)
    if len(digits) < _SHORTEST_PHONE or len(set(digits)) == 1:
        # Also what is put where a number is demanded: 000000.
        return ""
    is_whole = plain.startswith("+")
    rest = "+" + digits if is_whole else digits
    return _parse_phone(plain, country) or _parse_phone(rest, country) or rest


def normalise_tax_id(text: str, country: str) -> str:
    """Return a tax number without blanks, dots and dashes, with the prefix of its country where that is known."""
    code = squeeze_code(text)
    if len(code) < _SHORTEST_TAX_ID or not _has_digit(code):
        return ""
    for alias, prefix in _TAX_ALIASES.items():
        if _is_prefixed(code, alias):
            code = prefix + code.removeprefix(alias)
    own = get_tax_prefix(country)
    if own and not _is_prefixed(code, own) and not any(_is_prefixed(code, known) for known in _KNOWN_PREFIXES):
        code = own + code
    suffixed = _TAX_SUFFIXES.match(code)
    return next(filter(None, suffixed.groups())) if suffixed else _BELGIAN.sub(r"BE0\1", code)


def fold_tax_id(code: str) -> str:
    """Return one number of those that one company has by law: another is of another company.

    Northern Ireland's prefix stands for Great Britain's, Sweden's number is the organisation's and 01, and Hungary's is
    the beginning of the tax number.
    """
    for pattern, form in _ONE_BY_LAW:
        code = pattern.sub(form, code)
    return code


def squeeze_code(text: str) -> str:
    """Return a number's letters and digits, in upper case and without what parts them."""
    return _settle(_squeeze, text)


def get_tax_prefix(country: str) -> str:
    """Return what tax numbers of the country begin with."""
    return _TAX_PREFIXES.get(country, country)


def normalise_code(text: str) -> str:
    """Return a code as Business Central stores it."""
    return _settle(lambda part: " ".join(_compose(part).upper().split()), text)


def normalise_postal_code(text: str) -> str:
    """Return a postal code without blanks and the country that some put before it; of ZIP+4 the first five."""
    code = _POSTAL_PREFIX.sub("", _compose(text).upper().strip())
    return _settle(_squeeze, _ZIP_PLUS_4.sub(r"\1", code))


def normalise_place(text: str) -> str:
    """Return a street, town or state as a name without dots and commas."""
    return " ".join(re.sub(r"[.,]", " ", normalise_name(text)).split())


_PLAIN: dict[CustomerTarget, Callable[[str], str]] = {
    "number": normalise_code,
    "displayName": normalise_name,
    "addressLine1": normalise_place,
    "addressLine2": normalise_place,
    "city": normalise_place,
    "state": normalise_place,
    "postalCode": normalise_postal_code,
    "country": normalise_country,
}


def _compose(text: str) -> str:
    """Full-width and other presentation forms become the plain ones; what shows as nothing is left out."""
    composed = unicodedata.normalize("NFKC", text.translate(_LIKE)).translate(_LIKE)
    return "".join(" " if _is_break(char) else char for char in composed if unicodedata.category(char) not in _UNSEEN)


def _is_break(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Zl", "Zp"}


def _settle(step: Callable[[str], str], text: str) -> str:
    """Take a step until it changes nothing: characters that come together may compose anew."""
    while (taken := step(text)) != text:
        text = taken
    return text


def _squeeze(text: str) -> str:
    return "".join(char for char in _compose(text).upper() if char.isalnum())


def _fold(text: str) -> str:
    """Unicode's compatibility caseless form (D146), which folding again leaves as it is."""
    folded = unicodedata.normalize("NFD", _compose(text)).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", folded).casefold())


def _parse_phone(text: str, country: str) -> str:
    """Return a number as E.164 with its extension; empty where it is none, or is read as another the second time."""
    international = f"+{text.removeprefix('00')}" if text.startswith("00") and not country else text
    form = _format_phone(international, country)
    return form if form and _format_phone(form, country) == form else ""


def _format_phone(text: str, country: str) -> str:
    try:
        number = parse(text, country or None)
    except NumberParseException:
        return ""
    if not is_possible_number(number):
        return ""
    return format_number(number, PhoneNumberFormat.E164) + (f";ext={number.extension}" if number.extension else "")


def _is_prefixed(code: str, prefix: str) -> bool:
    rest = code.removeprefix(prefix)
    return rest != code and len(rest) >= _SHORTEST_TAX_ID and _has_digit(rest)


def _has_digit(text: str) -> bool:
    return any(char.isdigit() for char in text)
