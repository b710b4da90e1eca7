"""On which accounts invoice lines can be booked. None is guessed: it decides the VAT."""

from collections.abc import Iterable

from connectors.business_central.models import Account
from schemas.errors import ConfigurationError

# Enough to choose from; a chart of accounts can hold hundreds.
_MOST_CANDIDATES = 40


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


def build_unnamed(accounts: Iterable[Account]) -> ConfigurationError:
    """Say that no account or item is named, and which accounts could be."""
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


def _number_order(number: str) -> tuple[int, int, str]:
    """Numbers by their value, before numbers with letters."""
    return (0, int(number), number) if number.isdecimal() else (1, 0, number)
