"""How long an exchange with Business Central may take in all, in one place."""

from dataclasses import dataclass, fields
from datetime import timedelta


@dataclass(frozen=True)
class Deadlines:
    """Total times, not per read: a server that drips a byte now and then is cut off too.

    They cover the exchange alone; waiting for a slot and for a token have limits of their own.
    """

    read: timedelta = timedelta(seconds=30)
    """No record holds its offset for more than 30 s, and looking is safe to repeat."""
    write: timedelta = timedelta(seconds=60)
    """A draft of 500 lines takes tens of seconds; giving up early costs a doubt window of many minutes."""
    doubt: timedelta = timedelta(minutes=20)
    """How long a write without an answer keeps its slot: it may be queued for 8 minutes and run for 8."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) <= timedelta(0):
                raise ValueError(f"{field.name} must be longer than nothing")
        if self.doubt < self.write:
            raise ValueError("doubt must not end before the write's own deadline")
