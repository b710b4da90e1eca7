from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.stripe.metadata import build_changes, find_replay_request, is_own_write, is_valid_key, limit_value
from schemas.stripe_objects import Event
from tests.unit.stripe_connector.fake_stripe import load_sample

KEYS = st.text(st.characters(exclude_characters="[]", codec="utf-8"), min_size=1, max_size=40)
VALUES = st.text(st.characters(codec="utf-8"), max_size=600)


def build_update(previous: dict[str, Any] | None, metadata: dict[str, str], type: str = "invoice.updated") -> Event:  # noqa: A002
    sample = load_sample("10")
    sample["type"] = type
    sample["data"]["object"]["metadata"] = metadata
    sample["data"]["previous_attributes"] = previous
    return msgspec.convert(sample, Event)


@given(st.text())
def test_a_limited_value_fits_by_characters_and_by_bytes(text: str) -> None:
    limited = limit_value(text * 40)
    assert len(limited) <= 500
    assert len(limited.encode()) <= 500


@given(st.text(st.characters(codec="utf-8"), max_size=120))
def test_a_value_that_fits_stays_as_it_is(text: str) -> None:
    assert limit_value(text) == text


@given(VALUES)
def test_limiting_twice_is_limiting_once(text: str) -> None:
    assert limit_value(limit_value(text)) == limit_value(text)


@given(VALUES)
def test_a_cut_value_is_a_beginning_of_the_text_with_an_ellipsis(text: str) -> None:
    limited = limit_value(text)
    assert limited == text or (limited.endswith("…") and text.startswith(limited[:-1]))


def test_a_long_value_is_cut_no_shorter_than_needed() -> None:
    assert limit_value("x" * 501) == "x" * 497 + "…"
    assert limit_value("😀" * 126) == "😀" * 124 + "…"


def test_half_a_surrogate_pair_becomes_something_that_can_be_sent() -> None:
    assert limit_value("\ud800") == "?"


@given(st.text(), st.text(max_size=60))
def test_what_to_do_is_kept_whole_when_a_long_cause_is_cut(cause: str, ending: str) -> None:
    limited = limit_value(cause * 30, ending)
    assert len(limited.encode()) <= 500
    assert limited.endswith(ending.encode("utf-8", "replace").decode())


def test_an_ending_that_leaves_no_room_is_cut_too() -> None:
    assert limit_value("Cause.", "x" * 600) == "Cause. " + "x" * 490 + "…"


@pytest.mark.parametrize(
    ("key", "valid"),
    [
        ("hub_status", True),
        ("ключ", True),
        ("k" * 40, True),
        ("k" * 41, False),
        ("", False),
        ("a[b", False),
        ("a]", False),
    ],
)
def test_keys_have_1_to_40_characters_and_no_brackets(key: str, valid: bool) -> None:
    assert is_valid_key(key) is valid


@given(st.dictionaries(KEYS, VALUES), st.dictionaries(KEYS, VALUES))
def test_applying_the_changes_makes_the_desired_hold_and_leaves_the_rest(
    current: dict[str, str], desired: dict[str, str]
) -> None:
    changes = build_changes(current, desired)
    after = {key: value for key, value in {**current, **changes}.items() if value}
    assert all(after.get(key, "") == value for key, value in desired.items())
    assert all(after.get(key, "") == current[key] for key in current if key not in desired)
    assert build_changes(after, desired) == {}


@given(st.dictionaries(KEYS, VALUES))
def test_without_knowledge_of_the_current_everything_is_sent(desired: dict[str, str]) -> None:
    assert build_changes(None, desired) == desired


def test_only_what_differs_is_sent_and_nothing_deleted_that_is_not_there() -> None:
    desired = {"bc_status": "synced", "bc_error": "", "bc_invoice": "S-1"}

    assert build_changes({"bc_status": "pending", "bc_error": "wait"}, desired) == desired
    assert build_changes({"bc_status": "synced", "bc_invoice": "S-1"}, desired) == {}


@pytest.mark.parametrize(("number", "value"), [("10", True), ("11", True), ("12", False), ("13", False), ("14", False)])
def test_of_the_recorded_updates_only_a_set_or_changed_replay_key_asks_for_a_replay(number: str, value: bool) -> None:
    event = msgspec.convert(load_sample(number), Event)
    assert (find_replay_request(event, "hub_replay") is not None) is value


@pytest.mark.parametrize(("number", "own"), [("10", False), ("11", False), ("12", True), ("13", True), ("14", False)])
def test_of_the_recorded_updates_only_the_hubs_own_keys_without_a_replay_are_an_echo(number: str, own: bool) -> None:
    event = msgspec.convert(load_sample(number), Event)
    assert is_own_write(event, "hub_", "hub_replay") is own


@pytest.mark.parametrize(
    "previous",
    [
        None,
        {},
        {"metadata": {}},
        {"metadata": None},
        {"metadata": "x"},
        {"metadata": {"hub_status": None, "theirs": "1"}},
        {"metadata": {"hub_status": None}, "status": "open"},
        {"status": "open"},
    ],
)
def test_whatever_else_changed_is_no_echo(previous: dict[str, Any] | None) -> None:
    assert is_own_write(build_update(previous, {"hub_status": "synced"}), "hub_", "hub_replay") is False


def test_clearing_the_replay_key_is_an_echo_and_no_request() -> None:
    event = build_update({"metadata": {"hub_replay": "1"}}, {})
    assert is_own_write(event, "hub_", "hub_replay")
    assert find_replay_request(event, "hub_replay") is None


@pytest.mark.parametrize("value", ["", "  ", "old"])
def test_a_blank_or_unchanged_replay_value_asks_for_nothing(value: str) -> None:
    assert (
        find_replay_request(build_update({"metadata": {"hub_replay": "old"}}, {"hub_replay": value}), "hub_replay")
        is None
    )


def test_only_updates_of_invoices_count() -> None:
    event = build_update({"metadata": {"hub_replay": None}}, {"hub_replay": "1"}, type="customer.updated")
    assert find_replay_request(event, "hub_replay") is None
    assert not is_own_write(event, "hub_", "hub_replay")


@given(st.none() | st.dictionaries(KEYS, st.none() | VALUES, max_size=4), st.dictionaries(KEYS, VALUES, max_size=4))
def test_no_event_is_both_an_echo_and_a_request(previous: dict[str, Any] | None, metadata: dict[str, str]) -> None:
    event = build_update({"metadata": previous}, metadata)
    for key in [*(previous or {}), "hub_replay"]:
        assert not (is_own_write(event, key[0], key) and find_replay_request(event, key) is not None)
