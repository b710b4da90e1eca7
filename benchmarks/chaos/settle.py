"""When is a run over? When nothing is under way any more, and everybody has been told: conditions, not pauses."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from benchmarks.chaos.checker import Verdict, check
from benchmarks.chaos.world import World
from hub.redis import waiting_key, woken_key
from schemas.topics import CONSUMED_BY, get_group

_LOOK_EVERY = 0.5


@dataclass(frozen=True)
class Standing:
    """What is still under way. All numbers are zero when nothing is."""

    unmade: int
    """Invoices that Stripe has not finalized yet."""
    deliveries: int
    late_writes: int
    waiting: int
    lags: tuple[str, ...]
    """Partitions whose group has not committed all of them."""
    verdict: Verdict | None
    """None while anything is under way: it costs a look at every invoice."""

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is under way."""
        return not any((self.unmade, self.deliveries, self.late_writes, self.waiting, self.lags))

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way, and nothing is wrong that could still come right."""
        return self.verdict is not None and self.verdict.is_clean

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"{self.unmade} to be made, {self.deliveries} deliveries, {self.late_writes} late writes, "
            f"{self.waiting} waiting, lag {' '.join(self.lags) or 0}; {self.verdict or 'not quiet'}"
        )


async def wait_until_settled(
    world: World, jobs: list[str], *, patience: float, deadline: float, note: Callable[[str], None]
) -> Standing:
    """Return once all is settled; or once nothing has changed for `patience` seconds, or at the deadline.

    The second end is that of a run that has lost something: the checker says what. Changes are noted on the way.
    """
    end = time.monotonic() + deadline
    last, changed = await look(world, jobs), time.monotonic()
    while not last.is_settled and time.monotonic() < min(end, changed + patience):
        await asyncio.sleep(_LOOK_EVERY)
        now = await look(world, jobs)
        if now != last:
            note(str(now))
            last, changed = now, time.monotonic()
    return last


async def look(world: World, jobs: list[str]) -> Standing:
    """Look at everything once."""
    simulators = world.simulators
    shown = [await simulators.call(simulators.stripe, "GET", f"bulk/{job}") for job in jobs]
    stripe = await simulators.call(simulators.stripe, "GET", "state")
    bc = await simulators.call(simulators.bc, "GET", "state")
    cheap = Standing(
        unmade=sum(one["total"] - one["done"] for one in shown),
        deliveries=int(stripe["webhook_deliveries"]["waiting"]),
        late_writes=int(bc["late_writes"]),
        waiting=await _count_waiting(world),
        lags=await list_lags(world.bootstrap),
        verdict=None,
    )
    return replace(cheap, verdict=await check(world)) if cheap.is_quiet else cheap


async def _count_waiting(world: World) -> int:
    """Count what waits or was woken and has not been heard of; one more while Redis does not answer."""
    keys = [key(one.connection) for one in world.accounts for key in (waiting_key, woken_key)]
    with suppress(RedisError, OSError):
        return sum([int(await world.redis.zcard(key)) for key in keys])
    return 1


async def list_lags(bootstrap: str) -> tuple[str, ...]:
    """Say of each partition that is not committed to its end where it stands; one line if Kafka does not answer."""
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(10):
            return tuple(await _measure(bootstrap))
    return ("Kafka does not answer",)


async def _measure(bootstrap: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        lags: list[str] = []
        for stage, topic in CONSUMED_BY.items():
            partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
            ends = await consumer.end_offsets(partitions)
            committed = await admin.list_consumer_group_offsets(get_group(stage), partitions=partitions)
            if not committed:  # aiokafka's word for a coordinator that is still loading, see hub/stage/group.py
                return [f"{topic.name}: loading"]
            lags += [
                f"{one.topic}[{one.partition}]:{committed[one].offset}/{ends[one]}"
                for one in partitions
                if max(0, committed[one].offset) < ends[one]
            ]
        return lags
    finally:
        await consumer.stop()
        await admin.close()
