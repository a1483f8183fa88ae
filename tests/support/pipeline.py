"""Client, poller and state of one scale set, wired as the daemon wires them."""

from __future__ import annotations

from exporter.azure.errors import NoAnswer
from exporter.azure.scale_sets import ScaleSetClient
from exporter.exposition.content_type import TEXT
from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import Mapper
from exporter.model.scale_set import ScaleSetId
from exporter.polling.target_state import TargetState
from exporter.runtime.clock import Clock
from exporter.telemetry import Telemetry
from exporter.web.metrics_page import MetricsPage
from support.answers import SUBSCRIPTION
from support.assembled import ServedPage
from support.polling import Polling

TOKEN = "a-token-that-must-not-show"
FLEET = f"""\
subscription_id: {SUBSCRIPTION}
page_size: 10
limits: {{enabled: false}}
scale_sets:
  - {{name: web, resource_group: rg-web, size: 50, extensions: [CustomScript]}}
  - {{name: flex, resource_group: rg-web, size: 3, orchestration: flexible}}
"""


class Pipeline(ServedPage):
    """Polls one set of the simulated Azure and shows what would be served."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.telemetry = Telemetry(version="1", python_version="3", process=False)
        self.mapper = Mapper()

    def connect(self, client: ScaleSetClient) -> None:
        """Use that client."""
        self.client = client
        self.polling = Polling(client, self.clock, telemetry=self.telemetry, mapper=self.mapper)
        self.poller = self.polling.poller

    def state(self, name: str = "web", resource_group: str = "rg-web") -> TargetState:
        """The state of a set, made at the first call for it."""
        found = self.polling.targets.find(ScaleSetId(SUBSCRIPTION, resource_group, name))
        return found or self.polling.add(name, resource_group=resource_group)

    async def poll(self, name: str = "web", resource_group: str = "rg-web") -> NoAnswer | None:
        """Poll a set once."""
        return await self.poller.poll(self.state(name, resource_group))

    async def page(self, *names: str) -> str:
        """The page in text 0.0.4, whole or of the named families."""
        page = MetricsPage(
            cache=self.polling.cache, allowed=FamilyFilter(), telemetry=self.telemetry
        )
        await self.poller.expire()
        return (await page.render(TEXT, names)).text.decode()
