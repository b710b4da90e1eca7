"""Doubt: a write was sent and nothing said whether it was done. How long to look before writing again.

Intents, births and `now` are times of Redis's own clock (`Ledger.load_life`), so that all processes judge alike.
"""

from datetime import datetime, timedelta

from hub.ledger import Incarnation

_SHORTEST = timedelta(milliseconds=250)
_LONGEST = timedelta(seconds=30)


def get_look_interval(doubt_window: timedelta, intent_at: datetime, now: datetime) -> timedelta:
    """Return the wait before the next look: as long as the doubt has lasted, and no longer than its window."""
    first = min(max(doubt_window / 64, _SHORTEST), _LONGEST)
    left = intent_at + doubt_window - now
    return max(min(max(first, now - intent_at), left), _SHORTEST)


def is_in_doubt(intent_at: datetime | None, doubt_window: timedelta, now: datetime) -> bool:
    """Tell whether a request sent at `intent_at` may still be carried out."""
    return intent_at is not None and now < intent_at + doubt_window


def get_memory_gap(life: Incarnation, issued_at: datetime, doubt_window: timedelta, now: datetime) -> timedelta | None:
    """Return how long an object older than this ledger is only looked up, not created; None when it may be.

    A ledger that was lost forgot what was sent: a request of its former life may still be carried out within the doubt
    window after its death. Objects issued after its birth have no former life.
    """
    if issued_at >= life.born_at:
        return None
    left = life.born_at + doubt_window - now
    return left if left > timedelta(0) else None
