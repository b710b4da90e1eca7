"""Where invoice lines are booked: the account or item that is named, checked. None is guessed: it decides the VAT."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from connectors.business_central.models import Account, Item
from schemas.errors import ConfigurationError, Refused
from schemas.invoice_settings import LineTarget

# Enough to choose from; a chart of accounts can hold hundreds.
_MOST_CANDIDATES = 40


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
    """The target, and its name in Business Central."""

    target: LineTarget
    name: str

    @property
    def words(self) -> str:
        """Say where lines will be booked."""
        kind = "account" if self.target.type == "Account" else "item"
        return f"{kind} {self.target.number} {self.name}".strip()


async def resolve_line_target(named: LineTarget | None, bc: BcLists) -> ChosenTarget:
    """Check the named account or item.

    Raises:
        ConfigurationError: none is named; the accounts that could be are listed.
        Refused: it does not exist or can't be booked on.
    """
    if named is None:
        raise _build_unnamed(await bc.fetch_accounts())
    if named.type == "Item":
        return ChosenTarget(named, _check_item(named.number, await bc.fetch_items()).display_name)
    return ChosenTarget(named, _check_account(named.number, await bc.fetch_accounts()).display_name)


def list_candidates(accounts: Iterable[Account]) -> list[Account]:
    """List the income accounts that lines can be booked on, by number."""
    fit = (one for one in accounts if one.category == "Income" and find_obstacle(one) is None)
    return sorted(fit, key=lambda one: _number_order(one.number))


def find_obstacle(account: Account) -> str | None:
    """Say why lines can't be booked on an account; None when they can."""
    if account.blocked:
        return "is blocked"
    if account.account_type != "Posting":
        return f"is of type {account.account_type or 'unknown'}, not Posting"
    if not account.direct_posting:
        return "does not allow direct posting"
    return None


def _build_unnamed(accounts: Iterable[Account]) -> ConfigurationError:
    found = list_candidates(accounts)
    shown = [f"  {one.number}  {one.display_name}" for one in found[:_MOST_CANDIDATES]]
    if len(found) > _MOST_CANDIDATES:
        shown.append(f"  and {len(found) - _MOST_CANDIDATES} more: see Chart of Accounts in Business Central")
    head = (
        "No account or item was named for invoice lines. The hub does not choose one, because it decides the VAT of "
        "every invoice. Name one with --line-account NO, or an item with --line-item NO."
    )
    told = "Income accounts that take direct posting" if found else "Business Central has no income account for it"
    return ConfigurationError(
        "\n".join([head, f"{told}:" if found else f"{told}.", *shown]), code="settings.lines.unnamed"
    )


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
