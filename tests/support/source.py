"""A stand-in for the Azure client, scripted by the test."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from exporter.azure.ratelimit.retry_after import RetryAfterGate
from exporter.azure.ratelimit.usage import Reservation
from exporter.azure.scale_sets import Restart
from exporter.model.instance_view import Instance, InstancePage, Problem
from exporter.model.scale_set import ScaleSetId, ScaleSetModel
from exporter.runtime.clock import Clock

Script = Callable[[ScaleSetId], "AsyncGenerator[InstancePage | Restart, None]"]


class FakeRetryAfterGate(RetryAfterGate):
    """Until when each (subscription, location) waits, as the test has put it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.until: dict[tuple[str, str], float] = {}

    def __setitem__(self, bucket: tuple[str, str], until: float) -> None:
        self.until[bucket] = until

    def remaining(self, subscription_id: str, location: str) -> float:
        until = self.until.get((subscription_id, location), 0.0)
        return max(0.0, until - self.clock.monotonic())


class FakeSource:
    """Answers with what the test has put for a set: pages, an error, or a wait without end."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.pages: dict[str, list[InstancePage | Restart | Exception | float]] = {}
        self.models: dict[str, ScaleSetModel | Exception] = {}
        self.machines: dict[str, Instance | Exception] = {}
        self.looked_for: dict[str, list[str]] = defaultdict(list)
        self.polled: dict[str, list[float]] = defaultdict(list)
        self.model_polled: dict[str, list[float]] = defaultdict(list)
        self.listed_as_flexible: dict[str, list[float]] = defaultdict(list)
        self.gate = FakeRetryAfterGate(clock)

    async def instance_pages(
        self,
        scale_set: ScaleSetId,
        *,
        location: str = "",
        reservation: Reservation | None = None,
    ) -> AsyncGenerator[InstancePage | Restart, None]:
        del location, reservation
        self.polled[scale_set.name].append(self.clock.monotonic())
        for step in self.pages.get(scale_set.name, [page()]):
            if isinstance(step, Exception):
                raise step
            if isinstance(step, float):
                await self.clock.sleep(step)
                continue
            yield step

    async def virtual_machine_pages(
        self,
        scale_set: ScaleSetId,
        *,
        location: str = "",
        reservation: Reservation | None = None,
    ) -> AsyncGenerator[InstancePage | Restart, None]:
        self.listed_as_flexible[scale_set.name].append(self.clock.monotonic())
        pages = self.instance_pages(scale_set, location=location, reservation=reservation)
        async with aclosing(pages):
            async for found in pages:
                yield found

    async def virtual_machine(
        self, scale_set: ScaleSetId, name: str, *, location: str = ""
    ) -> Instance | None:
        del location
        self.looked_for[scale_set.name].append(name)
        found = self.machines.get(name)
        if isinstance(found, Exception):
            raise found
        return found

    async def scale_set_model(
        self,
        scale_set: ScaleSetId,
        *,
        location: str = "",
        reservation: Reservation | None = None,
    ) -> tuple[ScaleSetModel, list[Problem]]:
        del location, reservation
        await asyncio.sleep(0)
        self.model_polled[scale_set.name].append(self.clock.monotonic())
        model = self.models.get(scale_set.name, ScaleSetModel(location="westeurope"))
        if isinstance(model, Exception):
            raise model
        return model, []


def page(*instances: Instance, problems: tuple[Problem, ...] = (), lost: int = 0) -> InstancePage:
    return InstancePage(list(instances), list(problems), lost)
