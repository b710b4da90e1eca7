"""Where invoice lines are booked: the account or item that is named, checked; or one chosen, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from connectors.business_central.models import Account, Item
from schemas.errors import Refused
from schemas.invoice_settings import LineTarget


class BcLists(Protocol):
    """Reads what lines can be booked on."""

    async def fetch_accounts(self) -> tuple[Account, ...]:
        """Return the chart of accounts."""
        ...

    async def fetch_items(self) -> tuple[Item, ...]:
        """Return all items."""
        ...


@dataclass(frozen=True)
class ChosenTarget:
    """The target, its name, and why it is this one: empty when it was named."""

    target: LineTarget
    name: str
    because: str = ""

    @property
    def words(self) -> str:
        """Say where lines will be booked."""
        kind = "account" if self.target.type == "Account" else "item"
        return f"{kind} {self.target.number} {self.name}".strip()


async def resolve_line_target(named: LineTarget | None, bc: BcLists) -> ChosenTarget:
    """Check the named account or item, or choose an income account.

    Raises:
        Refused: it does not exist or can't be booked on, or there is none to choose.
    """
    if named is None:
        return choose_income_account(await bc.fetch_accounts())
    if named.type == "Item":
        return ChosenTarget(named, _check_item(named.number, await bc.fetch_items()).display_name)
    return ChosenTarget(named, _check_account(named.number, await bc.fetch_accounts()).display_name)


def choose_income_account(accounts: Iterable[Account]) -> ChosenTarget:
    """Choose the lowest-numbered income account that lines can be booked on.

    Raises:
        Refused: there is none.
    """
    fit = [one for one in accounts if one.category == "Income" and find_obstacle(one) is None]
    if not fit:
        raise Refused(
            "No account was named for invoice lines, and Business Central has no income account to choose: none of "
            "category Income, type Posting, with direct posting, not blocked.",
            code="settings.lines.none_found",
            fix="Name one with --line-account NO, or an item with --line-item NO.",
        )
    account = min(fit, key=lambda one: _number_order(one.number))
    others = f" of {len(fit)}" if len(fit) > 1 else ""
    because = f"it is the lowest-numbered{others} of category Income that takes direct posting and is not blocked"
    return ChosenTarget(LineTarget(type="Account", number=account.number), account.display_name, because)


def find_obstacle(account: Account) -> str | None:
    """Say why lines can't be booked on an account; None when they can."""
    if account.blocked:
        return "is blocked"
    if account.account_type != "Posting":
        return f"is of type {account.account_type or 'unknown'}, not Posting"
    if not account.direct_posting:
        return "does not allow direct posting"
    return None


def _check_account(number: str, accounts: Iterable[Account]) -> Account:
    found = next((one for one in accounts if one.number.upper() == number), None)
    if found is None:
        raise _refuse(f"There is no G/L account {number} in Business Central.")
    if (obstacle := find_obstacle(found)) is not None:
        raise _refuse(f"The G/L account {number} {found.display_name} {obstacle} in Business Central.")
    return found


def _check_item(number: str, items: Iterable[Item]) -> Item:
    found = next((one for one in items if one.number.upper() == number), None)
    if found is None:
        raise _refuse(f"There is no item {number} in Business Central.")
    if found.blocked:
        raise _refuse(f"The item {number} {found.display_name} is blocked in Business Central.")
    return found


def _refuse(sentence: str) -> Refused:
    return Refused(
        sentence,
        code="settings.lines.unusable",
        fix="Name another one with --line-account or --line-item (invoices.lines in the settings), or change it there.",
    )


def _number_order(number: str) -> tuple[int, int, str]:
    """Numbers by their value, before numbers with letters."""
    return (0, int(number), number) if number.isdecimal() else (1, 0, number)
