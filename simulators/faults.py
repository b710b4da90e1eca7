"""Faults of a simulated API: which request suffers what. The rules are drawn here, each simulator carries them out."""

import random
import re
from collections import Counter
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, TypeVar

_INNER = frozenset({"id", "method", "path", "body", "rng", "left", "fired"})


@dataclass(kw_only=True)
class FaultRule:
    """One rule; a simulator names its kinds, and adds members of its own. `left` None means without end."""

    KINDS: ClassVar[frozenset[str]] = frozenset()

    id: str
    method: str | None
    path: re.Pattern[str]
    body: re.Pattern[str]
    rng: random.Random
    left: int | None = None
    fired: int = 0
    kind: str
    probability: float = 1.0
    status: int = 500
    code: str | None = None
    retry_after: float | None = None
    delay_ms: float = 0

    def __post_init__(self) -> None:
        """Take numbers however the body was read."""
        self.probability, self.delay_ms = float(self.probability), float(self.delay_ms)

    @classmethod
    def members(cls) -> set[str]:
        """Return what a rule may say beside its match, count and seed."""
        return {field.name for field in fields(cls)} - _INNER

    def matches(self, method: str, path: str, body: bytes = b"") -> bool:
        """Tell whether the rule still lives and concerns this request."""
        if self.left == 0 or self.method not in {None, method} or not self.path.search(path):
            return False
        return not self.body.pattern or self.body.search(body.decode("utf-8", "replace")) is not None

    def strike(self) -> bool:
        """Throw the dice; a hit uses the rule up by one."""
        if self.rng.random() >= self.probability:
            return False
        self.fired += 1
        self.left = None if self.left is None else self.left - 1
        return True

    def shown(self) -> dict[str, Any]:
        """Render for the admin answers."""
        match = {"method": self.method, "path_regex": self.path.pattern, "body_regex": self.body.pattern}
        told = {name: getattr(self, name) for name in sorted(self.members())}
        return {"id": self.id, "match": match, "count": self.left, "fired": self.fired, **told}


Rule = TypeVar("Rule", bound=FaultRule)


class FaultBook(Generic[Rule]):
    """All rules in force, and how often each kind struck. Dice are the book's, or a rule's own if it has a seed."""

    def __init__(self, form: type[Rule], rng: random.Random) -> None:
        self._form = form
        self._rng = rng
        self._made = 0
        self.rules: list[Rule] = []
        self.applied: Counter[str] = Counter()

    def add(self, given: dict[str, Any]) -> Rule:
        """Read one rule of the admin body; raises ValueError for what it does not understand."""
        told = {name: value for name, value in given.items() if value is not None}
        match, count, seed = told.pop("match", {}), told.pop("count", None), told.pop("seed", None)
        unknown = set(told) - self._form.members()
        if unknown or told.get("kind") not in self._form.KINDS:
            raise ValueError(f"a fault needs a kind of {sorted(self._form.KINDS)}; unknown members: {sorted(unknown)}")
        self._made += 1
        rule = self._form(
            id=f"fault_{self._made}",
            method=match.get("method"),
            path=re.compile(match.get("path_regex") or ""),
            body=re.compile(match.get("body_regex") or ""),
            rng=self._rng if seed is None else random.Random(seed),
            left=count,
            **told,
        )
        self.rules.append(rule)
        return rule

    def remove(self, rule_id: str | None) -> None:
        """Remove a rule, or all."""
        self.rules = [rule for rule in self.rules if rule_id not in {None, rule.id}]

    def draw(self, method: str, path: str, body: bytes = b"") -> list[Rule]:
        """Return what hits this request: all latencies, and the first other rule."""
        hits: list[Rule] = []
        decided = False
        for rule in self.rules:
            if (decided and rule.kind != "latency") or not rule.matches(method, path, body):
                continue
            if rule.strike():
                hits.append(rule)
                decided = decided or rule.kind != "latency"
                self.applied[rule.kind] += 1
        return hits

    def shown(self) -> dict[str, Any]:
        """Render for the admin answers."""
        return {"rules": [rule.shown() for rule in self.rules], "applied": dict(self.applied)}
