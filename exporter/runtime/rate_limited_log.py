"""Log events that may come in a flood at most once per interval, with how often they came."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakSet

INTERVAL = 60.0
"""Seconds between two lines about the same event."""


class RateLimitedLog:
    """One event that is logged at once, and then at most once per interval.

    A line has the fields of the latest occurrence and, as `count`, the occurrences since the line
    before. Needs a running event loop.

    Args:
        log: the logger that writes the line.
        event: the constant text of the line.
        level: the level's name, as structlog's methods are named.
        interval: seconds between two lines.
    """

    def __init__(
        self, log: Any, event: str, *, level: str = "info", interval: float = INTERVAL
    ) -> None:
        self._log = log
        self._event = event
        self._level = level
        self._interval = interval
        self._count = 0
        self._fields: dict[str, Any] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, **fields: Any) -> None:
        """Note one occurrence."""
        self._count += 1
        self._fields = fields
        if self._timer is None:
            self._next()
        else:
            _waiting.add(self)

    def write_out(self) -> None:
        """Write the line that is due, or will be."""
        count, fields = self._count, self._fields
        self._count, self._fields = 0, {}
        _waiting.discard(self)
        getattr(self._log, self._level)(self._event, count=count, **fields)

    def _next(self) -> None:
        self._timer = None
        if self._count:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._interval, self._next)
            self.write_out()


_waiting: WeakSet[RateLimitedLog] = WeakSet()


def write_out_all() -> None:
    """Write all lines that wait for the end of their interval; at the end of the process."""
    for event in tuple(_waiting):
        event.write_out()
