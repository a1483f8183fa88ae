"""How many scrapes are answered at a time (`--web.max-requests`)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from aiohttp import web

from exporter.runtime.rate_limited_log import RateLimitedLog
from exporter.web.responses import OFFERED, abort

_log = structlog.get_logger(__name__)

MAX_REQUESTS = 40

STALLED = 10.0
"""Seconds after which an answer may be aborted for a new scrape: Prometheus waits no longer by
default, and clients that read slowly must not keep the scraper out."""

SILENT = 2.0
"""Seconds for which a client may read nothing at all while a new scrape waits for its place."""


class Scrapes:
    """The scrapes that are being answered.

    Args:
        most: how many there may be; 0 for no limit.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._running: dict[object, tuple[web.Request, float]] = {}
        self._gave_way = RateLimitedLog(_log, "scrapes aborted for newer ones", level="warning")
        self._refused = RateLimitedLog(_log, "scrapes refused", level="warning")

    @contextmanager
    def answering(self, request: web.Request) -> Iterator[bool]:
        """Answer a scrape; the value is False if there are as many as there may be."""
        scrape = object()
        admitted = self._make_room()
        if admitted:
            self._running[scrape] = (request, asyncio.get_running_loop().time())
        try:
            yield admitted
        finally:
            self._running.pop(scrape, None)

    def _make_room(self) -> bool:
        if not self.most or len(self._running) < self.most:
            return True
        first = min(self._running, key=lambda scrape: _until(*self._running[scrape]))
        request, since = self._running[first]
        if _until(request, since) > asyncio.get_running_loop().time():
            self._refused(at_a_time=self.most, hint="raise --web.max-requests")
            return False
        self._gave_way(at_a_time=self.most)
        del self._running[first]
        abort(request)
        return True


def _until(request: web.Request, since: float) -> float:
    """Until when the answer to a request that came then is not aborted for another."""
    offered = request.get(OFFERED)
    return since + STALLED if offered is None else min(since + STALLED, offered + SILENT)
