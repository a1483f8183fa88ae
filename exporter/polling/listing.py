"""One walk over the instances of a set, listed as what it is: a Uniform or a Flexible one."""

from __future__ import annotations

from contextlib import aclosing

from exporter.azure.errors import AzureError, NotSent
from exporter.azure.ratelimit.usage import Reservation
from exporter.azure.scale_sets import Restart
from exporter.metrics.mapper import Mapper, Mapping
from exporter.polling.source import Sources
from exporter.polling.target_state import TargetState
from exporter.runtime.cooperative import CooperativeScheduler

ATTACHED_AGE = 900.0
"""Seconds that a virtual machine is older than the last answer without it, where it was attached to
the set: a new one may be that much late in the list."""

MOST_ASKED = 5
"""Virtual machines that a set has lost of which each is looked for; of more, all were deleted."""

_DELETING = "deleting"


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
        elif flexible:
            await self._look_for_moves(state, mapping)
        return mapping

    async def _look_for_moves(self, state: TargetState, mapping: Mapping) -> None:
        """Tell machines that were attached or detached alive from those created or deleted.

        One that cannot be looked for counts as deleted, as all do in a Uniform set.
        """
        before, walk = state.data.memory.transitions, mapping.walk
        if before is None or walk is None:
            return
        if state.data.poll.last_success is not None:
            walk.attached_before = state.data.poll.last_success - ATTACHED_AGE
        missing = before.missing(walk)
        if mapping.lost or len(missing) > MOST_ASKED:
            return
        source, scale_set = self._sources[state.target.credential], state.target.scale_set
        detached = []
        for name in missing:
            try:
                machine = await source.virtual_machine(scale_set, name, location=state.location)
            except (AzureError, NotSent):
                break
            properties = machine.properties if machine else None
            if properties is None:
                continue
            going = str(properties.provisioning_state).casefold() == _DELETING
            if not going and before.is_of(name, properties.vm_id):
                detached.append(name)
        walk.detached = detached
