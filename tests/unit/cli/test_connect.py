"""What adding a connection decides: whose key, which company, which settings."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.business_central.models import Account, Company, Item
from connectors.stripe.models import StripeAccount
from hub.cli.connect import ConnectionRequest, check_settings, check_stripe_key, choose_company, merge_settings
from hub.cli.neighbours import note_neighbours, spell_as_stored
from schemas.errors import ConfigurationError, Refused
from schemas.invoice_settings import InvoiceSettings, LineTarget
from schemas.settings import Settings
from tests.builders import build_connection
from tests.remote_fakes import FakeStripe, Steps
from tests.unit.cli.test_line_target import build_account

REQUEST = ConnectionRequest(
    stripe_account="acct_1",
    stripe_key=SecretStr("sk_test_1"),
    webhook_secrets=(),
    bc_tenant="t",
    bc_environment="e",
    bc_company="CRONUS",
    bc_client_id="c",
    bc_client_secret=SecretStr("s"),
)


class FakeAccounts:
    async def fetch_account(self) -> StripeAccount:
        return StripeAccount("acct_1", livemode=False, name="Nordlicht")


def build_company(name: str, display_name: str = "") -> Company:
    return Company(id=f"id-{name}", name=name, display_name=display_name)


async def test_a_key_of_another_account_is_refused_with_both_names() -> None:
    assert (await check_stripe_key(FakeAccounts(), "acct_1")).id == "acct_1"
    with pytest.raises(Refused, match=r"belongs to acct_1 \(Nordlicht\), not to acct_2") as caught:
        await check_stripe_key(FakeAccounts(), "acct_2")
    assert "--stripe-account acct_1" in caught.value.fix


@pytest.mark.parametrize("wanted", ["CRONUS", "cronus", " CRONUS ", "Cronus Danmark", "cronus danmark"])
def test_a_company_is_found_by_name_or_display_name(wanted: str) -> None:
    companies = [build_company("My Company", "CRONUS"), build_company("CRONUS", "Cronus Danmark")]

    assert choose_company(companies, wanted).name == "CRONUS"


def test_a_company_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(Refused, match=r"No company is called 'X'.*'A', 'B'"):
        choose_company([build_company("A"), build_company("B")], "X")
    with pytest.raises(Refused, match="none that the app may see"):
        choose_company([], "X")


def test_a_display_name_that_two_companies_share_decides_nothing() -> None:
    with pytest.raises(Refused, match="Several companies are called 'Same'"):
        choose_company([build_company("A", "Same"), build_company("B", "Same")], "Same")


def test_options_come_on_top_of_the_file_and_the_file_on_top_of_what_was_stored() -> None:
    stored = Settings(metadata_prefix="old_", triggers=("paid",))
    lines = {"lines": {"type": "Item", "number": "i1", "tax_code": None}}
    window = timedelta(seconds=4)
    request = replace(REQUEST, settings_changes={"invoices": lines, "doubt_window": window})

    merged = merge_settings(request, stored)

    assert merged.triggers == ("paid",)
    assert merged.metadata_prefix == "old_"
    assert merged.invoices.lines == LineTarget(type="Item", number="I1")
    assert merged.doubt_window == window
    from_file = merge_settings(replace(request, settings_file={"metadata_prefix": "new_", "doubt_window": 9}), stored)
    assert (from_file.metadata_prefix, from_file.triggers, from_file.doubt_window) == ("new_", ("paid",), window)


def test_an_option_does_not_undo_its_neighbours() -> None:
    stored = Settings(invoices=InvoiceSettings(external_document_prefix="EU-"))
    change = {"invoices": {"lines": {"type": "Account", "number": "1", "tax_code": None}}}
    request = replace(REQUEST, settings_changes=change)

    assert merge_settings(request, stored).invoices.external_document_prefix == "EU-"


def test_an_option_that_can_not_be_is_refused() -> None:
    request = replace(REQUEST, settings_changes={"doubt_window": timedelta(hours=3)})

    with pytest.raises(ConfigurationError, match="doubt_window"):
        merge_settings(request, None)


def test_mappings_that_fail_on_the_samples_are_refused() -> None:
    mapping = {"field": "dueDate", "template": "{{ invoice.number }}"}
    request = replace(REQUEST, settings_file={"fields": {"invoice": [mapping]}})

    with pytest.raises(ConfigurationError, match=r"mapping 1 \(dueDate\), tried on the sample"):
        merge_settings(request, None)


def test_the_same_company_under_another_spelling_is_the_connection_that_is_there() -> None:
    stored = build_connection(bc_tenant="contoso.onmicrosoft.com", bc_company="CRONUS")
    given = build_connection(bc_tenant="6f1c2c1e-93a4-4f0a-8d55-1b5a7c0f9e21", bc_company="Renamed", bc_client_id="new")
    known = spell_as_stored(given, [stored])

    assert known.id == stored.id != given.id
    assert known.bc_client_id == "new"


@pytest.mark.parametrize(
    "changes",
    [{"stripe_account": "acct_2"}, {"livemode": True}],
)
def test_another_account_or_mode_is_another_connection(changes: dict[str, Any]) -> None:
    stored = build_connection(bc_tenant="contoso.onmicrosoft.com")
    given = build_connection(bc_tenant="6f1c", **changes)

    assert spell_as_stored(given, [stored]) == given


def test_of_two_that_are_stored_already_the_one_that_is_named_is_meant() -> None:
    first, second = build_connection(bc_tenant="contoso.onmicrosoft.com"), build_connection(bc_tenant="6f1c")

    assert spell_as_stored(second, [first, second]).id == second.id


def test_two_spellings_that_are_both_stored_are_told_with_what_to_do() -> None:
    first, second = build_connection(bc_tenant="contoso.onmicrosoft.com"), build_connection(bc_tenant="6f1c")
    prefixed = Settings(invoices=InvoiceSettings(external_document_prefix="EU-"))
    (remark,) = note_neighbours(second, second, [first, second], prefixed)

    assert f"hub connections pause --connection {first.id}" in remark


def test_another_account_beside_it_needs_another_prefix() -> None:
    mine, other = build_connection(), build_connection(stripe_account="acct_2")
    (remark,) = note_neighbours(mine, mine, [mine, other], Settings())

    assert "external_document_prefix" in remark
    assert note_neighbours(mine, mine, [mine], Settings()) == []


class FakeBooks:
    """A company whose chart of accounts is this."""

    def __init__(self, *numbers: str) -> None:
        self._accounts = tuple(build_account(number) for number in numbers)

    async def fetch_accounts(self) -> tuple[Account, ...]:
        return self._accounts

    async def fetch_items(self) -> tuple[Item, ...]:
        return ()

    async def fetch_list(self, entity: str, select: Iterable[str]) -> tuple[dict[str, Any], ...]:
        raise AssertionError(f"nothing names {entity}")


async def test_new_keys_get_in_although_an_account_of_the_stored_settings_is_gone() -> None:
    settings = Settings(invoices=InvoiceSettings(lines=LineTarget(type="Account", number="6110")))

    stripe = FakeStripe(Steps())
    lines, doubts = await check_settings(settings, FakeBooks("6110"), stripe, None)
    assert (lines, doubts) == ("account 6110 Sales", [])
    _, doubts = await check_settings(settings, FakeBooks("9"), stripe, settings)
    assert doubts == ["invoices.lines: Business Central has no G/L account 6110. There is: 9."]
    with pytest.raises(ConfigurationError, match="no G/L account 6110"):
        await check_settings(settings, FakeBooks("9"), stripe, Settings())
