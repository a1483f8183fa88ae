"""What goes wrong on the event loop with nobody waiting for it: said, but never in a flood."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import structlog

from exporter.clock import Clock

SAID_EVERY = 60.0
"""Seconds between two warnings that there is no file descriptor left for a reader."""

_NONE_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = structlog.get_logger(__name__)


class LoopErrors:
    """The event loop's exception handler.

    When no file descriptor is left for a new connection, asyncio says so with a traceback, a
    hundred times in a row and again each second, for as long as readers keep coming. Here one
    warning a minute says it. Everything else is told as asyncio tells it.

    Args:
        clock: the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said_at: float | None = None

    def handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Tell of one error; the arguments are those of `loop.set_exception_handler`."""
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in _NONE_LEFT and "socket" in context):
            loop.default_exception_handler(context)
            return
        now = self._clock.monotonic()
        if self._said_at is None or now - self._said_at >= SAID_EVERY:
            self._said_at = now
            _log.warning(
                "no connection for a reader",
                error=error.strerror,
                hint="raise the limit of open files, or see who keeps connections open",
            )
