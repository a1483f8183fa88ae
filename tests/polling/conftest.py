"""The polling room, wired to a scripted source and a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exporter.metrics.mapper import Mapper
from exporter.model.scale_set import ScaleSetId, Target
from exporter.polling.poller import Poller
from exporter.polling.retention import Retention
from exporter.polling.target_state import TargetState
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION
from support.clock import FakeClock
from support.source import FakeSource


@pytest.fixture
def source(clock: FakeClock) -> FakeSource:
    return FakeSource(clock)


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(version="1", python_version="3", process=False)


@pytest.fixture
def poller(clock: FakeClock, source: FakeSource, telemetry: Telemetry) -> Poller:
    return Poller(
        source=source,
        mapper=Mapper(),
        telemetry=telemetry,
        clock=clock,
        retention=Retention(keep_for=600.0, deadline=180.0),
    )


@pytest.fixture
def new_record(poller: Poller) -> Callable[..., TargetState]:
    def make(name: str = "web", interval: float = 60.0) -> TargetState:
        return poller.new_record(Target(ScaleSetId(SUBSCRIPTION, "rg-web", name), interval))

    return make
