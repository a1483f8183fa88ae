"""A site over records that the test fills by hand."""

from __future__ import annotations

from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import Mapper
from exporter.model.scale_set import ScaleSetId, Target
from exporter.polling.poller import Poller
from exporter.polling.retention import Retention
from exporter.polling.target_state import TargetState
from exporter.telemetry import Telemetry
from exporter.web.application import Site
from exporter.web.metrics_page import Exposition
from support.answers import SUBSCRIPTION
from support.clock import FakeClock
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
        self.poller = Poller(
            source=self.source,
            mapper=mapper,
            telemetry=self.telemetry,
            clock=clock,
            retention=Retention(keep_for=600.0, deadline=180.0),
        )
        names = ("web", "Batch")
        self.records: list[TargetState] = [
            self.poller.new_record(Target(ScaleSetId(SUBSCRIPTION, "rg-web", name), 60.0))
            for name in names
        ]
        self.exposition = Exposition(
            served=self.poller.served,
            allowed=allowed,
            telemetry=self.telemetry,
        )
        self.site = Site(
            exposition=self.exposition,
            records=self.records,
            clock=clock,
            ready=lambda: self.ready,
            version="1<2",
        )

    async def poll(self) -> None:
        for record in self.records:
            await self.poller.poll_model(record)
            await self.poller.poll(record)
