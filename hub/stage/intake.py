"""The consumer side: what was taken from which partition, what may be committed, when to pause."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from hub.log import get_logger
from hub.metrics import GAPS, LAG
from hub.stage.offsets import OffsetSlot, PartitionOffsets, Place
from hub.stage.records import Record

# aiokafka tries a commit again for as long as the broker is away; the caller has other things to do meanwhile.
_COMMIT_SECONDS = 5.0


class Consumer(Protocol):
    """The part of AIOKafkaConsumer that the runtime uses."""

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None: ...  # noqa: D102
    async def committed(self, partition: TopicPartition) -> int | None: ...  # noqa: D102
    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]: ...  # noqa: D102
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
        self._not_taken: set[TopicPartition] = set()
        """Revoked, or sought back: what the consumer still hands over is not worked on."""
        self._sought: set[TopicPartition] = set()
        self._missing: dict[TopicPartition, int] = {}
        self._unproved: set[TopicPartition] = set()
        self._consumer: Consumer | None = None
        self._paused = False

    @property
    def consumer(self) -> Consumer | None:
        """The consumer, once the subscriber has started."""
        return self._consumer

    @property
    def is_paused(self) -> bool:
        """Whether fetching stands still."""
        return self._paused

    def bind(self, consumer: Consumer) -> None:
        """Name the consumer that batches come from."""
        self._consumer = consumer

    def begin_batch(self) -> None:
        """A new batch: what was sought back in the last one is read from there again."""
        self._not_taken -= self._sought
        self._sought.clear()

    def take(self, record: Record) -> OffsetSlot | None:
        """Enter a record; None means: do not work on it.

        Not ours any more (its partition is being revoked), or beyond a gap: then the consumer seeks back to the missing
        offset, once. A gap that stays was made by retention or a transaction marker, and is accepted. A record before
        those taken is taken again: the log may have begun anew, and handlers bear duplicates.
        """
        partition = TopicPartition(record.topic, record.partition)
        offsets = self._partitions.get(partition)
        if offsets is None or partition in self._not_taken:
            return None
        match offsets.judge(record.offset):
            case Place.BEYOND if not self._is_accepted(partition, record.offset, offsets):
                return None
            case Place.BACK:
                get_logger().warning(
                    "stage.offsets.back", stage=self._stage, partition=str(partition), at=record.offset
                )
                self._partitions[partition] = offsets = PartitionOffsets()
            case _:
                pass
        return offsets.take(record.offset)

    def _is_accepted(self, partition: TopicPartition, offset: int, offsets: PartitionOffsets) -> bool:
        expected = offsets.next_offset
        if expected is None or self._missing.get(partition) == expected:
            get_logger().warning("stage.offsets.gap_accepted", partition=str(partition), missing=expected, got=offset)
            return True
        self._seek_back(partition, expected, offset)
        return False

    def _seek_back(self, partition: TopicPartition, expected: int, got: int) -> None:
        """Read from the missing offset again. What else this batch brings of the partition comes again behind it."""
        self._missing[partition] = expected
        self._not_taken.add(partition)
        self._sought.add(partition)
        GAPS.labels(self._stage).inc()
        get_logger().warning(
            "stage.offsets.gap", stage=self._stage, partition=str(partition), missing=expected, got=got
        )
        if self._consumer is not None:
            self._consumer.seek(partition, expected)

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
        consumer = self._consumer
        if consumer is None:
            return
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                await self._prove_starts(consumer)
                await self._commit_finished(consumer)
        except (KafkaError, TimeoutError) as error:
            get_logger().warning("stage.offsets.commit_refused", stage=self._stage, why=type(error).__name__)

    async def _commit_finished(self, consumer: Consumer) -> None:
        # One partition that is not assigned would have the whole commit refused.
        moved = [
            (partition, offsets, position)
            for partition, offsets in self._partitions.items()
            if partition not in self._unproved and (position := offsets.committable()) is not None
        ]
        assigned = consumer.assignment()
        positions = {partition: position for partition, _, position in moved if partition in assigned}
        if not positions:
            return
        await consumer.commit(positions)
        for _partition, offsets, position in moved:
            offsets.mark_committed(position)

    async def _prove_starts(self, consumer: Consumer) -> None:
        """Before a partition's first commit: was the first record taken the one at which the group stood?

        Later gaps show in the offsets themselves; a gap before the first record shows only here.
        """
        begun = [partition for partition in self._unproved if self._partitions[partition].first is not None]
        for partition in begun:
            offsets = self._partitions.get(partition)
            stood = await consumer.committed(partition)
            if stood is None:
                stood = (await consumer.beginning_offsets([partition]))[partition]
            if offsets is None or offsets is not self._partitions.get(partition):
                continue  # rebalanced meanwhile
            self._unproved.discard(partition)
            if offsets.first is not None and offsets.first > stood:
                self._partitions[partition] = PartitionOffsets(expected=stood)
                self._seek_back(partition, stood, offsets.first)

    def report_lag(self) -> None:
        """Set the lag gauges from what the last fetches said, without asking the broker."""
        if self._consumer is None:
            return
        for partition in self._consumer.assignment():
            high = self._consumer.highwater(partition)
            offsets = self._partitions.get(partition)
            if high is not None and offsets is not None:
                at = offsets.held_at
                LAG.labels(self._stage, str(partition.partition)).set(max(0, high - (high if at is None else at)))

    def begin_revoke(self, partitions: Iterable[TopicPartition]) -> None:
        """Take nothing more from these."""
        self._not_taken |= set(partitions)

    def end_revoke(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget these: what is still running works on without an offset, under its lease."""
        for partition in partitions:
            self._partitions.pop(partition, None)
            self._unproved.discard(partition)
            LAG.remove(self._stage, str(partition.partition))

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """Begin anew with exactly these. Pauses are lost at every rebalance, so they are applied again."""
        self._partitions = {partition: PartitionOffsets() for partition in partitions}
        self._unproved = set(self._partitions)
        self._not_taken.clear()
        self._sought.clear()
        self._missing.clear()
        if self._paused:
            self._apply_pause()


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
