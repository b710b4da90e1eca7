"""Reading JSON values into fields: types, lengths, enum members; and writing amounts back as JSON numbers."""

import re
from datetime import date
from decimal import Decimal
from typing import Any

from simulators.business_central.entities import EntityType, Property
from simulators.business_central.errors import (
    ApiError,
    bad_request,
    dialog,
    field_error,
    read_only,
    string_too_long,
    unknown_property,
)

GUID = re.compile(r"^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$")
# Read strictly: XML has no form for these, and a lone half of a pair has none in UTF-8.
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_EMAIL_PARTS = 2
_MESSAGE = "Cannot convert a value to target type '{}' because of conversion errors."
_DECIMAL_LIMIT = Decimal("999999999999999.99")
Number = int | float


def to_wire(value: Decimal) -> Number:
    """Render an amount; fifteen digits survive the float, which is what the amounts of AL have."""
    whole = int(value)
    return whole if whole == value else float(value)


def to_decimal(value: Number) -> Decimal:
    """Read back what `to_wire` rendered."""
    return Decimal(str(value))


def raise_case(text: str) -> str:
    """Write in upper case as .NET does, letter by letter: that of ß is ß."""
    return "".join(upper if len(upper := char.upper()) == 1 else char for char in text)


def read_value(prop: Property, value: Any) -> Any:
    """Check one JSON value against its property and return it as stored; numbers come back as Decimal."""
    if value is None:
        return prop.blank
    return _READERS[prop.kind](prop, value)


def read_body(entity: EntityType, body: Any, navigations: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Check a request body property by property, in its own order; nested collections pass through unread."""
    if not isinstance(body, dict):
        raise bad_request("Invalid Request Body")
    checked: dict[str, Any] = {}
    for name, value in body.items():
        if name.startswith("@") or "@odata" in name:
            continue
        if name in navigations:
            checked[name] = value
            continue
        prop = entity.properties.get(name)
        if prop is None:
            raise unknown_property(name, entity.name)
        if not prop.writable:
            raise read_only(name)
        checked[name] = read_value(prop, value)
        if name == "phoneNumber" and any(char.isalpha() for char in checked[name]):
            raise _letters_in(entity)
    return checked


def _wrong_type(prop: Property) -> ApiError:
    return bad_request(_MESSAGE.format("Edm." + prop.kind.capitalize()))


def _read_text(prop: Property, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong_type(prop)
    if found := _UNSTORABLE.search(value):
        raise bad_request(f"The value of '{prop.name}' has the character U+{ord(found[0]):04X}, which can't be kept.")
    if prop.length is not None and len(value.encode("utf-16-le")) // 2 > prop.length:
        raise string_too_long(value, prop.length)
    if check := _CHECKS.get(prop.name):
        check(value)
    return value


def _letters_in(entity: EntityType) -> ApiError:
    """Customer."Phone No." and the header's refuse letters, each in its own words."""
    if entity.set_name == "customers":
        return field_error("Phone No.", "must not contain letters", "Customer", "No.=''")
    return dialog("You cannot enter letters in this field.")


def _check_email(value: str) -> None:
    """Codeunit Mail Management: addresses parted by semicolons, each as .NET's MailAddress takes it, without a name."""
    for address in value.strip(";").split(";") if value else ():
        parts = address.split("@")
        is_whole = len(parts) == _EMAIL_PARTS and all(parts) and not re.search(r"[\s<>(),:\"\[\]\\]", address)
        if not is_whole or any(part.startswith(".") or part.endswith(".") or ".." in part for part in parts):
            raise dialog(f'The email address "{address}" is not valid.')


def _read_code(prop: Property, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong_type(prop)
    # Code fields are trimmed and stored upper case (BC facts §4).
    return _read_text(prop, raise_case(value.strip(" ")))


def _read_guid(prop: Property, value: Any) -> str:
    if not isinstance(value, str) or not GUID.match(value):
        raise ApiError(400, "Application_InvalidGUID", f"'{value}' is not a valid GUID for '{prop.name}'.")
    return value.lower()


def _read_decimal(prop: Property, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise _wrong_type(prop)
    number = Decimal(str(value))
    if not number.is_finite() or abs(number) > _DECIMAL_LIMIT:
        raise ApiError(400, "Application_EvaluateException", f"The value '{value}' is too large for '{prop.name}'.")
    return number


def _read_int(prop: Property, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(prop)
    return value


def _read_bool(prop: Property, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong_type(prop)
    return value


def _read_date(prop: Property, value: Any) -> str:
    try:
        return date.fromisoformat(value).isoformat() if len(value) == len("0001-01-01") else _fail_date(value)
    except (ValueError, TypeError) as exc:
        raise bad_request(
            f"Cannot convert the literal '{value}' to the expected type 'Edm.Date'. ({prop.name})"
        ) from exc


def _fail_date(value: str) -> str:
    raise ValueError(value)


def _read_enum(prop: Property, value: Any) -> str:
    if value in prop.members:
        return value
    options = ", ".join(prop.members)
    raise ApiError(400, "Unknown", f"'{value}' is not an option. The existing options are: {options}")


_CHECKS = {"email": _check_email}
_READERS = {
    "text": _read_text,
    "code": _read_code,
    "guid": _read_guid,
    "decimal": _read_decimal,
    "int": _read_int,
    "bool": _read_bool,
    "date": _read_date,
    "datetime": _read_text,
    "enum": _read_enum,
}
