"""The error tree: each kind says what the caller must do, and the docstring draws the tree as it is."""

from datetime import timedelta
from typing import get_args

import pytest

import schemas.errors
from hub.retry import POLICIES
from schemas.errors import (
    Blocked,
    ConfigurationError,
    ErrorKind,
    Gone,
    HubError,
    InDoubt,
    Poison,
    Queued,
    Refused,
    RetryLater,
    RetrySoon,
)

LEAVES: list[tuple[type[HubError], ErrorKind]] = [
    (RetrySoon, "retry_soon"),
    (RetryLater, "retry_later"),
    (Queued, "retry_later"),
    (InDoubt, "retry_later"),
    (Blocked, "blocked"),
    (Refused, "refused"),
    (Gone, "gone"),
    (Poison, "poison"),
    (ConfigurationError, "unexpected"),
    (HubError, "unexpected"),
]


@pytest.mark.parametrize(("error", "kind"), LEAVES)
def test_each_error_has_its_kind(error: type[HubError], kind: ErrorKind) -> None:
    raised = error("What happened.", code="system.subject.what", context={"status": "429"})

    assert raised.kind == kind
    assert (raised.message, raised.code, str(raised)) == ("What happened.", "system.subject.what", "What happened.")
    assert raised.context == {"status": "429"}


def test_the_docstring_names_every_class() -> None:
    classes = {
        name for name, value in vars(schemas.errors).items() if isinstance(value, type) and issubclass(value, HubError)
    }

    assert classes == {error.__name__ for error, _ in LEAVES}
    assert all(name in (schemas.errors.__doc__ or "") for name in classes)


def test_every_kind_has_a_policy() -> None:
    assert set(POLICIES) == set(get_args(ErrorKind))


def test_a_refusal_says_what_to_change_and_a_wait_says_how_long() -> None:
    assert Refused("No.", code="a.b.c", fix="Do this.").fix == "Do this."
    assert RetryLater("Later.", code="a.b.c", retry_after=timedelta(seconds=3)).retry_after == timedelta(seconds=3)
    assert InDoubt("Perhaps.", code="a.b.c").retry_after is None
