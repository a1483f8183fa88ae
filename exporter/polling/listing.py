"""One walk over the instances of a set, listed as what it is: a Uniform or a Flexible one."""

from __future__ import annotations

from contextlib import aclosing

from exporter.azure.ratelimit.usage import Reservation
from exporter.azure.scale_sets import Restart
from exporter.metrics.mapper import Mapper, Mapping
from exporter.polling.source import Sources
from exporter.polling.target_state import TargetState
from exporter.runtime.cooperative import CooperativeScheduler


class Listing:
    """Lists instances and maps them, page by page.

    Args:
        mapper: the catalogue as configured.
        cooperative: where mapping yields to other tasks.
    """

    def __init__(self, sources: Sources, mapper: Mapper, cooperative: CooperativeScheduler) -> None:
        self._sources = sources
        self._mapper = mapper
        self._cooperative = cooperative

    async def walk(
        self, state: TargetState, reservation: Reservation | None, *, flexible: bool
    ) -> Mapping:
        """Walk over all instances of a target.

        Args:
            reservation: what the walk may spend; if None, each request waits for the budget.
            flexible: whether they are virtual machines.

        Raises:
            AzureError: the walk failed.
            NotSent: Azure has asked to wait.
        """
        target, memory, location = state.target, state.data.memory, state.location
        source = self._sources[target.credential]
        listed = source.virtual_machine_pages if flexible else source.instance_pages
        mapping = self._mapper.start(target, memory, flexible=flexible)
        pages = listed(target.scale_set, location=location, reservation=reservation)
        async with aclosing(pages):
            async for page in pages:
                if isinstance(page, Restart):
                    mapping = self._mapper.start(target, memory, flexible=flexible)
                    continue
                await self._cooperative.run(mapping.steps(page))
        if flexible and not mapping.instances and not mapping.lost:
            # Azure answers so for a set that does not exist, too; its GET tells.
            await source.scale_set_model(target.scale_set, location=location)
        return mapping
