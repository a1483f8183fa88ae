"""What the tests share that assemble the whole exporter over an Azure of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from exporter.assembly import Exporter
from exporter.azure.ratelimit.budget import Budget
from exporter.azure.ratelimit.usage import Request, Reservation
from support.answers import samples

OWN = "azure_vmss_exporter_"


class WatchedBudget(Budget):
    """A budget that knows how many calls are on the wire."""

    on_the_wire = 0

    @asynccontextmanager
    async def request(self, reservation: Reservation) -> AsyncIterator[Request]:
        async with super().request(reservation) as request:
            self.on_the_wire += 1
            try:
                yield request
            finally:
                self.on_the_wire -= 1


class ServedPage(Protocol):
    """What is served, read by name and labels."""

    async def page(self, *names: str) -> str:
        """What `/metrics` serves, whole or of the named families."""
        ...

    async def values(self, name: str, **labels: str) -> list[float]:
        """All samples of that name with these labels."""
        wanted = set(labels.items())
        found = samples(await self.page(name))
        return [value for (n, have), value in found.items() if n == name and wanted <= have]

    async def value(self, name: str, **labels: str) -> float | None:
        """The one sample of that name with these labels; None where there is none."""
        found = await self.values(name, **labels)
        assert len(found) <= 1, f"{name} {labels}: {found}"
        return found[0] if found else None

    async def total(self, name: str, **labels: str) -> float:
        """The sum of one of the exporter's own counters over all other labels."""
        return sum(await self.values(OWN + name, **labels))


@asynccontextmanager
async def polled_on_schedule(exporter: Exporter) -> AsyncIterator[None]:
    """Let every set be polled when it is due, and sets be searched for."""
    running = asyncio.create_task(exporter.run())
    try:
        yield
        assert not running.done(), "neither ends by itself"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
