"""Where lines are booked: what was named and can be, or an income account, with the reason."""

from typing import Any

import pytest

from connectors.business_central.models import Account, Item
from hub.cli.line_target import choose_income_account, resolve_line_target
from schemas.errors import Refused
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


def test_the_lowest_income_account_that_can_be_booked_on_is_chosen() -> None:
    chosen = choose_income_account(
        [
            build_account("6210"),
            build_account("995", category="Assets"),
            build_account("6005", account_type="Heading"),
            build_account("6006", direct_posting=False),
            build_account("6007", blocked=True),
            build_account("10110"),
            build_account("6110", display_name="Sales, Retail"),
            build_account("A1"),
        ]
    )

    assert chosen.target == LineTarget(type="Account", number="6110")
    assert chosen.words == "account 6110 Sales, Retail"
    assert "lowest-numbered of 4 of category Income" in chosen.because


def test_numbers_are_compared_by_value() -> None:
    assert choose_income_account([build_account("10000"), build_account("9000")]).target.number == "9000"


def test_without_an_income_account_one_must_be_named() -> None:
    with pytest.raises(Refused, match="no income account") as caught:
        choose_income_account([build_account("1", category="Assets")])
    assert "--line-account" in caught.value.fix


async def test_a_named_account_is_taken_as_it_is_written_there() -> None:
    chosen = await resolve_line_target(LineTarget(type="Account", number="ab1"), FakeLists(build_account("AB1")))

    assert (chosen.words, chosen.because) == ("account AB1 Sales", "")


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
