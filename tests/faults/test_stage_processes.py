"""A stage's process is killed, frozen or told to end: nothing is lost, and what was begun is finished."""

import asyncio
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.messages import StripeEventReceived
from tests.brokers import Broker
from tests.fakes import FakeHandler, build_received, wait_until
from tests.pipeline.stage_harness import Place, build_policy, forward_to, read_all, running

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Child:
    """A stage's process, and what it has said."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list[str])
    errors: list[str] = field(default_factory=list[str])

    def said(self, what: str) -> list[str]:
        return [line.partition(" ")[2] for line in self.lines if line.startswith(what)]

    async def wait_said(self, what: str, count: int) -> None:
        def has_said() -> bool:
            return len(self.said(what)) >= count or self.process.returncode is not None

        await wait_until(has_said, 30)
        assert len(self.said(what)) >= count, "".join(self.errors)

    async def wait_ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 30)


async def _listen(stream: asyncio.StreamReader | None, into: list[str]) -> None:
    while stream is not None and (line := await stream.readline()):
        into.append(line.decode(errors="replace").rstrip("\n"))


@asynccontextmanager
async def child_stage(place: Place, release: Path | None = None) -> AsyncGenerator[Child]:
    """Run the stage in a process; whatever is left of it at the end is killed."""
    broker = place.broker
    words = [broker.bootstrap, broker.name, place.unique, str(place.partitions), *([str(release)] if release else [])]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.stage_child",
        *words,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    child = Child(process)
    listening = [
        asyncio.create_task(_listen(process.stdout, child.lines)),
        asyncio.create_task(_listen(process.stderr, child.errors)),
    ]
    try:
        yield child
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(*listening)


def build_rounds(objects: int, rounds: int) -> list[StripeEventReceived]:
    """Build messages about some objects, several about each: their order within an object can be seen."""
    return [
        build_received(f"in_{number}", event_id=f"evt_{turn:03}") for turn in range(rounds) for number in range(objects)
    ]


def check_order(spoken: list[str]) -> None:
    """One process does what it does about one object in the order of the topic."""
    turns: dict[str, list[str]] = defaultdict(list)
    for object_id, _, event_id in (line.partition(" ") for line in spoken):
        turns[object_id].append(event_id)
    assert all(events == sorted(events) for events in turns.values())


async def load_published(place: Place) -> set[tuple[str, str | None]]:
    values = await read_all(place.broker, place.target.name, place.partitions)
    messages = [StripeEventReceived.model_validate_json(value) for value in values if value]
    return {(message.object_id, message.event_id) for message in messages}


@pytest.mark.broker
async def test_kill_9_in_the_middle_loses_nothing(broker: Broker, unique: str) -> None:
    place = await Place(broker, unique, partitions=3).create()
    messages = build_rounds(objects=30, rounds=20)
    async with child_stage(place) as child:
        producing = asyncio.create_task(place.produce(*messages))
        await child.wait_said("ended", 100)
        child.process.kill()
        await producing
    check_order(child.said("begun"))

    async with child_stage(place) as successor:

        async def all_is_there() -> bool:
            return await load_published(place) == {(one.object_id, one.event_id) for one in messages}

        async with asyncio.timeout(40):
            while not await all_is_there():
                assert successor.process.returncode is None, "".join(successor.errors)
        successor.process.terminate()
        assert await successor.wait_ended() == 0
    check_order(successor.said("begun"))
    committed = await place.load_committed()
    assert sum(offset or 0 for offset in committed.values()) == len(messages)


@pytest.mark.broker
async def test_sigterm_finishes_what_is_in_hand_commits_and_exits_with_0(
    broker: Broker, unique: str, tmp_path: Path
) -> None:
    place = await Place(broker, unique).create()
    release = tmp_path / "release"
    await place.produce(*build_rounds(objects=2, rounds=2))
    async with child_stage(place, release) as child:
        await child.wait_said("begun", 2)
        child.process.terminate()
        await child.wait_said("draining", 1)
        release.touch()
        assert await child.wait_ended() == 0, "".join(child.errors)
    # The two that were begun are finished and committed; the two queued behind them were not begun any more.
    assert sorted(child.said("ended")) == ["in_0 evt_000", "in_1 evt_000"]
    assert await load_published(place) == {("in_0", "evt_000"), ("in_1", "evt_000")}
    assert await place.load_committed() == {0: 2}
    rest = FakeHandler()
    async with running(place, rest):
        await place.wait_committed({0: 4})
    assert rest.handled == ["in_0", "in_1"]


@pytest.mark.kafka
@pytest.mark.slow
async def test_a_zombie_neither_commits_over_its_successor_nor_stays_one(
    kafka: Broker, unique: str, tmp_path: Path
) -> None:
    """Frozen for longer than its session (a stopped VM), it wakes with work in hand and offsets not its own."""
    place = await Place(kafka, unique).create()
    release = tmp_path / "release"
    await place.produce(*build_rounds(objects=5, rounds=1))
    async with child_stage(place, release) as zombie:
        await zombie.wait_said("begun", 5)
        os.kill(zombie.process.pid, signal.SIGSTOP)
        handler = FakeHandler(work=forward_to(place.target))
        policy = build_policy(kafka, session_timeout=timedelta(seconds=2))
        async with running(place, handler, policy=policy):
            await place.wait_committed({0: 5}, within=30)
            await place.produce(*build_rounds(objects=5, rounds=1))
            await place.wait_committed({0: 10})
            release.touch()
            os.kill(zombie.process.pid, signal.SIGCONT)
            await zombie.wait_said("ended", 5)
            assert await place.load_committed() == {0: 10}
        # Its successor is gone: the former zombie has the partition again, from where the group stands.
        await place.produce(build_received("in_last", event_id="evt_last"))
        await place.wait_committed({0: 11}, within=30)
        # Before it learned that it had been thrown out it may have done some again: at least once, not once.
        await wait_until(lambda: zombie.said("ended")[-1] == "in_last evt_last")
        zombie.process.terminate()
        assert await zombie.wait_ended() == 0


@pytest.mark.kafka
@pytest.mark.slow
async def test_a_drain_longer_than_aiokafkas_rebalance_timeout_keeps_its_member(kafka: Broker, unique: str) -> None:
    """With the default of 10 s the group would go on without the draining member, and refuse its commit."""
    place = await Place(kafka, unique, partitions=2).create()
    hold = asyncio.Event()

    async def work(_message: StripeEventReceived) -> list[object]:
        await hold.wait()
        return []

    policy = build_policy(kafka, revoke_drain=timedelta(seconds=14), commit_interval=timedelta(hours=1))
    await place.produce(*(build_received(f"in_{number}") for number in range(3)), partition=0)
    handler = FakeHandler(work=work)  # type: ignore[arg-type]
    async with running(place, handler, policy=policy) as one:
        await one.wait_handled(3)
        member = one.consumer._coordinator.member_id  # type: ignore[union-attr]
        # The second one's start returns once it has its share, which is when the first has drained.
        asyncio.get_running_loop().call_later(12, hold.set)
        async with running(place, FakeHandler(), policy=build_policy(kafka)) as two:
            await one.wait_assigned(1, within=40)
            await two.wait_assigned(1)
            assert one.consumer._coordinator.member_id == member  # type: ignore[union-attr]
            await place.wait_committed({0: 3})
    assert len(handler.handled) == 3
