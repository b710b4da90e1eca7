"""Whom to take of those that were found, and what is said where nobody can be taken."""

from typing import Any

import pytest

from connectors.business_central.models import Customer
from mapping.matching import Seeker, build_wanted
from schemas.customer_settings import CustomerSettings
from schemas.errors import InDoubt, Refused
from schemas.messages import CustomerMatch
from schemas.stripe_objects import Address
from services.contacts.decide import (
    build_not_found,
    build_number_unknown,
    build_pinned_gone,
    check_created,
    decide_match,
    describe_gone,
    is_made_of,
    use_customer,
)
from tests.builders import build_customer, build_match, build_party

AREA = "8a1d4b6c-63de-4e11-a1f9-6045bd8e1a10"


def build_seeker(number: str = "", settings: dict[str, Any] | None = None, **party: Any) -> Seeker:
    return Seeker(build_party(**party), CustomerSettings.model_validate(settings or {}), "DE", number)


def decide(*found: Customer, seeker: Seeker | None = None) -> CustomerMatch:
    chosen = seeker or build_seeker()
    return decide_match(found, build_wanted(chosen)[0], chosen)


def refuse(*found: Customer, seeker: Seeker | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        decide(*found, seeker=seeker)
    return caught.value


def test_one_customer_is_taken_with_its_tax_area() -> None:
    match = decide(build_customer(taxAreaId=AREA))
    assert (match.number, match.how, match.tax_area) == ("C00010", "email = billing@acme.example", AREA)
    assert decide(build_customer(taxAreaId="00000000-0000-0000-0000-000000000000")).tax_area == ""


@pytest.mark.parametrize(
    ("count", "words"), [(2, "twice"), (3, "three times"), (7, "7 times"), (6, "C6 Acme GmbH, Bonn and 1 more")]
)
def test_several_customers_are_refused_and_named(count: int, words: str) -> None:
    error = refuse(*(build_customer(id=str(n), number=f"C{n + 2}", city="Bonn") for n in range(count)))

    assert error.code == "contact.ambiguous"
    assert words in error.message
    assert "hub contacts link cus_1 NUMBER" in error.fix


def test_of_several_the_settings_may_choose_one() -> None:
    twins = (build_customer(number="C10", id="a"), build_customer(number="C9", id="b"))
    assert decide(*twins, seeker=build_seeker(settings={"several": "oldest"})).number == "C9"
    assert decide(*twins, seeker=build_seeker(settings={"several": "first"})).number == "C10"


def test_a_retired_twin_makes_a_question_that_says_so() -> None:
    error = refuse(build_customer(id="a"), build_customer(id="b", number="C2", blocked="All"))
    assert "C2 Acme GmbH, blocked (All)" in error.message


def test_of_several_the_one_that_nothing_speaks_against_is_taken() -> None:
    german, danish = build_customer(id="a", country="DE"), build_customer(id="b", number="C2", country="DK")
    assert decide(german, danish, seeker=build_seeker(address=Address(country="DK"))).number == "C2"


def test_another_country_stops_the_invoice_unless_the_settings_say_otherwise() -> None:
    party: dict[str, Any] = {"address": Address(country="AT")}
    error = refuse(build_customer(country="DE", city="Bonn"), seeker=build_seeker(**party))

    assert error.code == "contact.contradiction"
    assert error.message == (
        "Customer C00010 Acme GmbH, Bonn in Business Central was found by email = billing@acme.example, "
        "but its country is DE, and AT in Stripe."
    )
    assert "hub contacts link cus_1 NUMBER" in error.fix
    assert "hub contacts link cus_1 --new" in error.fix
    assert "C00010" not in error.fix
    lax = build_seeker(settings={"must_not_differ": ["tax_id"]}, **party)
    assert decide(build_customer(country="DE"), seeker=lax).number == "C00010"


@pytest.mark.parametrize("blocked", ["Invoice", "All"])
def test_a_blocked_customer_is_refused(blocked: str) -> None:
    with pytest.raises(Refused, match=rf"C00010 'Acme GmbH' is blocked in Business Central \({blocked}\)"):
        use_customer(build_customer(blocked=blocked), "linked before")
    assert refuse(build_customer(blocked=blocked)).code == "contact.blocked"


def test_a_customer_blocked_for_shipments_takes_invoices() -> None:
    assert use_customer(build_customer(blocked="Ship"), "linked before").number == "C00010"


def test_what_can_not_be_found_is_said_with_what_was_tried() -> None:
    seeker = build_seeker("C9", {"number_key": "debtor"})
    wanted = build_wanted(seeker)
    assert "(metadata.debtor = C9; email = billing@acme.example)" in build_not_found(wanted, seeker).message
    assert "say debtor = C9" in build_number_unknown(seeker).message
    assert "clear debtor" in build_number_unknown(seeker).fix
    assert "chosen by hand for cus_1" in build_pinned_gone(build_match(), "cus_1").message
    assert describe_gone(build_match()).startswith("Customer C00010 Acme GmbH, which it was linked to,")


ASKED = {"displayName": "Acme GmbH", "email": "billing@acme.example", "number": "C00010", "country": "DE"}


def test_a_customer_that_was_created_as_asked_is_taken() -> None:
    """What Business Central changes of its place is no other customer."""
    check_created(ASKED, build_customer(displayName="ACME  GmbH", country="DK"))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"displayName": "Somebody Else"}, "the name is Somebody Else, and not Acme GmbH"),
        ({"number": "C00011"}, "the number is C00011, and not C00010"),
    ],
)
def test_a_customer_that_was_made_somebody_else_is_told(made: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused) as caught:
        check_created(ASKED, build_customer(**made))

    assert caught.value.code == "contact.create.different"
    assert words in caught.value.message


def test_an_answer_that_has_nothing_of_what_was_asked_for_is_another_requests() -> None:
    with pytest.raises(InDoubt):
        check_created(ASKED, build_customer(number="C1", displayName="Other AS", email="post@other.example"))


@pytest.mark.parametrize(
    ("known", "is_ours"),
    [
        ({"country": "DK", "city": "Frederiksberg"}, True),
        ({"email": ""}, True),
        ({"email": "anna@acme.example"}, False),
        ({"displayName": "Acme AG"}, False),
    ],
)
def test_one_that_a_person_may_have_entered_is_not_completed(known: dict[str, Any], is_ours: bool) -> None:
    """What was left out of ours, and its place, may differ; anything else is somebody's own entry."""
    assert is_made_of(ASKED, build_customer(**known)) is is_ours
