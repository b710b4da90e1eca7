"""The retry table."""

from datetime import timedelta
from typing import get_args

import pytest

from hub.retry import POLICIES, Policy, get_named_wait, get_wait
from schemas.errors import ErrorKind, HubError, InDoubt, Queued, RetryLater, RetrySoon

WAITS = (timedelta(seconds=5), timedelta(seconds=60))


def test_every_kind_of_error_has_a_policy() -> None:
    assert set(POLICIES) == set(get_args(ErrorKind))


def test_tries_in_place_fit_into_the_time_a_record_may_be_held() -> None:
    for policy in POLICIES.values():
        assert sum(policy.delay(attempt) for attempt in range(1, policy.tries)) < 10


def test_pauses_double_with_jitter_downwards() -> None:
    policy = Policy(tries=4, pause=timedelta(seconds=1), end="wait")
    for attempt, most in ((1, 1), (2, 2), (3, 4)):
        assert all(most / 2 <= policy.delay(attempt) <= most for _ in range(100))


def test_a_wait_is_never_shorter_than_named_and_a_tenth_longer_at_most() -> None:
    for _ in range(100):
        assert timedelta(seconds=60) <= (get_wait(WAITS, 1, None) or WAITS[0]) <= timedelta(seconds=66)
        asked = timedelta(minutes=10)
        assert asked <= (get_wait(WAITS, 0, asked) or WAITS[0]) <= asked * 1.1


@pytest.mark.parametrize(
    ("kind", "named"),
    [(Queued, WAITS[0]), (InDoubt, WAITS[0]), (RetrySoon, WAITS[0]), (RetryLater, None)],
)
def test_what_ends_by_itself_is_waited_for_and_not_counted(
    kind: type[Queued | InDoubt | RetrySoon | RetryLater], named: timedelta | None
) -> None:
    assert get_named_wait(kind("Wait.", code="x", retry_after=WAITS[0])) == named
    assert get_named_wait(kind("Wait.", code="x")) is None


def test_what_names_no_time_climbs_the_ladder() -> None:
    assert get_named_wait(HubError("Down.", code="x")) is None


def test_after_the_last_wait_there_is_none() -> None:
    assert get_wait(WAITS, 2, timedelta(seconds=1)) is None


def test_a_policy_without_a_try_is_refused() -> None:
    with pytest.raises(ValueError, match="at least once"):
        Policy(tries=0, pause=timedelta(0), end="wait")
