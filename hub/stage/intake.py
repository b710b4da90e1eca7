"""The consumer side: what was taken from which partition, what may be committed, when to pause."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from hub.log import get_logger
from hub.metrics import GAPS, LAG
from hub.stage.offsets import OffsetSlot, PartitionOffsets, Taken
from hub.stage.records import Record


class Consumer(Protocol):
    """The part of AIOKafkaConsumer that the runtime uses."""

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None: ...  # noqa: D102
    def pause(self, *partitions: TopicPartition) -> None: ...  # noqa: D102
    def resume(self, *partitions: TopicPartition) -> None: ...  # noqa: D102
    def paused(self) -> set[TopicPartition]: ...  # noqa: D102
    def assignment(self) -> frozenset[TopicPartition]: ...  # noqa: D102
    def seek(self, partition: TopicPartition, offset: int) -> None: ...  # noqa: D102
    def highwater(self, partition: TopicPartition) -> int | None: ...  # noqa: D102


class Intake:
    """Offsets and pauses of one consumer. Everything here runs in the event loop's one thread."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._partitions: dict[TopicPartition, PartitionOffsets] = {}
        self._revoking: set[TopicPartition] = set()
        self._accepted_gaps: dict[TopicPartition, int] = {}
        self._consumer: Consumer | None = None
        self._paused = False

    @property
    def consumer(self) -> Consumer | None:
        """The consumer, once the subscriber has started."""
        return self._consumer

    def bind(self, consumer: Consumer) -> None:
        """Name the consumer that batches come from."""
        self._consumer = consumer

    def take(self, record: Record, now: float) -> OffsetSlot | None:
        """Enter a record; None means: do not work on it.

        Not ours any more (its partition is being revoked), taken before, or beyond a gap: then the consumer seeks back
        to the missing offset, once. A gap that stays was made by retention or a transaction marker, and is accepted.
        """
        partition = TopicPartition(record.topic, record.partition)
        if partition in self._revoking:
            return None
        offsets = self._partitions.setdefault(partition, PartitionOffsets())
        match offsets.judge(record.offset):
            case Taken.DUPLICATE:
                return None
            case Taken.GAP if not self._is_accepted(partition, record, offsets):
                return None
            case _:
                return offsets.take(record.offset, now)

    def _is_accepted(self, partition: TopicPartition, record: Record, offsets: PartitionOffsets) -> bool:
        expected = offsets.next_offset
        if expected is None or self._accepted_gaps.get(partition) == expected:
            get_logger().warning("stage.offsets.gap_accepted", partition=str(partition), missing=expected)
            return True
        self._accepted_gaps[partition] = expected
        GAPS.labels(self._stage).inc()
        get_logger().warning("stage.offsets.gap", partition=str(partition), missing=expected, got=record.offset)
        if self._consumer is not None:
            self._consumer.seek(partition, expected)
        return False

    def find_held_since(self, moment: float) -> set[OffsetSlot]:
        """List the records taken before `moment` (monotonic seconds) that still hold their offset."""
        return {
            slot for offsets in self._partitions.values() for slot in offsets.open_slots() if slot.taken_at <= moment
        }

    def set_paused(self, *, paused: bool) -> None:
        """Pause or resume fetching of everything assigned. The poll goes on either way."""
        if paused == self._paused or self._consumer is None:
            return
        self._paused = paused
        self._apply_pause()

    def _apply_pause(self) -> None:
        if self._consumer is None:
            return
        assigned = self._consumer.assignment()
        if self._paused:
            self._consumer.pause(*assigned)
        else:
            self._consumer.resume(*(self._consumer.paused() & assigned))

    async def commit(self) -> None:
        """Commit what is finished. A refused commit is no loss: the records come again, to whoever owns them now."""
        positions = {
            partition: position
            for partition, offsets in self._partitions.items()
            if (position := offsets.committable()) is not None
        }
        if not positions or self._consumer is None:
            return
        try:
            await self._consumer.commit(positions)
        except (CommitFailedError, IllegalStateError, KafkaError) as error:
            get_logger().warning("stage.offsets.commit_refused", stage=self._stage, why=type(error).__name__)
            return
        for partition, position in positions.items():
            if (offsets := self._partitions.get(partition)) is not None:
                offsets.mark_committed(position)

    def report_lag(self) -> None:
        """Set the lag gauges from what the last fetches said, without asking the broker."""
        if self._consumer is None:
            return
        for partition in self._consumer.assignment():
            high = self._consumer.highwater(partition)
            offsets = self._partitions.get(partition)
            if high is not None and offsets is not None:
                oldest = offsets.oldest_open
                position = oldest.offset if oldest else offsets.next_offset or high
                LAG.labels(self._stage, str(partition.partition)).set(max(0, high - position))

    def begin_revoke(self, partitions: Iterable[TopicPartition]) -> None:
        """Take nothing more from these."""
        self._revoking |= set(partitions)

    def end_revoke(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget these: what is still running works on without an offset, under its lease."""
        for partition in partitions:
            self._partitions.pop(partition, None)
            self._accepted_gaps.pop(partition, None)

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """Begin anew with these. Pauses are lost at every rebalance, so they are applied again."""
        self._revoking -= set(partitions)
        if self._paused:
            self._apply_pause()

    def open_count(self, partitions: Iterable[TopicPartition]) -> int:
        """Count the records of these partitions that are not finished."""
        return sum(len(self._partitions[tp].open_slots()) for tp in partitions if tp in self._partitions)


class RebalanceListener(ConsumerRebalanceListener):
    """Hands aiokafka's callbacks on; it is made before the consumer is."""

    def __init__(
        self,
        on_revoked: Callable[[set[TopicPartition]], Awaitable[None]],
        on_assigned: Callable[[set[TopicPartition]], Awaitable[None]],
    ) -> None:
        self._on_revoked = on_revoked
        self._on_assigned = on_assigned

    async def on_partitions_revoked(  # pyright: ignore[reportIncompatibleMethodOverride] - aiokafka awaits either form
        self, revoked: Any
    ) -> None:
        """Called before a rebalance; the group waits for it, up to the rebalance timeout."""
        await self._on_revoked(set(revoked))

    async def on_partitions_assigned(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, assigned: Any
    ) -> None:
        """Called after it."""
        await self._on_assigned(set(assigned))
