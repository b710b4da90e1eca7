"""The simulator's time: the wall clock plus what a test moved it forward."""

import time


class Clock:
    """Seconds since the epoch; `advance` makes keys expire and invoices fall due without waiting."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Return the simulated time with its fraction."""
        return time.time() + self._ahead

    def stamp(self) -> int:
        """Return the simulated time as Stripe writes it, in whole seconds."""
        return int(self.now())

    def advance(self, seconds: float) -> None:
        """Move the time forward."""
        self._ahead += seconds
