"""Tasks end, also those that a cancellation was lost on."""

import asyncio

from hub.ending import end_all


class Stubborn:
    """Goes on after being cancelled, as `asyncio.wait_for` on Python 3.11 may let a task do."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.asked = 0

    async def run(self) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.asked += 1
                if self.asked > self.times:
                    raise


async def start(*stubborn: Stubborn) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(one.run()) for one in stubborn]
    await asyncio.sleep(0)
    return tasks


async def test_a_task_that_swallows_its_cancellation_is_asked_again() -> None:
    stubborn = Stubborn(times=2)
    tasks = await start(stubborn, Stubborn(times=0))
    await end_all(tasks)

    assert all(task.cancelled() for task in tasks)
    assert stubborn.asked == 3


async def test_what_a_task_ends_with_is_dropped() -> None:
    async def fail() -> None:
        raise RuntimeError("a defect")

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await end_all([task])
    assert isinstance(task.exception(), RuntimeError)
    await end_all([])


async def test_a_loop_with_tasks_of_its_own_ends_them_however_often_it_is_asked() -> None:
    inner = Stubborn(times=3)

    async def loop() -> None:
        tasks = await start(inner)
        try:
            await asyncio.sleep(3600)
        finally:
            await end_all(tasks)

    outer = asyncio.create_task(loop())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await end_all([outer])

    assert outer.cancelled()
    assert inner.asked == 4
