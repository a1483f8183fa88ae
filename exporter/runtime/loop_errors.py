"""Errors on the event loop that no task waits for: logged, but never in a flood."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import structlog

from exporter.runtime.rate_limited_log import RateLimitedLog

_NONE_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = structlog.get_logger(__name__)


class LoopErrors:
    """The event loop's exception handler.

    When no file descriptor is left for a new connection, asyncio logs it with a traceback, a
    hundred times in a row and again each second, for as long as clients keep connecting. Here one
    warning a minute replaces them. Every other error is logged as asyncio does.
    """

    def __init__(self) -> None:
        self._none_left = RateLimitedLog(_log, "connection not accepted", level="warning")

    def handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log one error; the arguments are those of `loop.set_exception_handler`."""
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in _NONE_LEFT and "socket" in context):
            loop.default_exception_handler(context)
            return
        self._none_left(
            error=error.strerror,
            hint="raise the limit of open files, or see who keeps connections open",
        )
