"""The exporter's own parts, wired to a simulated Azure in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from exporter.azure.client import AzureClient
from exporter.azure.endpoints import Endpoints
from exporter.azure.tokens import TokenSource
from exporter.clock import Clock
from exporter.metrics.family import FamilyFilter
from exporter.metrics.mapper import Mapper
from exporter.model.scale_set import Target
from exporter.polling.lanes import Lanes
from exporter.polling.poller import Poller, Retention
from exporter.polling.record import Record
from exporter.polling.scheduler import Scheduler
from exporter.simulator.fleet import Fleet
from exporter.simulator.server import SimulatedAzure
from exporter.telemetry import Telemetry
from soak.session import InProcessSession, as_session
from soak.timelapse import TimelapseClock

ENDPOINT = "https://azure.example"
API_VERSION = "2024-07-01"
KEEP_FOR = 600.0
TIMEOUT, DEADLINE = 60.0, 180.0
CONCURRENCY = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Both sides, and what is between them.

    Attributes:
        clock: simulated time.
        azure: the simulated Azure.
        session: the way there.
        telemetry: the exporter's own metrics.
        client: the exporter's Azure client.
        poller: what polls and serves.
    """

    clock: Clock
    azure: SimulatedAzure
    session: InProcessSession
    telemetry: Telemetry
    client: AzureClient
    poller: Poller


def make_world(
    fleet: Fleet,
    *,
    tokens: Callable[[SimulatedAzure, Clock], TokenSource],
    families: FamilyFilter | None = None,
    poller: type[Poller] = Poller,
    seed: int = 1,
) -> World:
    """Wire everything up to the poller, as the daemon does. Needs a running event loop.

    Args:
        fleet: what Azure holds.
        tokens: makes the exporter's source of tokens, and tells the simulated Azure which ones
            are good.
        families: what the exporter serves; everything that is on by default where None.
        poller: the class of the poller.
        seed: of the latencies.
    """
    clock = TimelapseClock(asyncio.get_running_loop())
    azure = SimulatedAzure(fleet, token="", clock=clock)
    session = InProcessSession(handler_of(azure.application), seed=seed)
    telemetry = Telemetry(version="1", python_version="3", process=False)
    client = AzureClient(
        session=as_session(session),
        endpoints=Endpoints(resource_manager=ENDPOINT, scope=f"{ENDPOINT}/.default"),
        tokens=tokens(azure, clock),
        telemetry=telemetry,
        clock=clock,
        api_version=API_VERSION,
        detail="instance_view",
        timeout=TIMEOUT,
        deadline=DEADLINE,
    )
    return World(
        clock=clock,
        azure=azure,
        session=session,
        telemetry=telemetry,
        client=client,
        poller=poller(
            source=client,
            mapper=Mapper(families=families),
            telemetry=telemetry,
            clock=clock,
            retention=Retention(keep_for=KEEP_FOR, deadline=DEADLINE),
        ),
    )


def new_records(world: World, interval: float) -> tuple[Record, ...]:
    """A record for every scale set of the simulated Azure."""
    return tuple(
        world.poller.new_record(Target(scale_set.identity, interval))
        for scale_set in world.azure.fleet.scale_sets
    )


def make_scheduler(world: World, records: tuple[Record, ...]) -> Scheduler:
    """The exporter's scheduler, as the daemon makes it."""
    return Scheduler(
        records=records,
        poller=world.poller,
        waits=world.client,
        lanes=Lanes(CONCURRENCY, clock=world.clock),
        clock=world.clock,
    )


def handler_of(
    application: web.Application,
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """What answers the requests of an application that no server runs."""

    async def handle(request: web.Request) -> web.StreamResponse:
        match = await application.router.resolve(request)
        return await match.handler(request)

    return handle
