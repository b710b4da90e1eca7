"""What a fault of Business Central can be. app.py carries it out."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from simulators.faults import FaultRule


@dataclass(kw_only=True)
class BcFault(FaultRule):
    """A rule, whose answer may come after the work was done, or show what it should not."""

    KINDS: ClassVar[frozenset[str]] = frozenset(
        {
            "latency",
            "status",
            "reset_before",
            "reset_after",
            "slow_after",
            "timeout_after",
            "late_commit",
            "stale",
            "foreign",
        }
    )

    status: int = 503
    after: bool = False
    reset: bool = False
    text: str = ""
    """What an error says, such as the refusal of an extension."""
    changes: dict[str, Any] = field(default_factory=dict[str, Any])
    """What a `foreign` answer says of this record; without it, the answer shows another record."""
