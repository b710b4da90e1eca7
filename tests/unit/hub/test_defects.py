"""A run of unexpected errors holds the stage."""

import asyncio
from collections.abc import Callable

import pytest

from hub.stage.defects import DefectRun


@pytest.fixture
def run() -> DefectRun:
    return DefectRun("contacts", limit=3, pause=10, longest=25)


def fail(run: DefectRun, times: int) -> None:
    for _ in range(times):
        run.count_failure()


async def measure(waiting: Callable[[], asyncio.Task[None]]) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await waiting()
    return loop.time() - began


def test_a_success_in_between_ends_the_run(run: DefectRun) -> None:
    fail(run, 2)
    run.count_success()
    fail(run, 2)
    assert not run.is_tripped
    fail(run, 1)
    assert run.is_tripped


async def test_nobody_waits_while_it_is_not_tripped(run: DefectRun) -> None:
    fail(run, 2)
    assert await measure(lambda: asyncio.create_task(run.wait_for_turn())) < 1


async def test_held_messages_are_tried_one_at_a_time_and_less_and_less_often(run: DefectRun) -> None:
    fail(run, 3)
    waits = [await measure(lambda: asyncio.create_task(run.wait_for_turn())) for _ in range(4)]
    assert [round(wait) for wait in waits] == [10, 20, 25, 25]
    assert run.is_tripped


async def test_two_that_wait_have_turns_of_their_own(run: DefectRun) -> None:
    fail(run, 3)
    loop = asyncio.get_running_loop()
    began, turns = loop.time(), list[float]()

    async def hold() -> None:
        await run.wait_for_turn()
        turns.append(round(loop.time() - began))

    await asyncio.gather(hold(), hold())
    assert turns == [10, 30]


async def test_one_success_frees_all_that_wait(run: DefectRun) -> None:
    fail(run, 3)
    loop = asyncio.get_running_loop()
    began = loop.time()
    waiting = [asyncio.create_task(run.wait_for_turn()) for _ in range(5)]
    loop.call_later(4, run.count_success)
    await asyncio.gather(*waiting)
    assert round(loop.time() - began) == 4
    assert not run.is_tripped


async def test_the_next_run_begins_with_the_first_pause(run: DefectRun) -> None:
    fail(run, 3)
    await run.wait_for_turn()
    run.count_success()
    fail(run, 3)
    assert round(await measure(lambda: asyncio.create_task(run.wait_for_turn()))) == 10


async def test_one_that_gives_up_its_turn_leaves_it_to_the_next(run: DefectRun) -> None:
    fail(run, 3)
    first = asyncio.create_task(run.wait_for_turn())
    second = asyncio.create_task(run.wait_for_turn())
    await asyncio.sleep(1)
    first.cancel()
    await second
    assert run.is_tripped
