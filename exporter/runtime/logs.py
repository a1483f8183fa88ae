"""Structured logs on stderr: constant text with fields, as logfmt or JSON."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor

from exporter.runtime.log_writer import LogWriter

FLUSH_TIMEOUT = 1.0
"""Seconds for what is left to be written at the end."""

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}


class QueueHandler(logging.Handler):
    """Hands lines to a thread that writes them: the event loop never waits for a full pipe.

    Args:
        descriptor: where to write.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.writer = LogWriter(descriptor, describe_lost=self._describe_lost)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a line that breaks must not break what logs it
            self.writer.lose()
        else:
            self.writer.put(line)

    def _describe_lost(self, count: int) -> str:
        record = logging.LogRecord(
            __name__, logging.WARNING, __file__, 0, "%d log lines lost", (count,), None
        )
        return self.format(record)


def configure(
    *,
    level: str = "info",
    form: Literal["logfmt", "json"] = "logfmt",
    stream: TextIO | None = None,
    queued: bool = False,
) -> None:
    """Send every log, the libraries' too, through one formatter.

    Libraries speak from `warn` on only, azure-identity from `error` on.

    Args:
        level: a key of `LEVELS`.
        form: `logfmt` as Prometheus's own programs write since 3.0, or `json`.
        stream: where to write; stderr if None.
        queued: whether a thread writes, so that logging never waits for the client of the log.
            Lines that are not written at the end are lost, unless `flush` is called.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _short_level,
    ]
    renderer: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("msg"),
        _in_order,
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.processors.LogfmtRenderer(),
    ]
    handler = _handler(stream or sys.stderr, queued=queued)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=renderer)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(LEVELS[level], logging.WARNING))
    logging.getLogger("exporter").setLevel(LEVELS[level])
    # azure-identity warns in many lines at each try; what it says is in the failure's own line.
    logging.getLogger("azure").setLevel(logging.WARNING if level == "debug" else logging.ERROR)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _handler(stream: TextIO | None, *, queued: bool) -> logging.Handler:
    if stream is None:
        # As it is where the process was started with stderr closed.
        return logging.NullHandler()
    return QueueHandler(stream.fileno()) if queued else logging.StreamHandler(stream)


def count_lost(counted: Callable[[int], object]) -> None:
    """Call this with the number of lines whenever some are lost; does nothing without a queue."""
    for writer in _writers():
        writer.on_lost = counted


def flush(seconds: float = FLUSH_TIMEOUT) -> None:
    """Wait until all lines are written, but not for ever: the log may have no client."""
    for writer in _writers():
        writer.flush(seconds)


def _writers() -> Iterator[LogWriter]:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, QueueHandler):
            yield handler.writer


def _short_level(_: object, __: str, event: EventDict) -> EventDict:
    level = str(event["level"])
    event["level"] = "WARN" if level == "warning" else level.upper()
    return event


def _in_order(_: object, __: str, event: EventDict) -> EventDict:
    first = {key: event[key] for key in ("time", "level", "logger", "msg") if key in event}
    return {**first, **event}
