"""How long a call to Stripe may take in all, in one place."""

from dataclasses import dataclass, fields
from datetime import timedelta


@dataclass(frozen=True)
class Deadlines:
    """Total times, over all tries, waits and (for one invoice) pages: a server that drips bytes is cut off too."""

    read: timedelta = timedelta(seconds=20)
    """No record holds its offset for more than 30 s, and reading is safe to repeat."""
    write: timedelta = timedelta(seconds=30)
    """Longer, for a write given up may have been done; repeating it with its idempotency key is safe all the same."""
    patience: timedelta = timedelta(seconds=5)
    """The longest Retry-After that is waited for in place; a longer one is the waiting set's business."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) <= timedelta(0):
                raise ValueError(f"{field.name} must be longer than nothing")
        if self.patience >= min(self.read, self.write):
            raise ValueError("patience must end before the deadlines, or no try would follow the wait")
