"""Whether this machine's clock is right, by the time that Azure's answers carry.

A wrong clock makes good tokens look expired and certificates look not yet valid, and shifts every
age that is shown, and is rarely the first suspect.
"""

from __future__ import annotations

import structlog
from multidict import MultiMapping

from exporter.azure.ratelimit.headers import time_of
from exporter.runtime.clock import Clock

WRONG = 60.0
"""Seconds beyond which the clock is wrong; `Date` has whole seconds, and answers take a moment."""

_log = structlog.get_logger(__name__)


class ClockCheck:
    """Compares each answer's `Date` with the clock, and logs when they differ and agree again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._is_wrong = False

    def note(self, headers: MultiMapping[str]) -> None:
        """Look at an answer's headers. Only Azure's own count: a proxy has a time of its own."""
        if "x-ms-request-id" not in headers or "Age" in headers:
            return
        try:
            there = time_of(headers.get("Date", ""))
        except (ValueError, TypeError, OverflowError, IndexError):
            return
        ahead = self._clock.now() - there
        is_wrong = abs(ahead) > (WRONG / 2 if self._is_wrong else WRONG)
        if is_wrong == self._is_wrong:
            return
        self._is_wrong = is_wrong
        if is_wrong:
            _log.warning(
                "clock is wrong",
                seconds_ahead=round(ahead),
                advice="set this machine's clock: tokens, certificates and ages depend on it",
            )
        else:
            _log.info("clock is right again", seconds_ahead=round(ahead))
