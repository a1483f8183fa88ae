"""The endpoints of a site, reachable on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from exporter.web.application import make_application
from support.clock import FakeClock
from support.loop_clock import LoopClock
from support.site import WebCase


@pytest.fixture
def case(clock: FakeClock) -> WebCase:
    return WebCase(clock)


@pytest.fixture
async def client(case: WebCase) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    server = TestServer(make_application(case.site))
    # A client that decodes nothing by itself: the bytes on the wire are what is tested.
    async with TestClient(server, auto_decompress=False) as client:
        yield client


@pytest.fixture
def driven() -> LoopClock:
    """A clock that is to drive the loop's timers; the test begins with that."""
    return LoopClock()
