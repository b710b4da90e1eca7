"""What a fault of Business Central can be. app.py carries it out."""

from dataclasses import dataclass
from typing import ClassVar

from simulators.faults import FaultRule


@dataclass(kw_only=True)
class BcFault(FaultRule):
    """A rule, whose answer may come after the work was done."""

    KINDS: ClassVar[frozenset[str]] = frozenset(
        {"latency", "status", "reset_before", "reset_after", "slow_after", "timeout_after", "late_commit"}
    )

    status: int = 503
    after: bool = False
    reset: bool = False
