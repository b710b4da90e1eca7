"""What may be left out of a record that Business Central refuses: optional data never stops an invoice.

A refusal that names a field, or by its code can mean no other, costs that field alone: written in a form that is
accepted where the refusal lists some, else left out, with a note. Where it does not say which, nothing is guessed.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mapping.answers import name_field
from mapping.bc_fields import Entity
from mapping.countries import read_countries
from mapping.graphemes import count_units
from mapping.sheet import get_side
from mapping.tax_numbers import read_formats, write_tax_number
from schemas.errors import Refused

MOST_ROUNDS = 4
"""How often a record is sent again with less in it."""

_OF_DOCUMENTS = frozenset(
    "externalDocumentNumber invoiceDate creditMemoDate postingDate dueDate customerId customerNumber billToCustomerId "
    "billToCustomerNumber currencyId currencyCode paymentTermsId shipmentMethodId salesperson pricesIncludeTax "
    "shortcutDimension1Code shortcutDimension2Code discountAmount discountAppliedBeforeTax customerReturnReasonId "
    "salesInvoiceLines salesCreditMemoLines".split()
)
ESSENTIAL: Mapping[Entity, frozenset[str]] = {
    "customers": frozenset(
        "number type displayName country currencyId currencyCode paymentTermsId shipmentMethodId paymentMethodId "
        "salespersonCode taxAreaId taxLiable creditLimit".split()
    ),
    "salesInvoices": _OF_DOCUMENTS,
    "salesCreditMemos": _OF_DOCUMENTS,
}
"""What says who is billed, how much, when and how, or what the settings chose. All else may be left out."""

_POST_CODES = ("postalCode", "sellToPostCode", "billToPostCode", "shipToPostCode")
_BY_CODE: Mapping[str, tuple[str, ...]] = {
    "bc.tax_number.format": ("taxRegistrationNumber",),
    "bc.tax_number.taken": ("taxRegistrationNumber",),
    "bc.phone.format": ("phoneNumber",),
    "bc.email.format": ("email",),
    "bc.post_code.refused": _POST_CODES,
}
_PARTS = {
    "address": "AddressLine1",
    "address 2": "AddressLine2",
    "city": "City",
    "county": "State",
    "post code": "PostCode",
    "country/region code": "Country",
}
_CAPTIONS: Mapping[str, str] = {
    "vat registration no.": "taxRegistrationNumber",
    "phone no.": "phoneNumber",
    "sell-to phone no.": "phoneNumber",
    "e-mail": "email",
    "email": "email",
    "sell-to e-mail": "email",
    "sell-to email": "email",
    "home page": "website",
    "your reference": "customerPurchaseOrderReference",
    "ship-to name": "shipToName",
    "ship-to contact": "shipToContact",
    **{caption: name[0].lower() + name[1:] for caption, name in _PARTS.items()},
    "post code": "postalCode",
    **{
        f"{side}-to {caption}": f"{side}To{name}"
        for side in ("sell", "bill", "ship")
        for caption, name in _PARTS.items()
    },
}
"""What Business Central's sentences call the fields of its API."""


@dataclass(frozen=True)
class Smaller:
    """A payload that Business Central may take, and what was changed in it."""

    payload: dict[str, Any]
    note: str


def leave_out(
    entity: Entity, payload: Mapping[str, Any], refusal: Refused, *, kept: Collection[str] = ()
) -> Smaller | None:
    """Return the payload without what was refused; None where that is essential, or not said.

    Args:
        entity: What was refused.
        payload: As it was sent.
        refusal: Business Central's no: its code and, in its context, what it names.
        kept: Fields of which the settings say that they must arrive whole.
    """
    names = [name for name in _find_fields(payload, refusal) if name not in {*ESSENTIAL[entity], *kept}]
    if not names:
        return None
    if names == ["taxRegistrationNumber"] and (rewritten := _write_number(payload, refusal)) is not None:
        return rewritten
    words = " and ".join(f"the {name_field(name)} {payload[name]}" for name in names)
    verb = "were" if len(names) > 1 else "was"
    note = f"{words[0].upper()}{words[1:]} {verb} left out: Business Central does not take it."
    return Smaller({name: value for name, value in payload.items() if name not in names}, note)


def list_kept(mappings: Iterable[Any]) -> frozenset[str]:
    """List the fields whose mappings say that they must arrive whole."""
    return frozenset(one.field for one in mappings if one.on_invalid == "fail")


def _find_fields(payload: Mapping[str, Any], refusal: Refused) -> list[str]:
    """Find the fields of a payload that a refusal is about. A country takes its whole address along."""
    facts = refusal.context
    named = facts.get("field", "")
    if named:
        name = named if named in payload else _CAPTIONS.get(named.casefold(), "")
        found = [name] if name in payload else []
    else:
        found = [name for name in _BY_CODE.get(refusal.code, ()) if name in payload]
    if not found and refusal.code == "bc.text.too_long" and (length := facts.get("length", "")).isdecimal():
        found = [
            name for name, value in payload.items() if isinstance(value, str) and count_units(value) == int(length)
        ]
    sides = {get_side(name) for name in found if get_side(name) and name.endswith("Country")}
    return [name for name in payload if name in found or get_side(name) in sides]


def _write_number(payload: Mapping[str, Any], refusal: Refused) -> Smaller | None:
    """Write a tax number in one of the formats that the refusal lists; None where it is in none of them."""
    formats = read_formats(refusal.context.get("formats", ""))
    given = str(payload["taxRegistrationNumber"])
    country = str(payload.get("country") or refusal.context.get("country", ""))
    written = write_tax_number(given, min(read_countries(country), default=""), formats) if formats else ""
    if not written or written == given:
        return None
    note = f"The tax number {given} was written as {written}, as Business Central takes it."
    return Smaller({**payload, "taxRegistrationNumber": written}, note)
