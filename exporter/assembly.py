"""The only place that builds things: it wires the parts as one configuration wants them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from exporter.configuration import Configuration
from exporter.connection import Connection
from exporter.discovery.discovery import Discovery, carried_over
from exporter.discovery.finder import Finder
from exporter.metrics.family import SetFamily, StateSetFamily
from exporter.model.scale_set import ScaleSetId
from exporter.persistence.restore import restore_found, store_for
from exporter.persistence.store import StateStore
from exporter.polling.concurrency import Slots
from exporter.polling.details_poller import DetailsPoller, kinds_of
from exporter.polling.intervals import Intervals
from exporter.polling.jobs import jobs_of
from exporter.polling.poller import Poller
from exporter.polling.publisher import Publisher
from exporter.polling.retention import Retention
from exporter.polling.scheduler import Scheduler
from exporter.polling.targets import Changes, Observer, Targets
from exporter.preparation import Prepared, prepare, unknown_patterns
from exporter.process import Process
from exporter.web.metrics_page import MetricsPage

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Exporter:
    """All parts, wired: polling, what shows it, and what saves it over a restart if asked for."""

    prepared: Prepared
    connection: Connection
    targets: Targets
    poller: Poller
    publisher: Publisher
    store: StateStore | None
    scheduler: Scheduler
    discovery: Discovery
    details: DetailsPoller
    intervals: Intervals
    metrics_page: MetricsPage

    @property
    def configuration(self) -> Configuration:
        """What it was built from."""
        return self.prepared.configuration

    @property
    def state_sets(self) -> list[StateSetFamily | SetFamily[Any]]:
        """The families with a sample for each state."""
        kinds = (StateSetFamily, SetFamily)
        return [f for f in self.prepared.mapper.families if isinstance(f, kinds) and f.states]

    async def run(self) -> None:
        """Poll and search for scale sets, until cancelled: nothing of it ends by itself."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.scheduler.run(), name="scheduler")
            group.create_task(self.discovery.run(), name="discovery")
            group.create_task(self.details.run(), name="details")

    async def apply(self, prepared: Prepared) -> Changes:
        """Poll the listed sets of a configuration that differs in nothing else.

        It is in force only once no change has failed, so that the same file can be tried again.
        """
        changes = await self.discovery.change(prepared.configuration)
        if not changes.failed:
            self.prepared = prepared
        return changes


@asynccontextmanager
async def build(
    configuration: Configuration,
    process: Process,
    *,
    prepared: Prepared | None = None,
    carried: Exporter | None = None,
) -> AsyncIterator[Exporter]:
    """Wire the parts from a configuration, and close what they hold open at the end.

    The targets of the process become those of the configuration. What is known of targets that
    stay goes on; so does the connection of `carried`, if it is open and asks in the same way.
    Where this raises, `carried` and the targets are as they were before.

    Args:
        configuration: what to poll, and how.
        process: what stays whatever the configuration says.
        prepared: what the configuration comes to; it is prepared here if None.
        carried: the exporter of the configuration before, which polls no more.

    Raises:
        ConfigurationError: something of the configuration cannot be had.
    """
    polling = configuration.polling
    if prepared is None:
        prepared = await asyncio.to_thread(prepare, configuration)
    mapper = prepared.mapper
    if carried and carried.connection.is_open and prepared.asks_like(carried.connection.prepared):
        connection = carried.connection
    else:
        connection = Connection(prepared, process)
    async with connection.used():
        store = store_for(
            configuration,
            mapper,
            azures=_azures(carried.prepared) | _azures(prepared) if carried else _azures(prepared),
            version=process.version,
            telemetry=process.telemetry,
            clock=process.clock,
        )
        publisher = Publisher(
            mapper=mapper, clock=process.clock, max_series=configuration.metrics.max_series
        )
        retention = Retention(keep_for=polling.keep_for, deadline=polling.deadline)
        poller = Poller(
            sources={name: one.scale_sets for name, one in connection.clients.items()},
            mapper=mapper,
            publisher=publisher,
            telemetry=process.telemetry,
            clock=process.clock,
            retention=retention,
            cooperative=process.cooperative,
            store=store,
        )
        details = DetailsPoller(
            sources={name: one.details for name, one in connection.clients.items()},
            kinds=kinds_of(configuration.model),
            interval=configuration.model.interval,
            targets=process.targets,
            publisher=publisher,
            retention=retention,
            clock=process.clock,
        )
        intervals = Intervals(process.targets, budget=process.budget, clock=process.clock)
        scheduler = Scheduler(
            targets=process.targets,
            jobs=jobs_of(poller, intervals),
            expiry=poller.keep_expiring,
            gate=process.gate,
            slots=Slots(polling.concurrency, clock=process.clock),
            clock=process.clock,
            budget=process.budget,
            overdue=process.overdue,
        )
        discovery = Discovery(
            configuration,
            finders={name: Finder(one.lists) for name, one in connection.clients.items()},
            graphs=(
                {}
                if configuration.resource_graph.mode == "off"
                else {name: one.graph for name, one in connection.clients.items()}
            ),
            targets=process.targets,
            poller=poller,
            clock=process.clock,
            telemetry=process.telemetry,
            restore=partial(restore_found, store, poller) if store is not None else None,
        )
        built = Exporter(
            prepared=prepared,
            connection=connection,
            targets=process.targets,
            poller=poller,
            publisher=publisher,
            store=store,
            scheduler=scheduler,
            discovery=discovery,
            details=details,
            intervals=intervals,
            metrics_page=MetricsPage(
                cache=publisher.cache, allowed=prepared.families, telemetry=process.telemetry
            ),
        )
        moved = _moved(carried, prepared)
        known = [state for state in process.targets if state.target.credential not in moved]
        await publisher.fill(known)
        # Last, and nothing of it raises: none of it could be undone.
        process.budget.share = polling.budget_share
        observers: tuple[Observer | None, ...] = (poller, publisher, intervals, scheduler, store)
        process.targets.observers = tuple(filter(None, observers))
        # The sets of another Azure are others, whatever their names.
        await process.targets.apply([state.target for state in known])
        for state in process.targets:
            poller.adopt(state)
        await discovery.begin()
        yield built


def staying(exporter: Exporter, prepared: Prepared) -> frozenset[ScaleSetId]:
    """The sets that go on with what is known of them if another configuration takes its place."""
    moved = _moved(exporter, prepared)
    known = {
        state.target.scale_set.key: state.target
        for state in exporter.targets
        if state.target.credential not in moved
    }
    return frozenset(
        target.scale_set
        for target in carried_over(prepared.configuration, exporter.targets)
        if (before := known.get(target.scale_set.key)) and target.has_series_of(before)
    )


def _moved(carried: Exporter | None, prepared: Prepared) -> frozenset[str]:
    """The names of the credentials whose Azure is another one by a new configuration."""
    if carried is None:
        return frozenset()
    before, after = _azures(carried.prepared), _azures(prepared)
    return frozenset(name for name in before if before[name] != after.get(name))


def _azures(prepared: Prepared) -> dict[str, str]:
    """The address of the Azure of each credential, by its name."""
    return {name: where.resource_manager for name, where in prepared.endpoints.items()}


def record_configuration(configuration: Configuration, text: str, process: Process) -> None:
    """Show on the metrics which configuration is in force, and log what is odd about it.

    Args:
        text: the file's content, for `config_hash` and `/config`.
        process: what has the metrics.
    """
    telemetry = process.telemetry
    process.shown.text = text
    digest = hashlib.sha256(text.encode()).digest()
    telemetry.gauge("config_hash").set(int.from_bytes(digest[:6], "big"))
    telemetry.gauge("config_last_reload_successful").set(1)
    telemetry.gauge("config_last_reload_success_timestamp_seconds").set(process.clock.now())
    for warning in unknown_patterns(configuration):
        _log.warning("pattern matches no family", problem=warning)
    for key in ("interval", "platform_events"):
        if key in configuration.resource_graph.model_fields_set:
            _log.warning("setting has no effect yet", setting=f"resource_graph.{key}")
