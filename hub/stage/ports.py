"""What the runtime needs from a service, and what it gives to one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from schemas.contract import Contract
from schemas.errors import HubError
from schemas.messages import ErrorDetail, Message
from schemas.topics import Topic

HELD = "connection.held"
"""Blocks a connection whose messages meet one defect of the hub after another; its context names the `stage`."""


def name_own_system(stage: str) -> str:
    """Name the hub itself, in one stage, among the systems that can block a connection there."""
    return f"hub.{stage}"


M_contra = TypeVar("M_contra", bound=Message, contravariant=True)


@dataclass(frozen=True)
class Outgoing:
    """A message to publish: it counts only once the broker has acknowledged it."""

    topic: Topic
    key: str
    message: Contract
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class Failure:
    """Why a message did not succeed. `retry_at` set: it waits and comes round again; None: it is final."""

    detail: ErrorDetail
    retry_at: datetime | None = None


class Handler(Protocol[M_contra]):
    """A service's part: what to do with one message."""

    async def handle(self, message: M_contra) -> Sequence[Outgoing]:
        """Do the work and return what to publish. Called again with the same message after any crash.

        Raises:
            HubError: sorted by `hub/retry.py`. Anything else is a defect.
        """
        ...

    async def report(self, message: M_contra, failure: Failure) -> Sequence[Outgoing]:
        """Record a failure and return what to publish about it. Must bear being called twice."""
        ...


class Publisher(Protocol):
    """Publishes messages."""

    async def publish(self, outgoing: Outgoing) -> None:
        """Return once the broker has acknowledged (acks=all).

        Raises:
            RetrySoon: it did not.
        """
        ...


@dataclass(frozen=True)
class Closed:
    """A connection that lets nothing through now."""

    detail: ErrorDetail
    until: datetime


@dataclass(frozen=True)
class Admission:
    """Leave to go on with one message."""

    connection: str
    probing: Mapping[str, int] = field(default_factory=dict[str, int])
    """Blocked systems that it is to try, and how often each had answered before."""


class Gate(Protocol):
    """Knows which connections wait as a whole: paused by a person, or blocked by refused credentials or an outage."""

    async def enter(self, connection: str, touches: frozenset[str]) -> Closed | Admission:
        """Return why not, or leave to go on. A blocked connection lets one message through now and then, as a probe.

        Raises:
            Poison: nobody knows this connection.
        """
        ...

    def judge(self, connection: str, error: HubError) -> HubError:
        """Return the error; or the one that it amounts to, where it is one of many: the connection's system is down."""
        ...

    async def block(self, connection: str, error: HubError) -> datetime:
        """Block the connection; returns when it is tried again."""
        ...

    async def passed(self, admission: Admission) -> None:
        """The message went through: what it was to probe is over, if it answered."""
        ...

    async def failed(self, admission: Admission, error: HubError) -> None:
        """The message did not go through, which need not be the fault of what it was to probe."""
        ...


@dataclass(frozen=True)
class Parked:
    """What the waiting set keeps of a message."""

    message: Message
    due: datetime
    code: str
    reason: str
    stage: str
    counts_as_attempt: bool


class WaitingSet(Protocol):
    """Keeps invoices that are not due yet; the waker publishes them to the head topic when they are."""

    async def park(self, parked: Parked) -> None:
        """Keep it. An entry of the same object is replaced.

        Raises:
            RetrySoon: the ledger can't be reached.
        """
        ...

    async def settle(self, message: Message) -> None:
        """What was woken has arrived: forget it, unless it was parked again. Bears being called for anything.

        Raises:
            RetrySoon: the ledger can't be reached.
        """
        ...


def describe(error: HubError) -> ErrorDetail:
    """Turn an error into what results and waiting entries say about it."""
    return ErrorDetail(
        kind=error.kind,
        code=error.code,
        message=error.message,
        fix=getattr(error, "fix", ""),
        context=dict(error.context),
        attempts=error.evidence,
    )
