"""W3C trace context."""

import contextvars

import pytest

from hub.trace import HEADER, begin_trace, current_header

RECEIVED = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_received_trace_goes_on_with_a_span_of_its_own() -> None:
    assert begin_trace(RECEIVED) == "0af7651916cd43dd8448eb211c80319c"
    ((name, value),) = current_header()
    assert name == HEADER
    assert value.startswith(b"00-0af7651916cd43dd8448eb211c80319c-")
    assert value != RECEIVED


@pytest.mark.parametrize(
    "received",
    [
        None,
        b"",
        b"\xff\xfe",
        b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01",
        RECEIVED + b"\n",
        RECEIVED.upper(),
        b"01" + RECEIVED[2:],
        RECEIVED[:-1],
    ],
)
def test_a_missing_or_malformed_one_begins_a_new_trace(received: bytes | None) -> None:
    first, second = begin_trace(received), begin_trace(received)
    assert first != second
    assert len(first) == 32
    int(first, 16)


def test_outside_of_a_trace_there_is_no_header() -> None:
    assert contextvars.Context().run(current_header) == []
