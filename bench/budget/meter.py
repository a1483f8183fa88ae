"""Measures a trial: charges, throttled answers, ages, and how soon failures are seen."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from exporter.polling.target_state import TargetState
from exporter.simulator import buckets
from exporter.simulator.scale_set import SimulatedScaleSet
from soak.session import Head
from soak.world import World

Fall = tuple[str, str, float]
"""A failure: the set's name, the instance's id, and when it fell, in the fleet's seconds."""

GRACE = 600.0
"""Seconds before the end in which failures no longer count: they may be seen after it."""

_LISTS = "/virtualmachines"
_OF_SETS = "/virtualmachinescalesets/"


@dataclass(slots=True)
class Charges:
    """What one bucket was charged, and when."""

    times: list[float] = field(default_factory=list)
    costs: list[int] = field(default_factory=list)

    def add(self, time: float, cost: int) -> None:
        """Note a charge; times never go back."""
        self.times.append(time)
        self.costs.append(cost)

    def since(self, begin: float) -> int:
        """The sum from a time on."""
        return sum(self.costs[bisect_left(self.times, begin) :])

    def highest_minute(self, begin: float) -> int:
        """The most in any minute of the simulated clock from a time on."""
        minutes: Counter[int] = Counter()
        for time, cost in zip(self.times, self.costs, strict=True):
            if time >= begin:
                minutes[int(time // 60)] += cost
        return max(minutes.values(), default=0)

    def highest_span(self, begin: float, seconds: float = 60.0) -> int:
        """The most in any span of so many seconds from a time on, wherever it begins."""
        highest = running = first = 0
        for last, time in enumerate(self.times):
            running += self.costs[last]
            while self.times[first] <= time - seconds:
                running -= self.costs[first]
                first += 1
            if time >= begin:
                highest = max(highest, running)
        return highest


class Ages:
    """The mean age per instance, kept up at every poll instead of counted at every look."""

    def __init__(self, sizes: dict[str, int], now: float) -> None:
        self._now = now
        self._held = {name: (size, now) for name, size in sizes.items()}
        self._instances = sum(sizes.values())
        self._weighted = self._instances * now
        self._sum = 0.0
        self._looks = 0

    def renew(self, name: str, instances: int, now: float) -> None:
        """A set was retrieved now."""
        if name not in self._held:
            return
        size, since = self._held[name]
        self._held[name] = (instances, now)
        self._instances += instances - size
        self._weighted += instances * now - size * since

    def look(self, now: float) -> None:
        """Take a sample."""
        if self._instances:
            self._sum += now - self._weighted / self._instances
            self._looks += 1

    def oldest(self, now: float) -> float:
        """The largest age of all sets."""
        return max((now - since for _, since in self._held.values()), default=0.0)

    @property
    def mean(self) -> float:
        """The mean of all samples; nan without one."""
        return self._sum / self._looks if self._looks else math.nan


class Meter:
    """All that is measured of one trial.

    Args:
        warm_up: the time from which on things count, in simulated seconds.
    """

    def __init__(self, world: World, *, warm_up: float) -> None:
        self.requests = Charges()
        self.views = Charges()
        self.machine_requests = Charges()
        self.throttled = 0
        self.throttled_in_warm_up = 0
        self.least_left = {buckets.SUBSCRIPTION_HIGH_COST: math.inf, buckets.VM_VIEWS: math.inf}
        self.oldest = 0.0
        self._world = world
        self._warm_up = warm_up
        sizes = {s.identity.name: len(s.instances) for s in world.azure.fleet.scale_sets}
        now = world.clock.monotonic()
        self.all_ages = Ages(sizes, now)
        self.quiet_ages = Ages({n: s for n, s in sizes.items() if n.startswith("quiet")}, now)
        self._moving = {
            s.identity.name.casefold(): s
            for s in world.azure.fleet.scale_sets
            if s.identity.name.startswith("moving")
        }
        self._answered: dict[str, list[Fall]] = {}
        self._fallen: set[Fall] = set()
        self._seen: dict[Fall, float] = {}
        self._walks = (0.0, 0.0)

    def see(self, head: Head) -> None:
        """Take notice of an answer at the moment when Azure makes it."""
        path = head.url.path.casefold()
        now = self._world.clock.monotonic()
        if head.status == 429:  # noqa: PLR2004 - an HTTP status is its own name
            if now >= self._warm_up:
                self.throttled += 1
            else:
                self.throttled_in_warm_up += 1
        if head.status != 200 or not path.endswith(_LISTS):  # noqa: PLR2004 - same
            return
        if _OF_SETS in path:
            self.requests.add(now, 1)
            self.views.add(now, int(head.headers.get("x-ms-request-charge", "0")))
            name = path.split("/")[-2]
        else:
            self.machine_requests.add(now, 1)
            # The filter names the Flexible set: '…' eq '/…/virtualMachineScaleSets/NAME'.
            name = head.url.query["$filter"].rpartition("/")[2].rstrip("'").casefold()
        if scale_set := self._moving.get(name):
            falls = self._falls(scale_set)
            first_page = "skiptoken" not in head.url.raw_query_string
            self._answered[name] = falls + ([] if first_page else self._answered.get(name, []))

    def retrieved(self, state: TargetState) -> None:
        """Take notice of a set that was just polled with success."""
        name, now = state.target.scale_set.name, self._world.clock.monotonic()
        instances = state.data.snapshot.mapped.instances if state.data.snapshot else 0
        self.all_ages.renew(name, instances, now)
        self.quiet_ages.renew(name, instances, now)
        for fall in self._answered.pop(name.casefold(), ()):
            self._seen.setdefault(fall, self._world.azure.fleet.elapsed)

    def look(self) -> None:
        """Look at everything; to be done every second."""
        self._world.azure.fleet.advance(self._world.clock.now())
        now = self._world.clock.monotonic()
        for scale_set in self._moving.values():
            self._fallen.update(self._falls(scale_set))
        if now < self._warm_up:
            return
        if self._walks == (0.0, 0.0):
            self._walks = self._durations()
        self.all_ages.look(now)
        self.quiet_ages.look(now)
        for policy in self.least_left:
            self.least_left[policy] = min(self.least_left[policy], self.left(policy))
        if int(now) % 10 == 0:
            self.oldest = max(self.oldest, self.all_ages.oldest(now))

    def left(self, policy: str) -> int:
        """What is left in the region's bucket of a policy."""
        return self._world.azure.limits.remaining(region_charge(self._world, policy))

    def walk_time(self) -> float:
        """The mean duration of a poll since the warm-up."""
        total, count = self._durations()
        return (total - self._walks[0]) / max(1.0, count - self._walks[1])

    def delays(self) -> list[float]:
        """Seconds until each failure in the moving sets was seen; infinite where it never was."""
        end = self._world.azure.fleet.elapsed
        return [
            self._seen.get(fall, math.inf) - fall[2]
            for fall in sorted(self._fallen | self._seen.keys())
            if self._warm_up <= fall[2] < end - GRACE
        ]

    def _falls(self, scale_set: SimulatedScaleSet) -> list[Fall]:
        name = scale_set.identity.name
        return [
            (name, identifier, instance.provisioning_changed)
            for identifier, instance in scale_set.instances.items()
            if instance.provisioning.startswith("failed")
        ]

    def _durations(self) -> tuple[float, float]:
        registry = self._world.telemetry.registry
        name = "azure_vmss_exporter_poll_duration_seconds"
        return (
            registry.get_sample_value(f"{name}_sum") or 0.0,
            registry.get_sample_value(f"{name}_count") or 0.0,
        )


def region_charge(world: World, policy: str, cost: int = 1) -> buckets.Charge:
    """A charge to the region's bucket of a policy, as the simulated Azure keys it."""
    scale_set = world.azure.fleet.scale_sets[0]
    return buckets.Charge(policy, (scale_set.identity.key[0], scale_set.description.location), cost)
