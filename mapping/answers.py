"""What was asked for, held against what Business Central made of it: what to write once more, to tell, or to refuse.

Business Central changes by itself what it is sent: a post code that its list has under another country takes that
country and its town (BC facts 20.3), templates and extensions do the rest. Nothing of it may go unseen.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mapping.bc_fields import BcField, Entity, FieldType, get_field
from mapping.field_values import decode_member
from mapping.normal_forms import normalise_code, normalise_name, normalise_place, normalise_postal_code
from mapping.sheet import get_country_field, get_side, put_countries_first
from schemas.money import read_number

Verdict = Literal["mend", "tell", "fail"]

_LINE = frozenset(
    ("lineType", "lineObjectNumber", "accountId", "itemId", "quantity", "unitPrice", "discountAmount", "taxCode")
)
_DOCUMENT = frozenset(
    "externalDocumentNumber customerId customerNumber billToCustomerId billToCustomerNumber currencyId currencyCode "
    "discountAmount pricesIncludeTax status".split()
)
_DECISIVE: Mapping[Entity, frozenset[str]] = {
    "customers": frozenset(("number", "displayName")),
    "salesInvoices": _DOCUMENT,
    "salesCreditMemos": _DOCUMENT,
    "salesInvoiceLines": _LINE,
    "salesCreditMemoLines": _LINE,
}
"""What says who is billed, and how much."""
# Written again, a post code would do again what it has done.
_POST_CODES = frozenset(("postalCode", "sellToPostCode", "billToPostCode", "shipToPostCode"))


@dataclass(frozen=True)
class Difference:
    """A field that is not as it was asked for. `made` is empty where nothing is left of it."""

    name: str
    asked: object
    made: object
    verdict: Verdict

    @property
    def words(self) -> str:
        """For the reader: `the city is Frederiksberg, and not Lillestrøm`."""
        if self.name.endswith("Id"):
            return f"it has another value than asked for in {name_field(self.name.removesuffix('Id'))}"
        made = f"is {_show(self.made)}, and not {_show(self.asked)}" if _show(self.made) else "was left out"
        asked = "" if _show(self.made) else f" {_show(self.asked)}"
        return f"the {name_field(self.name)}{asked} {made}"


def compare_answer(entity: Entity, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Compare field by field what was sent with what was answered; lists of lines and what is not shown are left out.

    Args:
        entity: What was written.
        asked: The payload, by the names of the API.
        answer: The record as Business Central answers it, or as it is read afterwards.
    """
    found: list[Difference] = []
    for name, value in asked.items():
        field = get_field(entity, name)
        if field is None or name not in answer or _is_same(field, value, answer[name]):
            continue
        found.append(Difference(name, value, answer[name], _judge(entity, name, value, answer[name])))
    return tuple(found)


def build_mend(asked: Mapping[str, Any], differences: Iterable[Difference]) -> dict[str, Any]:
    """Build the one write that makes right what can be; empty where nothing can.

    A country that comes back clears city, state and post code (BC facts 8): city and state go along. The post code does
    not: it is what took the country away.
    """
    fields = {one.name: asked[one.name] for one in differences if one.verdict == "mend"}
    for name, value in asked.items():
        if get_country_field(name) in fields and name not in _POST_CODES and name != "taxRegistrationNumber":
            fields[name] = value
    return put_countries_first(fields)


def describe_differences(what: str, differences: Sequence[Difference]) -> str:
    """Say in one sentence what Business Central made of a record; empty where there is nothing to say.

    Args:
        what: The record, as a sentence begins: `Customer C00010`.
        differences: What is not as it was asked for.
    """
    if not differences:
        return ""
    words = "; ".join(one.words for one in differences)
    return f"{what} is not quite as in Stripe: {words}. Business Central changed it by its own rules; check it there."


def name_field(name: str) -> str:
    """Name a field for the reader: `sellToPostCode` is *sell-to post code*."""
    side = get_side(name)
    part = name.removeprefix(side)
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", part).lower()
    spaced = {"tax registration number": "tax number", "display name": "name"}.get(spaced, spaced)
    return f"{side.removesuffix('To')}-to {spaced}" if side else spaced


def _judge(entity: Entity, name: str, asked: object, made: object) -> Verdict:
    if name == "displayName" and normalise_name(str(asked)) == normalise_name(str(made)):
        return "tell"
    if name in _DECISIVE[entity]:
        return "fail"
    return "tell" if name in _POST_CODES else "mend"


def _is_same(field: BcField, asked: object, made: object) -> bool:
    form = _FORM_BY_NAME.get(field.name) or _FORM_BY_TYPE.get(field.type, str.strip)
    return asked == made or form(_show(asked)) == form(_show(made))


def _read_number(text: str) -> object:
    try:
        return read_number(text)
    except ValueError:
        return text


def _read_member(text: str) -> str:
    return decode_member(text).casefold()


def _show(value: object) -> str:
    return "" if value is None else str(value)


# In what form a field is compared: Business Central writes codes, places and numbers its own way.
_FORM_BY_NAME: Mapping[str, Callable[[str], object]] = {
    **dict.fromkeys(("email", "taxRegistrationNumber", "currencyCode"), str.casefold),
    **dict.fromkeys(("city", "sellToCity", "billToCity", "shipToCity"), normalise_place),
    **dict.fromkeys(_POST_CODES, normalise_postal_code),
}
_FORM_BY_TYPE: Mapping[FieldType, Callable[[str], object]] = {
    "code": normalise_code,
    "enum": _read_member,
    "guid": str.casefold,
    "decimal": _read_number,
    "int": _read_number,
}
