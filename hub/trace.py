"""W3C trace context in message headers: one trace from webhook to metadata, through every topic.

Spec: https://www.w3.org/TR/trace-context/. Only the ids travel; they are bound to every log line of a message, so that
one search shows its whole path. An exporter can be added without touching a message.
"""

import random
import re
from contextvars import ContextVar

HEADER = "traceparent"
_FORM = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NO_ID = b"0" * 32
_current: ContextVar[list[tuple[str, bytes]]] = ContextVar("traceparent")


def begin_trace(received: bytes | None = None) -> str:
    """Continue the trace of a received header; begin a new one if it is missing or malformed. Returns the trace id."""
    match = _FORM.fullmatch(received) if received else None
    trace_id = match[1].decode() if match and match[1] != _NO_ID else f"{random.getrandbits(128):032x}"
    _current.set([(HEADER, b"00-%b-%016x-01" % (trace_id.encode(), random.getrandbits(64)))])
    return trace_id


def current_header() -> list[tuple[str, bytes]]:
    """Return the header that carries the current trace on, or nothing outside of one."""
    return _current.get([])
