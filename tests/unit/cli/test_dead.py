"""Dead messages go back as they came, byte for byte."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer

from hub.cli.dead import Filters, send_again
from hub.cli.topic_reader import RawWriter
from schemas.messages import DeadMessage

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def build_dead(**changes: Any) -> DeadMessage:
    values: dict[str, Any] = {
        "stage": "contacts",
        "reason": "poison",
        "code": "message.invalid",
        "error": "It can't be understood.",
        "topic": "stripe.events",
        "partition": 3,
        "offset": 42,
        "key": base64.b64encode(b"con_1/\xff").decode(),
        "value": base64.b64encode(b"{\xff").decode(),
        "headers": (("traceparent", base64.b64encode(b"00-\xfe").decode()),),
        "at": AT,
    }
    return DeadMessage.model_validate(values | changes)


class FakeProducer:
    """Takes what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes | None, bytes | None, Sequence[tuple[str, bytes]]]] = []

    async def send_and_wait(
        self, topic: str, value: bytes | None, *, key: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> None:
        self.sent.append((topic, value, key, headers))


async def test_bytes_key_and_headers_go_back_unchanged() -> None:
    producer = FakeProducer()

    await send_again(RawWriter(producer), build_dead())

    assert producer.sent == [("stripe.events", b"{\xff", b"con_1/\xff", [("traceparent", b"00-\xfe")])]


async def test_what_had_no_key_or_value_has_none_again() -> None:
    producer = FakeProducer()

    await send_again(RawWriter(producer), build_dead(key=None, value=None, headers=()))

    assert producer.sent == [("stripe.events", None, None, [])]


async def test_a_topic_that_is_not_the_hubs_is_refused() -> None:
    producer = FakeProducer()

    with pytest.raises(typer.Exit):
        await send_again(RawWriter(producer), build_dead(topic="payments"))
    assert producer.sent == []


LATER = AT + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("filters", "fit"),
    [
        (Filters(), True),
        (Filters("contacts", "poison", "con_1", AT, LATER), True),
        (Filters(stage="invoices"), False),
        (Filters(reason="unexpected"), False),
        (Filters(connection="con_"), False),
        (Filters(connection="con_2"), False),
        (Filters(since=LATER), False),
        (Filters(until=AT), False),
    ],
    ids=str,
)
def test_filters_go_together(filters: Filters, fit: bool) -> None:
    assert filters.fit(build_dead()) is fit


def test_what_has_no_key_is_of_no_connection() -> None:
    assert not Filters(connection="con_1").fit(build_dead(key=None))
