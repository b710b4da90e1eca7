"""A stage: FastStream's batch subscriber feeding a keyed dispatcher, with offsets, pauses and drains of our own.

Why not FastStream's acknowledgement: every policy of it either commits before the work is done or commits the
consumer's whole position (docs/decisions/0003). The subscriber's parser and decoder are ours too, because the built-in
ones decode a whole batch before the handler sees it, and one bad body silently drops its neighbours.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar, cast

import structlog
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import FAKE_CONSUMER, KafkaAckableMessage

from hub.log import get_logger
from hub.metrics import AGE, DURATION, IN_HAND, MESSAGES, PAUSED
from hub.stage.dispatch import KeyedDispatcher, Window
from hub.stage.intake import Consumer, Intake, RebalanceListener
from hub.stage.offsets import OffsetSlot
from hub.stage.ports import Handler
from hub.stage.processing import Processor, StageIdentity, Surroundings
from hub.stage.records import Record, find_header
from hub.trace import HEADER, begin_trace
from schemas.messages import Message, StageName
from schemas.topics import CONSUMED_BY, get_group

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class StagePolicy:
    """The runtime's numbers, with their reasons (all measured or derived in docs/decisions/0003)."""

    window: Window = field(default_factory=Window)
    # 200 ms, FastStream's default, costs 100 to 300 ms a hop when idle.
    batch_timeout: timedelta = timedelta(milliseconds=10)
    max_records: int = 500
    # A crash repeats at most this much finished work.
    commit_interval: timedelta = timedelta(milliseconds=200)
    # No record holds its offset longer: then it waits in the ledger, and those behind it may be committed.
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


@dataclass(slots=True, eq=False)
class Held:
    """A record in hand."""

    record: Record
    slot: OffsetSlot
    over_share: bool


class Stage(Generic[M]):
    """One consumer of one topic. `attach` before the broker starts, `start` after, `drain` before it stops."""

    def __init__(
        self,
        identity: StageIdentity,
        handler: Handler[M],
        broker: KafkaBroker,
        surroundings: Surroundings,
        policy: StagePolicy | None = None,
    ) -> None:
        topic = CONSUMED_BY[identity.name]
        self._name: StageName = identity.name
        self._topic = topic
        self._clock = surroundings.clock
        self._broker = broker
        self._policy = policy or StagePolicy()
        self._defects = surroundings.defects
        self._processor: Processor[M] = Processor(identity, cast("type[M]", topic.message), handler, surroundings)
        self._dispatcher: KeyedDispatcher[Held] = KeyedDispatcher(self._work, self._policy.window)
        self._intake = Intake(identity.name)
        self._held: dict[OffsetSlot, Held] = {}
        self._parking: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._last_poll = self._clock.monotonic()
        self._stopping = False
        self._subscriber: Any = None

    @property
    def seconds_since_poll(self) -> float:
        """Age of the last poll: what liveness looks at."""
        consumer = self._intake.consumer or getattr(self._subscriber, "consumer", None)
        if consumer is None:
            return 0.0
        return self._clock.monotonic() - self._last_poll

    @property
    def is_assigned(self) -> bool:
        """Whether the group has given this consumer a place, even one without partitions."""
        consumer = getattr(self._subscriber, "consumer", None)
        coordinator = getattr(consumer, "_coordinator", None)
        return coordinator is not None and getattr(coordinator, "generation", -1) > 0

    @property
    def failure(self) -> BaseException | None:
        """A defect of the runtime itself, after which the process should end."""
        return self._dispatcher.failure

    def attach(self) -> None:
        """Register the subscriber with the broker."""
        policy = self._policy
        self._subscriber = self._broker.subscriber(
            self._topic.name,
            group_id=get_group(self._name),
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            batch=True,
            max_records=policy.max_records,
            batch_timeout_ms=_ms(policy.batch_timeout),
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
        self._intake.bind(cast("Consumer", self._subscriber.consumer))
        self._loops = [asyncio.create_task(self._tend())]

    async def drain(self) -> None:
        """Take nothing new, finish what is in hand within the deadline, commit. Safe to call twice."""
        if self._stopping:
            return
        self._stopping = True
        self._intake.set_paused(paused=True)
        self._dispatcher.drop_queued(lambda _held: True)
        finished = await self._dispatcher.wait_idle(self._policy.stop_drain.total_seconds())
        await self._intake.commit()
        for task in (*self._loops, *self._parking):
            task.cancel()
        if not finished:
            get_logger().warning("stage.drain.unfinished", stage=self._name, left=self._dispatcher.in_hand)
            self._dispatcher.cancel()
        await asyncio.gather(*self._loops, *self._parking, return_exceptions=True)

    async def _on_batch(self, message: KafkaMessage) -> None:
        """Take a batch in. Never awaits: the next poll must come soon, whatever the work does."""
        self._last_poll = self._clock.monotonic()
        if self._stopping:
            return
        for record in cast("Sequence[ConsumerRecord[bytes, bytes]]", message.raw_message):
            self._take(cast("Record", record))
        self._apply_window()

    def _take(self, record: Record) -> None:
        slot = self._intake.take(record, self._clock.monotonic())
        if slot is None:
            return
        # Keyless records come from outside the hub; each is a key of its own, so that none waits for another.
        key = record.key or b"%d-%d" % (record.partition, record.offset)
        held = Held(record, slot, over_share=self._dispatcher.is_over_share(key))
        if held.over_share:
            self._park_aside(
                held, "stage.share", "Waits its turn: this connection has much in hand.", timedelta(seconds=1)
            )
            return
        self._held[slot] = held
        self._dispatcher.submit(key, held)

    async def _work(self, held: Held) -> None:
        """Bring one record to its end. Raises nothing but cancellation."""
        record = held.record
        began = self._clock.monotonic()
        trace_id = begin_trace(find_header(record, HEADER))
        age = max(0.0, self._clock.now().timestamp() - record.timestamp / 1000)
        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            ending = await self._processor.process(record)
            seconds = self._clock.monotonic() - began
            get_logger().info(
                "stage.message.finished",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                key=(record.key or b"").decode("utf-8", "replace"),
                outcome=ending,
                seconds=round(seconds, 4),
            )
        self._finish(held)
        AGE.labels(self._name).observe(age)
        DURATION.labels(self._name).observe(seconds)
        MESSAGES.labels(self._name, ending).inc()

    def _finish(self, held: Held) -> None:
        held.slot.done = True
        self._held.pop(held.slot, None)
        self._apply_window()

    def _park_aside(self, held: Held, code: str, reason: str, wait: timedelta) -> None:
        """Put a record into the waiting set beside the key's queue; its work, if begun, goes on."""

        async def park() -> None:
            await self._processor.park(held.record, code=code, reason=reason, wait=wait)
            held.slot.done = True
            MESSAGES.labels(self._name, "waiting").inc()

        task = asyncio.create_task(park())
        self._parking.add(task)
        task.add_done_callback(self._parking.discard)

    def _apply_window(self) -> None:
        crowded = self._dispatcher.is_full or len(self._parking) >= self._policy.window.size
        full = crowded or self._stopping or self._defects.is_tripped
        if full or self._dispatcher.has_room:
            self._intake.set_paused(paused=full)
            PAUSED.labels(self._name, "window").set(1 if full else 0)

    async def _tend(self) -> None:
        """Commit, look for records held too long, and keep the gauges."""
        while True:
            await asyncio.sleep(self._policy.commit_interval.total_seconds())
            consumer = self._intake.consumer
            if consumer is not None and self._is_polling(consumer):
                self._last_poll = self._clock.monotonic()
            self._apply_window()
            self._release_long_held()
            await self._intake.commit()
            self._intake.report_lag()
            IN_HAND.labels(self._name).set(self._dispatcher.in_hand)

    def _is_polling(self, consumer: Consumer) -> bool:
        """An idle poll reaches no handler; aiokafka knows how long nobody has asked the fetcher."""
        subscription = getattr(consumer, "_subscription", None)
        idle = getattr(subscription, "fetcher_idle_time", None)
        return idle is not None and idle < self._policy.session_timeout.total_seconds()

    def _release_long_held(self) -> None:
        if self._defects.is_tripped:
            return
        overdue = self._intake.find_held_since(self._clock.monotonic() - self._policy.hold.total_seconds())
        for slot in overdue:
            if (held := self._held.pop(slot, None)) is not None:
                self._park_aside(held, "stage.slow", "Takes longer than usual.", self._policy.hold * 4)

    async def _on_revoked(self, partitions: set[TopicPartition]) -> None:
        """Finish what can be finished in time, commit, let go. Nothing in flight is cancelled."""
        self._intake.begin_revoke(partitions)
        self._dispatcher.drop_queued(lambda held: _partition_of(held) in partitions)
        self._forget_dropped(partitions)
        if self._intake.open_count(partitions):
            await self._dispatcher.wait_idle(self._policy.revoke_drain.total_seconds())
        await self._intake.commit()
        self._intake.end_revoke(partitions)
        get_logger().info("stage.partitions.revoked", stage=self._name, partitions=len(partitions))

    def _forget_dropped(self, partitions: set[TopicPartition]) -> None:
        for slot, held in list(self._held.items()):
            if _partition_of(held) in partitions:
                del self._held[slot]

    async def _on_assigned(self, partitions: set[TopicPartition]) -> None:
        with contextlib.suppress(AttributeError):
            self._intake.bind(cast("Consumer", self._subscriber.consumer))
        self._intake.assigned(partitions)
        get_logger().info("stage.partitions.assigned", stage=self._name, partitions=len(partitions))


def _partition_of(held: Held) -> TopicPartition:
    return TopicPartition(held.record.topic, held.record.partition)


def _ms(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)


async def _parse_raw(message: Any) -> KafkaAckableMessage:
    """Hand the batch on untouched."""
    return KafkaAckableMessage(body=b"", raw_message=message, message_id="batch", consumer=FAKE_CONSUMER)


async def _decode_nothing(message: KafkaMessage) -> Any:
    return message.body
