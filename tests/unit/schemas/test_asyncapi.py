"""docs/asyncapi.yaml is what the registry says, and what it refers to is there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml

from schemas.asyncapi import build_asyncapi, render_asyncapi
from schemas.topics import CONSUMED_BY, PUBLISHED_BY, TOPICS, get_group

DOCUMENT = Path(__file__).parents[3] / "docs" / "asyncapi.yaml"


def test_the_document_has_not_drifted() -> None:
    written = DOCUMENT.read_text(encoding="utf-8")

    assert written == render_asyncapi(), "run: hub topics asyncapi > docs/asyncapi.yaml"


def test_every_topic_is_a_channel_with_its_binding() -> None:
    channels = build_asyncapi()["channels"]

    assert list(channels) == [topic.name for topic in TOPICS]
    for topic in TOPICS:
        binding = channels[topic.name]["bindings"]["kafka"]
        assert binding["partitions"] == topic.partitions
        assert binding["topicConfiguration"]["retention.ms"] == topic.retention.total_seconds() * 1000


def test_every_service_has_its_operations() -> None:
    operations = build_asyncapi()["operations"]

    assert len(operations) == len(CONSUMED_BY) + sum(map(len, PUBLISHED_BY.values()))
    receive = operations["contacts.receive.stripe.events"]
    assert receive["bindings"]["kafka"]["groupId"]["const"] == get_group("contacts")
    assert operations["ingest.send.stripe.events"]["action"] == "send"


def test_every_reference_leads_somewhere() -> None:
    document = yaml.safe_load(render_asyncapi())

    references = set(find_references(document))

    assert references
    for reference in references:
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in place, reference
            place = place[part]


def test_amounts_are_text_on_the_wire() -> None:
    assert build_asyncapi()["components"]["schemas"]["BcDocument"]["properties"]["total"]["type"] == "string"


def find_references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in cast("dict[str, Any]", part).items():
            if key == "$ref":
                yield value
            yield from find_references(value)
    elif isinstance(part, list):
        for value in cast("list[Any]", part):
            yield from find_references(value)
