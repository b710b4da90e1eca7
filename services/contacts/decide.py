"""Pure rules of contacts: whom to take of those that were found, and what to say where nobody can be taken."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from connectors.business_central.models import Customer
from mapping.answers import Difference, compare_answer
from mapping.matching import Seeker, Wanted, choose_among, choose_namesakes, find_contradictions, is_blocked
from schemas.errors import InDoubt, Refused
from schemas.messages import CustomerMatch

_SHOWN = 5
# What a customer is known by: an answer that has none of it is another's.
_TELLING = ("number", "displayName", "email", "taxRegistrationNumber", "phoneNumber", "addressLine1")
_NO_ID = "00000000-0000-0000-0000-000000000000"


def find_fitting(found: Sequence[Customer], wanted: Wanted, seeker: Seeker) -> tuple[Customer, ...]:
    """Leave those that nothing speaks against; of several those that are called as in Stripe."""
    fitting = tuple(one for one in found if not find_contradictions(seeker, one, wanted))
    return tuple(choose_namesakes(seeker.party, fitting)) if len(fitting) > 1 else fitting


def decide_match(found: Sequence[Customer], wanted: Wanted, seeker: Seeker) -> CustomerMatch:
    """Take the one customer that agrees with a rule.

    Raises:
        Refused: there are several, it is blocked for invoices, or it is another's.
    """
    fitting = find_fitting(found, wanted, seeker)
    if not fitting:
        raise _build_contradiction(found, wanted, seeker)
    chosen = choose_among(fitting, seeker.settings.several)
    if chosen is None:
        named = "; ".join(_name(one) for one in fitting[:_SHOWN])
        more = f" and {len(fitting) - _SHOWN} more" if len(fitting) > _SHOWN else ""
        raise Refused(
            f"Customer '{seeker.party.label}' was found {_times(len(fitting))} in Business Central ({named}{more}), "
            f"by {wanted.words}.",
            code="contact.ambiguous",
            fix=f"Choose one: {_choose(seeker)}. Or make one of them different there, or choose other matching rules; "
            "then replay.",
        )
    return use_customer(chosen, wanted.words)


def use_customer(customer: Customer, how: str) -> CustomerMatch:
    """Take a customer, unless Business Central refuses drafts for it.

    Raises:
        Refused: it is blocked.
    """
    if is_blocked(customer):
        raise Refused(
            f"Customer {customer.number} '{customer.display_name}' is blocked in Business Central "
            f"({customer.blocked}).",
            code="contact.blocked",
            fix="Unblock the customer there, then replay.",
        )
    return build_match(customer, how)


def build_match(customer: Customer, how: str) -> CustomerMatch:
    """Say who a customer is, as links and messages have it."""
    return CustomerMatch(
        id=customer.id,
        number=customer.number,
        name=customer.display_name,
        how=how,
        tax_area="" if customer.tax_area_id == _NO_ID else customer.tax_area_id,
    )


def compare_customer(asked: Mapping[str, Any], customer: Customer) -> tuple[Difference, ...]:
    """Compare what was asked for with what Business Central has, as far as the hub reads customers."""
    return compare_answer("customers", asked, customer.model_dump(by_alias=True))


def is_made_of(asked: Mapping[str, Any], customer: Customer) -> bool:
    """Tell whether a customer is what was asked for, but for what was left out of it and its place."""
    differences = compare_customer(asked, customer)
    return not any(one.name in _TELLING and one.verdict != "tell" and one.made for one in differences)


def check_created(asked: Mapping[str, Any], customer: Customer) -> None:
    """Make sure that an answer is the customer that was asked for.

    Raises:
        InDoubt: it is another's answer, which says nothing of our request: look.
        Refused: Business Central made somebody else of it.
    """
    differences = {one.name: one for one in compare_customer(asked, customer)}
    wrong = [one for one in differences.values() if one.verdict == "fail"]
    if not wrong:
        return
    if not any(name in asked and name not in differences for name in _TELLING):
        raise InDoubt(
            "Business Central answered the creation of a customer with another customer; the hub looks again.",
            code="contact.create.in_doubt",
            retry_after=timedelta(seconds=1),
        )
    raise Refused(
        f"Business Central made customer {_name(customer)} of the Stripe customer '{asked.get('displayName', '')}': "
        f"{'; '.join(one.words for one in wrong)}.",
        code="contact.create.different",
        fix=f"Correct customer {customer.number} there, or what changes it (an extension); then replay.",
    )


def describe_gone(customer: CustomerMatch) -> str:
    """Say that the customer of an earlier match does not exist any more."""
    return (
        f"Customer {customer.number} {customer.name}, which it was linked to, is not in Business Central any more; "
        "it was looked for anew."
    )


def build_pinned_gone(customer: CustomerMatch, stripe_customer: str) -> Refused:
    """Say that the customer that a person chose is gone: no rule may choose another."""
    return Refused(
        f"Customer {customer.number} {customer.name}, which was chosen by hand for {stripe_customer}, is not in "
        "Business Central any more.",
        code="contact.pinned.gone",
        fix=f"Choose another one: hub contacts link {stripe_customer} NUMBER. Or let the rules decide again: hub "
        f"contacts unlink {stripe_customer}. Then replay.",
    )


def build_number_unknown(seeker: Seeker) -> Refused:
    """Say that nobody has the number that the Stripe customer's metadata name."""
    key = seeker.settings.number_key
    return Refused(
        f"The metadata of the Stripe customer '{seeker.party.label}' say {key} = {seeker.number}, and no customer in "
        "Business Central has that number.",
        code="contact.number.unknown",
        fix=f"Correct or clear {key} on the Stripe customer, or create the customer there; then replay.",
    )


def build_unbillable(seeker: Seeker, country: str) -> Refused:
    """Say that no draft could be made for a customer that would be created, as the last one like it has shown."""
    where = f"of country {country}" if country else "without a country"
    fix = (
        f"Add a template for {country} under API Setup in Business Central"
        if country
        else "Fill in the address on the Stripe customer, name a country in the settings "
        "(customers.new.without_country), or add a template for none under API Setup in Business Central"
    )
    return Refused(
        f"No customer was created for '{seeker.party.label}': the last new one {where} got no posting groups from "
        "Business Central, so no draft could be made for it.",
        code="contact.country.unbillable",
        fix=f"{fix}; then replay.",
    )


def build_not_found(wanted: Sequence[Wanted], seeker: Seeker) -> Refused:
    """Say that no rule found anybody, and that none is created."""
    tried = "; ".join(one.words for one in wanted)
    return Refused(
        f"No customer in Business Central matches '{seeker.party.label}' ({tried}), and missing ones are not created.",
        code="contact.not_found",
        fix="Create the customer in Business Central, or let the hub create missing customers; then replay.",
    )


def _build_contradiction(found: Sequence[Customer], wanted: Wanted, seeker: Seeker) -> Refused:
    """Ask whether it is another's. No number is handed out: who pastes would link the one that is in doubt."""
    customer = found[0]
    differs = " and ".join(find_contradictions(seeker, customer, wanted))
    others = f" {_count_others(len(found) - 1)} too." if len(found) > 1 else ""
    return Refused(
        f"Customer {_name(customer)} in Business Central was found by {wanted.words}, but {differs}.{others}",
        code="contact.contradiction",
        fix=f"If they are one customer, correct in Business Central what differs, or choose it: {_choose(seeker)}. If "
        f"it is a new customer: hub contacts link {seeker.party.id} --new. Then replay.",
    )


def _choose(seeker: Seeker) -> str:
    """Say how a person chooses a customer: by its number, in Stripe too where the settings have a key for it."""
    key = seeker.settings.number_key
    in_stripe = f", or its number as metadata {key} of the Stripe customer" if key else ""
    return f"hub contacts link {seeker.party.id} NUMBER{in_stripe}"


def _count_others(count: int) -> str:
    return "One more that was found differs" if count == 1 else f"{count} more that were found differ"


def _name(customer: Customer) -> str:
    """Number, name and city; and whether it is blocked, for such a one was often retired."""
    named = f"{customer.number} {customer.display_name}"
    city = f", {customer.city}" if customer.city else ""
    blocked = f", blocked ({customer.blocked})" if customer.blocked else ""
    return f"{named}{city}{blocked}"


def _times(count: int) -> str:
    return {2: "twice", 3: "three times"}.get(count, f"{count} times")
