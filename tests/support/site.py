"""A site over states that the test fills by hand."""

from __future__ import annotations

from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import Mapper
from exporter.telemetry import Telemetry
from exporter.web.application import Site
from exporter.web.metrics_page import MetricsPage
from support.clock import FakeClock
from support.polling import Polling
from support.source import FakeSource

DENIED = "azure_vmss_poll_duration_seconds"


class WebCase:
    """Everything a test of the endpoints needs."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.source = FakeSource(clock)
        self.telemetry = Telemetry(version="1", python_version="3", process=False)
        self.ready = False
        allowed = FamilyFilter(deny=(DENIED, "azure_vmss_exporter_config_*"))
        mapper = Mapper(families=allowed)
        self.polling = Polling(self.source, clock, telemetry=self.telemetry, mapper=mapper)
        self.poller = self.polling.poller
        self.states = [self.polling.add(name) for name in ("web", "Batch")]
        self.metrics_page = MetricsPage(
            cache=self.polling.cache, allowed=allowed, telemetry=self.telemetry
        )
        self.site = Site(
            metrics_page=self.metrics_page,
            targets=self.polling.targets,
            clock=clock,
            ready=lambda: self.ready,
            version="1<2",
        )

    async def poll(self) -> None:
        for state in self.states:
            await self.poller.poll_model(state)
            await self.poller.poll(state)
