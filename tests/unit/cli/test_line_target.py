"""On which accounts lines can be booked: without a name none is guessed."""

from typing import Any

from connectors.business_central.models import Account
from hub.cli.line_target import build_unnamed


def build_account(number: str, **changes: Any) -> Account:
    values = {
        "id": f"id-{number}",
        "number": number,
        "display_name": "Sales",
        "category": "Income",
        "account_type": "Posting",
        "direct_posting": True,
    }
    return Account.model_validate(values | changes)


def test_without_a_name_no_account_is_guessed_and_those_that_could_be_are_listed() -> None:
    """The lowest-numbered income account of a German company is 4989 Rundungsdifferenzen."""
    accounts = (
        build_account("10110", display_name="Consulting"),
        build_account("4989", display_name="Rundungsdifferenzen"),
        build_account("995", category="Assets"),
        build_account("6005", account_type="Heading"),
        build_account("6006", direct_posting=False),
        build_account("6007", blocked=True),
    )

    head, told, *candidates = build_unnamed(accounts).message.splitlines()

    assert "The hub does not choose one, because it decides the VAT of every invoice." in head
    assert "--line-account NO" in head
    assert told == "Income accounts that take direct posting:"
    assert candidates == ["  4989  Rundungsdifferenzen", "  10110  Consulting"]


def test_of_many_candidates_some_are_listed_and_the_rest_counted() -> None:
    assert "and 20 more" in build_unnamed(build_account(str(number)) for number in range(6000, 6060)).message


def test_without_an_income_account_that_is_said() -> None:
    assert "has no income account for it." in build_unnamed([build_account("1", category="Assets")]).message
