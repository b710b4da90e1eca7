"""Where lines are booked: what was named and can be. Without a name nothing is guessed."""

from typing import Any

import pytest

from connectors.business_central.models import Account, Item
from hub.cli.line_target import resolve_line_target
from schemas.errors import ConfigurationError, Refused
from schemas.invoice_settings import LineTarget


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


class FakeLists:
    """A chart of accounts and a list of items."""

    def __init__(self, *accounts: Account, items: tuple[Item, ...] = ()) -> None:
        self.accounts = accounts
        self.items = items

    async def fetch_accounts(self) -> tuple[Account, ...]:
        return self.accounts

    async def fetch_items(self) -> tuple[Item, ...]:
        return self.items


async def test_without_a_name_no_account_is_guessed_and_those_that_could_be_are_listed() -> None:
    """The lowest-numbered income account of a German company is 4989 Rundungsdifferenzen."""
    lists = FakeLists(
        build_account("10110", display_name="Consulting"),
        build_account("4989", display_name="Rundungsdifferenzen"),
        build_account("995", category="Assets"),
        build_account("6005", account_type="Heading"),
        build_account("6006", direct_posting=False),
        build_account("6007", blocked=True),
    )

    with pytest.raises(ConfigurationError) as caught:
        await resolve_line_target(None, lists)

    head, told, *candidates = caught.value.message.splitlines()
    assert "The hub does not choose one, because it decides the VAT of every invoice." in head
    assert "--line-account NO" in head
    assert told == "Income accounts that take direct posting:"
    assert candidates == ["  4989  Rundungsdifferenzen", "  10110  Consulting"]


async def test_of_many_candidates_some_are_listed_and_the_rest_counted() -> None:
    with pytest.raises(ConfigurationError, match="and 20 more"):
        await resolve_line_target(None, FakeLists(*(build_account(str(number)) for number in range(6000, 6060))))


async def test_without_an_income_account_that_is_said() -> None:
    with pytest.raises(ConfigurationError, match="has no income account for it"):
        await resolve_line_target(None, FakeLists(build_account("1", category="Assets")))


async def test_a_named_account_is_taken_as_it_is_written_there() -> None:
    chosen = await resolve_line_target(LineTarget(type="Account", number="ab1"), FakeLists(build_account("AB1")))

    assert chosen.words == "account AB1 Sales"


@pytest.mark.parametrize(
    ("account", "words"),
    [
        (build_account("2"), "There is no G/L account 1"),
        (build_account("1", blocked=True), "is blocked"),
        (build_account("1", account_type="Total"), "is of type Total, not Posting"),
        (build_account("1", direct_posting=False), "does not allow direct posting"),
    ],
)
async def test_a_named_account_that_can_not_be_booked_on_is_refused(account: Account, words: str) -> None:
    with pytest.raises(Refused, match=words):
        await resolve_line_target(LineTarget(type="Account", number="1"), FakeLists(account))


async def test_a_named_item_is_checked_among_the_items() -> None:
    item = Item.model_validate({"id": "i", "number": "1896-S", "display_name": "ATHENS Desk"})
    target = LineTarget(type="Item", number="1896-s")

    assert (await resolve_line_target(target, FakeLists(items=(item,)))).words == "item 1896-S ATHENS Desk"
    with pytest.raises(Refused, match=r"item 1896-S ATHENS Desk is blocked"):
        await resolve_line_target(target, FakeLists(items=(item.model_copy(update={"blocked": True}),)))
    with pytest.raises(Refused, match=r"There is no item 1896-S"):
        await resolve_line_target(target, FakeLists())
