"""Moments are aware and UTC; contracts are frozen and hide what they are given when it is wrong."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from schemas.connections import BlockedState, ConnectionSecrets
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
