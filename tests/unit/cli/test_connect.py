"""What adding a connection decides: whose key, which company, which settings."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from connectors.business_central.models import Company
from connectors.stripe.models import StripeAccount
from hub.cli.connect import ConnectionRequest, check_stripe_key, choose_company, merge_settings
from schemas.errors import ConfigurationError, Refused
from schemas.invoice_settings import InvoiceSettings, LineTarget
from schemas.settings import Settings

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
