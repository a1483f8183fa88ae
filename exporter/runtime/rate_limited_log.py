"""Log events that may come in a flood at most once per interval, with how often they came."""

from __future__ import annotations

import asyncio
from typing import Any

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
            self._write()

    def _write(self) -> None:
        self._timer = None
        if self._count:
            count, fields = self._count, self._fields
            self._count, self._fields = 0, {}
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._interval, self._write)
            getattr(self._log, self._level)(self._event, count=count, **fields)
