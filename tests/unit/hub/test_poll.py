"""The watched poll."""

import asyncio
from collections import deque
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

import pytest
from aiokafka.errors import ConsumerStoppedError, KafkaError

from hub.stage.poll import Poll
from tests.fakes import FakeClock


class FakeConsumer:
    def __init__(self) -> None:
        self.answers: deque[object] = deque()

    async def getmany(self, **_options: Any) -> object:
        answer = self.answers.popleft() if self.answers else {}
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def consumer() -> FakeConsumer:
    return FakeConsumer()


@pytest.fixture
def poll(consumer: FakeConsumer, clock: FakeClock) -> Poll:
    poll = Poll("contacts", clock)
    poll.watch(consumer)
    poll.watch(consumer)
    return poll


async def test_a_good_poll_is_handed_on_and_noted(poll: Poll, consumer: FakeConsumer, clock: FakeClock) -> None:
    consumer.answers.append({"p": [1]})
    clock.move(timedelta(seconds=5))
    assert await consumer.getmany(timeout_ms=10) == {"p": [1]}
    assert poll.last_good == clock.monotonic()


@pytest.mark.parametrize("error", [KafkaError(), ConsumerStoppedError()])
async def test_what_faststream_knows_it_gets(poll: Poll, consumer: FakeConsumer, error: Exception) -> None:
    consumer.answers.append(error)
    with pytest.raises(type(error)):
        await consumer.getmany()


async def test_anything_else_is_said_once_and_not_repeated_at_full_speed(
    poll: Poll, consumer: FakeConsumer, clock: FakeClock, logged: list[MutableMapping[str, Any]]
) -> None:
    before = poll.last_good
    clock.move(timedelta(seconds=90))
    consumer.answers.extend([UnicodeDecodeError("utf-8", b"\xff", 0, 1, "header name")] * 3)
    began = asyncio.get_running_loop().time()
    for _ in range(3):
        assert await consumer.getmany() == {}
    assert asyncio.get_running_loop().time() - began >= 3
    assert poll.last_good == before
    assert [line["event"] for line in logged] == ["stage.poll.failed"]
    await consumer.getmany()
    assert poll.last_good == clock.monotonic()
