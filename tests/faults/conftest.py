"""The whole way from a simulated Azure on real sockets to the page, on a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exporter.azure.auth.token_file import FileTokens
from exporter.azure.endpoints import Endpoints
from exporter.azure.ratelimit.budget import Budget
from exporter.azure.session import new_session
from exporter.simulator.fleet import Fleet
from exporter.simulator.server import SimulatedAzure
from faults.story import ScriptedAzure, Story, WireClock
from faults.world import World
from support.azure_room import client
from support.clock import FakeClock
from support.loop_clock import LoopClock
from support.pipeline import FLEET, TOKEN, Pipeline


@pytest.fixture
async def azure(clock: FakeClock) -> AsyncIterator[SimulatedAzure]:
    simulated = SimulatedAzure(Fleet.from_yaml(FLEET), token=TOKEN, clock=clock)
    await simulated.start()
    yield simulated
    await simulated.close()


@pytest.fixture
async def pipeline(
    azure: SimulatedAzure, clock: FakeClock, tmp_path: Path
) -> AsyncIterator[Pipeline]:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    tokens = FileTokens(str(token_file))
    async with new_session() as session:
        made = Pipeline(clock)
        made.connect(
            client(
                retries=0,
                # The clock stands still while a poll runs, so nothing may have to wait for its pace.
                budget=Budget(clock=clock, telemetry=made.telemetry, burst=1e6),
                session=session,
                endpoints=Endpoints(resource_manager=azure.url, scope=f"{azure.url}/.default"),
                tokens=tokens,
                telemetry=made.telemetry,
                clock=clock,
                # Real time: how long a test of a stalled answer takes, and a busy machine may stall.
                timeout=2.0,
                deadline=8.0,
                body_limit=2 * 1024 * 1024,
            )
        )
        yield made
        await tokens.close()


@pytest.fixture
async def story() -> AsyncIterator[Story]:
    """An exporter of one scale set, `web`, with every family."""
    azure = ScriptedAzure()
    async with azure.server:
        told = Story(azure, WireClock())
        everything = "metrics: {opt_in: ['*']}\n"
        async with told.assembled(told.configuration("web", more=everything)):
            yield told


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An exporter of a small fleet, not yet polling, and the simulated Azure that holds it."""
    clock = LoopClock()
    made = World(tmp_path, clock)
    with pytest.MonkeyPatch.context() as patch:
        clock.drive(patch)
        await made.azure.start()
        yield made
    await made.azure.close()
