"""One walk over the instances of a set, listed as what it is: a Uniform or a Flexible one."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress

from exporter.azure.errors import AzureError, NotSent
from exporter.azure.ratelimit.usage import Reservation
from exporter.azure.scale_sets import Restart
from exporter.metrics.mapper import Mapper, Mapping
from exporter.metrics.transitions import Transitions
from exporter.polling.source import Sources
from exporter.polling.target_state import TargetState
from exporter.runtime.clock import Clock
from exporter.runtime.cooperative import CooperativeScheduler

ATTACHED_AGE = 900.0
"""Seconds that a virtual machine is older than the last answer without it, where it was attached to
the set: a new one may be that much late in the list."""

MOST_ASKED = 5
"""Virtual machines that a set has lost of which each is looked for; of more, all were deleted."""

ASKED_A_MINUTE = 30
"""Virtual machines that are looked for in a minute, of all sets: no plan knows of these calls, and
they share the Resource Manager's limit with the polls."""

_MINUTE = 60.0

LOOKING_LIMIT = 10.0
"""Seconds that a poll looks for machines at most: what it has found is to be served."""

_DELETING = "deleting"


class Listing:
    """Lists instances and maps them, page by page.

    Args:
        mapper: the catalogue as configured.
        cooperative: where mapping yields to other tasks.
    """

    def __init__(
        self, sources: Sources, mapper: Mapper, cooperative: CooperativeScheduler, *, clock: Clock
    ) -> None:
        self._sources = sources
        self._mapper = mapper
        self._cooperative = cooperative
        self._clock = clock
        # When a machine was looked for, in the last minute.
        self._looked: list[float] = []

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
        missing, now = before.missing(walk), self._clock.monotonic()
        self._looked = [at for at in self._looked if now - at < _MINUTE]
        if mapping.lost or len(missing) > min(MOST_ASKED, ASKED_A_MINUTE - len(self._looked)):
            return
        self._looked += [now] * len(missing)
        with suppress(AzureError, NotSent, TimeoutError):
            async with asyncio.timeout(LOOKING_LIMIT):
                for name in missing:
                    if await self._lives_on(state, before, name):
                        walk.detached.add(name)

    async def _lives_on(self, state: TargetState, before: Transitions, name: str) -> bool:
        source, scale_set = self._sources[state.target.credential], state.target.scale_set
        machine = await source.virtual_machine(scale_set, name, location=state.location)
        properties = machine.properties if machine else None
        if properties is None or str(properties.provisioning_state).casefold() == _DELETING:
            return False
        return before.is_of(name, properties.vm_id)
