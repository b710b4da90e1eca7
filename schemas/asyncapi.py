"""The AsyncAPI 3 document of the topics, generated from the registry. `hub topics asyncapi` prints it.

Spec: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from typing import Any

import yaml
from pydantic.json_schema import models_json_schema

from schemas.messages import StageName
from schemas.topics import CONSUMED_BY, PUBLISHED_BY, TOPICS, Topic, get_group

_SCHEMAS = "#/components/schemas/"
_HEADER = "# Generated from schemas/topics.py and schemas/messages.py: hub topics asyncapi > docs/asyncapi.yaml\n"
_BINDING = {"bindingVersion": "0.5.0"}


def build_asyncapi() -> dict[str, Any]:
    """Build the document: a channel per topic, an operation per service and topic, the messages' JSON schemas."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Stripe to Business Central hub",
            "version": "1.0.0",
            "description": "Facts in the past tense, JSON. All messages about one invoice have the same key and keep "
            "their order. Any message may come more than once.",
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _build_channel(topic) for topic in TOPICS},
        "operations": _build_operations(),
        "components": {
            "messages": {_name(topic): _build_message(topic) for topic in TOPICS},
            "schemas": _build_schemas(),
        },
    }


def render_asyncapi() -> str:
    """Write the document as YAML, as it stands in `docs/asyncapi.yaml`."""
    return _HEADER + yaml.safe_dump(build_asyncapi(), sort_keys=False, allow_unicode=True, width=120)


def _build_channel(topic: Topic) -> dict[str, Any]:
    retention = int(topic.retention.total_seconds() * 1000)
    return {
        "address": topic.name,
        "summary": topic.summary,
        "messages": {_name(topic): {"$ref": f"#/components/messages/{_name(topic)}"}},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {"retention.ms": retention},
                **_BINDING,
            }
        },
    }


def _build_operations() -> dict[str, Any]:
    receives = {f"{stage}.receive.{topic.name}": _build_receive(stage, topic) for stage, topic in CONSUMED_BY.items()}
    sends = {
        f"{stage}.send.{topic.name}": _build_operation("send", topic)
        for stage, topics in PUBLISHED_BY.items()
        for topic in topics
    }
    return receives | sends


def _build_receive(stage: StageName, topic: Topic) -> dict[str, Any]:
    group = {"groupId": {"type": "string", "const": get_group(stage)}, **_BINDING}
    return {**_build_operation("receive", topic), "bindings": {"kafka": group}}


def _build_operation(action: str, topic: Topic) -> dict[str, Any]:
    channel = f"#/channels/{topic.name}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{_name(topic)}"}],
    }


def _build_message(topic: Topic) -> dict[str, Any]:
    return {
        "name": _name(topic),
        "summary": topic.summary,
        "payload": {"$ref": _SCHEMAS + _name(topic)},
        "headers": {
            "type": "object",
            "properties": {"traceparent": {"type": "string", "description": "W3C trace context."}},
        },
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}, **_BINDING}},
    }


def _build_schemas() -> dict[str, Any]:
    """What is on the wire: amounts are strings there, never floats."""
    _, whole = models_json_schema(
        [(topic.message, "serialization") for topic in TOPICS], ref_template=_SCHEMAS + "{model}"
    )
    return whole["$defs"]


def _name(topic: Topic) -> str:
    return topic.message.__name__
