"""Moments are aware and UTC; contracts are frozen and hide what they are given when it is wrong."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest
import stripe
from pydantic import ValidationError

from schemas.connections import BlockedState, ConnectionSecrets
from schemas.invoice_settings import STORED, TaxabilityReason
from schemas.settings import Settings

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def test_a_moment_is_utc_however_it_was_written() -> None:
    there = datetime(2026, 1, 31, 14, 0, tzinfo=timezone(timedelta(hours=2)))

    state = BlockedState(code="a", message="b", since=there, next_probe_at=NOW)

    assert state.since == NOW
    assert state.since.tzinfo is UTC


def test_a_moment_without_a_zone_is_none() -> None:
    with pytest.raises(ValidationError):
        BlockedState(code="a", message="b", since=NOW.replace(tzinfo=None), next_probe_at=NOW)


def test_a_block_is_probed_when_its_time_has_come() -> None:
    state = BlockedState(code="a", message="b", since=NOW, next_probe_at=NOW)

    assert state.is_due(NOW)
    assert not state.is_due(NOW - timedelta(seconds=1))


def test_contracts_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().metadata_prefix = "x"  # pyright: ignore[reportAttributeAccessIssue] - that it can't is the test


def test_a_wrong_secret_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ValidationError) as caught:
        ConnectionSecrets.model_validate({"stripe_key": ["sk_live_very_secret"], "webhook_secrets": []})
    assert "very_secret" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"triggers": []},
        {"triggers": ["paid", "paid"]},
        {"triggers": ["voided"]},
        {"metadata_prefix": "no spaces"},
        {"metadata_prefix": ""},
        {"doubt_window": 0},
        {"doubt_window": 7201},
        {"customers": {"match": []}},
        {"invoices": {"lines": {"type": "Account", "number": ""}}},
        {"invoices": {"external_document_prefix": "0123456789"}},
        {"invocies": {}},
    ],
)
def test_settings_that_can_not_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(wrong)


def test_a_rule_that_was_stored_with_a_reason_of_nobodys_is_left_out() -> None:
    """It never fitted; but the settings it stands in are still read."""
    rules = [{"reason": "reverse-charge", "code": "RC"}, {"reason": "reverse_charge", "code": "RC"}, {"code": "ZERO"}]
    stored = json.dumps({"invoices": {"tax": {"rules": rules}}})
    read = Settings.model_validate_json(stored, extra="ignore", context={STORED: True})

    assert [rule.reason for rule in read.invoices.tax.rules] == ["reverse_charge", None]
    with pytest.raises(ValidationError, match="did you mean reverse_charge"):
        Settings.model_validate_json(stored)


def test_reasons_are_those_of_stripes_library() -> None:
    closed, _ = get_args(stripe.InvoiceLineItem.Tax.__annotations__["taxability_reason"])

    assert set(get_args(closed)) == set(get_args(TaxabilityReason))
