"""The one table: what is done about each kind of error."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from schemas.errors import ErrorKind, HubError, Queued, RetryLater, RetrySoon
from schemas.messages import Wakeup

_UNTOLD = timedelta(minutes=1)
End = Literal["wait", "block", "fail", "forget", "dead"]


@dataclass(frozen=True)
class Policy:
    """How often a kind is tried in place, how long between tries, and what comes after.

    Ends: `wait` goes to the waiting set and comes round through the head topic; `block` stops the whole connection and
    waits; `fail` makes a failed result that a person can replay; `forget` leaves a line in the log; `dead` goes to the
    dead topic.
    """

    tries: int
    pause: timedelta
    end: End

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise ValueError("a message is tried at least once")

    def delay(self, attempt: int) -> float:
        """Seconds before try `attempt` + 1: doubling, with jitter so that a crowd doesn't return together."""
        return self.pause.total_seconds() * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)


POLICIES: dict[ErrorKind, Policy] = {
    # Connection resets and lock conflicts mostly clear within a second; four tries take at most 2.1 s of a record's 30.
    "retry_soon": Policy(tries=4, pause=timedelta(milliseconds=300), end="wait"),
    "retry_later": Policy(tries=1, pause=timedelta(0), end="wait"),
    "blocked": Policy(tries=1, pause=timedelta(0), end="block"),
    "refused": Policy(tries=1, pause=timedelta(0), end="fail"),
    "gone": Policy(tries=1, pause=timedelta(0), end="forget"),
    "poison": Policy(tries=1, pause=timedelta(0), end="dead"),
    # A defect seldom heals, but a race may: three tries tell them apart.
    "unexpected": Policy(tries=3, pause=timedelta(milliseconds=100), end="dead"),
}


def get_named_wait(error: HubError) -> timedelta | None:
    """Return how long to wait for what ends by itself: a queue, a doubt, a lease. Such a round is not counted."""
    if isinstance(error, RetrySoon) or (isinstance(error, RetryLater) and not error.spends_attempt):
        return error.retry_after
    return None


def is_worth_telling(error: HubError, wakeup: Wakeup, due: datetime) -> bool:
    """Tell whether people are told that an invoice waits.

    Not what is over within a minute of its event: it would be written to Stripe twice, pending and then its end. Not
    that history waits its turn, either.
    """
    if isinstance(error, Queued) and wakeup.history:
        return False
    return due - wakeup.occurred_at > _UNTOLD


def get_wait(waits: Sequence[timedelta], attempt: int, retry_after: timedelta | None) -> timedelta | None:
    """Return how long a message waits before round `attempt` + 1, or None when its time is used up.

    A Retry-After is honoured; jitter of up to a tenth is added, never taken away: nobody comes before the time named.
    """
    if attempt >= len(waits):
        return None
    base = max(waits[attempt], retry_after or timedelta(0))
    return base * random.uniform(1.0, 1.1)
