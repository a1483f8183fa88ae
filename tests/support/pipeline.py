"""Client, poller and record of one scale set, wired as the daemon wires them."""

from __future__ import annotations

from exporter.azure.errors import NoAnswer
from exporter.azure.scale_sets import ScaleSetClient
from exporter.exposition.content_type import TEXT
from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import Mapper
from exporter.model.scale_set import ScaleSetId, Target
from exporter.polling.poller import Poller
from exporter.polling.retention import Retention
from exporter.polling.target_state import TargetState
from exporter.runtime.clock import Clock
from exporter.telemetry import Telemetry
from exporter.web.metrics_page import Exposition
from support.answers import SUBSCRIPTION, samples

TOKEN = "a-token-that-must-not-show"
FLEET = f"""\
subscription_id: {SUBSCRIPTION}
page_size: 10
limits: {{enabled: false}}
scale_sets:
  - {{name: web, resource_group: rg-web, size: 50, extensions: [CustomScript]}}
  - {{name: flex, resource_group: rg-web, size: 3, orchestration: flexible}}
"""


class Pipeline:
    """Polls one set of the simulated Azure and shows what would be served."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.telemetry = Telemetry(version="1", python_version="3", process=False)
        self.mapper = Mapper()
        self.records: list[TargetState] = []

    def connect(self, client: ScaleSetClient) -> None:
        """Use that client."""
        self.client = client
        self.poller = Poller(
            source=client,
            mapper=self.mapper,
            telemetry=self.telemetry,
            clock=self.clock,
            retention=Retention(keep_for=600.0, deadline=180.0),
        )

    def record(self, name: str = "web", resource_group: str = "rg-web") -> TargetState:
        """The record of a set, made at the first call for it."""
        scale_set = ScaleSetId(SUBSCRIPTION, resource_group, name)
        for record in self.records:
            if record.target.scale_set == scale_set:
                return record
        record = self.poller.new_record(Target(scale_set, 60.0))
        self.records.append(record)
        return record

    async def poll(self, name: str = "web", resource_group: str = "rg-web") -> NoAnswer | None:
        """Poll a set once."""
        return await self.poller.poll(self.record(name, resource_group))

    async def page(self, *names: str) -> str:
        """The page in text 0.0.4, whole or of the named families."""
        exposition = Exposition(
            served=self.poller.served,
            allowed=FamilyFilter(),
            telemetry=self.telemetry,
        )
        await self.poller.expire()
        return (await exposition.page(TEXT, names)).text.decode()

    async def total(self, name: str) -> float:
        """The sum of a family's samples on the page."""
        return sum(v for (n, _), v in samples(await self.page(name)).items() if n == name)

    async def samples_of(self, name: str, **labels: str) -> list[float]:
        """The samples of the page by a name and some of their labels."""
        wanted = set(labels.items())
        return [
            v
            for (n, have), v in samples(await self.page(name)).items()
            if n == name and wanted <= have
        ]

    async def value(self, name: str, **labels: str) -> float | None:
        """A sample of the page, by its name and some of its labels; None where there is none."""
        found = await self.samples_of(name, **labels)
        assert len(found) <= 1, f"{name} {labels}: {found}"
        return found[0] if found else None
