"""The only place that builds things: it wires the parts as one configuration wants them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import aiohttp
import structlog

from exporter.azure.auth import token_sources
from exporter.azure.auth.token_cache import TokenSource
from exporter.azure.auth.token_watch import TokenWatch
from exporter.azure.circuit_breaker import OpenCircuits
from exporter.azure.lists import Lists
from exporter.azure.ratelimit.budget import Budget
from exporter.azure.ratelimit.retry_after import RetryAfterGate
from exporter.azure.scale_sets import ScaleSetClient
from exporter.azure.session import new_session
from exporter.azure.transport import Transport
from exporter.configuration import Configuration
from exporter.discovery.discovery import Discovery, carried_over
from exporter.discovery.finder import Finder
from exporter.model.scale_set import ScaleSetId
from exporter.persistence.restore import restore_found, store_for
from exporter.persistence.store import StateStore
from exporter.polling.concurrency import Slots
from exporter.polling.intervals import Intervals
from exporter.polling.jobs import jobs_of
from exporter.polling.poller import Poller
from exporter.polling.publisher import Publisher
from exporter.polling.retention import Retention
from exporter.polling.scheduler import Scheduler
from exporter.polling.target_state import TargetState
from exporter.polling.targets import Changes, Observer, Targets
from exporter.preparation import Prepared, prepare, unknown_patterns
from exporter.runtime import logs
from exporter.runtime.clock import Clock, SystemClock
from exporter.runtime.cooperative import CooperativeScheduler
from exporter.runtime.loop_lag import LoopLag
from exporter.runtime.overdue import Overdue
from exporter.telemetry import Telemetry
from exporter.web.metrics_page import MetricsPage

_log = structlog.get_logger(__name__)


class Process:
    """What the process has once, whatever configurations come and go.

    Attributes:
        version: the exporter's version.
        telemetry: the exporter's own metrics.
        cooperative: lets long work yield, and scrapes go first.
        watch: how late the event loop is.
        gate: until when Azure asked to wait.
        budget: what may be spent of Azure's limits.
        targets: the scale sets that are polled.
        tokens: the sources of tokens in place of configured credentials, by their names.

    Args:
        own_process: whether the `process_*` and `python_*` families are served.
    """

    def __init__(
        self,
        *,
        version: str,
        python_version: str,
        clock: Clock | None = None,
        tokens: Mapping[str, TokenSource] | None = None,
        own_process: bool = True,
    ) -> None:
        self.version = version
        self.clock = clock or SystemClock()
        self.telemetry = Telemetry(
            version=version,
            python_version=python_version,
            process=own_process,
            monotonic=self.clock.monotonic,
        )
        self.cooperative = CooperativeScheduler()
        self.watch = LoopLag(self.clock)
        self.gate = RetryAfterGate(clock=self.clock, telemetry=self.telemetry)
        self.budget = Budget(clock=self.clock, telemetry=self.telemetry)
        self.overdue = Overdue(self.clock)
        self.targets = Targets(telemetry=self.telemetry)
        self.tokens = dict(tokens or {})
        self.telemetry.gauge("poll_lag_seconds").set_function(self.overdue.largest)
        self.telemetry.gauge("event_loop_lag_seconds").set_function(self.watch.largest)
        logs.count_lost(self.telemetry.counter("log_lines_lost_total").inc)


class Client:
    """What asks Azure with one credential.

    Attributes:
        tokens: of the credential.
        scale_sets: the calls about scale sets.
        lists: the calls that tell which there are.

    Args:
        name: the credential's; empty for `azure.credential`.
        circuits: shows whether all endpoints answer.
        expiries: when the tokens of all credentials end.
    """

    def __init__(
        self,
        name: str,
        prepared: Prepared,
        process: Process,
        *,
        session: aiohttp.ClientSession,
        circuits: OpenCircuits,
        expiries: dict[TokenWatch, float],
    ) -> None:
        configuration, endpoints = prepared.configuration, prepared.endpoints[name]
        azure, polling = configuration.azure, configuration.polling
        self.tokens = process.tokens.get(name) or token_sources.build(
            configuration.credentials[name] if name else azure.credential,
            endpoints,
            clock=process.clock,
            tls=prepared.tls,
            telemetry=process.telemetry,
            name=name,
            expiries=expiries,
        )
        transport = Transport(
            session=session,
            endpoints=endpoints,
            tokens=self.tokens,
            telemetry=process.telemetry,
            clock=process.clock,
            timeout=polling.timeout,
            deadline=polling.deadline,
            gate=process.gate,
            budget=process.budget,
            credential=name,
            circuits=circuits,
        )
        self.scale_sets = ScaleSetClient(
            transport,
            api_version=azure.api_version,
            detail=azure.detail,
            deadline=polling.deadline,
            cooperative=process.cooperative,
        )
        self.lists = Lists(
            transport,
            api_version=azure.api_version,
            deadline=polling.deadline,
            cooperative=process.cooperative,
        )


class Connection:
    """The connection to Azure, one session for all credentials. It is closed with its last user.

    Attributes:
        prepared: what it was made for.
        clients: what asks with each credential, by its name.
    """

    def __init__(self, prepared: Prepared, process: Process) -> None:
        self.prepared = prepared
        self._users = 0
        self._session = new_session(prepared.tls)
        circuits, expiries = OpenCircuits(process.telemetry), dict[TokenWatch, float]()
        self.clients = {
            name: Client(
                name,
                prepared,
                process,
                session=self._session,
                circuits=circuits,
                expiries=expiries,
            )
            for name in prepared.endpoints
        }

    @property
    def is_open(self) -> bool:
        """Whether it is in use."""
        return self._users > 0

    @asynccontextmanager
    async def used(self) -> AsyncIterator[None]:
        """Use it; the last one to end closes it."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                async with AsyncExitStack() as stack:
                    stack.push_async_callback(self._session.close)
                    for client in self.clients.values():
                        stack.push_async_callback(client.tokens.close)


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
    metrics_page: MetricsPage

    @property
    def configuration(self) -> Configuration:
        """What it was built from."""
        return self.prepared.configuration

    async def run(self) -> None:
        """Poll and search for scale sets, until cancelled: neither ends by itself."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.scheduler.run(), name="scheduler")
            group.create_task(self.discovery.run(), name="discovery")

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
        poller = Poller(
            sources={name: one.scale_sets for name, one in connection.clients.items()},
            mapper=mapper,
            publisher=publisher,
            telemetry=process.telemetry,
            clock=process.clock,
            retention=Retention(keep_for=polling.keep_for, deadline=polling.deadline),
            cooperative=process.cooperative,
            store=store,
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
            metrics_page=MetricsPage(
                cache=publisher.cache, allowed=prepared.families, telemetry=process.telemetry
            ),
        )
        known = [state for state in process.targets if not _is_elsewhere(state, carried, prepared)]
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
    known = {
        state.target.scale_set.key: state.target
        for state in exporter.targets
        if not _is_elsewhere(state, exporter, prepared)
    }
    return frozenset(
        target.scale_set
        for target in carried_over(prepared.configuration, exporter.targets)
        if (before := known.get(target.scale_set.key)) and target.has_series_of(before)
    )


def _is_elsewhere(state: TargetState, carried: Exporter | None, prepared: Prepared) -> bool:
    """Whether the Azure of a target's credential is another one by a new configuration."""
    if carried is None:
        return False
    name = state.target.credential
    before, after = _azures(carried.prepared), _azures(prepared)
    return before.get(name) != after.get(name)


def _azures(prepared: Prepared) -> dict[str, str]:
    """The address of the Azure of each credential, by its name."""
    return {name: where.resource_manager for name, where in prepared.endpoints.items()}


def record_configuration(configuration: Configuration, text: str, process: Process) -> None:
    """Show on the metrics which configuration is in force, and log what is odd about it.

    Args:
        text: the file's content, for `config_hash`.
        process: what has the metrics.
    """
    telemetry = process.telemetry
    digest = hashlib.sha256(text.encode()).digest()
    telemetry.gauge("config_hash").set(int.from_bytes(digest[:6], "big"))
    telemetry.gauge("config_last_reload_successful").set(1)
    telemetry.gauge("config_last_reload_success_timestamp_seconds").set(process.clock.now())
    for warning in unknown_patterns(configuration):
        _log.warning("pattern matches no family", problem=warning)
    if "resource_graph" in configuration.model_fields_set:
        _log.warning("setting has no effect yet", setting="resource_graph")
