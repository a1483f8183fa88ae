"""Structured logs on stderr: constant text with fields, as logfmt or JSON."""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}


def configure(
    *, level: str = "info", form: Literal["logfmt", "json"] = "logfmt", stream: TextIO | None = None
) -> None:
    """Send every log, the libraries' too, through one formatter.

    Libraries speak from `warn` on only, azure-identity from `error` on.

    Args:
        level: a key of `LEVELS`.
        form: `logfmt` as Prometheus's own programs write, or `json`.
        stream: where to write; stderr if None.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
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
    handler = logging.StreamHandler(stream or sys.stderr)
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


def _short_level(_: object, __: str, event: EventDict) -> EventDict:
    if event.get("level") == "warning":
        event["level"] = "warn"
    return event


def _in_order(_: object, __: str, event: EventDict) -> EventDict:
    first = {key: event[key] for key in ("ts", "level", "logger", "msg") if key in event}
    return {**first, **event}
