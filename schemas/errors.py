"""Everything that can go wrong, sorted by what the caller must do about it.

    HubError(message, *, code, context)
      RetrySoon            try again in place, within seconds: reset before sending, 502, lock or lease taken
      RetryLater           wait, then come round through the head topic: 429, 503
        Queued             nothing was tried: others are before it, or a time must pass first
        InDoubt            a write that may or may not have happened: look before writing again
      Blocked              the whole connection waits: credentials refused, Business Central down
      Refused              a person must act: a failed result with code, words and fix
      Gone                 nobody wants it any more: the connection was removed
      Poison               a message that cannot be decoded: dead topic
      ConfigurationError   do not start

Whatever is not a HubError is a defect: *unexpected*, a few attempts, then the dead topic. The policies stand in
`hub/retry.py`, and nowhere else. Messages are read by finance people: what happened, to which invoice, what to do;
never a secret, never a stack trace.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal

ErrorKind = Literal["retry_soon", "retry_later", "blocked", "refused", "gone", "poison", "unexpected"]


class HubError(Exception):
    """Base of the tree.

    Args:
        message: One or two sentences for the reader, ending with what to do where something can be done.
        code: Stable dotted name, `<system>.<subject>.<what>`, for catalogues, filters and alerts.
        context: Facts for the log: status, provider code, provider request id. Never a secret or personal data.
    """

    kind: ClassVar[ErrorKind] = "unexpected"

    def __init__(self, message: str, *, code: str, context: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.context: Mapping[str, str] = context or {}
        self.evidence: tuple[Any, ...] = ()
        """What was sent and answered before it was raised (`schemas.messages.Attempt`), for the result."""


class RetrySoon(HubError):  # noqa: N818 - named for what the caller must do
    """Nothing was done remotely; trying again within seconds is likely to help.

    `retry_after`, where it is known when what is in the way ends at the latest (another's lease): if the tries in place
    did not help, wait so long, and let the round not count.
    """

    kind = "retry_soon"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        context: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, code=code, context=context)
        self.retry_after = retry_after


class RetryLater(HubError):  # noqa: N818
    """Not now: come back after `retry_after`, or when the policy says if the remote side named no time."""

    kind = "retry_later"
    spends_attempt: ClassVar[bool] = True
    """Whether a round counts towards giving up: not where nothing was tried, or where the wait ends by itself."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        context: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, code=code, context=context)
        self.retry_after = retry_after


class Queued(RetryLater):
    """Nothing was tried: others are before it, or a time must pass first. Names when to come back."""

    spends_attempt = False


class InDoubt(RetryLater):
    """A write was sent and no answer says whether it was done (time-out, reset, 5xx after the body went)."""

    spends_attempt = False


class Blocked(HubError):  # noqa: N818
    """The connection as a whole cannot work until someone or something outside repairs it.

    `retry_after`, where the system names a time: leave it alone as long.
    """

    kind = "blocked"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        context: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, code=code, context=context)
        self.retry_after = retry_after


class Refused(HubError):  # noqa: N818
    """A person must act. `message` says what happened; `fix` says what to change, and where."""

    kind = "refused"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        fix: str = "",
        context: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code, context=context)
        self.fix = fix


class Gone(HubError):  # noqa: N818
    """What the message is for was taken away on purpose: nothing is left to do, or to repair."""

    kind = "gone"


class Poison(HubError):  # noqa: N818
    """The message itself cannot be understood, and never will be."""

    kind = "poison"


class ConfigurationError(HubError):
    """The process must not start with these settings."""
