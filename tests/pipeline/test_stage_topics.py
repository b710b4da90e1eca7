"""Topics are made as the registry says, and what differs is named with its fix."""

import asyncio
import dataclasses

import pytest

from hub.broker import TopicProblem, apply_topics, check_topics
from schemas.errors import ConfigurationError
from schemas.topics import TOPICS, Topic
from tests.brokers import Broker


async def wait_checked(broker: Broker, *topics: Topic, problems: int) -> list[TopicProblem]:
    """Check until a topic that was made a moment ago is seen."""
    async with asyncio.timeout(15):
        while len(found := await check_topics(broker.bootstrap, topics)) != problems:
            pass
        return found


@pytest.mark.broker
async def test_missing_topics_are_made_once_and_pass_the_check(broker: Broker, unique: str) -> None:
    topics = [dataclasses.replace(topic, name=f"{topic.name}-{unique}") for topic in TOPICS]
    assert await apply_topics(broker.bootstrap, topics=topics) == [topic.name for topic in topics]
    await wait_checked(broker, *topics, problems=0)
    assert await apply_topics(broker.bootstrap, topics=topics) == []


@pytest.mark.broker
async def test_a_topic_with_other_partitions_is_named_and_left_as_it_is(broker: Broker, unique: str) -> None:
    wanted = dataclasses.replace(TOPICS[0], name=f"small-{unique}")
    small = dataclasses.replace(wanted, partitions=2)
    await apply_topics(broker.bootstrap, topics=[small])
    await wait_checked(broker, small, problems=0)
    assert await apply_topics(broker.bootstrap, topics=[wanted]) == []
    (problem,) = await check_topics(broker.bootstrap, [wanted])
    assert (problem.topic, problem.problem) == (wanted.name, "has 2 partitions, not 12")


@pytest.mark.broker
async def test_a_missing_topic_is_named_with_the_command_that_makes_it(broker: Broker, unique: str) -> None:
    (problem,) = await check_topics(broker.bootstrap, [dataclasses.replace(TOPICS[0], name=f"missing-{unique}")])
    assert problem.fix == "run hub topics apply"


async def test_a_broker_that_is_not_there_is_said_with_the_setting_to_check() -> None:
    with pytest.raises(ConfigurationError, match="HUB_KAFKA_BOOTSTRAP"):
        await check_topics("127.0.0.1:1")
