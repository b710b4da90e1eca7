"""The only source of time, so that tests can hold it still. Times are aware UTC."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and measures durations."""

    def now(self) -> datetime:
        """Return the current moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for durations only."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current moment."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()
