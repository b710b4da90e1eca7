"""What happens when, drawn from a seed: pure, so that a seed is a plan that can be run again."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from benchmarks.chaos.cuts import CUTS
from schemas.messages import StageName

Kind = Literal[
    "kill",
    "freeze",
    "zombie",
    "broker_restart",
    "broker_kill",
    "broker_pause",
    "redis_restart",
    "redis_kill",
    "redis_pause",
    "wipe",
    "cut",
    "join",
    "leave",
    "bc_throttled",
    "bc_away",
    "bc_token_revoked",
    "stripe_throttled",
    "stripe_broken",
]
SERVICES: tuple[StageName, ...] = get_args(StageName)
FAR_ENDS = ("kafka", "redis", "bc", "stripe", "sign_in")

# Seconds that stand for minutes in production. The doubt window covers a write's deadline (half of it), a request held
# on the line and the longest operation; a lease lasts longer than a session.
DOUBT_SECONDS = 10
LEASE_SECONDS = 6
SESSION_SECONDS = 3
LONGEST_OPERATION = 1.5
LONGEST_HOLD = 3.0
REPLICAS = 2

# How often in a minute of load. What is rare in a year is here a matter of seconds.
_PER_MINUTE: dict[Kind, float] = {
    "kill": 6,
    "freeze": 3,
    "zombie": 1.5,
    "broker_restart": 1,
    "broker_kill": 1,
    "broker_pause": 0.8,
    "redis_restart": 1,
    "redis_kill": 1,
    "redis_pause": 0.8,
    "wipe": 1,
    "cut": 6,
    "join": 2.5,
    "leave": 2.5,
    "bc_throttled": 1.5,
    "bc_away": 0.8,
    "bc_token_revoked": 1.5,
    "stripe_throttled": 1.5,
    "stripe_broken": 1.5,
}

_SECONDS: dict[Kind, tuple[float, float]] = {
    "kill": (0.0, 2.0),
    "freeze": (0.2, 2.5),
    # Longer than session and lease, and awake again before a request of its may run out of its doubt window: the one
    # zombie that nothing can fence is the one that outlives that (docs/architecture.md).
    "zombie": (LEASE_SECONDS + 0.5, DOUBT_SECONDS - LONGEST_OPERATION),
    "broker_pause": (0.5, 4.0),
    "redis_pause": (0.2, 3.0),
    "cut": (0.3, LONGEST_HOLD),
    "leave": (1.0, 4.0),
    "join": (3.0, 8.0),
    "bc_throttled": (0.5, 2.0),
    "bc_away": (1.0, 4.0),
    "stripe_throttled": (0.5, 2.0),
    "stripe_broken": (0.5, 2.0),
}


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that goes wrong. `at` and `seconds` count from the beginning of the load."""

    at: float
    kind: Kind
    target: str = ""
    seconds: float = 0.0
    how: str = ""


@dataclass(frozen=True)
class Plan:
    """One run."""

    seed: int
    invoices: int
    per_second: float
    faults: Sequence[Fault] = ()
    skews: dict[str, float] = field(default_factory=dict[str, float])
    """Replicas whose clock is wrong, and by how many seconds."""
    as_shipped: bool = False
    """The company has Microsoft's own set-up, and its answers show totals of before their lines."""

    @property
    def load_seconds(self) -> float:
        """How long invoices are made."""
        return self.invoices / self.per_second


def build_plan(seed: int, invoices: int, per_second: float) -> Plan:
    """Draw a plan: each kind at its rate, spread over the load with some chance."""
    rng = random.Random(seed)
    length = invoices / per_second
    faults = [
        _draw(rng, kind, begin, length / number)
        for kind, rate in _PER_MINUTE.items()
        if (number := _round(rng, rate * length / 60))
        for begin in (length / number * turn for turn in range(number))
    ]
    wrong = rng.sample(list_replicas(), k=2)
    skews = {replica: rng.choice((-1, 1)) * rng.uniform(5, 40) for replica in wrong}
    return Plan(seed, invoices, per_second, sorted(faults), skews)


def list_replicas() -> list[str]:
    """Name all replicas that run when nothing joins or leaves."""
    return [f"{service}-{number + 1}" for service in SERVICES for number in range(REPLICAS)]


def name_extra(service: str) -> str:
    """Name the replica that joins a service for a while."""
    return f"{service}-{REPLICAS + 1}"


def _round(rng: random.Random, expected: float) -> int:
    """A whole number whose mean is what is expected."""
    return int(expected) + (rng.random() < expected % 1)


def _draw(rng: random.Random, kind: Kind, begin: float, room: float) -> Fault:
    at = begin + rng.uniform(0, room)
    low, high = _SECONDS.get(kind, (0.0, 0.0))
    seconds = rng.uniform(low, high)
    match kind:
        case "kill" | "freeze" | "zombie" | "leave":
            return Fault(at, kind, rng.choice(list_replicas()), seconds)
        case "join":
            # Webhooks reach ingest without a consumer group: nothing would be rebalanced.
            return Fault(at, kind, rng.choice(SERVICES[1:]), seconds)
        case "cut":
            return Fault(at, kind, _draw_line(rng), seconds, rng.choice(CUTS))
        case _:
            return Fault(at, kind, "", seconds)


def _draw_line(rng: random.Random) -> str:
    """Name a line between two parts."""
    lines = [f"{replica}>{end}" for replica in list_replicas() for end in FAR_ENDS]
    return rng.choice([*lines, *["stripe>ingest"] * 4])
