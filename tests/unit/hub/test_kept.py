"""What is kept: for a while, bounded, and asked for once."""

import asyncio
from dataclasses import dataclass, field

import pytest

from hub.kept import Kept
from schemas.errors import RetryLater


@dataclass
class Hands:
    """A clock that is moved by hand."""

    at: float = 100.0

    def now(self) -> float:
        return self.at


@dataclass
class Source:
    """Counts up; can be held, and can fail."""

    loads: int = 0
    failing: bool = False
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.go_on.set()

    async def load(self) -> int:
        self.loads += 1
        mine = self.loads
        await self.go_on.wait()
        if self.failing:
            raise RetryLater("Busy.", code="bc.busy")
        return mine


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def kept(hands: Hands) -> Kept[str, int]:
    return Kept[str, int](most=2, now=hands.now)


async def test_a_value_is_loaded_again_when_it_is_too_old_for_who_asks(kept: Kept[str, int], hands: Hands) -> None:
    source = Source()
    assert await kept.get("a", source.load, max_age=60) == 1
    hands.at += 30
    assert await kept.get("a", source.load, max_age=60) == 1
    assert await kept.get("a", source.load, max_age=10) == 2
    hands.at += 59
    assert await kept.get("a", source.load, max_age=60) == 2
    hands.at += 1
    assert await kept.get("a", source.load, max_age=60) == 3


async def test_many_who_ask_at_the_same_time_load_once(kept: Kept[str, int]) -> None:
    source = Source()
    assert await asyncio.gather(*(kept.get("a", source.load, max_age=60) for _ in range(50))) == [1] * 50


async def test_a_failure_is_told_to_all_who_wait_and_not_kept(kept: Kept[str, int]) -> None:
    """In an outage a hundred invoices must not wait for a hundred deadlines, one after the other."""
    source = Source(failing=True)
    told = await asyncio.gather(*(kept.get("a", source.load, max_age=60) for _ in range(9)), return_exceptions=True)
    assert {type(one) for one in told} == {RetryLater}
    assert source.loads == 1
    source.failing = False
    assert await kept.get("a", source.load, max_age=60) == 2


async def test_an_old_value_stays_while_its_successor_fails(kept: Kept[str, int], hands: Hands) -> None:
    source = Source()
    await kept.get("a", source.load, max_age=60)
    hands.at += 30
    source.failing = True
    with pytest.raises(RetryLater):
        await kept.get("a", source.load, max_age=10)
    assert await kept.get("a", source.load, max_age=60) == 1


async def test_who_is_cancelled_leaves_the_others_alone(kept: Kept[str, int]) -> None:
    source = Source()
    source.go_on.clear()
    first = asyncio.create_task(kept.get("a", source.load, max_age=60))
    second = asyncio.create_task(kept.get("a", source.load, max_age=60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    source.go_on.set()
    assert await second == 1
    assert first.cancelled() or first.cancelling()


async def test_a_failure_that_nobody_waits_for_any_more_is_forgotten(kept: Kept[str, int]) -> None:
    source = Source(failing=True)
    source.go_on.clear()
    only = asyncio.create_task(kept.get("a", source.load, max_age=60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    only.cancel()
    source.go_on.set()
    source.failing = False
    assert await kept.get("a", source.load, max_age=60) == 1


async def test_what_is_under_way_for_too_long_is_not_fresh(kept: Kept[str, int], hands: Hands) -> None:
    source = Source()
    source.go_on.clear()
    patient = asyncio.create_task(kept.get("a", source.load, max_age=60))
    await asyncio.sleep(0)
    hands.at += 5
    fresh = asyncio.create_task(kept.get("a", source.load, max_age=2))
    await asyncio.sleep(0)
    source.go_on.set()
    assert (await patient, await fresh) == (1, 2)


async def test_the_value_asked_for_longest_ago_makes_room(kept: Kept[str, int]) -> None:
    source = Source()
    for key in "aba":
        await kept.get(key, source.load, max_age=60)
    await kept.get("c", source.load, max_age=60)
    assert source.loads == 3
    assert await kept.get("a", source.load, max_age=60) == 1
    assert await kept.get("b", source.load, max_age=60) == 4


async def test_nothing_found_is_a_value_too() -> None:
    kept = Kept[str, None]()
    loads: list[str] = []

    async def load() -> None:
        loads.append("x")

    await kept.get("a", load, max_age=60)
    await kept.get("a", load, max_age=60)
    assert loads == ["x"]
