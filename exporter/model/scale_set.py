"""A scale set's identity, what is asked of it, and the model that Azure has of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

_RESOURCE_ID = re.compile(
    r"/subscriptions/(?P<subscription_id>[^/]+)"
    r"/resourceGroups/(?P<resource_group>[^/]+)"
    r"/providers/Microsoft\.Compute/virtualMachineScaleSets/(?P<name>[^/]+)/?",
    re.IGNORECASE,
)


def short_region(location: str | None) -> str:
    """A region as Azure's short name, `westus2`, for Azure also writes `West US 2`.

    Azure leaves out blanks and letter case itself where it compares regions. Empty for None.
    """
    return "".join((location or "").split()).lower()


@dataclass(frozen=True, slots=True)
class ScaleSetId:
    """The identity of a scale set, in the spelling of whoever named it first.

    Azure changes the letter case of ids between calls, so two ids are compared by `key`.
    """

    subscription_id: str
    resource_group: str
    name: str

    @property
    def key(self) -> tuple[str, str, str]:
        """The identity without letter case: equal for every spelling Azure may use."""
        return (
            self.subscription_id.casefold(),
            self.resource_group.casefold(),
            self.name.casefold(),
        )

    @property
    def resource_id(self) -> str:
        """Azure's resource id: `/subscriptions/…/virtualMachineScaleSets/{name}`."""
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.Compute/virtualMachineScaleSets/{self.name}"
        )

    @classmethod
    def parse(cls, resource_id: str) -> ScaleSetId | None:
        """Read a scale set's resource id in any letter case; None if it is not one."""
        match = _RESOURCE_ID.fullmatch(resource_id)
        return cls(**match.groupdict()) if match else None

    def __str__(self) -> str:
        return f"{self.subscription_id}/{self.resource_group}/{self.name}"


Origin = Literal["configured", "discovered"]
"""Why a scale set is polled: the configuration lists it, or a discovery has found it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A scale set to be polled.

    Attributes:
        interval: the requested one, in seconds.
        labels: the extra labels of its series, by name.
        credential: the name of the credential that it is read with; empty for `azure.credential`.
    """

    scale_set: ScaleSetId
    interval: float
    labels: tuple[tuple[str, str], ...] = ()
    credential: str = ""
    origin: Origin = "configured"

    def has_series_of(self, other: Target) -> bool:
        """Whether both have the same series: spelling and labels are the same."""
        return self.scale_set == other.scale_set and self.labels == other.labels


@dataclass(frozen=True, slots=True)
class ScaleSetModel:
    """What `GET …/virtualMachineScaleSets/{name}` tells; None where Azure sends nothing."""

    location: str | None = None
    sku: str | None = None
    capacity: int | None = None
    orchestration_mode: str | None = None
    upgrade_policy: str | None = None
    has_profile: bool = False
    priority: str | None = None
    eviction_policy: str | None = None
    provisioning_state: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def folded_tags(self) -> dict[str, str]:
        """The tags by their names in lower case: Azure compares them without letter case."""
        return {name.casefold(): value for name, value in self.tags.items()}

    @property
    def is_flexible(self) -> bool:
        """Whether the set is a Flexible one; an absent mode is a Uniform set of old days."""
        return (self.orchestration_mode or "").casefold() == "flexible"


@dataclass(frozen=True, slots=True)
class FoundScaleSet:
    """A scale set as a list of scale sets has it: its identity in Azure's spelling, its model."""

    scale_set: ScaleSetId
    model: ScaleSetModel
