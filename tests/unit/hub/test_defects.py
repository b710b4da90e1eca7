"""A run of unexpected errors holds its connection; one of several connections, alike, holds the stage."""

import asyncio
from collections.abc import Callable

import pytest

from hub.stage.defects import DefectRun, Verdict


@pytest.fixture
def run() -> DefectRun:
    return DefectRun("contacts", limit=3, pause=10, longest=25)


def fail(run: DefectRun, times: int, prefix: str = "con") -> list[Verdict]:
    """Fail alike in as many connections as messages."""
    return [run.count_failure(f"{prefix}_{number}", "unexpected.KeyError") for number in range(times)]


async def measure(waiting: Callable[[], asyncio.Task[None]]) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await waiting()
    return loop.time() - began


def test_a_success_in_between_ends_the_run(run: DefectRun) -> None:
    fail(run, 2)
    run.count_success("con_1")
    fail(run, 2)
    assert not run.is_tripped
    assert fail(run, 3)[-1] == "stage"
    assert run.is_tripped


def test_a_run_in_one_connection_holds_that_one_alone(run: DefectRun) -> None:
    verdicts = [run.count_failure("con_a", "unexpected.KeyError") for _ in range(20)]
    assert verdicts == ["single"] * 2 + ["connection"] * 18
    assert run.count_failure("con_b", "unexpected.KeyError") == "single"
    assert (run.held, run.is_tripped) == (["con_a"], False)


def test_a_success_says_that_it_was_not_the_release_and_what_still_fails_is_held_by_itself(run: DefectRun) -> None:
    assert fail(run, 3) == ["single", "single", "stage"]
    run.count_success("con_good")
    assert fail(run, 3) == ["connection"] * 3
    assert not run.is_tripped


def test_one_connection_that_fails_often_makes_no_run_of_several() -> None:
    run = DefectRun("contacts", limit=5)
    for _ in range(20):
        run.count_failure("con_bad", "unexpected.KeyError")
    assert fail(run, 2, "other") == ["single"] * 2
    assert fail(run, 1, "third") == ["stage"]


def test_two_connections_are_not_several(run: DefectRun) -> None:
    for connection in ("con_a", "con_b"):
        verdicts = [run.count_failure(connection, "unexpected.KeyError") for _ in range(4)]
        assert verdicts == ["single"] * 2 + ["connection"] * 2
    assert not run.is_tripped


def test_defects_that_differ_are_not_alike(run: DefectRun) -> None:
    assert [run.count_failure(f"con_{one}", f"unexpected.{one}") for one in range(9)] == ["single"] * 9


def test_a_success_of_another_connection_does_not_end_the_run_of_this_one(run: DefectRun) -> None:
    for _ in range(3):
        run.count_failure("con_a", "unexpected.KeyError")
        run.count_success("con_b")
    assert run.held == ["con_a"]
    run.count_success("con_a")
    assert run.held == []


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
    loop.call_later(4, run.count_success, "con_9")
    await asyncio.gather(*waiting)
    assert round(loop.time() - began) == 4
    assert not run.is_tripped


async def test_the_next_run_begins_with_the_first_pause(run: DefectRun) -> None:
    fail(run, 3)
    await run.wait_for_turn()
    run.count_success("con_1")
    fail(run, 3, "other")
    assert round(await measure(lambda: asyncio.create_task(run.wait_for_turn()))) == 10


async def test_one_that_gives_up_its_turn_leaves_it_to_the_next(run: DefectRun) -> None:
    fail(run, 3)
    first = asyncio.create_task(run.wait_for_turn())
    second = asyncio.create_task(run.wait_for_turn())
    await asyncio.sleep(1)
    first.cancel()
    await second
    assert run.is_tripped
