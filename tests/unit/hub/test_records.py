"""From bytes to a message, and to the dead topic."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.stage.records import build_dead_message, decode_record, find_header
from schemas.errors import Poison
from schemas.messages import DeadMessage, StripeEventReceived
from tests.fakes import START, FakeRecord, build_received, build_record

BODY = build_received().model_dump_json().encode()


def test_a_good_record_is_decoded() -> None:
    assert decode_record(build_record(), StripeEventReceived) == build_received()


def test_an_unknown_field_of_a_newer_writer_is_ignored() -> None:
    record = build_record(value=BODY[:-1] + b',"new":1}')
    assert decode_record(record, StripeEventReceived) == build_received()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"value": None}, "message.empty"),
        ({"value": b""}, "message.empty"),
        ({"value": b"{not json"}, "message.invalid"),
        ({"value": b"\xff\xfe"}, "message.invalid"),
        ({"value": b"[" * 100_000}, "message.invalid"),
        ({"value": b"[]"}, "message.invalid"),
        ({"value": BODY.replace(b'"version":1', b'"version":2')}, "message.invalid"),
        ({"key": None}, "message.key"),
        ({"key": b"con_b/in_1"}, "message.key"),
        ({"key": b"con_a"}, "message.key"),
        ({"key": b"\xff"}, "message.key"),
    ],
)
def test_what_cannot_be_understood_is_poison(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Poison) as caught:
        decode_record(build_record(**changes), StripeEventReceived)
    assert caught.value.code == code


@given(value=st.none() | st.binary(), key=st.none() | st.binary())
def test_no_bytes_do_more_than_poison(value: bytes | None, key: bytes | None) -> None:
    with pytest.raises(Poison):
        decode_record(FakeRecord(value, key), StripeEventReceived)


def test_an_error_names_the_field_and_never_its_value() -> None:
    record = build_record(value=BODY.replace(b'"cause":"webhook"', b'"cause":"s3cret"'))
    with pytest.raises(Poison, match="cause") as caught:
        decode_record(record, StripeEventReceived)
    assert "s3cret" not in caught.value.message


def test_headers_are_found_by_name_and_left_as_bytes() -> None:
    record = build_record(headers=[("a", b"\xff"), ("b", b"2"), ("b", b"3")])
    assert (find_header(record, "b"), find_header(record, "a"), find_header(record, "c")) == (b"2", b"\xff", None)


BuildDead = Callable[..., DeadMessage]


@pytest.fixture
def build_dead() -> BuildDead:
    def build(record: FakeRecord, error: BaseException, **changes: object) -> DeadMessage:
        defaults = {"stage": "contacts", "reason": "unexpected", "attempts": 3, "at": START}
        outgoing = build_dead_message(record, error, **{**defaults, **changes})  # type: ignore[arg-type]
        assert isinstance(outgoing.message, DeadMessage)
        return outgoing.message

    return build


@given(
    value=st.none() | st.binary(),
    key=st.none() | st.binary(),
    headers=st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=3),
)
def test_the_dead_topic_keeps_the_whole_record(
    value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    record = FakeRecord(value, key, headers=headers)
    error = Poison("no", code="message.invalid")
    outgoing = build_dead_message(record, error, stage="contacts", reason="poison", attempts=1, at=START)
    dead = DeadMessage.model_validate_json(outgoing.message.model_dump_json())
    assert (_decode(dead.value), _decode(dead.key)) == (value, key)
    assert [(name, _decode(text)) for name, text in dead.headers] == headers


def _decode(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def test_a_defect_keeps_its_trace_and_poison_has_none(build_dead: BuildDead) -> None:
    with pytest.raises(KeyError) as caught:
        raise KeyError("oops")
    defect = build_dead(build_record(), caught.value)
    assert "test_records.py" in defect.trace
    assert defect.code == "unexpected.KeyError"
    poison = build_dead(build_record(), Poison("no", code="message.empty"), reason="poison")
    assert (poison.trace, poison.code) == ("", "message.empty")


def test_a_header_without_a_value_is_kept(build_dead: BuildDead) -> None:
    record = build_record(headers=[("empty", None)])
    assert build_dead(record, ValueError()).headers == (("empty", ""),)


def test_a_value_too_large_for_the_dead_topic_is_named_by_its_place(build_dead: BuildDead) -> None:
    dead = build_dead(build_record(offset=9), ValueError(), keep_value=False)
    assert (dead.value, dead.topic, dead.offset) == (None, "stripe.events", 9)
