"""The Azure room under test: a client on loopback or on mocked answers."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aioresponses.core
import pytest
from aiohttp import ClientResponse, ClientSession
from aioresponses import aioresponses as mocked_answers

from exporter.azure.endpoints import Endpoints
from exporter.azure.scale_sets import ScaleSetClient
from exporter.azure.session import new_session
from exporter.telemetry import Telemetry
from support.azure_room import PUBLIC, FakeTokens, Wire, client
from support.budget_caller import Caller
from support.clock import FakeClock
from support.tls import Authority

if "stream_writer" in inspect.signature(ClientResponse.__init__).parameters:
    # aioresponses 0.7.9 does not know this argument of aiohttp 3.14's, which has no default.
    class _Response(ClientResponse):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.setdefault("stream_writer", Mock(output_size=0))
            super().__init__(*args, **kwargs)

    vars(aioresponses.core)["ClientResponse"] = _Response


@pytest.fixture
def telemetry(clock: FakeClock) -> Telemetry:
    return Telemetry(version="1", python_version="3", process=False, monotonic=clock.monotonic)


@pytest.fixture
def tokens() -> FakeTokens:
    return FakeTokens()


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with new_session() as opened:
        yield opened


@pytest.fixture
def new_client(
    session: ClientSession, tokens: FakeTokens, telemetry: Telemetry, clock: FakeClock
) -> Callable[..., ScaleSetClient]:
    def make(endpoints: Endpoints = PUBLIC, **changes: Any) -> ScaleSetClient:
        settings: dict[str, Any] = {
            "session": session,
            "endpoints": endpoints,
            "tokens": tokens,
            "telemetry": telemetry,
            "clock": clock,
            # Most tests look at one request; those of the retries ask for them.
            "retries": 0,
        }
        return client(**(settings | changes))

    return make


@pytest.fixture
def answers() -> Iterator[mocked_answers]:
    with mocked_answers() as mocked:
        yield mocked


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    playing = Wire()
    await playing.server.start_server()
    yield playing
    await playing.server.close()


@pytest.fixture
async def elsewhere() -> AsyncIterator[Wire]:
    """Another server, which should never be asked anything."""
    playing = Wire()
    await playing.server.start_server()
    yield playing
    await playing.server.close()


@pytest.fixture
async def caller(clock: FakeClock) -> AsyncIterator[Caller]:
    """Asks a budget; what it has begun ends with the test."""
    made = Caller(clock)
    yield made
    await made.stop()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def login(authority: Authority) -> AsyncIterator[Wire]:
    """A login service."""
    playing = Wire()
    await playing.server.start_server(ssl=authority.server("localhost"))
    yield playing
    await playing.server.close()
