"""Which fields of a linked BC customer follow a change in Stripe, and which a person has changed since."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mapping.countries import read_countries
from mapping.customers import CustomerMaker
from mapping.field_values import build_context, render_fields
from mapping.matching import BcCustomer, find_country, read_field
from mapping.materials import Books
from mapping.normal_forms import get_forms
from mapping.parties import Party, read_customer
from mapping.text import Notes, tidy
from schemas.customer_settings import KeptField
from schemas.errors import Refused
from schemas.settings import Settings
from schemas.stripe_objects import Customer

# Two writings of one number or code are no change.
_BY_FORM = frozenset(("email", "phoneNumber", "taxRegistrationNumber", "postalCode"))
# A change of the country clears these, unless they follow in the same body (BC facts 8).
_CLEARED_BY_COUNTRY: tuple[KeptField, ...] = ("city", "postalCode", "state")
# A number of Northern Ireland is the British one in another dress.
_WITH_XI = re.compile(r"^XI(?=\d{9})")
_OF_AN_INVOICE = re.compile(r"\b(invoice|metadata)\b")


@dataclass(frozen=True)
class CustomerChanges:
    """What follows from a change in Stripe."""

    patch: dict[KeptField, str]
    """Fields to change."""
    retained: dict[KeptField, str]
    """Fields to send along as they are, or the change would clear them."""
    differences: tuple[KeptField, ...]
    """Fields that a person changed in Business Central: not overwritten."""
    common: dict[str, str]
    """Fields that are Stripe's already, by the digest of their value."""


def build_kept_fields(customer: Customer, settings: Settings, books: Books) -> tuple[dict[KeptField, str], Notes]:
    """Build the fields that are kept in step, as Stripe says them now; an empty text where Stripe has nothing.

    What a mapping makes of an invoice can't be known without one, and is left out. So is what Stripe has in a form that
    Business Central does not take: what is there may be another's writing of it.

    Raises:
        Refused: a mapping fails, Business Central does not know the country, or there is no name.
    """
    notes = Notes()
    kept = settings.customers.keep_in_step
    own = [one for one in settings.fields.customer if one.field in kept]
    unknown = {one.field for one in own if _OF_AN_INVOICE.search(one.template.replace("customer.metadata", ""))}
    context = build_context(None, customer, time_zone=settings.time_zone)
    rendered = render_fields([one for one in own if one.field not in unknown], "customers", context, notes)
    mapped = frozenset(one.field for one in settings.fields.customer)
    party = read_customer(customer)
    maker = CustomerMaker(party, settings.customers.new, books, notes, mapped)
    built: Mapping[str, object] = maker.build_fields() | rendered
    unfit = {name for name, text in _list_given(party).items() if text and name not in built}
    return {name: str(built.get(name, "")) for name in kept if name not in unknown | unfit}, notes


def decide_changes(
    wanted: Mapping[KeptField, str], customer: BcCustomer, written: Mapping[str, str], home: str
) -> CustomerChanges:
    """Compare field by field: Stripe's value, Business Central's, and what the hub last wrote.

    A field may be written if it still is as the hub left it, or if it is empty and the hub has never written it.
    """
    country = find_country(customer, home)
    patch: dict[KeptField, str] = {}
    differences: list[KeptField] = []
    common: dict[str, str] = {}
    for name, ours in wanted.items():
        theirs = read_field(customer, name)
        if _is_same(name, ours, theirs, country) or (name == "displayName" and not ours):
            common[name] = digest_value(theirs)
        elif written.get(name) == digest_value(theirs) or (not theirs and name not in written):
            patch[name] = ours
        else:
            differences.append(name)
    cleared: tuple[KeptField, ...] = _CLEARED_BY_COUNTRY if "country" in patch else ()
    retained: dict[KeptField, str] = {name: read_field(customer, name) for name in cleared if name not in patch}
    return CustomerChanges(patch, retained, tuple(differences), common)


def needs_steps(changes: CustomerChanges) -> bool:
    """Tell whether country and tax number change at once, which Business Central takes only step by step.

    It checks the old number by the new country, or the new number by the old one, whichever comes first (BC facts
    20.1); and a post code may change the country before the number is checked by it (20.3). So the old number goes
    first, and the post code comes last.
    """
    return {"country", "taxRegistrationNumber"} <= changes.patch.keys()


def list_place(customer: BcCustomer) -> dict[str, str]:
    """List what a post code may change of a customer's place: it is to stay as it is, or as it is written."""
    names: tuple[KeptField, ...] = ("country", "city", "state")
    return {name: text for name in names if (text := read_field(customer, name))}


def find_common(
    party: Party, customer: BcCustomer, settings: Settings, books: Books, *, is_ours: bool
) -> dict[str, str]:
    """Digest the kept fields of a newly linked customer that are Stripe's: all of one that the hub has created.

    What can't be built for Stripe's customer has nothing in common with it.
    """
    kept = settings.customers.keep_in_step
    if is_ours:
        return digest_fields(customer, kept)
    try:
        built = CustomerMaker(party, settings.customers.new, books, Notes()).build_fields()
    except Refused:
        return {}
    country = find_country(customer, books.country)
    return digest_fields(
        customer, [name for name in kept if _is_same(name, built.get(name, ""), read_field(customer, name), country)]
    )


def digest_fields(customer: BcCustomer, names: Iterable[KeptField]) -> dict[str, str]:
    """Digest fields as Business Central has them now."""
    return {name: digest_value(read_field(customer, name)) for name in names}


def digest_value(text: str) -> str:
    """What is remembered of a value: enough to see whether it was changed."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _list_given(party: Party) -> dict[str, str]:
    """List what Stripe has of the fields that are left out where they don't fit."""
    number = "".join(one.value or "" for one in party.tax_ids)
    given = {"email": party.email, "phoneNumber": party.phone, "taxRegistrationNumber": number}
    return {name: tidy(text) for name, text in given.items()}


def _is_same(name: KeptField, ours: str, theirs: str, country: str) -> bool:
    if ours == theirs:
        return True
    if name == "country":
        # Northern Ireland may be NI or GB, Greece EL or GR.
        return not read_countries(ours).isdisjoint(read_countries(theirs))
    forms, others = (
        {_WITH_XI.sub("GB", form) for form in get_forms(name, text, country)} if name in _BY_FORM else set[str]()
        for text in (ours, theirs)
    )
    return bool(forms) and forms == others
