"""Faults of the API side: which request suffers what (Stripe facts §117)."""

import random
import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

Kind = Literal["latency", "status", "reset_before", "reset_after", "slow_after", "bad_body"]
KINDS = frozenset(get_args(Kind))
_TEXTS = {
    429: "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
    409: "This object cannot be accessed right now because another API request is currently accessing it.",
}
_CODES = {429: "rate_limit", 409: "lock_timeout"}
_SERVER_ERROR = 500


@dataclass(slots=True)
class FaultRule:
    """One rule; `left` None means without end."""

    id: str
    method: str | None
    path: re.Pattern[str]
    kind: Kind
    probability: float = 1.0
    left: int | None = None
    status: int = 500
    code: str | None = None
    should_retry: bool | None = None
    retry_after: float | None = None
    delay_ms: int = 0
    html: bool = False
    stored: bool = False
    fired: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Tell whether the rule still lives and concerns this request."""
        return self.left != 0 and self.method in {None, method} and self.path.search(path) is not None

    def headers(self) -> dict[str, str]:
        """Return the retry hints of the answer."""
        hints: dict[str, str] = {}
        if self.should_retry is not None:
            hints["Stripe-Should-Retry"] = "true" if self.should_retry else "false"
        if self.retry_after is not None:
            hints["Retry-After"] = f"{self.retry_after:g}"
        return hints

    def error(self) -> dict[str, Any]:
        """Return the JSON body of a `status` fault."""
        kind = "api_error" if self.status >= _SERVER_ERROR else "invalid_request_error"
        text = _TEXTS.get(self.status, "An unknown error occurred")
        code = self.code or _CODES.get(self.status)
        return {"error": {"message": text, "type": kind} | ({"code": code} if code else {})}

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
            "should_retry": self.should_retry,
            "retry_after": self.retry_after,
            "delay_ms": self.delay_ms,
            "html": self.html,
            "stored": self.stored,
            "fired": self.fired,
        }


class FaultBook:
    """All rules in force."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._made = 0
        self.rules: list[FaultRule] = []

    def add(self, given: dict[str, Any]) -> FaultRule:
        """Read one rule of the admin body; raises ValueError for what it does not understand."""
        known = {"match", "kind", "probability", "count", "status", "code", "should_retry", "retry_after", "delay_ms"}
        unknown = set(given) - known - {"html", "stored"}
        if unknown or given.get("kind") not in KINDS:
            raise ValueError(f"a fault needs a kind of {sorted(KINDS)}; unknown members: {sorted(unknown)}")
        match = given.get("match") or {}
        self._made += 1
        status = int(given.get("status", _SERVER_ERROR))
        rule = FaultRule(
            id=f"fault_{self._made}",
            method=match.get("method"),
            path=re.compile(match.get("path_regex") or ""),
            kind=given["kind"],
            probability=float(given.get("probability", 1.0)),
            left=given.get("count"),
            status=status,
            code=given.get("code"),
            should_retry=given.get("should_retry"),
            retry_after=given.get("retry_after"),
            delay_ms=int(given.get("delay_ms", 0)),
            html=bool(given.get("html", False)),
            # A 500 comes from behind the idempotency layer and is kept; 429, 409, 502, 503, 504 come from before it.
            stored=bool(given.get("stored", status == _SERVER_ERROR)),
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
            if self._rng.random() >= rule.probability:
                continue
            hits.append(rule)
            decided = decided or rule.kind != "latency"
            rule.fired += 1
            rule.left = None if rule.left is None else rule.left - 1
        return hits
