"""From bytes on a topic to a message, and from a message that went wrong to the dead topic."""

import base64
import traceback
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol, TypeVar

from pydantic import ValidationError

from hub.stage.ports import Outgoing
from schemas.errors import HubError, Poison
from schemas.ids import parse_message_key
from schemas.messages import DeadMessage, Message, StageName
from schemas.topics import DEAD

M = TypeVar("M", bound=Message)


class Record(Protocol):
    """The part of aiokafka's ConsumerRecord that the runtime relies on."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def decode_record(record: Record, message_type: type[M]) -> M:
    """Validate a record's value.

    Raises:
        Poison: empty, not JSON, not this message, of an unknown version, or under another object's key.
    """
    if not record.value:
        raise Poison("The message is empty.", code="message.empty")
    try:
        message = message_type.model_validate_json(record.value)
    except ValidationError as exc:
        raise Poison(_summarize(exc), code="message.invalid") from exc
    _check_key(record, message)
    return message


def _check_key(record: Record, message: Message) -> None:
    """A message under a foreign key would run beside others about its invoice, out of order."""
    key = parse_message_key((record.key or b"").decode("utf-8", "replace"))
    if key is None or key[0] != message.connection:
        raise Poison("The message's key does not name its connection.", code="message.key")


def _summarize(exc: ValidationError) -> str:
    parts = [f"{'.'.join(str(part) for part in error['loc']) or 'message'}: {error['msg']}" for error in exc.errors()]
    return "The message can't be understood: " + "; ".join(parts[:5])


def find_header(record: Record, name: str) -> bytes | None:
    """Return the first header of this name. Values are bytes of any kind; nothing is decoded."""
    return next((value for key, value in record.headers if key == name), None)


def build_dead_message(
    record: Record,
    error: BaseException,
    *,
    stage: StageName,
    reason: Literal["poison", "unexpected"],
    attempts: int,
    at: datetime,
    keep_value: bool = True,
) -> Outgoing:
    """Wrap the whole record with what is known about its failure. The trace is for engineers, and stays in there.

    Without its value only where the broker takes no more: topic, partition and offset say where the whole still is.
    """
    message = DeadMessage(
        stage=stage,
        reason=reason,
        code=error.code if isinstance(error, HubError) else f"unexpected.{type(error).__name__}",
        error=str(error),
        trace="".join(traceback.format_exception(error)) if reason == "unexpected" else "",
        attempts=attempts,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=_encode(record.key),
        value=_encode(record.value) if keep_value else None,
        headers=tuple((name, _encode(value) or "") for name, value in record.headers),
        at=at,
    )
    return Outgoing(DEAD, (record.key or b"").decode("utf-8", "replace"), message)


def _encode(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
