"""Which BC customer is this Stripe customer: rules applied to a party, and compared with a customer as it is now.

A rule is applied once (`Wanted`), then compared with candidates wherever they came from. Nothing is believed that the
comparison does not bear out.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mapping.countries import may_be_same_country, read_countries
from mapping.names import Name, read_name
from mapping.normal_forms import get_forms, normalise_code, normalise_country, normalise_postal_code
from mapping.parties import Party
from mapping.tax_numbers import is_vat_number
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
    """What a creation is claimed under, and for most fields what is compared."""
    names: tuple[Name, ...] = ()
    """Of a name whose legal form may be left out: what is compared instead."""

    def agrees(self, customer: BcCustomer, home: str) -> bool:
        """Tell whether the BC customer's field says the same."""
        if self.pair.legal_form == "optional":
            theirs = read_name(customer.display_name)
            return any(name.is_same(theirs) for name in self.names)
        return bool(self.forms & _read_forms(customer, self.pair.bc, home))

    def list_keys(self) -> frozenset[str]:
        """List the index keys that a customer has one of if the clue agrees with it."""
        if self.pair.legal_form == "optional":
            return frozenset(_build_key("bareName", form) for name in self.names for form in name.writings)
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
        """Whether it finds one that is the same by law or by its number, wherever it is."""
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
        return all(clue.agrees(customer, home) for clue in self.clues)

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
    values = {field: _read_forms(customer, field, home) for field in IDENTIFYING}
    keys = {_build_key(field, form) for field, forms in values.items() for form in forms}
    return frozenset(keys | {_build_key("bareName", form) for form in read_name(customer.display_name).writings})


def find_contradictions(seeker: Seeker, customer: BcCustomer, wanted: Wanted) -> tuple[str, ...]:
    """Say what both sides know and disagree on: then the rule has found another's customer, or there is a mistake."""
    party, number = seeker.party, seeker.number
    found = {
        "tax_id": _compare_tax_ids(party, customer, seeker.home),
        "country": _compare_countries(seeker, customer, wanted),
        "name": _compare_names(seeker, customer, wanted),
        "postal_code": _compare_postal_codes(party, customer, wanted),
    }
    same_number = _compare("number", normalise_code(number), normalise_code(customer.number), number, customer.number)
    return tuple(words for words in (same_number, *(found[name] for name in seeker.settings.must_not_differ)) if words)


def choose_namesakes(party: Party, customers: Sequence[B]) -> Sequence[B]:
    """Of several that agree, leave those that are called as in Stripe, legal form and all; all where none is."""
    ours = _read_our_names(party)
    called = [one for one in customers if any(name.is_whole(read_name(one.display_name)) for name in ours)]
    return called or customers


def choose_among(customers: Sequence[B], several: str) -> B | None:
    """Choose one of several that agree, as the settings say; None where a person must.

    A choice is made among cards of one company alone: with other names they are others, who share a mailbox.
    """
    if len(customers) == 1:
        return customers[0]
    if not _are_namesakes(customers):
        return None
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
    """Return the ISO code of a BC customer's country; empty where its code is none. Without one it is domestic.

    Microsoft's NI is Northern Ireland.
    """
    meanings = read_countries(customer.country) if customer.country.strip() else frozenset((home,))
    return "GB" if "GB" in meanings else next(iter(meanings), "")


def read_field(customer: BcCustomer, field: CustomerTarget) -> str:
    """Return a field by its name in Business Central's API."""
    return str(getattr(customer, _ATTRIBUTES[field]))


def _build_clue(pair: MatchPair, party: Party, country: str) -> Clue:
    texts = tuple(_fit(pair.bc, text) for text in party.read(pair.stripe))
    if pair.legal_form == "optional":
        names = tuple(name for text in texts if (name := read_name(text)).writings)
        forms = [_list_claims(read_name(text)) for text in texts]
    else:
        names, forms = (), [_get_forms(pair, text, party, country) for text in texts]
    named = [tidy(text) for text, found in zip(texts, forms, strict=True) if found]
    return Clue(pair, " or ".join(named), frozenset[str]().union(*forms), names)


def _list_claims(name: Name) -> frozenset[str]:
    return frozenset(f"{form} {name.legal_form}".strip() for form in name.writings)


def _read_forms(customer: BcCustomer, field: CustomerTarget, home: str) -> frozenset[str]:
    """Read what a field of a BC customer says, by each country that its code may stand for."""
    meanings = read_countries(customer.country) if customer.country.strip() else frozenset((home,))
    text = read_field(customer, field)
    return frozenset[str]().union(*(get_forms(field, text, country) for country in meanings or ("",)))


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


def _compare_tax_ids(party: Party, customer: BcCustomer, home: str) -> str:
    """Numbers that differ: of one country always; of two unless the names agree whole, as those of branches do."""
    theirs = _read_forms(customer, "taxRegistrationNumber", home)
    pair = MatchPair(stripe="tax_id", bc="taxRegistrationNumber")
    ours = _build_clue(pair, party, party.region)
    rivals = frozenset[str]().union(
        *(_get_forms(pair, one.value or "", party, party.region) for one in party.tax_ids if is_vat_number(one))
    )
    if not theirs or not rivals or ours.forms & theirs:
        return ""
    if not any(_is_same_issuer(one, other) for one in rivals for other in theirs):
        is_known = any(one[:2].isalpha() for one in rivals) and any(one[:2].isalpha() for one in theirs)
        if not is_known or _is_branch(party, customer):
            return ""
    return f"its tax number is {tidy(customer.tax_registration_number)}, and {ours.text} in Stripe"


def _is_branch(party: Party, customer: BcCustomer) -> bool:
    theirs = read_name(customer.display_name)
    return any(name.is_whole(theirs) for name in _read_our_names(party))


def _read_our_names(party: Party) -> list[Name]:
    """Read what a party is called in Stripe, as a customer of its name would hold it."""
    texts = (party.name, party.business_name, party.individual_name)
    return [name for text in texts if (name := read_name(_fit("displayName", text))).writings]


def _are_namesakes(customers: Sequence[BcCustomer]) -> bool:
    names = {read_name(one.display_name) for one in customers}
    return all(one.is_same(other) for one, other in itertools.combinations(names, 2))


def _compare_names(seeker: Seeker, customer: BcCustomer, wanted: Wanted) -> str:
    """A mailbox or a telephone is shared by many: without the same name they find nobody.

    A tax number is shared by the members of a group that is taxed as one, whose names may differ in a single word: with
    it a letter may be wrong, and no more.
    """
    party = seeker.party
    theirs, ours = read_name(customer.display_name), _read_our_names(party)
    if wanted.knows("number") or not theirs.writings or not ours:
        return ""
    if wanted.knows("displayName"):
        return _compare_people(seeker, customer, wanted)
    if any(name.is_same(theirs) for name in ours):
        return ""
    if wanted.knows("taxRegistrationNumber") and any(name.is_mistyped(theirs) for name in ours):
        return ""
    return f"its name is {tidy(customer.display_name)}, and {tidy(party.name or party.business_name)} in Stripe"


def _compare_people(seeker: Seeker, customer: BcCustomer, wanted: Wanted) -> str:
    """A name without a legal form may be a person's, and may be the father's.

    With another e-mail address, the telephone or the street must agree.
    """
    party = seeker.party
    is_company = any(name.legal_form for name in (*_read_our_names(party), read_name(customer.display_name)))
    if is_company or wanted.is_certain or wanted.knows("email") or wanted.knows("phoneNumber"):
        return ""
    ours, theirs = get_forms("email", party.email, ""), get_forms("email", customer.email, "")
    if not ours or not theirs or ours & theirs:
        return ""
    phones = get_forms("phoneNumber", party.phone, party.region), _read_forms(customer, "phoneNumber", seeker.home)
    streets = get_forms("addressLine1", party.address.line1 or "", ""), _read_forms(customer, "addressLine1", "")
    if any(one & other for one, other in (phones, streets)):
        return ""
    return f"its e-mail address is {tidy(customer.email)}, and {tidy(party.email)} in Stripe"


def _compare_countries(seeker: Seeker, customer: BcCustomer, wanted: Wanted) -> str:
    """A customer without a country is domestic: where no address or number finds it, that counts, too."""
    ours = seeker.party.country
    is_told = wanted.is_certain or wanted.knows("email") or wanted.knows("phoneNumber")
    theirs = customer.country.strip() or ("" if is_told else seeker.home)
    if may_be_same_country(ours, theirs):
        return ""
    return f"its country is {tidy(theirs)}, and {ours} in Stripe"


def _compare_postal_codes(party: Party, customer: BcCustomer, wanted: Wanted) -> str:
    """One found by its mailbox and its name may have moved."""
    if wanted.is_certain or (wanted.knows("email") and _read_our_names(party)):
        return ""
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
    wanted = "; or ".join(dict.fromkeys(_list_missing(party, settings)))
    return Refused(
        f"The Stripe customer {party.label} can't be matched: Stripe has no {wanted} for it.",
        code="contact.match.no_values",
        fix="Fill one of these in on the Stripe customer, or change the matching rules; then replay.",
    )


def _list_missing(party: Party, settings: CustomerSettings) -> Iterator[str]:
    """Say for each rule what must be filled in for it: all that its pairs look at, together."""
    for rule in settings.match:
        sources = dict.fromkeys(pair.stripe for pair in rule.pairs)
        missing = [source for source in sources if not party.read(source)]
        yield " together with ".join(missing or sources)


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
