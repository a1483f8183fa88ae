"""A token service that is down at the start and comes back, with azure-identity's own client."""

from __future__ import annotations

import pytest

from exporter.azure.auth import token_sources
from exporter.azure.endpoints import Endpoints
from exporter.azure.ratelimit.budget import Budget
from exporter.azure.session import new_session
from exporter.configuration import Credential
from exporter.simulator.faults import Fault
from exporter.simulator.server import SimulatedAzure
from support.azure_room import client
from support.clock import FakeClock
from support.pipeline import Pipeline


async def test_the_exporter_waits_for_the_token_service_and_then_polls(
    azure: SimulatedAzure, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{azure.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "simulated-identity")
    endpoints = Endpoints(resource_manager=azure.url, scope=f"{azure.url}/.default")
    tokens = token_sources.build(Credential(type="managed_identity"), endpoints, clock=clock)
    pipeline = Pipeline(clock)
    async with new_session() as session:
        pipeline.connect(
            client(
                retries=0,
                # The clock stands still while a poll runs, so nothing may have to wait for its pace.
                budget=Budget(clock=clock, telemetry=pipeline.telemetry, burst=1e6),
                session=session,
                endpoints=endpoints,
                tokens=tokens,
                telemetry=pipeline.telemetry,
                clock=clock,
                timeout=5.0,
                deadline=10.0,
            )
        )
        down = azure.faults.append(Fault(kind="status", status=400, operation="token"))
        await pipeline.poll()
        assert await pipeline.value("azure_vmss_up") == 0
        assert await pipeline.value("azure_vmss_poll_failure", reason="authentication") == 1
        asked = down.happened
        await pipeline.poll("flex")
        assert down.happened == asked, "a dead token service is not asked by every set"

        azure.faults.clear()
        await clock.advance(60)
        await pipeline.poll()
        assert await pipeline.value("azure_vmss_up", scale_set="web") == 1
        assert await pipeline.value("azure_vmss_instances", scale_set="web") == 50
    await tokens.close()
