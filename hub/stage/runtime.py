"""A stage: FastStream's batch subscriber feeding a keyed dispatcher, with offsets, pauses and drains of our own.

Why not FastStream's acknowledgement: every policy of it either commits before the work is done or commits the
consumer's whole position (docs/decisions/0003). The subscriber's parser and decoder are ours too, because the built-in
ones decode a whole batch before the handler sees it, and one bad body silently drops its neighbours.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar, cast, get_args

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import FAKE_CONSUMER, KafkaAckableMessage
from structlog.contextvars import bind_contextvars

from hub.broker import MAX_MESSAGE_BYTES
from hub.ending import end_all
from hub.log import get_logger
from hub.metrics import AGE, DURATION, IN_HAND, MESSAGES, PAUSED
from hub.stage.claim import Claim
from hub.stage.dispatch import KeyedDispatcher, Window
from hub.stage.group import heed_coordinator
from hub.stage.intake import Consumer, Intake, RebalanceListener
from hub.stage.offsets import OffsetSlot
from hub.stage.poll import Poll
from hub.stage.ports import Handler
from hub.stage.processing import Ending, Processor, StageIdentity, Surroundings
from hub.stage.records import Record, find_header
from hub.trace import HEADER, begin_trace
from schemas.messages import Message, StageName
from schemas.topics import CONSUMED_BY, Topic, get_group

M = TypeVar("M", bound=Message)

# A message done within this has its closing line at debug level: at full speed the lines would cost more than the work.
_QUICK = 1.0
# What is over its connection's share waits at least this long.
_SHARE_WAIT = timedelta(seconds=1)
# A record held too long mostly waited for its connection's limits; if its work still runs, the next round waits behind.
_SLOW_WAIT = timedelta(seconds=5)


@dataclass(frozen=True)
class StagePolicy:
    """The runtime's numbers, with their reasons (all measured or derived in docs/decisions/0003)."""

    window: Window = field(default_factory=Window)
    # 200 ms, FastStream's default, costs 100 to 300 ms a hop when idle.
    batch_timeout: timedelta = timedelta(milliseconds=10)
    # The embedded broker looks for new records but a few times within it: aiokafka's 500 ms cost 100 ms a hop there.
    fetch_wait: timedelta = timedelta(milliseconds=100)
    max_records: int = 500
    # A crash repeats at most this much finished work.
    commit_interval: timedelta = timedelta(milliseconds=200)
    # No record holds its offset longer: then it waits in the ledger, and those behind it may be committed. Only while a
    # run of defects holds the stage (`hub/stage/defects.py`) do records keep their offsets as long as it lasts.
    hold: timedelta = timedelta(seconds=30)
    # How long a revoke waits for work in flight; the group stands still meanwhile.
    revoke_drain: timedelta = timedelta(seconds=3)
    # How long a SIGTERM does: within Kubernetes' default grace of 30 s.
    stop_drain: timedelta = timedelta(seconds=20)
    session_timeout: timedelta = timedelta(seconds=10)
    heartbeat: timedelta = timedelta(milliseconds=500)

    @property
    def rebalance_timeout(self) -> timedelta:
        """Drain plus room to rejoin; aiokafka's default of 10 s would throw out a draining member."""
        return self.revoke_drain + timedelta(seconds=10)


@dataclass(frozen=True)
class Source:
    """Where a stage's messages come from, and in which consumer group it reads them."""

    topic: Topic
    group: str

    @classmethod
    def of(cls, stage: StageName) -> "Source":
        """Return what the topic registry says."""
        return cls(CONSUMED_BY[stage], get_group(stage))


@dataclass(slots=True, eq=False)
class Held:
    """A record in hand: taken, and neither finished nor given up."""

    record: Record
    slot: OffsetSlot
    since: float
    claim: Claim = field(default_factory=Claim)
    is_aside: bool = False
    """It is being put into the waiting set."""


class Stage(Generic[M]):
    """One consumer of one topic. `attach` before the broker starts, `start` after, `drain` before it stops."""

    def __init__(
        self,
        identity: StageIdentity,
        handler: Handler[M],
        broker: KafkaBroker,
        surroundings: Surroundings,
        policy: StagePolicy | None = None,
        *,
        source: Source | None = None,
    ) -> None:
        self._name: StageName = identity.name
        self._source = source or Source.of(identity.name)
        self._log = get_logger()
        self._clock = surroundings.clock
        self._broker = broker
        self._policy = policy or StagePolicy()
        self._defects = surroundings.defects
        message_type = cast("type[M]", self._source.topic.message)
        self._processor: Processor[M] = Processor(identity, message_type, handler, surroundings)
        self._dispatcher: KeyedDispatcher[Held] = KeyedDispatcher(self._work, self._policy.window.share)
        self._intake = Intake(identity.name)
        self._tally = _Tally(identity.name)
        # In the order taken, so the oldest come first.
        self._held: dict[Held, None] = {}
        self._aside: set[asyncio.Task[None]] = set()
        self._progress = asyncio.Event()
        self._tending: asyncio.Task[None] | None = None
        self._poll = Poll(identity.name, self._clock)
        self._unheld_since = 0.0
        self._stopping = False
        self._has_joined = False
        self._subscriber: Any = None

    @property
    def seconds_since_poll(self) -> float:
        """Age of the last poll that did not fail: what liveness looks at."""
        return 0.0 if self._intake.consumer is None else self._clock.monotonic() - self._poll.last_good

    @property
    def is_assigned(self) -> bool:
        """Whether the group has given this consumer a place, even one without partitions."""
        return self._has_joined

    @property
    def failure(self) -> BaseException | None:
        """A defect of the runtime itself, after which the process should end."""
        tending = self._tending
        if tending is not None and tending.done() and not tending.cancelled():
            return tending.exception() or self._dispatcher.failure
        return self._dispatcher.failure

    def attach(self) -> None:
        """Register the subscriber with the broker."""
        policy = self._policy
        self._subscriber = self._broker.subscriber(
            self._source.topic.name,
            group_id=self._source.group,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            batch=True,
            max_records=policy.max_records,
            batch_timeout_ms=_ms(policy.batch_timeout),
            fetch_max_wait_ms=_ms(policy.fetch_wait),
            # A record larger than a fetch may be is skipped by aiokafka, and would be lost.
            max_partition_fetch_bytes=2 * MAX_MESSAGE_BYTES,
            listener=RebalanceListener(self._on_revoked, self._on_assigned),
            partition_assignment_strategy=(RangePartitionAssignor,),
            rebalance_timeout_ms=_ms(policy.rebalance_timeout),
            session_timeout_ms=_ms(policy.session_timeout),
            heartbeat_interval_ms=_ms(policy.heartbeat),
            parser=_parse_raw,
            decoder=_decode_nothing,
        )
        self._subscriber(self._on_batch)

    async def start(self) -> None:
        """Begin committing. The subscriber consumes as soon as the broker has started."""
        self._bind()
        self._tending = asyncio.create_task(self._tend())
        self._tending.add_done_callback(self._note_end)

    def _note_end(self, tending: asyncio.Task[None]) -> None:
        """Say why nothing is committed any more; /healthz says so until the process is restarted."""
        if not tending.cancelled() and (failure := tending.exception()) is not None:
            get_logger().error("stage.runtime.failed", stage=self._name, exc_info=failure)

    def _bind(self) -> None:
        consumer = self._subscriber.consumer
        self._intake.bind(cast("Consumer", consumer))
        self._poll.watch(consumer)
        heed_coordinator(consumer)

    async def drain(self) -> None:
        """Take nothing new, finish what is in hand within the deadline, commit. A second call does nothing."""
        if self._stopping:
            return
        self._stopping = True
        self._intake.set_paused(paused=True)
        self._let_go(lambda _held: True)
        finished = await self._wait_finished(lambda _held: True, self._policy.stop_drain)
        if self._tending is not None:
            await end_all([self._tending])
        await self._intake.commit()
        if not finished:
            get_logger().warning("stage.drain.unfinished", stage=self._name, left=len(self._held))
            self._dispatcher.cancel()
            for task in self._aside:
                task.cancel()
            await asyncio.gather(*self._aside, return_exceptions=True)

    async def _on_batch(self, message: KafkaMessage) -> None:
        """Take a batch in. Never awaits: the next poll must come soon, whatever the work does."""
        now = self._clock.monotonic()
        if self._stopping:
            return
        self._intake.begin_batch()
        for record in cast("Sequence[ConsumerRecord[bytes, bytes]]", message.raw_message):
            self._take(cast("Record", record), now)
        self._apply_window()

    def _take(self, record: Record, now: float) -> None:
        slot = self._intake.take(record)
        if slot is None:
            return
        held = Held(record, slot, now)
        self._held[held] = None
        # Keyless records come from outside the hub; each is a key of its own, so that none waits for another.
        key = record.key or b"%d-%d" % (record.partition, record.offset)
        if not self._dispatcher.submit(key, held):
            self._put_aside(held, _SHARE_WAIT, code="stage.share")

    async def _work(self, held: Held) -> None:
        """Bring one record to its end. Raises nothing but cancellation."""
        record = held.record
        if held.claim.lost:
            return
        began = self._clock.monotonic()
        # Bound for every line logged on the way; the context is the key's own task's, and ends with it.
        bind_contextvars(
            trace_id=begin_trace(find_header(record, HEADER)),
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=(record.key or b"").decode("utf-8", "replace"),
        )
        ending = await self._processor.process(record, held.claim)
        seconds = self._clock.monotonic() - began
        log = self._log.debug if ending == "done" and seconds < _QUICK else self._log.info
        log("stage.message.finished", outcome=ending, seconds=round(seconds, 4))
        self._finish(held, ending)
        self._tally.count(ending, seconds, self._clock.now().timestamp() - seconds - record.timestamp / 1000)

    def _finish(self, held: Held, ending: Ending) -> None:
        self._held.pop(held, None)
        if ending != "dropped":
            held.slot.done = True
        self._progress.set()
        if self._intake.is_paused:
            self._apply_window()

    def _put_aside(self, held: Held, wait: timedelta, *, code: str) -> None:
        """Put a record into the waiting set beside the key's queue; its work, if begun, goes on."""

        async def park() -> None:
            ending = await self._processor.park(held.record, held.claim, wait, code=code)
            # Whoever is still at work on it need not try again: it comes round.
            held.claim.give_up()
            if held in self._held:
                self._finish(held, ending)
                self._tally.count(ending)

        held.is_aside = True
        task = asyncio.create_task(park())
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    def _apply_window(self) -> None:
        load = self._dispatcher.in_hand + len(self._aside)
        window = self._policy.window
        # A stage that holds what it has takes more, as long as there is room: one that goes through tells that it is
        # the others' fault.
        full = load >= window.size or self._stopping
        if full or load <= window.low_mark:
            self._intake.set_paused(paused=full)

    async def _tend(self) -> None:
        """Commit, look for records held too long, and keep the gauges."""
        while True:
            await asyncio.sleep(self._policy.commit_interval.total_seconds())
            self._apply_window()
            self._release_long_held()
            await self._intake.commit()
            self._intake.report_lag()
            self._tally.show(len(self._held), paused=self._intake.is_paused)

    def _release_long_held(self) -> None:
        """Put aside what holds its offset too long; what has not been begun is not begun any more."""
        now = self._clock.monotonic()
        if self._defects.is_tripped:
            self._unheld_since = now
        moment = now - self._policy.hold.total_seconds()
        overdue: set[Held] = set()
        for held in self._held:
            if max(held.since, self._unheld_since) > moment:
                break
            if not held.is_aside:
                overdue.add(held)
        if overdue:
            self._dispatcher.drop_queued(overdue.__contains__)
        for held in overdue:
            self._put_aside(held, _SLOW_WAIT, code="stage.slow")

    async def _on_revoked(self, partitions: set[TopicPartition]) -> None:
        """Finish what can be finished in time, commit, let go. No call under way is cancelled."""

        def is_revoked(held: Held) -> bool:
            return held.record.partition in numbers

        numbers = {partition.partition for partition in partitions}
        self._intake.begin_revoke(partitions)
        self._let_go(is_revoked)
        await self._wait_finished(is_revoked, self._policy.revoke_drain)
        await self._intake.commit()
        self._intake.end_revoke(partitions)
        self._forget([held for held in self._held if is_revoked(held)])
        get_logger().info("stage.partitions.revoked", stage=self._name, partitions=len(partitions))

    def _let_go(self, is_concerned: Callable[[Held], bool]) -> None:
        """Drop what is queued, cut pauses short; calls under way go on."""
        self._forget(self._dispatcher.drop_queued(is_concerned))
        for held in self._held:
            if is_concerned(held):
                held.claim.give_up()

    def _forget(self, dropped: Collection[Held]) -> None:
        for held in dropped:
            held.claim.give_up()
            self._held.pop(held, None)

    async def _wait_finished(self, is_concerned: Callable[[Held], bool], within: timedelta) -> bool:
        """Wait until nothing concerned is in hand; False if that takes too long. Cancels nothing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                while any(is_concerned(held) for held in self._held):
                    self._progress.clear()
                    await self._progress.wait()
                return True
        return False

    async def _on_assigned(self, partitions: set[TopicPartition]) -> None:
        self._has_joined = True
        # aiokafka assigns before it has started, so the first poll is watched already.
        self._bind()
        self._intake.assigned(partitions)
        get_logger().info("stage.partitions.assigned", stage=self._name, partitions=len(partitions))


class _Tally:
    """A stage's metrics, with their labels looked up once."""

    def __init__(self, stage: StageName) -> None:
        endings: tuple[Ending, ...] = get_args(Ending)
        self._endings = {ending: MESSAGES.labels(stage, ending) for ending in endings}
        self._age = AGE.labels(stage)
        self._duration = DURATION.labels(stage)
        self._in_hand = IN_HAND.labels(stage)
        self._paused = PAUSED.labels(stage, "window")

    def count(self, ending: Ending, seconds: float | None = None, age: float | None = None) -> None:
        """Count a message that ended; `age` is what it had when its work began."""
        self._endings[ending].inc()
        if seconds is not None:
            self._duration.observe(seconds)
        if age is not None:
            self._age.observe(max(0.0, age))

    def show(self, in_hand: int, *, paused: bool) -> None:
        """Set the gauges."""
        self._in_hand.set(in_hand)
        self._paused.set(1 if paused else 0)


def _ms(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)


async def _parse_raw(message: Any) -> KafkaAckableMessage:
    """Hand the batch on untouched."""
    return KafkaAckableMessage(body=b"", raw_message=message, message_id="batch", consumer=FAKE_CONSUMER)


async def _decode_nothing(message: KafkaMessage) -> Any:
    return message.body
