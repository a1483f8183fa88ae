"""A poller and all that it needs, wired as the daemon wires them."""

from __future__ import annotations

from typing import Any

from exporter.azure.ratelimit.budget import Budget
from exporter.azure.ratelimit.retry_after import RetryAfterGate
from exporter.exposition.cache import ExpositionCache
from exporter.metrics.mapper import Mapper
from exporter.model.scale_set import ScaleSetId, Target
from exporter.persistence.store import StateStore
from exporter.polling.concurrency import Slots
from exporter.polling.intervals import Intervals
from exporter.polling.jobs import jobs_of
from exporter.polling.poller import Poller
from exporter.polling.publisher import Publisher
from exporter.polling.retention import Retention
from exporter.polling.scheduler import Scheduler
from exporter.polling.source import ScaleSetSource
from exporter.polling.target_state import TargetState
from exporter.polling.targets import Targets
from exporter.runtime.clock import Clock
from exporter.runtime.overdue import Overdue
from exporter.telemetry import Telemetry
from support.answers import SUBSCRIPTION


class Polling:
    """A poller, the targets that it polls, and what is served of them.

    Args:
        source: answers in Azure's place.
        telemetry: the exporter's own metrics; new ones if None.
        mapper: the catalogue as configured; the whole of it if None.
        keep_for: `polling.keep_for`.
        deadline: `polling.deadline`.
        max_series: `metrics.max_series`.
        store: saves the states.
    """

    def __init__(
        self,
        source: ScaleSetSource,
        clock: Clock,
        *,
        telemetry: Telemetry | None = None,
        mapper: Mapper | None = None,
        keep_for: float = 600.0,
        deadline: float = 180.0,
        max_series: int = 0,
        store: StateStore | None = None,
    ) -> None:
        self.clock = clock
        self.telemetry = telemetry or Telemetry(version="1", python_version="3", process=False)
        self.overdue = Overdue(clock)
        self.mapper = mapper or Mapper()
        self.publisher = Publisher(mapper=self.mapper, clock=clock, max_series=max_series)
        self.poller = Poller(
            sources={"": source},
            mapper=self.mapper,
            publisher=self.publisher,
            telemetry=self.telemetry,
            clock=clock,
            retention=Retention(keep_for=keep_for, deadline=deadline),
            store=store,
        )
        self.targets = Targets(telemetry=self.telemetry)
        self.targets.observers = (self.poller, self.publisher, *((store,) if store else ()))

    @property
    def cache(self) -> ExpositionCache:
        """What is served."""
        return self.publisher.cache

    def add(self, name: str = "web", interval: float = 60.0, **more: Any) -> TargetState:
        """Poll a set of `rg-web`."""
        group = more.pop("resource_group", "rg-web")
        return self.targets.add(Target(ScaleSetId(SUBSCRIPTION, group, name), interval, **more))

    def adopt(self, state: TargetState) -> None:
        """Continue with the state of another poller, as a change of the configuration does."""
        self.publisher.added(state)
        self.poller.adopt(state)
        self.publisher.publish(state)

    def page(self) -> str:
        """What is served about Azure."""
        return self.cache.page().text.decode()

    def scheduler(
        self, gate: RetryAfterGate, budget: Budget, *, concurrency: int = 16
    ) -> Scheduler:
        """What polls the targets when they are due; it learns of those that come and go."""
        intervals = Intervals(self.targets, budget=budget, clock=self.clock)
        scheduler = Scheduler(
            targets=self.targets,
            jobs=jobs_of(self.poller, intervals),
            expiry=self.poller.keep_expiring,
            gate=gate,
            slots=Slots(concurrency, clock=self.clock),
            clock=self.clock,
            budget=budget,
            overdue=self.overdue,
        )
        self.targets.observers = (*self.targets.observers, intervals, scheduler)
        return scheduler
