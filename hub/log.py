"""Logging: structlog, JSON for machines and console for people. Events are fixed dotted names, data are pairs."""

import logging
import sys
from contextlib import suppress
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict

from hub.harmless import make_all_harmless, make_harmless

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logging(
    service: str, *, fmt: Literal["auto", "json", "console"], level: str = "info", stream: TextIO | None = None
) -> None:
    """Set up the process's logging, once, at start. The stream defaults to stdout."""
    out = stream or sys.stdout
    console = fmt == "console" or (fmt == "auto" and out.isatty())
    # JSON escapes by itself all that a terminal would obey.
    ending: list[Any] = (
        [_make_harmless, structlog.dev.ConsoleRenderer()] if console else [structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *ending,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(out))),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    _route_libraries(out)


def _make_harmless(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Write out what a terminal would obey in foreign text; a trace keeps its lines."""
    trace = {"exception": make_harmless(str(event["exception"]))} if "exception" in event else {}
    return {**make_all_harmless(dict(event)), **trace}


class _HarmlessFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return make_harmless(super().format(record))


class _Unfailing:
    """A stream that drops what can't be written: a full disk, or a reader that has gone, is no reason to fail work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def _route_libraries(out: TextIO) -> None:
    """Let libraries speak only when something is wrong; aiokafka and uvicorn chatter at INFO."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(_HarmlessFormatter("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # aiokafka logs each failed commit at ERROR, the expected one of a rebalance too; the runtime reports its own.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def get_logger() -> Any:
    """Return the process's logger."""
    return structlog.get_logger()
