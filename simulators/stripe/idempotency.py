"""Idempotency keys: the first answer is kept 24 h and replayed (Stripe facts §77)."""

from dataclasses import dataclass

from simulators.stripe.clock import Clock
from simulators.stripe.errors import ApiError

KEPT_S = 24 * 3600
MAX_KEY = 255


@dataclass(slots=True)
class Answer:
    """What went over the wire, as far as a replay repeats it."""

    status: int
    body: bytes
    request_id: str
    content_type: str = "application/json"


@dataclass(slots=True)
class _Record:
    path: str
    fingerprint: object
    until: float
    answer: Answer | None = None


class IdempotencyStore:
    """Keys of all realms; `begin` either gives an earlier answer, refuses, or marks the key as under way."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: dict[tuple[str, str], _Record] = {}

    def begin(self, realm: str, key: str, path: str, fingerprint: object) -> Answer | None:
        """Return the earlier answer, or None after marking the key; raises for misuse and for concurrent use."""
        if len(key) > MAX_KEY:
            raise ApiError(400, f"Idempotency keys may be at most {MAX_KEY} characters.", stored=False)
        held = self._records.get((realm, key))
        if held is None or (held.answer is not None and held.until < self._clock.now()):
            self._records[realm, key] = _Record(path, fingerprint, self._clock.now() + KEPT_S)
            return None
        if held.path != path or held.fingerprint != fingerprint:
            raise ApiError(400, _mismatch(held.path, path, key), kind="idempotency_error", stored=False)
        if held.answer is None:
            raise ApiError(
                409,
                "There is currently another in-progress request using this Idempotent Key (that probably means you"
                f" submitted twice, and the other request is still going through): {key}. Please try again later.",
                code="idempotency_key_in_use",
                stored=False,
            )
        return held.answer

    def finish(self, realm: str, key: str, answer: Answer | None) -> None:
        """Keep the answer, or free the key when the request never started work."""
        if answer is None:
            self._records.pop((realm, key), None)
        else:
            self._records[realm, key].answer = answer


def _mismatch(before: str, now: str, key: str) -> str:
    if before != now:
        return (
            "Keys for idempotent requests can only be used for the same endpoint they were first used for"
            f" ('{before}' vs '{now}'). Try using a key other than '{key}' if you meant to execute a different request."
        )
    return (
        "Keys for idempotent requests can only be used with the same parameters they were first used with."
        f" Try using a key other than '{key}' if you meant to execute a different request."
    )
