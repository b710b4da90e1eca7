"""How often the consumer groups were rebalanced, by what their members logged."""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

_ASSIGNED = "stage.partitions.assigned"
# All members hear of a rebalance within a moment.
_TOGETHER = timedelta(seconds=1)


def count_rebalances(logs: Path) -> int:
    """Count the rebalances of all groups, beyond the one in which each group was formed."""
    assigned: defaultdict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for log in logs.glob("*.log"):
        with log.open(errors="replace") as lines:
            found = [_read_time(line) for line in lines if _ASSIGNED in line]
        assigned[log.stem.rpartition("-")[0]] += [(at, log.stem) for at in found if at is not None]
    return sum(max(0, count_rounds(sorted(its)) - 1) for its in assigned.values())


def count_rounds(assigned: Sequence[tuple[datetime, str]]) -> int:
    """Count rounds in which members of one group were assigned partitions: each member once, all at about one time."""
    rounds, members, begun = 0, set[str](), None
    for at, member in assigned:
        if begun is None or member in members or at - begun > _TOGETHER:
            rounds, members, begun = rounds + 1, set(), at
        members.add(member)
    return rounds


def _read_time(line: str) -> datetime | None:
    """Read a log line's time; None for one that a kill cut short."""
    try:
        return datetime.fromisoformat(json.loads(line)["timestamp"])
    except (ValueError, KeyError):
        return None
