"""The only place that builds things: it wires the rooms as one configuration wants them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field

import structlog

from exporter.azure.auth import token_sources
from exporter.azure.auth.token_cache import TokenSource
from exporter.azure.endpoints import Endpoints
from exporter.azure.ratelimit.budget import Budget
from exporter.azure.ratelimit.retry_after import RetryAfterGate
from exporter.azure.scale_sets import ScaleSetClient
from exporter.azure.session import new_session
from exporter.azure.transport import Transport
from exporter.configuration import Configuration
from exporter.model.scale_set import ScaleSetId, Target
from exporter.persistence.restore import store_for
from exporter.persistence.store import StateStore
from exporter.polling.concurrency import Slots
from exporter.polling.poller import Poller
from exporter.polling.retention import Retention
from exporter.polling.scheduler import Scheduler
from exporter.polling.target_state import TargetState
from exporter.preparation import Prepared, prepare, unknown_patterns
from exporter.runtime import logs
from exporter.runtime.clock import Clock, SystemClock
from exporter.runtime.cooperative import CooperativeScheduler
from exporter.runtime.loop_lag import LoopLag
from exporter.telemetry import Telemetry
from exporter.web.metrics_page import Exposition

_Same = tuple[str, str, str, tuple[tuple[str, str], ...]]

_log = structlog.get_logger(__name__)


class Process:
    """What the process has once, whatever configurations come and go.

    Attributes:
        version: the exporter's version.
        clock: the time.
        telemetry: the exporter's own metrics.
        cooperative: lets long work yield, and scrapes go first.
        watch: how late the event loop is.
        gate: until when Azure asked to wait.
        budget: what may be spent of Azure's limits.
        tokens: the source of tokens in place of the configured credential; None for that.

    Args:
        own_process: whether the `process_*` and `python_*` families are served.
    """

    def __init__(
        self,
        *,
        version: str,
        python_version: str,
        clock: Clock | None = None,
        tokens: TokenSource | None = None,
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
        self.tokens = tokens
        self.telemetry.gauge("event_loop_lag_seconds").set_function(self.watch.largest)
        logs.count_lost(self.telemetry.counter("log_lines_lost_total").inc)


class Connection:
    """The connection to Azure: session, token and client. It is closed with its last user.

    Attributes:
        prepared: what it was made for.
        client: asks Azure.
    """

    def __init__(self, prepared: Prepared, process: Process) -> None:
        azure, polling = prepared.configuration.azure, prepared.configuration.polling
        self.prepared = prepared
        self._users = 0
        self._tokens = process.tokens or token_sources.build(
            azure.credential,
            prepared.endpoints,
            clock=process.clock,
            tls=prepared.tls,
            telemetry=process.telemetry,
        )
        self._session = new_session(prepared.tls)
        transport = Transport(
            session=self._session,
            endpoints=prepared.endpoints,
            tokens=self._tokens,
            telemetry=process.telemetry,
            clock=process.clock,
            timeout=polling.timeout,
            deadline=polling.deadline,
            gate=process.gate,
            budget=process.budget,
        )
        self.client = ScaleSetClient(
            transport,
            api_version=azure.api_version,
            detail=azure.detail,
            deadline=polling.deadline,
            cooperative=process.cooperative,
        )

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
                try:
                    await self._tokens.close()
                finally:
                    await self._session.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """All parts, wired: polling, what shows it, and what keeps it over a restart if asked for."""

    prepared: Prepared
    connection: Connection
    poller: Poller
    store: StateStore | None
    scheduler: Scheduler
    exposition: Exposition
    records: tuple[TargetState, ...] = field(repr=False)

    @property
    def configuration(self) -> Configuration:
        """What it was built from."""
        return self.prepared.configuration

    @property
    def azure(self) -> Endpoints:
        """The addresses of the cloud."""
        return self.prepared.endpoints


@asynccontextmanager
async def build(
    configuration: Configuration,
    process: Process,
    *,
    prepared: Prepared | None = None,
    carried: Exporter | None = None,
) -> AsyncIterator[Exporter]:
    """Wire the rooms from a configuration, and close what they hold open at the end.

    Where this raises, `carried` is as it was before.

    Args:
        configuration: what to poll, and how.
        process: what stays whatever the configuration says.
        prepared: what the configuration comes to; it is prepared here if None.
        carried: the exporter of the configuration before, which polls no more: the records of sets
            that are the same go on with what they know, and so does the connection, if it is open
            and asks in the same way.

    Raises:
        ConfigurationError: something of the configuration cannot be had.
    """
    polling = configuration.polling
    if prepared is None:
        prepared = await asyncio.to_thread(prepare, configuration)
    mapper, where = prepared.mapper, prepared.endpoints
    if carried and carried.connection.is_open and prepared.asks_like(carried.connection.prepared):
        connection = carried.connection
    else:
        connection = Connection(prepared, process)
    async with connection.used():
        client = connection.client
        store = store_for(
            configuration,
            mapper,
            azure=where.resource_manager,
            version=process.version,
            telemetry=process.telemetry,
            clock=process.clock,
        )
        poller = Poller(
            source=client,
            mapper=mapper,
            telemetry=process.telemetry,
            clock=process.clock,
            retention=Retention(keep_for=polling.keep_for, deadline=polling.deadline),
            max_series=configuration.metrics.max_series,
            cooperative=process.cooperative,
            store=store,
        )
        records = await _records(configuration, poller, _known(carried, where))
        scheduler = Scheduler(
            records=records,
            poller=poller,
            gate=process.gate,
            lanes=Slots(polling.concurrency, clock=process.clock),
            clock=process.clock,
            budget=process.budget,
        )
        built = Exporter(
            prepared=prepared,
            connection=connection,
            poller=poller,
            store=store,
            scheduler=scheduler,
            exposition=Exposition(
                served=poller.served,
                allowed=prepared.families,
                telemetry=process.telemetry,
            ),
            records=records,
        )
        # Last, for none of this is undone where something breaks.
        process.budget.share = polling.budget_share
        process.telemetry.gauge("targets").set(len(records))
        process.telemetry.gauge("poll_lag_seconds").set_function(scheduler.lag)
        yield built


def staying(exporter: Exporter, prepared: Prepared) -> frozenset[ScaleSetId]:
    """The sets that go on with what is known of them if another configuration takes its place."""
    known = _known(exporter, prepared.endpoints)
    targets = prepared.configuration.targets()
    return frozenset(target.scale_set for target in targets if _same(target) in known)


def _known(carried: Exporter | None, azure: Endpoints) -> dict[_Same, TargetState]:
    """The records that may go on; of another Azure none, for its sets are others."""
    if carried is None or carried.azure.resource_manager != azure.resource_manager:
        return {}
    return {_same(record.target): record for record in carried.records}


def _same(target: Target) -> _Same:
    """What must be the same, spelling included, for a set's series to go on."""
    scale_set = target.scale_set
    return scale_set.subscription_id, scale_set.resource_group, scale_set.name, target.labels


async def _records(
    configuration: Configuration, poller: Poller, known: dict[_Same, TargetState]
) -> tuple[TargetState, ...]:
    """The record of every target: that of before, or a new one."""
    records: list[TargetState] = []
    for target in configuration.targets():
        record = known.get(_same(target))
        if record is None:
            record = poller.new_record(target)
        else:
            # Its parts are replaced whole, so that the one before is as it was if this goes wrong.
            record = copy(record)
            # With web.messages off nothing may show those that were kept until now.
            poller.adopt(record, target, details=configuration.web.messages)
        records.append(record)
        # A thousand of them are some hundred milliseconds of work; others get their turn.
        await asyncio.sleep(0)
    poller.guard()
    return tuple(records)


def record_configuration(configuration: Configuration, text: str, process: Process) -> None:
    """Show on the metrics which configuration is in force, and log what is odd about it.

    Args:
        configuration: the configuration.
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
