"""The exporter as it is assembled, on a simulated Azure, in simulated time.

Of the exporter's own parts one is replaced, aiohttp's session, and one is watched, the poller.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import yaml
from aiohttp import web

from exporter import assembly, configuration, connection
from exporter.assembly import Exporter
from exporter.azure.auth.token_cache import TokenSource
from exporter.azure.errors import NoAnswer
from exporter.azure.ratelimit.usage import Reservation
from exporter.polling.poller import Poller
from exporter.polling.target_state import TargetState
from exporter.process import Process
from exporter.runtime.clock import Clock
from exporter.simulator.fleet import Fleet
from exporter.simulator.server import SimulatedAzure
from exporter.telemetry import Telemetry
from soak.session import InProcessSession
from soak.timelapse import TimelapseClock

ENDPOINT = "https://azure.example"
_AZURE = {
    "azure": {
        "cloud": "custom",
        "endpoint": ENDPOINT,
        "audience": ENDPOINT,
        "credential": {"type": "static", "token_file": "unused"},
    }
}


class WatchedPoller(Poller):
    """A poller that tells of every poll that has ended, and of every interval that changes.

    Attributes:
        ended: called with the state, its error and whether the snapshot is a new one.
        stretched: called with the state and its interval.
    """

    ended: Callable[[TargetState, NoAnswer | None, bool], None] = staticmethod(lambda *_: None)
    stretched: Callable[[TargetState, float], None] = staticmethod(lambda *_: None)

    def set_interval(self, state: TargetState, interval: float) -> None:
        """Put an interval in force, and tell."""
        self.stretched(state, interval)
        super().set_interval(state, interval)

    async def poll(
        self, state: TargetState, reservation: Reservation | None = None
    ) -> NoAnswer | None:
        """Poll, and tell."""
        before = state.data.snapshot
        error = await super().poll(state, reservation)
        is_new = state.data.snapshot is not None and state.data.snapshot is not before
        self.ended(state, error, is_new)
        return error


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Both sides, and what is between them.

    Attributes:
        telemetry: the exporter's own metrics.
        exporter: the exporter, assembled; nothing of it runs yet.
        poller: the exporter's poller.
    """

    clock: Clock
    azure: SimulatedAzure
    session: InProcessSession
    telemetry: Telemetry
    exporter: Exporter
    poller: WatchedPoller


@asynccontextmanager
async def new_world(
    fleet: Fleet,
    *,
    tokens: Callable[[SimulatedAzure, Clock], TokenSource],
    settings: dict[str, Any],
    seed: int,
    prepare: Callable[[Process], None] = lambda _: None,
) -> AsyncIterator[World]:
    """Put both sides together. Needs a running `TimelapseLoop`.

    Args:
        fleet: what Azure holds, and the exporter polls.
        tokens: makes the exporter's source of tokens, and tells the simulated Azure which ones
            are good.
        settings: sections of the configuration beside `azure`, and `scale_sets` where there is no
            `discovery`.
        seed: of the latencies, and of the pauses before retries.
        prepare: gets the exporter's process before anything is built from it.
    """
    random.seed(seed)  # the exporter draws the pauses from the module's own generator
    clock = TimelapseClock(asyncio.get_running_loop())
    azure = SimulatedAzure(fleet, token="", clock=clock)
    session = InProcessSession(handler_of(azure.application), seed=seed)
    source = {"": tokens(azure, clock)}
    process = Process(version="1", python_version="3", clock=clock, tokens=source)
    prepare(process)
    pollers: list[WatchedPoller] = []

    def watched(**parts: Any) -> WatchedPoller:
        pollers.append(WatchedPoller(**parts))
        return pollers[0]

    async with AsyncExitStack() as stack:
        stack.enter_context(mock.patch.object(connection, "new_session", return_value=session))
        stack.enter_context(mock.patch.object(assembly, "Poller", watched))
        sets = {} if "discovery" in settings else {"scale_sets": _listed(fleet)}
        text = yaml.safe_dump(_AZURE | sets | settings)
        exporter = await stack.enter_async_context(
            assembly.build(configuration.load(text, environment={}), process)
        )
        yield World(
            clock=clock,
            azure=azure,
            session=session,
            telemetry=process.telemetry,
            exporter=exporter,
            poller=pollers[0],
        )


def _listed(fleet: Fleet) -> list[dict[str, str]]:
    return [{"id": scale_set.identity.resource_id} for scale_set in fleet.scale_sets]


def handler_of(
    application: web.Application,
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """What answers the requests of an application that no server runs."""

    async def handle(request: web.Request) -> web.StreamResponse:
        match = await application.router.resolve(request)
        return await match.handler(request)

    return handle
