"""Which BC customer is this Stripe customer: rules applied to a party, and compared with a customer as it is now.

A rule is applied once (`Wanted`), then compared with candidates wherever they came from. Nothing is believed that the
comparison does not bear out.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mapping.countries import may_be_same_country
from mapping.names import compare_names, may_have_one_form, read_name
from mapping.normal_forms import (
    get_forms,
    normalise_code,
    normalise_country,
    normalise_place,
    normalise_postal_code,
)
from mapping.parties import Party
from mapping.text import Notes, fit_text, tidy
from schemas.customer_settings import IDENTIFYING, CustomerSettings, CustomerTarget, MatchPair
from schemas.errors import Refused

NAME_LENGTH = 100
"""What Business Central keeps of a name."""
# Tells fields apart in keys; forms hold no control characters.
_SEPARATOR = "\x1f"
_MOST_KEYS = 16


class BcCustomer(Protocol):
    """A BC customer as far as rules look at it; an empty field is an empty text."""

    id: str
    number: str
    display_name: str
    email: str
    phone_number: str
    tax_registration_number: str
    address_line1: str
    address_line2: str
    city: str
    state: str
    postal_code: str
    country: str
    blocked: str


B = TypeVar("B", bound=BcCustomer)


@dataclass(frozen=True)
class Clue:
    """A pair applied to a party: what the field of the BC customer must say, in one form or another."""

    pair: MatchPair
    text: str
    """As Stripe has it, for the reader."""
    forms: frozenset[str]

    def agrees(self, customer: BcCustomer, country: str) -> bool:
        """Tell whether the BC customer's field says the same."""
        theirs = get_forms(self.pair.bc, read_field(customer, self.pair.bc), country)
        if self.forms & theirs:
            return True
        if self.pair.legal_form == "same":
            return False
        pairs = ((read_name(one), read_name(other)) for one in self.forms for other in theirs)
        return any(compare_names(*pair) == "same" and may_have_one_form(*pair) for pair in pairs)

    def list_keys(self) -> frozenset[str]:
        """List the index keys that a customer has one of if the clue agrees with it."""
        if self.pair.legal_form == "optional":
            return frozenset(_build_key("bareName", key) for form in self.forms for key in read_name(form).keys)
        return frozenset(_build_key(self.pair.bc, form) for form in self.forms)


@dataclass(frozen=True)
class Wanted:
    """A rule applied to a party: all its clues must agree."""

    clues: tuple[Clue, ...]

    @property
    def words(self) -> str:
        """For the reader: `email = billing@acme.example`."""
        return " and ".join(f"{clue.pair.stripe} = {clue.text}" for clue in self.clues)

    @property
    def is_certain(self) -> bool:
        """Whether it finds one that is the same by law or by its number, whatever else it is called."""
        return self.knows("number") or self.knows("taxRegistrationNumber")

    def knows(self, field: CustomerTarget) -> bool:
        """Tell whether the rule looks at a field of the BC customer."""
        return any(clue.pair.bc == field for clue in self.clues)

    @property
    def claims(self) -> tuple[str, ...]:
        """What a creation is claimed under: two writings of the values have a claim in common."""
        parts = [[_build_key(clue.pair.bc, form) for form in sorted(clue.forms)] for clue in self.clues]
        products = itertools.islice(itertools.product(*parts), _MOST_KEYS)
        return tuple(_SEPARATOR.join(sorted(product)) for product in products)

    def agrees(self, customer: BcCustomer, home: str) -> bool:
        """Tell whether the BC customer is the one, by this rule."""
        country = find_country(customer, home)
        return all(clue.agrees(customer, country) for clue in self.clues)

    def list_keys(self) -> tuple[frozenset[str], ...]:
        """List alternatives of index keys, one for each clue that a customer can be found by: it has one of each."""
        return tuple(clue.list_keys() for clue in self.clues if clue.pair.bc in IDENTIFYING)


@dataclass(frozen=True)
class Seeker:
    """Whose BC customer is looked for, and by what rules."""

    party: Party
    settings: CustomerSettings
    home: str
    """The BC company's country: a customer without one is domestic."""
    number: str = ""
    """What the Stripe customer's metadata call its BC customer by."""


def build_wanted(seeker: Seeker) -> tuple[Wanted, ...]:
    """Apply the rules in order; one that has a field empty in Stripe is left out. A number comes before all rules.

    Raises:
        Refused: nothing is left to look for.
    """
    party, settings = seeker.party, seeker.settings
    country = party.region or seeker.home
    applied = [tuple(_build_clue(pair, party, country) for pair in rule.pairs) for rule in settings.match]
    wanted = tuple(Wanted(clues) for clues in applied if all(clue.forms for clue in clues))
    if seeker.number:
        pair = MatchPair(stripe=f"metadata.{settings.number_key}", bc="number")
        clue = Clue(pair, tidy(seeker.number), get_forms("number", seeker.number, ""))
        wanted = (Wanted((clue,)), *wanted)
    if not wanted:
        raise _build_no_values(party, settings)
    return wanted


def list_index_keys(customer: BcCustomer, home: str) -> frozenset[str]:
    """List the keys that a BC customer is found by."""
    country = find_country(customer, home)
    values = {field: get_forms(field, read_field(customer, field), country) for field in IDENTIFYING}
    keys = {_build_key(field, form) for field, forms in values.items() for form in forms}
    return frozenset(keys | {_build_key("bareName", key) for key in read_name(customer.display_name).keys})


def find_contradictions(seeker: Seeker, customer: BcCustomer, wanted: Wanted) -> tuple[str, ...]:
    """Say what both sides know and disagree on: then the rule has found another's customer, or there is a mistake."""
    party, number = seeker.party, seeker.number
    country = find_country(customer, seeker.home)
    found = {
        "tax_id": _compare_tax_ids(party, customer, country),
        "country": _compare_countries(party, customer),
        "name": _compare_names(seeker, customer, wanted),
        "postal_code": "" if wanted.is_certain or wanted.knows("email") else _compare_postal_codes(party, customer),
    }
    same_number = _compare("number", normalise_code(number), normalise_code(customer.number), number, customer.number)
    return tuple(words for words in (same_number, *(found[name] for name in seeker.settings.must_not_differ)) if words)


def choose_among(customers: Sequence[B], several: str) -> B | None:
    """Choose one of several that agree, as the settings say; None where a person must."""
    if len(customers) == 1:
        return customers[0]
    usable = [one for one in customers if not is_blocked(one)] or list(customers)
    match several:
        case "oldest":
            return min(usable, key=lambda one: _split_number(one.number))
        case "first":
            return min(usable, key=lambda one: one.number)
        case _:
            return None


def is_blocked(customer: BcCustomer) -> bool:
    """Tell whether Business Central refuses drafts for it."""
    return customer.blocked in {"Invoice", "All"}


def find_country(customer: BcCustomer, home: str) -> str:
    """Return the ISO code of a BC customer's country; empty where its code is none. Without one it is domestic."""
    return normalise_country(customer.country) if customer.country.strip() else home


def read_field(customer: BcCustomer, field: CustomerTarget) -> str:
    """Return a field by its name in Business Central's API."""
    return str(getattr(customer, _ATTRIBUTES[field]))


def _build_clue(pair: MatchPair, party: Party, country: str) -> Clue:
    texts = tuple(_fit(pair.bc, text) for text in party.read(pair.stripe))
    forms = [_get_forms(pair, text, party, country) for text in texts]
    named = [tidy(text) for text, found in zip(texts, forms, strict=True) if found]
    return Clue(pair, " or ".join(named), frozenset().union(*forms))


def _fit(field: CustomerTarget, text: str) -> str:
    """Write a name as a new customer holds it, so that the hub finds what it has created."""
    return fit_text(text, NAME_LENGTH, "", Notes()) if field == "displayName" else text


def _get_forms(pair: MatchPair, text: str, party: Party, country: str) -> frozenset[str]:
    """Tax numbers of Stripe come with a type that says whose they are: `gb_vat`, but not `eu_vat`."""
    if pair.stripe != "tax_id":
        return get_forms(pair.bc, text, country)
    kinds = {normalise_country(tax_id.type[:2]) for tax_id in party.tax_ids if tax_id.value == text}
    issuers = {kind or country for kind in kinds} or {country}
    return frozenset[str]().union(*(get_forms(pair.bc, text, issuer) for issuer in issuers))


def _compare_tax_ids(party: Party, customer: BcCustomer, country: str) -> str:
    """Two numbers are of two companies; but one company may have one in each of two countries, under the same name."""
    theirs = get_forms("taxRegistrationNumber", customer.tax_registration_number, country)
    pair = MatchPair(stripe="tax_id", bc="taxRegistrationNumber")
    ours = _build_clue(pair, party, party.region)
    if not ours.forms or not theirs or ours.forms & theirs:
        return ""
    are_rivals = any(_is_same_issuer(form, other) for form in ours.forms for other in theirs)
    if not are_rivals and _has_same_name(party, customer):
        return ""
    return f"its tax number is {customer.tax_registration_number}, and {ours.text} in Stripe"


def _has_same_name(party: Party, customer: BcCustomer) -> bool:
    ours, theirs = read_name(party.name), read_name(customer.display_name)
    return compare_names(ours, theirs) == "same" and may_have_one_form(ours, theirs)


def _compare_countries(party: Party, customer: BcCustomer) -> str:
    if may_be_same_country(party.country, customer.country):
        return ""
    return f"its country is {tidy(customer.country)}, and {party.country} in Stripe"


def _compare_names(seeker: Seeker, customer: BcCustomer, wanted: Wanted) -> str:
    """Say that the names differ in a word that tells companies apart.

    Whoever shares a mailbox or a telephone may be another company: all words have to agree, and the legal form. A tax
    number is of one company, which may have changed its form, or of a group of them, whose names differ in a word.
    """
    party = seeker.party
    if wanted.knows("number"):
        return ""
    if wanted.knows("displayName"):
        return _compare_people(seeker, customer, wanted)
    ours, theirs = read_name(party.name), read_name(customer.display_name)
    likeness = compare_names(ours, theirs)
    if wanted.is_certain:
        is_fine = likeness not in {"different", "part"}
    elif likeness == "nearly":
        is_fine = may_have_one_form(ours, theirs) and _has_second_agreement(seeker, customer, wanted)
    else:
        is_fine = likeness == "unknown" or (likeness == "same" and may_have_one_form(ours, theirs))
    return "" if is_fine else f"its name is {tidy(customer.display_name)}, and {tidy(party.name)} in Stripe"


def _has_second_agreement(seeker: Seeker, customer: BcCustomer, wanted: Wanted) -> bool:
    """Tell whether something besides what the rule looks at agrees: then a letter in the name may be a mistake."""
    party, country = seeker.party, find_country(customer, seeker.home)
    values: dict[CustomerTarget, str] = {
        "phoneNumber": party.phone,
        "postalCode": party.address.postal_code or "",
        "email": party.email,
    }
    return any(
        get_forms(field, text, party.region or seeker.home) & get_forms(field, read_field(customer, field), country)
        for field, text in values.items()
        if not wanted.knows(field)
    )


def _compare_people(seeker: Seeker, customer: BcCustomer, wanted: Wanted) -> str:
    """People of one name live in one place, father and son: then another mailbox and another street are two people."""
    party, names = seeker.party, (read_name(seeker.party.name), read_name(customer.display_name))
    are_companies = any(name.form for name in names) or party.tax_ids or customer.tax_registration_number
    emails = [get_forms("email", text, "") for text in (party.email, customer.email)]
    if are_companies or wanted.knows("email") or not all(emails) or emails[0] & emails[1]:
        return ""
    streets = [normalise_place(text) for text in (party.address.line1 or "", customer.address_line1)]
    if all(streets) and streets[0] == streets[1]:
        return ""
    return f"its e-mail address is {tidy(customer.email)}, and {tidy(party.email)} in Stripe"


def _compare_postal_codes(party: Party, customer: BcCustomer) -> str:
    ours, theirs = party.address.postal_code or "", customer.postal_code
    return _compare("postal code", normalise_postal_code(ours), normalise_postal_code(theirs), ours, theirs)


def _is_same_issuer(one: str, other: str) -> bool:
    return one[:2].isalpha() and one[:2] == other[:2]


def _compare(what: str, ours: str, theirs: str, our_text: str, their_text: str) -> str:
    if not ours or not theirs or ours == theirs:
        return ""
    return f"its {what} is {tidy(their_text)}, and {tidy(our_text)} in Stripe"


def _build_key(field: str, form: str) -> str:
    return f"{field}:{form}"


def _split_number(number: str) -> list[tuple[int, int, str]]:
    """Numbers count as numbers: C9 comes before C10."""
    parts = re.findall(r"\d+|\D+", number)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _build_no_values(party: Party, settings: CustomerSettings) -> Refused:
    missing = {pair.stripe: None for rule in settings.match for pair in rule.pairs if not party.read(pair.stripe)}
    wanted = ", ".join(missing) or ", ".join(_list_sources(settings))
    return Refused(
        f"The Stripe customer {party.label} can't be matched: Stripe has no {wanted} for it.",
        code="contact.match.no_values",
        fix="Fill one of these in on the Stripe customer, or change the matching rules; then replay.",
    )


def _list_sources(settings: CustomerSettings) -> Iterable[str]:
    return dict.fromkeys(pair.stripe for rule in settings.match for pair in rule.pairs)


_ATTRIBUTES: dict[CustomerTarget, str] = {
    "number": "number",
    "displayName": "display_name",
    "email": "email",
    "phoneNumber": "phone_number",
    "taxRegistrationNumber": "tax_registration_number",
    "addressLine1": "address_line1",
    "addressLine2": "address_line2",
    "city": "city",
    "state": "state",
    "postalCode": "postal_code",
    "country": "country",
}
