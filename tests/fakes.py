"""Fakes of the stage runtime's ports: small classes that implement a port and can be told to fail."""

import asyncio
import itertools
import selectors
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.stage.ports import Admission, Closed, Failure, Outgoing, Parked
from schemas.errors import HubError
from schemas.ids import ConnectionId, build_message_key
from schemas.messages import Message, StripeEventReceived

CONNECTION = ConnectionId("con_a")
START = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


@dataclass
class FakeClock:
    """Stands still until it is moved."""

    moment: datetime = START
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def move(self, by: timedelta) -> None:
        self.moment += by
        self.seconds += by.total_seconds()


class Failing:
    """Raises what it was told to, once each, in order."""

    def __init__(self) -> None:
        self._errors: deque[BaseException] = deque()

    def fail_next(self, *errors: BaseException) -> None:
        self._errors.extend(errors)

    def maybe_fail(self) -> None:
        if self._errors:
            raise self._errors.popleft()


class FakeGate(Failing):
    """Lets everything through until it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed: Closed | None = None
        self.blocked: list[HubError] = []
        self.passes: list[str] = []
        self.block_until = START + timedelta(seconds=30)
        self.block_fails: HubError | None = None
        self.amounts_to: HubError | None = None
        self.failures: list[str] = []

    async def enter(self, connection: str, touches: frozenset[str]) -> Closed | Admission:
        self.maybe_fail()
        return self.closed or Admission(connection)

    def judge(self, connection: str, error: HubError) -> HubError:
        return self.amounts_to or error

    async def block(self, connection: str, error: HubError) -> datetime:
        if self.block_fails is not None:
            raise self.block_fails
        self.blocked.append(error)
        return self.block_until

    async def failed(self, admission: Admission, error: HubError) -> None:
        self.failures.append(error.code)

    async def passed(self, admission: Admission) -> None:
        self.passes.append(admission.connection)


class FakeWaitingSet(Failing):
    """Keeps what is parked in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.parked: list[Parked] = []
        self.settled: list[str] = []

    async def park(self, parked: Parked) -> None:
        self.maybe_fail()
        self.parked.append(parked)

    async def settle(self, message: Message) -> None:
        self.maybe_fail()
        self.settled.append(message.build_wakeup().object_id)


class FakePublisher(Failing):
    """Keeps what is published in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[Outgoing] = []

    async def publish(self, outgoing: Outgoing) -> None:
        self.maybe_fail()
        self.published.append(outgoing)

    def on(self, topic: str) -> list[Any]:
        """Return the messages published on a topic."""
        return [one.message for one in self.published if one.topic.name == topic]


Work = Callable[[StripeEventReceived], Awaitable[Sequence[Outgoing]]]


class FakeHandler(Failing):
    """Notes what it handles and reports, and returns `answer`; `work` takes its place where given."""

    def __init__(self, answer: Sequence[Outgoing] = (), work: Work | None = None) -> None:
        super().__init__()
        self.answer = answer
        self.work = work
        self.handled: list[str] = []
        self.reported: list[tuple[str, Failure]] = []
        self.telling: Sequence[Outgoing] = ()
        """What a report has published."""
        self.report_errors: deque[BaseException] = deque()

    async def handle(self, message: StripeEventReceived) -> Sequence[Outgoing]:
        self.handled.append(message.object_id)
        self.maybe_fail()
        return self.answer if self.work is None else await self.work(message)

    async def report(self, message: StripeEventReceived, failure: Failure) -> Sequence[Outgoing]:
        if self.report_errors:
            raise self.report_errors.popleft()
        self.reported.append((message.object_id, failure))
        return self.telling


@dataclass
class FakeRecord:
    """A record as aiokafka hands it over."""

    value: bytes | None
    key: bytes | None
    topic: str = "stripe.events"
    partition: int = 0
    offset: int = field(default_factory=itertools.count().__next__)
    timestamp: int = int(START.timestamp() * 1000)
    headers: Sequence[tuple[str, bytes]] = ()


def build_received(object_id: str = "in_1", connection: str = CONNECTION, **changes: Any) -> StripeEventReceived:
    """Build a head message."""
    defaults: dict[str, Any] = {
        "cause": "webhook",
        "event_type": "invoice.finalized",
        "event_id": "evt_1",
        "occurred_at": START,
    }
    return StripeEventReceived(connection=ConnectionId(connection), object_id=object_id, **{**defaults, **changes})


def build_record(message: StripeEventReceived | None = None, **changes: Any) -> FakeRecord:
    """Build the record of a head message."""
    sent = message or build_received()
    key = build_message_key(sent.connection, sent.object_id).encode()
    defaults: dict[str, Any] = {"value": sent.model_dump_json().encode(), "key": key}
    return FakeRecord(**{**defaults, **changes})


async def wait_until(is_met: Callable[[], bool], within: float = 15.0) -> None:
    """Return once the condition holds; raises TimeoutError, naming it, when it does not in time."""
    try:
        async with asyncio.timeout(within):
            while not is_met():  # noqa: ASYNC110 - any condition, no event
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise TimeoutError(f"still not so after {within} s: {is_met.__qualname__}") from None


class _SkippingSelector(selectors.DefaultSelector):
    """Never waits: what would have been waited for is added to the loop's time."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout is None:
            return ready or super().select(timeout)
        self.skipped += max(timeout, 0)
        return ready


class SkippingLoop(asyncio.SelectorEventLoop):
    """An event loop without waiting: when nothing is to do, time jumps to the next timer. For tests without I/O."""

    def __init__(self) -> None:
        self._skipping = _SkippingSelector()
        super().__init__(self._skipping)

    def time(self) -> float:
        return super().time() + self._skipping.skipped
