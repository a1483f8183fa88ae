"""One simulated scale set: its instances, its own random numbers and what is under way in it."""

from __future__ import annotations

import heapq
import random
import uuid
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Generator

from exporter.model.scale_set import ScaleSetId
from exporter.simulator.description import ScaleSetDescription
from exporter.simulator.extensions import HEALTHY
from exporter.simulator.instance import SimulatedInstance

Story = Generator[float, None, None]
Teller = Callable[["SimulatedScaleSet", SimulatedInstance], Story]

_AGENTS = {
    "linux": ("2.11.1.4", "2.11.1.4", "2.11.1.4", "2.9.1.1", "2.7.0.6"),
    "windows": ("2.7.41491.1095", "2.7.41491.1095", "2.7.41491.1131"),
}
_HIGHEST_AGE = 90 * 86400.0


class SimulatedScaleSet:
    """A scale set that lives: its state depends on its description, the seed and the time only.

    Events have fixed moments drawn from the set's own random numbers, so that it does not
    matter when anybody looks. A story is a generator: it changes an instance, yields the seconds
    until its next step, and ends.
    """

    def __init__(
        self,
        identity: ScaleSetId,
        description: ScaleSetDescription,
        *,
        seed: int,
        elapsed: float = 0.0,
    ) -> None:
        key = "/".join(identity.key)
        self.identity = identity
        self.description = description
        self.random = random.Random(f"{seed}:{key}")  # noqa: S311 - a simulation, no secret
        self.instances: dict[str, SimulatedInstance] = {}
        self.detached: dict[str, SimulatedInstance] = {}
        self.elapsed = elapsed
        self.begun_stories: Counter[str] = Counter()
        self.placement_group = self.new_id()
        self.unique_id = self.new_id()
        self._next_number = 0
        self._due: list[tuple[float, int, Story | None, SimulatedInstance | None]] = []
        self._sequence = 0
        self._sorted: list[tuple[int | str, str]] | None = None
        self._happen: Callable[[SimulatedScaleSet], None] | None = None
        self.target = description.size
        for _ in range(description.size):
            self.add(created=elapsed - self.random.uniform(600.0, _HIGHEST_AGE))

    @property
    def is_flexible(self) -> bool:
        """Whether the instances are VMs of their own (Flexible orchestration)."""
        return self.description.orchestration == "flexible"

    @property
    def capacity(self) -> int | None:
        """`sku.capacity`: the described one, else what the set is on its way to; or None."""
        if self.description.sku is None:
            return None
        return self.target if self.description.capacity is None else self.description.capacity

    @property
    def outage(self) -> float:
        """Mean seconds that something stays wrong, so that about `trouble` of all is."""
        pace = self.description.pace
        if pace <= 0:
            return 300.0
        return min(max(self.description.troubled_share * 3600.0 / pace, 10.0), 1800.0)

    def new_id(self) -> str:
        """A random identifier from the set's own numbers."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def add(self, *, created: float | None = None) -> SimulatedInstance:
        """Add a running instance with a new id, and raise nothing else."""
        description = self.description
        number = self._next_number
        self._next_number += 1
        made = self.elapsed if created is None else created
        identifier = str(number)
        if self.is_flexible:
            identifier = f"{self.identity.name}_{self.random.getrandbits(32):08x}"
        domains = description.fault_domains
        zones = description.zones
        instance = SimulatedInstance(
            instance_id=identifier,
            vm_id=self.new_id(),
            created=made,
            disk=f"{self.random.getrandbits(128):032x}",
            fault_domain=number % domains if domains else None,
            update_domain=number % 5,
            zone=zones[number % len(zones)] if zones else None,
            provisioning_changed=made + 45.0,
            agent_version=self.random.choice(description.agent_versions or _AGENTS[description.os]),
            health="healthy" if description.has_health else None,
            health_changed=made + 60.0,
            protected=number < description.protected,
            extensions=dict.fromkeys(description.extensions, HEALTHY),
        )
        self.instances[identifier] = instance
        if self._sorted is not None:
            insort(self._sorted, (self._order(identifier), identifier))
        return instance

    def remove(self, instance_id: str) -> SimulatedInstance:
        """Take an instance away at once. Raises KeyError where there is none of that id."""
        instance = self.instances.pop(instance_id)
        if self._sorted is not None:
            entry = (self._order(instance_id), instance_id)
            place = bisect_left(self._sorted, entry)
            if self._sorted[place : place + 1] == [entry]:
                del self._sorted[place]
        return instance

    def detach(self, instance_id: str) -> SimulatedInstance:
        """Take a machine out of a Flexible set; it lives on. Raises KeyError where it has none."""
        instance = self.remove(instance_id)
        self.detached[instance_id] = instance
        return instance

    def attach(self, instance: SimulatedInstance) -> None:
        """Take a machine that exists into a Flexible set."""
        self.detached.pop(instance.instance_id, None)
        self.instances[instance.instance_id] = instance
        self._sorted = None

    def machine(self, name: str) -> tuple[SimulatedInstance | None, bool]:
        """The machine of that name in any letter case, and whether it is attached to the set."""
        for found in (self.instances, self.detached):
            for identifier, instance in found.items():
                if identifier.casefold() == name.casefold():
                    return instance, found is self.instances
        return None, False

    def page(
        self, start: str | None, size: int, wanted: Callable[[SimulatedInstance], bool]
    ) -> tuple[list[SimulatedInstance], str | None]:
        """The wanted instances from the id `start` on, and the id that the next page starts at.

        The order is by id, so that pages neither repeat nor lose an instance that stays.
        """
        ordered = self._ordered()
        position = 0 if start is None else bisect_left(ordered, (self._order(start), ""))
        found: list[SimulatedInstance] = []
        for _, identifier in ordered[position:]:
            instance = self.instances.get(identifier)
            if instance is None or not wanted(instance):
                continue
            if len(found) == size:
                return found, identifier
            found.append(instance)
        return found, None

    def live(self, happen: Callable[[SimulatedScaleSet], None]) -> None:
        """Call `happen` from now on at the described pace; still sets drop what was under way."""
        self._happen = happen
        if self.description.pace > 0:
            self._plan(self._gap(), None, None)
        else:
            self._due.clear()

    def trouble(self, begin: Callable[[SimulatedScaleSet, int], None]) -> None:
        """Call `begin` for the troubled share of the instances, as if it were some time ago."""
        now = self.elapsed
        first = self.random.randrange(100)
        for number in range(round(len(self.instances) * self.description.troubled_share)):
            self.elapsed = now - self.random.uniform(0.0, self.outage)
            begin(self, first + number)
        self.advance(now)

    def begin(self, teller: Teller, instance: SimulatedInstance) -> None:
        """Start a story of an instance: its first step happens now."""
        name = getattr(teller, "__name__", "story")
        instance.story = name
        self.begun_stories[name] += 1
        self._continue(teller(self, instance), instance)

    def advance(self, elapsed: float) -> None:
        """Let everything happen that is due up to that second since the fleet's start."""
        while self._due and self._due[0][0] <= elapsed:
            self.elapsed, _, story, instance = heapq.heappop(self._due)
            if story is not None and instance is not None:
                self._continue(story, instance)
                continue
            if self._happen is not None:
                self._happen(self)
            self._plan(self._gap(), None, None)
        self.elapsed = max(self.elapsed, elapsed)

    def _continue(self, story: Story, instance: SimulatedInstance) -> None:
        if self.instances.get(instance.instance_id) is not instance:
            story.close()  # it was taken away by hand in the meantime
            return
        try:
            wait = next(story)
        except StopIteration:
            instance.story = None
        else:
            self._plan(wait, story, instance)

    def _plan(self, wait: float, story: Story | None, instance: SimulatedInstance | None) -> None:
        self._sequence += 1
        # The sequence number settles a tie, so that stories themselves are never compared.
        heapq.heappush(self._due, (self.elapsed + wait, self._sequence, story, instance))

    def _gap(self) -> float:
        rate = self.description.pace * max(1, len(self.instances)) / 3600.0
        return self.random.expovariate(rate)

    def calm(self) -> SimulatedInstance | None:
        """An instance that nothing is happening to; None if none was met in a few draws."""
        ordered = self._ordered()
        for _ in range(6 if ordered else 0):
            instance = self.instances.get(self.random.choice(ordered)[1])
            if instance is not None and instance.story is None:
                return instance
        return None

    def _order(self, instance_id: str) -> int | str:
        if self.is_flexible:
            return instance_id
        return int(instance_id)

    def _ordered(self) -> list[tuple[int | str, str]]:
        if self._sorted is None or len(self._sorted) != len(self.instances):
            self._sorted = sorted((self._order(name), name) for name in self.instances)
        return self._sorted
