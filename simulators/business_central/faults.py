"""Faults: which request suffers what. The rules say; app.py carries them out."""

import random
import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

Kind = Literal["latency", "status", "reset_before", "reset_after", "slow_after", "timeout_after", "late_commit"]
KINDS = frozenset(get_args(Kind))
_KNOWN = frozenset("match kind probability count status after retry_after delay_ms reset seed code".split())


@dataclass(slots=True)
class FaultRule:
    """One rule; `left` None means without end, `rng` is its own when the rule came with a seed."""

    id: str
    method: str | None
    path: re.Pattern[str]
    kind: Kind
    rng: random.Random
    probability: float = 1.0
    left: int | None = None
    status: int = 503
    code: str | None = None
    after: bool = False
    retry_after: float | None = None
    delay_ms: int = 0
    reset: bool = False
    fired: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Tell whether the rule still lives and concerns this request."""
        return self.left != 0 and self.method in {None, method} and self.path.search(path) is not None

    def shown(self) -> dict[str, Any]:
        """Render for the admin answers."""
        return {
            "id": self.id,
            "match": {"method": self.method, "path_regex": self.path.pattern},
            "kind": self.kind,
            "probability": self.probability,
            "count": self.left,
            "status": self.status,
            "code": self.code,
            "after": self.after,
            "retry_after": self.retry_after,
            "delay_ms": self.delay_ms,
            "reset": self.reset,
            "fired": self.fired,
        }


class FaultBook:
    """All rules in force, and how often each kind struck."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._made = 0
        self.rules: list[FaultRule] = []
        self.applied: dict[str, int] = {}

    def add(self, given: dict[str, Any]) -> FaultRule:
        """Read one rule of the admin body; raises ValueError for what it does not understand."""
        unknown = set(given) - _KNOWN
        if unknown or given.get("kind") not in KINDS:
            raise ValueError(f"a fault needs a kind of {sorted(KINDS)}; unknown members: {sorted(unknown)}")
        match = given.get("match") or {}
        self._made += 1
        rule = FaultRule(
            id=f"fault_{self._made}",
            method=match.get("method"),
            path=re.compile(match.get("path_regex") or ""),
            kind=given["kind"],
            rng=random.Random(given["seed"]) if given.get("seed") is not None else self._rng,
            probability=float(given.get("probability", 1.0)),
            left=given.get("count"),
            status=int(given.get("status") or 503),
            code=given.get("code"),
            after=bool(given.get("after", False)),
            retry_after=given.get("retry_after"),
            delay_ms=int(given.get("delay_ms") or 0),
            reset=bool(given.get("reset", False)),
        )
        self.rules.append(rule)
        return rule

    def draw(self, method: str, path: str) -> list[FaultRule]:
        """Return what hits this request: all latencies, and the first other rule."""
        hits: list[FaultRule] = []
        decided = False
        for rule in self.rules:
            if (decided and rule.kind != "latency") or not rule.matches(method, path):
                continue
            if rule.rng.random() >= rule.probability:
                continue
            hits.append(rule)
            decided = decided or rule.kind != "latency"
            rule.fired += 1
            rule.left = None if rule.left is None else rule.left - 1
            self.applied[rule.kind] = self.applied.get(rule.kind, 0) + 1
        return hits
