"""The fleet: all scale sets of the simulated Azure, and the time that goes by in it."""

from __future__ import annotations

from importlib import resources

import yaml

from exporter.model.scale_set import ScaleSetId
from exporter.simulator import lasting, stories
from exporter.simulator.description import FleetDescription, ScaleSetDescription
from exporter.simulator.scale_set import SimulatedScaleSet

CATCH_UP_LIMIT = 2 * 3600.0


class Fleet:
    """Every scale set, in the order of its description.

    The state is a function of the description, its seed and the seconds since the first
    `advance`, whatever the moments in between at which anybody looked. Only after nobody looked
    for more than two hours does the fleet count the rest as slept, to bound the work.

    Args:
        description: what it holds.

    Attributes:
        groups: the resource groups by subscription and name in lower case; one stays when its
            last scale set goes.
    """

    def __init__(self, description: FleetDescription) -> None:
        self.description = description
        self.started: float | None = None
        self.elapsed = 0.0
        self._slept = 0.0
        self.groups: set[tuple[str, str]] = set()
        self._sets: dict[tuple[str, str, str], SimulatedScaleSet] = {}
        for scale_set in description.scale_sets:
            for name in _names(scale_set):
                self.add_scale_set(scale_set, name=name)

    @classmethod
    def from_yaml(cls, text: str) -> Fleet:
        """Read a fleet file.

        Raises:
            pydantic.ValidationError: naming every wrong or unknown key.
            yaml.YAMLError: where the text is not YAML.
        """
        return cls(FleetDescription.model_validate(yaml.safe_load(text) or {}))

    @classmethod
    def demo(cls) -> Fleet:
        """The lively fleet of the demo: about 250 instances in 8 scale sets."""
        return cls.from_yaml(
            resources.files("exporter.simulator").joinpath("demo.yaml").read_text("utf-8")
        )

    def add_scale_set(
        self, description: ScaleSetDescription, *, name: str | None = None
    ) -> SimulatedScaleSet:
        """Create a scale set, as at the start or now. One of the same id is replaced."""
        identity = ScaleSetId(
            subscription_id=description.subscription_id or self.description.subscription_id,
            resource_group=description.resource_group,
            name=name or description.name,
        )
        scale_set = SimulatedScaleSet(
            identity, description, seed=self.description.seed, elapsed=self.elapsed
        )
        lasting.break_for_good(scale_set)
        scale_set.trouble(stories.trouble)
        scale_set.live(stories.happen)
        self._sets[identity.key] = scale_set
        self.groups.add(identity.key[:2])
        return scale_set

    def remove_scale_set(self, identity: ScaleSetId) -> None:
        """Delete a scale set whole. Raises KeyError where it does not exist."""
        del self._sets[identity.key]

    @property
    def scale_sets(self) -> list[SimulatedScaleSet]:
        """All scale sets."""
        return list(self._sets.values())

    @property
    def subscriptions(self) -> list[str]:
        """The ids of all subscriptions: that of the description, and those of its scale sets."""
        own = self.description.subscription_id
        return list(dict.fromkeys((own, *(s.identity.subscription_id for s in self.scale_sets))))

    def find(self, identity: ScaleSetId) -> SimulatedScaleSet | None:
        """The scale set of that id in any letter case, or None."""
        return self._sets.get(identity.key)

    def scale_set(self, name: str, resource_group: str | None = None) -> SimulatedScaleSet:
        """The first scale set of that name, in a given resource group if there is one.

        Raises KeyError where there is none.
        """
        for scale_set in self._sets.values():
            _, group, own_name = scale_set.identity.key
            if own_name == name.casefold() and (
                resource_group is None or group == resource_group.casefold()
            ):
                return scale_set
        raise KeyError(name)

    def instance_count(self) -> int:
        """How many instances exist now."""
        return sum(len(scale_set.instances) for scale_set in self._sets.values())

    def advance(self, now: float) -> None:
        """Let the fleet live up to `now`, a Unix time; the first call is its start."""
        if self.started is None:
            self.started = now
        elapsed = now - self.started - self._slept
        if elapsed - self.elapsed > CATCH_UP_LIMIT:
            self._slept += elapsed - self.elapsed - CATCH_UP_LIMIT
            elapsed = self.elapsed + CATCH_UP_LIMIT
        if elapsed <= self.elapsed:
            return
        self.elapsed = elapsed
        for scale_set in self._sets.values():
            scale_set.advance(elapsed)

    def unix_time(self, elapsed: float) -> float:
        """The Unix time of a moment of the fleet's life."""
        return (self.started or 0.0) + self._slept + elapsed


def _names(description: ScaleSetDescription) -> list[str]:
    if description.repeat == 1:
        return [description.name]
    return [f"{description.name}-{number:03d}" for number in range(description.repeat)]
