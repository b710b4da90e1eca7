"""The coordinator of a group that cannot tell committed offsets yet is not taken for one that has none."""

from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import GroupLoadInProgressError, NotCoordinatorForGroupError
from aiokafka.protocol.commit import OffsetFetchResponse_v3

from hub.stage.group import heed_coordinator

PARTITION = TopicPartition("stripe.events", 0)


class Coordinator:
    """aiokafka's own reading of an answer, without a broker."""

    group_id = "hub.contacts"

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.deaths = 0

    async def _send_req(self, request: Any) -> Any:
        return self.answer

    def coordinator_dead(self) -> None:
        self.deaths += 1

    async def fetch(self) -> dict[TopicPartition, Any]:
        return await GroupCoordinator._do_fetch_commit_offsets(cast("GroupCoordinator", self), [PARTITION])


class Consumer:
    def __init__(self, answer: Any) -> None:
        self._coordinator = Coordinator(answer)
        heed_coordinator(self)

    async def fetch(self) -> dict[TopicPartition, Any]:
        return await self._coordinator.fetch()


async def test_a_coordinator_that_is_still_loading_is_asked_again() -> None:
    loading = OffsetFetchResponse_v3(0, [], GroupLoadInProgressError.errno)
    with pytest.raises(GroupLoadInProgressError) as caught:
        await Consumer(loading).fetch()
    assert caught.value.retriable


async def test_a_broker_that_is_the_coordinator_no_more_is_not_asked_again() -> None:
    consumer = Consumer(OffsetFetchResponse_v3(0, [], NotCoordinatorForGroupError.errno))
    with pytest.raises(NotCoordinatorForGroupError):
        await consumer.fetch()
    assert consumer._coordinator.deaths == 1


async def test_what_was_committed_is_read_as_before() -> None:
    consumer = Consumer(OffsetFetchResponse_v3(0, [("stripe.events", [(0, 42, "", 0)])], 0))
    heed_coordinator(consumer)
    assert (await consumer.fetch())[PARTITION].offset == 42


async def test_a_group_that_has_committed_nothing_says_so() -> None:
    assert await Consumer(OffsetFetchResponse_v3(0, [("stripe.events", [(0, -1, "", 0)])], 0)).fetch() == {}
