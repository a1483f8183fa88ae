"""The fleet file: what the simulated Azure holds, and how it behaves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from exporter.simulator.faults import Fault

DEFAULT_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"

Name = Annotated[str, Field(min_length=1, pattern=r"^[^/\s]+$")]
Region = Annotated[str, Field(pattern=r"^[^/]+$")]
"""A region's short name, or its display name, which Azure writes in some answers."""


LastingFault = Literal["allocation_failed", "extension_failed", "agent_unavailable"]


class Description(BaseModel):
    """A part of the fleet file: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True)


class BucketDescription(Description):
    """One token bucket: what it holds when full, and what flows back each minute.

    The buckets of ARM itself flow back each second; those of Microsoft.Compute once a minute.
    """

    capacity: int = Field(ge=1)
    refill: int = Field(ge=1)


class LimitsDescription(Description):
    """Azure's read limits; `policies` changes the buckets that it names."""

    enabled: bool = True
    separate_headers: bool = False
    policies: dict[str, BucketDescription] = Field(default_factory=dict)
    principal_reads: BucketDescription = BucketDescription(capacity=250, refill=25)
    subscription_reads: BucketDescription = BucketDescription(capacity=3750, refill=375)
    graph_queries: BucketDescription = BucketDescription(capacity=15, refill=15)


class GraphDescription(Description):
    """Resource Graph: whether it is there, how late its index is, and the rows of a page."""

    enabled: bool = True
    lag: float = Field(default=0.0, ge=0.0)
    page_size: int = Field(default=1000, ge=1, le=1000)


class ScaleSetDescription(Description):
    """One scale set, or `repeat` scale sets of the same kind named `{name}-000` and so on.

    Attributes:
        services: the states of its orchestration services, by their names.
        rolling_upgrade: the status of its latest rolling upgrade; none where it never had one.
        hook_waits: seconds from the start until which an event of a lifecycle hook waits.
        standby: the size of its standby pool.
        autoscale: the limits of its autoscale setting.
        lasting: what is broken for good, an instance each.
        missed_by_list: whether the list of its subscription leaves it out, as was seen of AKS.
    """

    name: Name
    resource_group: Name = "rg-demo"
    subscription_id: Name | None = None
    location: Region = "westeurope"
    size: int = Field(default=3, ge=0, le=100_000)
    capacity: int | None = None
    orchestration: Literal["uniform", "flexible"] = "uniform"
    sku: Name | None = "Standard_D2s_v3"
    priority: Literal["regular", "spot"] = "regular"
    eviction_policy: Literal["Deallocate", "Delete"] = "Deallocate"
    upgrade_policy: Literal["Automatic", "Manual", "Rolling"] = "Manual"
    zones: list[Name] = Field(default_factory=list)
    fault_domains: int = Field(default=5, ge=0)
    tags: dict[str, str] = Field(default_factory=dict)
    os: Literal["linux", "windows"] = "linux"
    extensions: list[Name] = Field(default_factory=list)
    health: bool = False
    encrypted: bool = False
    protected: int = Field(default=0, ge=0)
    agent_versions: list[str] = Field(default_factory=list)
    pace: float = Field(default=0.0, ge=0.0, le=3600.0)
    trouble: float | None = Field(default=None, ge=0.0, le=1.0)
    page_size: int | None = Field(default=None, ge=1)
    services: dict[str, str] = Field(default_factory=dict)
    rolling_upgrade: (
        Literal["RollingForward", "RollingBack", "Cancelled", "Completed", "Faulted"] | None
    ) = None
    hook_waits: float | None = None
    standby: int = Field(default=0, ge=0)
    autoscale: tuple[int, int] | None = Field(default=None, strict=False)
    lasting: list[LastingFault] = Field(default_factory=list)
    missed_by_list: bool = False
    repeat: int = Field(default=1, ge=1)

    @property
    def has_health(self) -> bool:
        """Whether application health is watched: by `health` or by an extension of that name."""
        return self.health or any("Health" in name for name in self.extensions)

    @property
    def troubled_share(self) -> float:
        """The part of the instances with something wrong: by default none where all is still."""
        if self.trouble is not None:
            return self.trouble
        return 0.08 if self.pace > 0 else 0.0


class FleetDescription(Description):
    """The whole fleet file."""

    seed: int = 1
    page_size: int = Field(default=120, ge=1)
    subscription_id: Name = DEFAULT_SUBSCRIPTION
    limits: LimitsDescription = LimitsDescription()
    graph: GraphDescription = GraphDescription()
    faults: list[Fault] = Field(default_factory=list)
    scale_sets: list[ScaleSetDescription] = Field(default_factory=list)
