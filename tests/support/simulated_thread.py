"""The simulated Azure in a thread of its own: its fleet is changed from a test that waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from exporter.simulator.faults import Fault
from exporter.simulator.fleet import Fleet
from exporter.simulator.scale_set import SimulatedScaleSet
from exporter.simulator.server import SimulatedAzure
from support.simulated import TOKEN


class SimulatedThread:
    """A running simulated Azure. Everything is changed in its own thread, between two requests."""

    def __init__(self, azure: SimulatedAzure, loop: asyncio.AbstractEventLoop) -> None:
        self._azure = azure
        self._loop = loop
        self.url = azure.url

    def change(self, how: Callable[[SimulatedAzure], object]) -> None:
        """Change anything, and wait until it is done. Raises what the change raises."""

        async def changed() -> None:
            how(self._azure)

        asyncio.run_coroutine_threadsafe(changed(), self._loop).result(timeout=10)

    def change_set(self, name: str, how: Callable[[SimulatedScaleSet], object]) -> None:
        """Change one scale set."""
        self.change(lambda azure: how(azure.fleet.scale_set(name)))

    def go_wrong(self, fault: Fault) -> None:
        """Put a fault in force."""
        self.change(lambda azure: azure.faults.append(fault))

    def end_faults(self) -> None:
        """Answer well again."""
        self.change(lambda azure: azure.faults.clear())


@contextmanager
def simulated_thread(fleet: Fleet) -> Iterator[SimulatedThread]:
    """Start a simulated Azure with that fleet; it ends with the context."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulated-azure")
    thread.start()

    async def make() -> SimulatedAzure:
        azure = SimulatedAzure(fleet, token=TOKEN)
        await azure.start()
        return azure

    try:
        azure = asyncio.run_coroutine_threadsafe(make(), loop).result(timeout=10)
        try:
            yield SimulatedThread(azure, loop)
        finally:
            asyncio.run_coroutine_threadsafe(azure.close(), loop).result(timeout=10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
