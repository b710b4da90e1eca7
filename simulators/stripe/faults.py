"""What a fault of Stripe's API can be, and how it answers (Stripe facts §117)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from simulators.faults import FaultRule

_TEXTS = {
    429: "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
    409: "This object cannot be accessed right now because another API request is currently accessing it.",
}
_CODES = {429: "rate_limit", 409: "lock_timeout"}
_SERVER_ERROR = 500


@dataclass(kw_only=True)
class StripeFault(FaultRule):
    """A rule, with the retry hints of its answer."""

    KINDS: ClassVar[frozenset[str]] = frozenset(
        {"latency", "status", "reset_before", "reset_after", "slow_after", "bad_body"}
    )

    should_retry: bool | None = None
    html: bool = False
    stored: bool | None = None
    """Whether an idempotency key keeps the answer; None: as Stripe does."""

    @property
    def is_stored(self) -> bool:
        """A 500 comes from behind the idempotency layer and is kept; 429, 409, 502, 503, 504 come from before it."""
        return self.status == _SERVER_ERROR if self.stored is None else self.stored

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
