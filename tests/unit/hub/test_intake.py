"""The consumer side: gaps, rebalances, refused commits, pauses."""

import asyncio
from collections.abc import Iterable, Mapping

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, RequestTimedOutError
from prometheus_client import REGISTRY

from hub.stage.intake import Intake
from hub.stage.offsets import OffsetSlot
from tests.fakes import Failing, FakeRecord, build_record

P0, P1 = TopicPartition("stripe.events", 0), TopicPartition("stripe.events", 1)


class FakeConsumer(Failing):
    """A consumer's bookkeeping, without a broker."""

    def __init__(self) -> None:
        super().__init__()
        self.assigned: set[TopicPartition] = {P0, P1}
        self.group: dict[TopicPartition, int] = {}
        self.log_start = 0
        self.paused_now: set[TopicPartition] = set()
        self.seeks: list[tuple[TopicPartition, int]] = []
        self.commits: list[dict[TopicPartition, int]] = []
        self.hangs = False

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        self.maybe_fail()
        assert set(offsets) <= self.assigned
        self.commits.append(dict(offsets))
        self.group.update(offsets)

    async def committed(self, partition: TopicPartition) -> int | None:
        return self.group.get(partition)

    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(partitions, self.log_start)

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused_now |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.paused_now -= set(partitions)

    def paused(self) -> set[TopicPartition]:
        return set(self.paused_now)

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self.assigned)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.seeks.append((partition, offset))

    def highwater(self, partition: TopicPartition) -> int | None:
        return 100 if partition == P0 else None


@pytest.fixture
def consumer() -> FakeConsumer:
    return FakeConsumer()


@pytest.fixture
def intake(consumer: FakeConsumer) -> Intake:
    intake = Intake("contacts")
    intake.bind(consumer)
    intake.assigned({P0, P1})
    return intake


def record(offset: int, partition: int = 0) -> FakeRecord:
    return build_record(offset=offset, partition=partition)


def take_batch(intake: Intake, *offsets: int, partition: int = 0) -> list[OffsetSlot]:
    intake.begin_batch()
    slots = [intake.take(record(offset, partition)) for offset in offsets]
    return [slot for slot in slots if slot is not None]


def finish(slots: Iterable[OffsetSlot]) -> None:
    for slot in slots:
        slot.done = True


async def test_finished_records_are_committed_once(intake: Intake, consumer: FakeConsumer) -> None:
    finish(take_batch(intake, 0, 1, 2))
    await intake.commit()
    await intake.commit()
    assert consumer.commits == [{P0: 3}]


async def test_an_unfinished_record_holds_only_its_own_partition(intake: Intake, consumer: FakeConsumer) -> None:
    finish(take_batch(intake, 0, 1)[1:])
    finish(take_batch(intake, 0, partition=1))
    await intake.commit()
    assert consumer.commits == [{P1: 1}]


# --- gaps


def test_a_gap_seeks_back_and_takes_nothing_beyond_it(intake: Intake, consumer: FakeConsumer) -> None:
    """The rest of the batch lies beyond the gap as well; taking it would commit past what was never seen."""
    assert [slot.offset for slot in take_batch(intake, 0, 1, 5, 6, 7)] == [0, 1]
    assert consumer.seeks == [(P0, 2)]
    assert [slot.offset for slot in take_batch(intake, 2, 3, 4, 5)] == [2, 3, 4, 5]


def test_a_gap_that_stays_is_accepted(intake: Intake, consumer: FakeConsumer) -> None:
    take_batch(intake, 0)
    take_batch(intake, 5, 6)
    assert [slot.offset for slot in take_batch(intake, 5, 6)] == [5, 6]
    assert consumer.seeks == [(P0, 1)]


def test_a_second_gap_is_sought_back_too(intake: Intake, consumer: FakeConsumer) -> None:
    take_batch(intake, 0)
    take_batch(intake, 5)
    take_batch(intake, 5)
    take_batch(intake, 9)
    assert consumer.seeks == [(P0, 1), (P0, 6)]


def test_a_gap_in_one_partition_does_not_concern_another(intake: Intake) -> None:
    take_batch(intake, 0)
    intake.begin_batch()
    assert intake.take(record(3)) is None
    assert intake.take(record(0, partition=1)) is not None


async def test_a_log_that_begins_anew_is_read_from_there(intake: Intake, consumer: FakeConsumer) -> None:
    """A recreated topic starts at 0; taken for duplicates, everything up to the old position would be lost."""
    finish(take_batch(intake, 0, 1, 2))
    await intake.commit()
    slots = take_batch(intake, 0, 1)
    assert [slot.offset for slot in slots] == [0, 1]
    finish(slots)
    await intake.commit()
    assert consumer.commits == [{P0: 3}, {P0: 2}]


async def test_a_first_record_beyond_where_the_group_stood_is_sought_back(
    intake: Intake, consumer: FakeConsumer
) -> None:
    consumer.group[P0] = 4
    finish(take_batch(intake, 7, 8))
    await intake.commit()
    assert consumer.commits == []
    assert consumer.seeks == [(P0, 4)]
    finish(take_batch(intake, 4, 5, 6, 7, 8))
    await intake.commit()
    assert consumer.commits == [{P0: 9}]


async def test_a_group_without_offsets_stood_at_the_beginning(intake: Intake, consumer: FakeConsumer) -> None:
    consumer.log_start = 3
    finish(take_batch(intake, 3))
    finish(take_batch(intake, 4, partition=1))
    await intake.commit()
    assert consumer.commits == [{P0: 4}]
    assert consumer.seeks == [(P1, 3)]


async def test_a_first_record_that_retention_left_is_accepted(intake: Intake, consumer: FakeConsumer) -> None:
    consumer.group[P0] = 4
    finish(take_batch(intake, 7))
    await intake.commit()
    finish(take_batch(intake, 7))
    await intake.commit()
    assert consumer.commits == [{P0: 8}]


# --- commits that fail


@pytest.mark.parametrize("error", [CommitFailedError(), RequestTimedOutError()])
async def test_a_refused_commit_is_tried_again(intake: Intake, consumer: FakeConsumer, error: Exception) -> None:
    finish(take_batch(intake, 0))
    consumer.fail_next(error)
    await intake.commit()
    assert consumer.commits == []
    await intake.commit()
    assert consumer.commits == [{P0: 1}]


async def test_a_commit_without_an_answer_is_given_up_in_time(intake: Intake, consumer: FakeConsumer) -> None:
    finish(take_batch(intake, 0))
    consumer.hangs = True
    began = asyncio.get_running_loop().time()
    await intake.commit()
    assert asyncio.get_running_loop().time() - began < 6
    consumer.hangs = False
    await intake.commit()
    assert consumer.commits == [{P0: 1}]


async def test_a_partition_that_is_gone_does_not_have_the_others_refused(
    intake: Intake, consumer: FakeConsumer
) -> None:
    finish(take_batch(intake, 0))
    finish(take_batch(intake, 0, partition=1))
    consumer.assigned = {P1}
    await intake.commit()
    assert consumer.commits == [{P1: 1}]


# --- rebalances


def test_nothing_is_taken_of_what_is_being_revoked(intake: Intake) -> None:
    intake.begin_revoke({P0})
    assert take_batch(intake, 0) == []
    assert len(take_batch(intake, 0, partition=1)) == 1


def test_nothing_is_taken_of_what_is_not_ours(intake: Intake) -> None:
    intake.begin_revoke({P0, P1})
    intake.end_revoke({P0, P1})
    intake.assigned({P1})
    assert take_batch(intake, 0) == []
    assert len(take_batch(intake, 0, partition=1)) == 1


async def test_a_slot_of_before_the_rebalance_commits_nothing(intake: Intake, consumer: FakeConsumer) -> None:
    (before,) = take_batch(intake, 0)
    intake.begin_revoke({P0, P1})
    intake.end_revoke({P0, P1})
    intake.assigned({P0, P1})
    take_batch(intake, 0)
    before.done = True
    await intake.commit()
    assert consumer.commits == []


async def test_an_assignment_begins_anew_even_if_the_revoke_failed(intake: Intake, consumer: FakeConsumer) -> None:
    take_batch(intake, 0, 1)
    intake.begin_revoke({P0, P1})
    intake.assigned({P0, P1})
    finish(take_batch(intake, 0, 1))
    await intake.commit()
    assert consumer.commits == [{P0: 2}]


def test_pauses_are_applied_again_after_a_rebalance(intake: Intake, consumer: FakeConsumer) -> None:
    intake.set_paused(paused=True)
    assert consumer.paused_now == {P0, P1}
    consumer.paused_now.clear()
    intake.assigned({P0, P1})
    assert consumer.paused_now == {P0, P1}
    intake.set_paused(paused=False)
    assert consumer.paused_now == set()


async def test_lag_counts_from_the_record_that_holds_the_commit_back(intake: Intake) -> None:
    def lag() -> float | None:
        return REGISTRY.get_sample_value("hub_stage_lag_messages", {"stage": "contacts", "partition": "0"})

    slots = take_batch(intake, 40, 41, 42)
    finish(slots[1:])
    intake.report_lag()
    assert lag() == 60
    finish(slots)
    intake.report_lag()
    assert lag() == 57
    intake.end_revoke({P0})
    assert lag() is None
