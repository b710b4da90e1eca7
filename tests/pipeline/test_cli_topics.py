"""Topics, their messages and the dead ones, from the command line on a real broker."""

import asyncio
import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from hub.broker import apply_topics, check_topics, open_admin
from schemas.messages import DeadMessage
from schemas.topics import DEAD, STRIPE_EVENTS, TOPICS
from tests.brokers import Broker
from tests.builders import build_head
from tests.pipeline.cli_harness import HubProcess, build_environment

pytestmark = pytest.mark.broker


@pytest_asyncio.fixture
async def hub(broker: Broker, redis_url: str, tmp_path: Path) -> HubProcess:
    """The command line on a broker that has all topics, perhaps with messages of other tests."""
    await remove_wrong_topics(broker)
    await apply_topics(broker.bootstrap)
    return HubProcess(build_environment(broker.bootstrap, redis_url, tmp_path))


async def remove_wrong_topics(broker: Broker) -> None:
    """A broker of this session may have been restarted without its memory, and have made topics of its own since."""
    wrong = {one.topic for one in await check_topics(broker.bootstrap) if one.problem != "is missing"}
    if not wrong:
        return
    async with asyncio.timeout(20), open_admin(broker.bootstrap) as admin:
        await admin.delete_topics(sorted(wrong))
        while wrong & set(await admin.list_topics()):
            pass  # each look is a request of its own


async def send(broker: Broker, topic: str, key: bytes | None, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all") as producer:
        await producer.send_and_wait(topic, value, key=key, headers=[("traceparent", b"00-\xff")])


def build_dead(name: str) -> DeadMessage:
    return DeadMessage(
        stage="contacts",
        reason="poison",
        code="message.invalid",
        error=f"{name} can't be understood.",
        topic=STRIPE_EVENTS.name,
        partition=0,
        offset=1,
        key=base64.b64encode(f"con_x/{name}".encode()).decode(),
        value=base64.b64encode(f"{{{name}".encode() + b"\xff").decode(),
        headers=(("traceparent", base64.b64encode(b"00-\xff").decode()),),
        at=datetime.now(UTC),
    )


async def test_topics_are_made_once_and_are_then_as_the_registry_says(hub: HubProcess) -> None:
    again = await hub("topics", "apply", "--json")

    assert (again.code, again.json) == (0, {"created": [], "problems": []})
    checked = await hub("topics", "check")
    assert checked.code == 0
    assert f"All {len(TOPICS)} topics are as the registry says." in checked.out


async def test_what_is_stored_is_told_a_line_each(hub: HubProcess, broker: Broker, unique: str) -> None:
    message = build_head(f"in_{unique}", cause="replay").model_copy(update={"connection": f"con_{unique}"})
    await send(broker, STRIPE_EVENTS.name, f"con_{unique}/in_{unique}".encode(), message.model_dump_json().encode())
    await send(broker, STRIPE_EVENTS.name, f"con_{unique}/in_bad".encode(), b"\xff")

    shown = await hub("events", "tail", "--no-follow", "--topic", STRIPE_EVENTS.name)
    objects = await hub("events", "tail", "--no-follow", "--json", "--max", "2", "--topic", STRIPE_EVENTS.name)

    assert any(f"in_{unique}" in line and "replay" in line for line in shown.out.splitlines())
    assert "can't be read (1 bytes)" in shown.out
    assert len([json.loads(line) for line in objects.out.splitlines()]) == 2


async def test_a_whole_batch_is_told(hub: HubProcess, broker: Broker, unique: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        key = f"con_{unique}/in_1".encode()
        await asyncio.gather(*(producer.send_and_wait(STRIPE_EVENTS.name, b"%d" % n, key=key) for n in range(5)))

    stored = await hub("events", "tail", "--no-follow", "--json", "--topic", STRIPE_EVENTS.name)

    lines = [json.loads(line) for line in stored.out.splitlines()]
    assert [one["value"] for one in lines if one["key"] == key.decode()] == [0, 1, 2, 3, 4]


async def test_what_comes_is_told_as_it_comes(hub: HubProcess, broker: Broker, unique: str) -> None:
    process = await hub.start("events", "tail", "--max", "1", "--json", "--topic", DEAD.name)
    communicating = asyncio.create_task(process.communicate())
    # Nobody can see when the reader stands at the end, so something comes until it has been told.
    async with asyncio.timeout(30):
        while not communicating.done():
            await send(broker, DEAD.name, None, build_dead(unique).model_dump_json().encode())
            await asyncio.wait([communicating], timeout=0.5)

    out, _ = await communicating
    assert json.loads(out)["value"]["error"] == f"{unique} can't be understood."


async def test_dead_messages_are_listed_shown_and_sent_back_as_they_came(
    hub: HubProcess, broker: Broker, unique: str
) -> None:
    await send(broker, DEAD.name, b"\xfe", build_dead(unique).model_dump_json().encode())
    await send(broker, DEAD.name, None, b"no dead message")

    listed = (await hub("dead", "list", "--stage", "contacts", "--reason", "poison", "--json")).json
    (dead,) = [one for one in listed if one["error"].startswith(unique)]
    shown = await hub("dead", "show", dead["id"])
    replayed = await hub("dead", "replay", dead["id"], "--yes", "--json")

    assert f"con_x/{unique}" in shown.out
    assert replayed.json == {"published": [dead["id"]]}
    stored = await hub("events", "tail", "--no-follow", "--json", "--topic", STRIPE_EVENTS.name)
    (back,) = [one for one in map(json.loads, stored.out.splitlines()) if one["key"] == f"con_x/{unique}"]
    assert back["value"] == f"{{{unique}\ufffd"
    assert (await hub("dead", "list", "--stage", "invoices", "--json")).json == []
    assert (await hub("dead", "show", "99-99")).code == 4


async def test_doctor_finds_that_nobody_consumes(hub: HubProcess) -> None:
    done = await hub("doctor", "--json", HUB_STRIPE_API_BASE="http://127.0.0.1:1")

    checks = {check["name"]: check for check in done.json["checks"]}
    assert done.code == 1
    assert checks["Kafka"]["verdict"] == "ok"
    assert checks["Topics"]["verdict"] == "ok"
    assert checks["Group hub.contacts"]["words"].startswith("nobody consumes")
    assert checks["Redis persistence"]["verdict"] == "ok"
