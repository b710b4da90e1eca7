"""VAT registration numbers: the check against the formats of a country (VATRegistrationNoFormat.Table.al)."""

from simulators.business_central.company import Company
from simulators.business_central.errors import dialog

_LIST_LIMIT = 250  # characters of the list of formats in the message


def check_tax_number(company: Company, number: str, country: str, customer: str) -> None:
    """Refuse a number that fits none of the formats of its country, or of the company's where it has none.

    `customer` is the number of a customer that exists; of a new one the message names nothing but the formats.
    """
    country = country or company.home_country
    formats = company.vat_formats.get(country, ())
    if not number or not formats or any(_fits(number, form) for form in formats):
        return
    text = f"The following formats are acceptable: {_listed(formats)}"
    if customer:
        text = (
            f"The entered VAT Registration number for Customer {customer} is not in agreement with the format "
            f"specified for Country/Region Code {country}.\\{text}"
        )
    raise dialog(text)


def _fits(number: str, form: str) -> bool:
    return len(number) == len(form) and all(map(_agrees, number, form))


def _agrees(char: str, wanted: str) -> bool:
    match wanted:
        case "#":
            return "0" <= char <= "9"
        case "@":
            return "A" <= char <= "Z"
        case "?":
            return True
        case _:
            return char == wanted


def _listed(formats: tuple[str, ...]) -> str:
    """Join the formats as AppendString does: what would not fit any more becomes three dots."""
    text = ""
    for form in formats:
        if text and len(text) + len(form) + 5 > _LIST_LIMIT:
            return f"{text}..."
        text = f"{text}, {form}" if text else form
    return text
