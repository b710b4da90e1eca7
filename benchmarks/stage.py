"""The stage runtime against FastStream's plain subscriber and bare aiokafka, in one run; and its latency when idle.

    python -m benchmarks.stage [--kafka] [--messages 20000] [--json FILE]

All three consume the same 1 KB messages from one topic of twelve partitions and publish each to another, acks=all.
Absolute numbers belong to a machine; the ratios are what is watched: the stage must do at least 8 times as much as the
plain subscriber and a quarter of what bare aiokafka does.
"""

import argparse
import asyncio
import json
import random
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from hub.broker import build_broker
from hub.clock import SystemClock
from hub.config import load_config
from hub.log import configure_logging
from hub.stage.defects import DefectRun
from hub.stage.dispatch import Window
from hub.stage.ports import Admission, Closed, Failure, Outgoing, Parked
from hub.stage.processing import StageIdentity, Surroundings
from hub.stage.publisher import KafkaPublisher
from hub.stage.runtime import Source, Stage, StagePolicy
from schemas.errors import HubError
from schemas.ids import ConnectionId, build_message_key
from schemas.messages import Message, StripeEventReceived
from schemas.topics import PARTITIONS, STRIPE_EVENTS, Topic
from tests.brokers import Broker, run_embedded_broker, run_kafka

VALUE_BYTES = 1000
KEYS = 500
CONNECTIONS = 20
TARGET_OVER_PLAIN = 8.0
TARGET_OF_BARE = 0.25
TARGET_CHAIN_MS = 300.0


class OpenGate:
    """Lets everything through."""

    async def enter(self, connection: str, touches: frozenset[str]) -> Closed | Admission:
        """Never closed."""
        del touches
        return Admission(connection)

    def judge(self, connection: str, error: HubError) -> HubError:
        """Nothing amounts to more."""
        del connection
        return error

    async def block(self, connection: str, error: HubError) -> datetime:
        """Not met here."""
        raise AssertionError(connection) from error

    async def failed(self, admission: Admission, error: HubError) -> None:
        """Nothing to note."""

    async def passed(self, admission: Admission) -> None:
        """Nothing to note."""


class NoWaiting:
    """A waiting set that nothing should reach."""

    async def park(self, parked: Parked) -> None:
        """Not met here: the load stays within every share."""
        raise AssertionError(parked.reason)

    async def settle(self, message: Message) -> None:
        """Nothing to forget."""


class Forwarder:
    """Answers each message with itself on another topic."""

    def __init__(self, target: Topic | None, on_handled: Callable[[StripeEventReceived], None]) -> None:
        self._target = target
        self._on_handled = on_handled

    async def handle(self, message: StripeEventReceived) -> Sequence[Outgoing]:
        """Hand the message on."""
        self._on_handled(message)
        if self._target is None:
            return ()
        return (Outgoing(self._target, build_message_key(message.connection, message.object_id), message),)

    async def report(self, message: StripeEventReceived, failure: Failure) -> Sequence[Outgoing]:
        """Not met here."""
        raise AssertionError(message.object_id, failure.detail.text)


@dataclass
class Countdown:
    """Measures from the first message to the last one."""

    count: int
    began: float = 0.0
    ended: float = 0.0

    def __post_init__(self) -> None:
        self.over = asyncio.Event()

    def tick(self, _message: object = None) -> None:
        """One more."""
        self.began = self.began or time.perf_counter()
        self.count -= 1
        if self.count == 0:
            self.ended = time.perf_counter()
            self.over.set()

    async def rate(self, total: int) -> float:
        """Messages a second, once all are through."""
        async with asyncio.timeout(180):
            await self.over.wait()
        return total / (self.ended - self.began)


def derive(name: str) -> Topic:
    return Topic(name, STRIPE_EVENTS.message, STRIPE_EVENTS.key, STRIPE_EVENTS.retention, STRIPE_EVENTS.summary)


async def create_topics(broker: Broker, *names: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    finally:
        await admin.close()


def build_message(number: int) -> StripeEventReceived:
    message = StripeEventReceived(
        connection=ConnectionId(f"con_{number % CONNECTIONS}"),
        cause="webhook",
        object_id=f"in_{number % KEYS}",
        event_type="invoice.finalized",
        event_id="evt_",
        occurred_at=datetime.now(UTC),
    )
    missing = VALUE_BYTES - len(message.model_dump_json())
    return message.model_copy(update={"event_id": "evt_" + "x" * missing})


async def fill(broker: Broker, topic: str, count: int) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all", linger_ms=5) as producer:
        sent: list[Any] = []
        for number in range(count):
            message = build_message(number)
            key = build_message_key(message.connection, message.object_id).encode()
            sent.append(await producer.send(topic, message.model_dump_json().encode(), key=key))
        await asyncio.gather(*sent)


def build_kafka(broker: Broker) -> KafkaBroker:
    """Build the broker object as every service does."""
    config = load_config(
        {
            "HUB_KAFKA_BOOTSTRAP": broker.bootstrap,
            "HUB_REDIS_URL": "redis://unused",
            "HUB_SECRET_KEYS": "0123456789abcdef",
        }
    )
    return build_broker(config, "benchmark")


def build_stage(kafka: KafkaBroker, source: Source, target: Topic | None, tick: Callable[[Any], None]) -> Any:
    surroundings = Surroundings(
        gate=OpenGate(),
        waiting=NoWaiting(),
        publisher=KafkaPublisher(kafka),
        clock=SystemClock(),
        retry_waits=(timedelta(seconds=5),),
        defects=DefectRun("contacts"),
    )
    identity = StageIdentity("contacts", frozenset({"stripe"}))
    policy = StagePolicy(window=Window(1024, 1024), session_timeout=timedelta(seconds=3))
    stage: Stage[StripeEventReceived] = Stage(
        identity, Forwarder(target, tick), kafka, surroundings, policy, source=source
    )
    stage.attach()
    return stage


async def measure_plain(broker: Broker, source: str, target: str, count: int) -> float:
    """(a) One message at a time, FastStream's AckPolicy.ACK, a publish each."""
    kafka, countdown = KafkaBroker(broker.bootstrap, acks="all", logger=None), Countdown(count)

    @kafka.subscriber(
        source,
        group_id=f"plain-{source}",
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK,
        session_timeout_ms=3000,
    )
    async def forward(message: KafkaMessage) -> None:  # pyright: ignore[reportUnusedFunction]
        raw: Any = message.raw_message
        await kafka.publish(message.body, topic=target, key=raw.key)
        countdown.tick()

    await kafka.start()
    try:
        return await countdown.rate(count)
    finally:
        await kafka.stop()


async def measure_stage(broker: Broker, source: str, target: str, count: int) -> float:
    """(b) The stage runtime with its real processor and publisher."""
    kafka, countdown = build_kafka(broker), Countdown(count)
    stage = build_stage(kafka, Source(derive(source), f"stage-{source}"), derive(target), countdown.tick)
    await kafka.start()
    await stage.start()
    try:
        return await countdown.rate(count)
    finally:
        await stage.drain()
        await kafka.stop()


async def measure_bare(broker: Broker, source: str, target: str, count: int) -> float:
    """(c) aiokafka alone: getmany, send, commit."""
    countdown = Countdown(count)
    async with (
        AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all") as producer,
        AIOKafkaConsumer(
            source,
            bootstrap_servers=broker.bootstrap,
            group_id=f"bare-{source}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=3000,
            heartbeat_interval_ms=500,
        ) as consumer,
    ):
        while not countdown.over.is_set():
            batches = await consumer.getmany(timeout_ms=500, max_records=500)
            countdown.began = countdown.began or (time.perf_counter() if batches else 0.0)
            sent = [
                await producer.send(target, record.value, key=record.key)
                for records in batches.values()
                for record in records
            ]
            await asyncio.gather(*sent)
            if sent:
                await consumer.commit()
            for _ in sent:
                countdown.tick()
    return await countdown.rate(count)


async def measure_latency(broker: Broker, stages: int, count: int) -> list[float]:
    """Milliseconds from a send to the handler of the last of `stages` idle stages, for each of `count` messages."""
    mark = secrets.token_hex(3)
    names = [f"hop-{mark}-{number}" for number in range(stages)]
    await create_topics(broker, *names)
    arrived: asyncio.Queue[float] = asyncio.Queue()
    running: list[tuple[KafkaBroker, Any]] = []
    for number, name in enumerate(names):
        kafka = build_kafka(broker)
        is_last = number == stages - 1

        def note(_message: Any, is_last: bool = is_last) -> None:
            if is_last:
                arrived.put_nowait(time.perf_counter())

        stage = build_stage(kafka, Source(derive(name), name), None if is_last else derive(names[number + 1]), note)
        running.append((kafka, stage))
    await asyncio.gather(*(kafka.start() for kafka, _ in running))
    for _, stage in running:
        await stage.start()
    try:
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all") as producer:
            return [await _time_one(producer, names[0], arrived, number) for number in range(count + 5)][5:]
    finally:
        for kafka, stage in running:
            await stage.drain()
            await kafka.stop()


async def _time_one(producer: AIOKafkaProducer, topic: str, arrived: "asyncio.Queue[float]", number: int) -> float:
    # Not in step with any timer of consumer or broker.
    await asyncio.sleep(random.uniform(0.05, 0.25))
    message = build_message(number)
    key = build_message_key(message.connection, message.object_id).encode()
    began = time.perf_counter()
    await producer.send_and_wait(topic, message.model_dump_json().encode(), key=key)
    return (await asyncio.wait_for(arrived.get(), 30) - began) * 1000


Measure = Callable[[Broker, str, str, int], Awaitable[float]]
# The plain one is slow: a tenth of the messages is enough to know its rate.
MEASURES: dict[str, tuple[Measure, int]] = {
    "plain": (measure_plain, 10),
    "stage": (measure_stage, 1),
    "bare": (measure_bare, 1),
}


async def measure_round(broker: Broker, count: int) -> dict[str, float]:
    """Run the three once, one after the other, on topics of their own."""
    mark = secrets.token_hex(3)
    source = f"source-{mark}"
    await create_topics(broker, source, *(f"{name}-{mark}" for name in MEASURES))
    await fill(broker, source, count)
    results: dict[str, float] = {}
    for name, (measure, part) in MEASURES.items():
        cpu = time.process_time()
        results[f"{name}_per_s"] = await measure(broker, source, f"{name}-{mark}", count // part)
        results[f"{name}_cpu_us"] = (time.process_time() - cpu) / (count // part) * 1e6
    results["stage_over_plain"] = results["stage_per_s"] / results["plain_per_s"]
    results["stage_of_bare"] = results["stage_per_s"] / results["bare_per_s"]
    return results


async def measure_all(broker: Broker, count: int, rounds: int, samples: int) -> dict[str, float]:
    """Run everything on one broker; of several rounds the median, for the machine has other things to do."""
    results: dict[str, float] = {}
    # Latency first: after the rounds the broker is still busy with what they wrote.
    for stages in (1, 4):
        millis = sorted(await measure_latency(broker, stages, samples))
        results[f"idle_{stages}_p50_ms"] = statistics.median(millis)
        results[f"idle_{stages}_p95_ms"] = millis[int(len(millis) * 0.95)]
    seen = [await measure_round(broker, count) for _ in range(rounds)]
    results |= {name: statistics.median(one[name] for one in seen) for name in seen[0]}
    return {name: round(value, 2) for name, value in results.items()}


def find_misses(results: dict[str, float]) -> list[str]:
    """Name the targets that were not reached."""
    checks = {
        f"stage ≥ {TARGET_OVER_PLAIN:g} times plain": results["stage_over_plain"] >= TARGET_OVER_PLAIN,
        f"stage ≥ {TARGET_OF_BARE:.0%} of bare": results["stage_of_bare"] >= TARGET_OF_BARE,
        f"four idle stages: p95 < {TARGET_CHAIN_MS:g} ms": results["idle_4_p95_ms"] < TARGET_CHAIN_MS,
    }
    return [name for name, is_met in checks.items() if not is_met]


def print_table(name: str, results: dict[str, float]) -> None:
    rows = [
        (label, f"{results[f'{key}_per_s']:,.0f}/s", f"{results[f'{key}_cpu_us']:.0f} µs CPU each{more}")
        for label, key, more in (
            ("plain FastStream subscriber, AckPolicy.ACK", "plain", ""),
            ("stage runtime", "stage", f"; {results['stage_over_plain']:.1f} times plain"),
            ("bare aiokafka", "bare", f"; the stage does {results['stage_of_bare']:.0%} of it"),
        )
    ]
    rows += [
        (label, f"p50 {results[f'idle_{n}_p50_ms']:.0f} ms", f"p95 {results[f'idle_{n}_p95_ms']:.0f} ms")
        for label, n in (("one idle stage", 1), ("four idle stages in a row", 4))
    ]
    print(f"{name} broker")
    for label, number, more in rows:
        print(f"  {label:<44}{number:>14}   {more}")


def main() -> None:
    """Measure, print, and exit with 1 if a target was missed."""
    parser = argparse.ArgumentParser(description="Throughput and idle latency of the stage runtime.")
    parser.add_argument("--kafka", action="store_true", help="on real Apache Kafka, as the tests start it")
    parser.add_argument("--messages", type=int, default=20_000, help="in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=60, help="messages for each latency")
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    # As in production: JSON lines at level info, to a pipe.
    with ExitStack() as stack:
        nowhere = stack.enter_context(Path("/dev/null").open("w"))
        configure_logging("benchmark", fmt="json", level="info", stream=nowhere)
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        run = run_kafka if options.kafka else run_embedded_broker
        broker = stack.enter_context(run(directory))
        results = uvloop.run(measure_all(broker, options.messages, options.rounds, options.samples))
    print_table(broker.name, results)
    if options.json:
        options.json.write_text(json.dumps({"broker": broker.name, **results}, indent=1) + "\n")
    if misses := find_misses(results):
        sys.exit("missed: " + "; ".join(misses))


if __name__ == "__main__":
    main()
