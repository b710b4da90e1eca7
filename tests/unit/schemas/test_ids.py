"""A connection is its five parts; all messages about one object have one key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.ids import (
    StripeAccountId,
    build_company_key,
    build_connection_id,
    build_message_key,
    parse_message_key,
)
from tests.builders import build_connection

PARTS = {
    "stripe_account": "acct_1",
    "livemode": False,
    "bc_tenant": "t",
    "bc_environment": "Production",
    "bc_company": "CRONUS",
}


def build(**changes: object) -> str:
    return build_connection_id(**{**PARTS, **changes})  # pyright: ignore[reportArgumentType] - a test names what differs


def test_the_same_parts_give_the_same_id() -> None:
    assert build() == build() == "con_" + build()[4:]
    assert len(build()) == 20


@pytest.mark.parametrize(
    "change",
    [
        {"stripe_account": "acct_2"},
        {"livemode": True},
        {"bc_tenant": "u"},
        {"bc_environment": "Sandbox"},
        {"bc_company": "CRONUS 2"},
    ],
)
def test_another_part_gives_another_id(change: dict[str, object]) -> None:
    assert build(**change) != build()


def test_tenant_and_environment_are_read_without_case_as_business_central_does() -> None:
    assert build(bc_tenant="T", bc_environment="production") == build()


def test_parts_do_not_run_into_each_other() -> None:
    assert build(bc_tenant="ab", bc_environment="c") != build(bc_tenant="a", bc_environment="bc")


def test_a_company_is_the_same_however_it_is_spelt() -> None:
    company = "C2A9B7F0-51DE-EE11-A1F9-6045BD8E1A10"
    assert build_company_key(company, "Production") == build_company_key(company.lower(), "production")


def test_a_copied_environment_holds_another_company_of_the_same_guid() -> None:
    assert build_company_key("guid", "Production") != build_company_key("guid", "Sandbox")
    assert build_company_key("guid", "Production") != build_company_key("other", "Production")


def test_a_changed_copy_of_a_connection_has_an_id_of_its_own() -> None:
    first = build_connection()
    before = (first.id, first.company_key)
    second = first.model_copy(update={"bc_company": "Other", "bc_company_id": "other"})

    assert second.id == build_connection(bc_company="Other").id
    assert (first.id, first.company_key) == before
    assert (second.id, second.company_key) != before


def test_the_same_company_under_another_name_is_another_connection_with_the_same_company_key() -> None:
    by_guid, by_domain = build_connection(bc_tenant="6f1c"), build_connection(bc_tenant="contoso.onmicrosoft.com")

    assert by_guid.id != by_domain.id
    assert by_guid.company_key == by_domain.company_key


@given(st.text("abc_0", min_size=1), st.text("abc_/0", min_size=1))
def test_a_key_reads_as_it_was_built(connection: str, object_id: str) -> None:
    assert parse_message_key(build_message_key(connection, object_id)) == (connection, object_id)


@pytest.mark.parametrize("key", ["", "con_1", "con_1/", "/in_1", "/"])
def test_another_form_is_no_key(key: str) -> None:
    assert parse_message_key(key) is None


@pytest.mark.parametrize("wrong", ["", "acct_", "cus_1", "acct_1/../x", "acct_1 "])
def test_only_a_stripe_account_id_is_one(wrong: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(StripeAccountId).validate_python(wrong)
