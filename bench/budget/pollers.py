"""Who polls: the exporter's scheduler, and the two simple ways that it is compared with.

The simple ways use the exporter's client and poller, but neither its budget nor its holds: each
request goes out at once, whatever Azure has said.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from bench.budget.fleets import INTERVAL, pages
from exporter.azure.ratelimit.budget import Budget
from exporter.azure.ratelimit.retry_after import RetryAfterGate
from exporter.azure.ratelimit.usage import Request, Reservation
from exporter.polling.schedule import next_due, phase_of
from exporter.polling.target_state import TargetState
from exporter.process import Process
from soak.world import World


class Polling(Protocol):
    """Something that polls until it is cancelled."""

    async def run(self) -> None:
        """Poll until cancelled."""
        ...


class _NoBudget(Budget):
    """Lets every request go out at once."""

    @asynccontextmanager
    async def request(self, reservation: Reservation) -> AsyncIterator[Request]:
        """Make one request."""
        del reservation
        yield Request(lambda *_: None)


class _NoRetryAfterGate(RetryAfterGate):
    """Does not wait, whatever Azure asks for."""

    def put(
        self,
        subscription_id: str,
        location: str,
        retry_after: float | None,
        *,
        policy: str = "",
        counted_by: str = "",
    ) -> None:
        """Forget it."""


def let_everything_go_out(process: Process) -> None:
    """Take budget and holds from a process from which nothing is built yet."""
    process.budget = _NoBudget(clock=process.clock, telemetry=process.telemetry)
    process.gate = _NoRetryAfterGate(clock=process.clock, telemetry=process.telemetry)


class FixedInterval:
    """Every set on its own schedule of 60 seconds, whatever Azure says: the simplest exporter."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self) -> None:
        """Poll until cancelled."""
        async with asyncio.TaskGroup() as group:
            for state in self._world.exporter.targets:
                group.create_task(self._beat(state))

    async def _beat(self, state: TargetState) -> None:
        clock, phase = self._world.clock, phase_of(state.target.scale_set)
        while True:
            due = next_due(clock.now(), phase=phase, interval=INTERVAL)
            await clock.sleep(due - clock.now())
            await self._world.poller.poll(state)


class RoundRobin:
    """One set after the other, at a rate of requests that is given.

    Args:
        rate: requests per second.
    """

    def __init__(self, world: World, *, rate: float) -> None:
        self._world = world
        self._records = sorted(
            world.exporter.targets, key=lambda state: phase_of(state.target.scale_set)
        )
        self._rate = rate

    async def run(self) -> None:
        """Poll until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                for state in self._records:
                    group.create_task(self._poll(state))
                    instances = state.data.snapshot.mapped.instances if state.data.snapshot else 1
                    await self._world.clock.sleep(pages(instances) / self._rate)

    async def _poll(self, state: TargetState) -> None:
        await self._world.poller.poll(state)
