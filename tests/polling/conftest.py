"""The polling folder, wired to a scripted source and a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exporter.polling.poller import Poller
from exporter.polling.target_state import TargetState
from exporter.telemetry import Telemetry
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource


@pytest.fixture
def source(clock: FakeClock) -> FakeSource:
    return FakeSource(clock)


@pytest.fixture
def polling(clock: FakeClock, source: FakeSource) -> Polling:
    return Polling(source, clock)


@pytest.fixture
def telemetry(polling: Polling) -> Telemetry:
    return polling.telemetry


@pytest.fixture
def poller(polling: Polling) -> Poller:
    return polling.poller


@pytest.fixture
def new_target(polling: Polling) -> Callable[..., TargetState]:
    return polling.add
