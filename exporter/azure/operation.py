"""Every call that the exporter makes to the Azure Resource Manager, in one table.

A call goes through `OPERATIONS`, so none can be made that is charged to an unknown limit. Sources:
"Compute throttling limits" and "Azure permissions for Compute" of Microsoft's documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from exporter.model.scale_set import ScaleSetId

_COMPUTE = "Microsoft.Compute/virtualMachineScaleSets"


class DocumentedLimit(NamedTuple):
    """A read limit of Microsoft.Compute, per subscription and region.

    Attributes:
        policy: its documented name, without the provider.
        capacity: what its bucket holds until headers show something else. A third of it flows
            back in a minute.
    """

    policy: str
    capacity: int


@dataclass(frozen=True, slots=True)
class Scope:
    """What a call is about: the limits that it is charged to belong to that.

    Attributes:
        subscription_id: whose limits.
        location: the region's short name; empty for a call of no region, or if it is not known.
        scale_set: the one that is asked about; None for a call about several.
        credential: the name of the credential that asks; empty for `azure.credential`.
        service: the service that answers and counts the call, where that is neither Compute nor
            the Resource Manager.
    """

    subscription_id: str
    location: str = ""
    scale_set: ScaleSetId | None = None
    credential: str = ""
    service: str = ""

    @classmethod
    def of(cls, scale_set: ScaleSetId, location: str = "", credential: str = "") -> Scope:
        """The scope of a call about one scale set."""
        return cls(scale_set.subscription_id, location, scale_set, credential)

    @property
    def key(self) -> tuple[str, ...]:
        """Tells what is asked about from others, whatever the letter case; the region aside."""
        return self.scale_set.key if self.scale_set else (self.subscription_id.casefold(),)

    @property
    def counted_by(self) -> str:
        """Whose limits it is charged to over all regions: the subscription's, else the client's."""
        return self.subscription_id.casefold() or f"/{self.credential}/{self.service}"

    @property
    def counted_by_service(self) -> str:
        """Whose limits of the service's own it is charged to; `counted_by` where it has none."""
        if not (self.service and self.subscription_id):
            return self.counted_by
        return f"{self.subscription_id.casefold()}/{self.credential}/{self.service}"

    def __str__(self) -> str:
        return str(self.scale_set or self.subscription_id or self.service or "subscriptions")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """A kind of call.

    Attributes:
        name: the value of the label `operation`.
        rbac_action: the action that the identity must be allowed.
        feature: what is missing without it, for people: a key of `model`, or as
            `docs/permissions.md` has it.
        failure: the beginning of an error message, for people.
        when: when the call is made, for the page about the calls.
        requests: the limit that each request is charged to.
        views: the limit that the VMs on a page are charged to; None if no VM is viewed.
        page_size: how many items Azure was seen to put on a page; 0 for a call of one page.
        goes_first: whether its requests go before those of other operations while both wait.
        opens_breaker: whether its failures say that Azure fails as a whole. Rare calls, between
            two polls of a small fleet, must not hold back the polls, which may well succeed.
        by_user: whether Azure counts it by the client over all subscriptions, as Resource Graph's
            queries.
        of_compute: whether Microsoft.Compute answers it, and charges it to `requests`; else no
            answer names that limit, and it only keeps the calls from being many.
    """

    name: str
    rbac_action: str
    feature: str
    failure: str
    when: str
    requests: DocumentedLimit
    views: DocumentedLimit | None = None
    page_size: int = 0
    goes_first: bool = False
    opens_breaker: bool = False
    by_user: bool = False
    of_compute: bool = True

    @property
    def limits(self) -> tuple[DocumentedLimit, ...]:
        """The limits that a call is charged to."""
        if not self.of_compute:
            return ()
        return (self.requests,) if self.views is None else (self.requests, self.views)


LIST_INSTANCES = Operation(
    name="list_instances",
    rbac_action=f"{_COMPUTE}/virtualMachines/read",
    feature="instances of Uniform sets",
    failure="listing the instances failed",
    when="each Uniform set, every `polling.interval` or as the budget allows",
    requests=DocumentedLimit("HighCostGetVMScaleSetSubscriptionMaximum", 1080),
    # Its refill is not documented; it is taken to be a third, as of the others.
    views=DocumentedLimit("VMScaleSetVMViewsSubscriptionMaximum", 30_000),
    page_size=120,
    goes_first=True,
    opens_breaker=True,
)
"""`VirtualMachineScaleSetVMs_List` with the instance view, page by page."""

LIST_VIRTUAL_MACHINES = Operation(
    name="list_virtual_machines",
    rbac_action="Microsoft.Compute/virtualMachines/read",
    feature="instances of Flexible sets",
    failure="listing the virtual machines failed",
    when="each Flexible set, as above; with a `get_scale_set` where the list is empty",
    requests=DocumentedLimit("HighCostGetSubscriptionMaximum", 900),
    page_size=50,
    goes_first=True,
    opens_breaker=True,
)
"""`VirtualMachines_List` with the filter for one Flexible set, and the instance view."""

GET_VIRTUAL_MACHINE = Operation(
    name="get_virtual_machine",
    rbac_action=LIST_VIRTUAL_MACHINES.rbac_action,
    feature=LIST_VIRTUAL_MACHINES.feature,
    failure="reading the virtual machine failed",
    when="each virtual machine that a Flexible set has lost, five a poll at most: is it deleted?",
    requests=DocumentedLimit("LowCostGetSubscriptionMaximum", 24_000),
)
"""`VirtualMachines_Get`: a machine that was detached from its set lives on."""

GET_SCALE_SET = Operation(
    name="get_scale_set",
    rbac_action=f"{_COMPUTE}/read",
    feature="capacity, region, mode and tags",
    failure="reading the scale set failed",
    when="each listed set every five minutes; a discovered one where no list told its model",
    requests=DocumentedLimit("GetVMScaleSetSubscriptionMaximum", 2400),
)
"""`VirtualMachineScaleSets_Get`."""

LIST_SCALE_SETS = Operation(
    name="list_scale_sets",
    rbac_action=f"{_COMPUTE}/read",
    feature="discovery by lists",
    failure="listing the scale sets failed",
    when="each subscription of an entry of `discovery`, or its named groups, every `refresh`",
    page_size=50,
    requests=LIST_INSTANCES.requests,
)
"""`VirtualMachineScaleSets_ListAll`, or `_List` of a resource group. Of a whole subscription the
Resource Manager asks every region and names no limit; it is charged as that of a group."""

LIST_SUBSCRIPTIONS = Operation(
    name="list_subscriptions",
    rbac_action="Microsoft.Resources/subscriptions/read",
    feature="discovery of all subscriptions by lists",
    failure="listing the subscriptions failed",
    when="each entry of `discovery` with `all`, every `refresh`",
    requests=GET_SCALE_SET.requests,
    of_compute=False,
)
"""`Subscriptions_List`. The scope has no subscription, so that it is counted for itself."""

QUERY_GRAPH = Operation(
    name="query_graph",
    rbac_action="Microsoft.ResourceGraph/resources/read",
    feature="discovery by Resource Graph",
    failure="querying Resource Graph failed",
    when="each entry of `discovery`, every `refresh`, with `resource_graph.mode: auto`",
    requests=GET_SCALE_SET.requests,
    page_size=1000,
    by_user=True,
    of_compute=False,
)
"""`Resources`: a query of Resource Graph, page by page. It is answered from an index of its own."""

GET_SERVICES = Operation(
    name="get_scale_set_view",
    rbac_action=f"{_COMPUTE}/instanceView/read",
    feature="model.services",
    failure="reading the orchestration services failed",
    when="each Uniform set every `model.interval`, with `model.services`",
    requests=LIST_INSTANCES.requests,
)
"""`VirtualMachineScaleSets_GetInstanceView`: only its orchestration services are read."""

GET_ROLLING_UPGRADE = Operation(
    name="get_rolling_upgrade",
    rbac_action=f"{_COMPUTE}/rollingUpgrades/read",
    feature="model.rolling_upgrades",
    failure="reading the latest rolling upgrade failed",
    when="each Uniform set every `model.interval`, with `model.rolling_upgrades`",
    requests=GET_SCALE_SET.requests,
)
"""`VirtualMachineScaleSetRollingUpgrades_GetLatest`. Its limit is not documented; it is charged as
a GET of the set."""

LIST_LIFECYCLE_HOOKS = Operation(
    name="list_lifecycle_hook_events",
    rbac_action=f"{_COMPUTE}/lifecycleHookEvents/read",
    feature="model.lifecycle_hooks",
    failure="listing the events of lifecycle hooks failed",
    when="each Uniform set every `model.interval`, with `model.lifecycle_hooks`",
    requests=GET_SCALE_SET.requests,
)
"""`VirtualMachineScaleSetLifeCycleHookEvents_List`, of 2026. Charged as a GET of the set."""

LIST_STANDBY_POOLS = Operation(
    name="list_standby_pools",
    rbac_action="Microsoft.StandbyPool/standbyVirtualMachinePools/read",
    feature="model.standby_pools",
    failure="listing the standby pools failed",
    when="each subscription every `model.interval`, with `model.standby_pools`",
    requests=GET_SCALE_SET.requests,
    of_compute=False,
)
"""`StandbyVirtualMachinePools_ListBySubscription`."""

GET_STANDBY_POOL = Operation(
    name="get_standby_pool",
    rbac_action="Microsoft.StandbyPool/standbyVirtualMachinePools/runtimeViews/read",
    feature="model.standby_pools",
    failure="reading a standby pool failed",
    when="each standby pool of a set that is polled, as above",
    requests=GET_SCALE_SET.requests,
    of_compute=False,
)
"""`StandbyVirtualMachinePoolRuntimeViews_Get` of `latest`."""

LIST_AUTOSCALE = Operation(
    name="list_autoscale_settings",
    rbac_action="Microsoft.Insights/autoscaleSettings/read",
    feature="model.autoscale",
    failure="listing the autoscale settings failed",
    when="each subscription every `model.interval`, with `model.autoscale`",
    requests=GET_SCALE_SET.requests,
    of_compute=False,
)
"""`AutoscaleSettings_ListBySubscription`."""

LIST_RESOURCE_GROUPS = Operation(
    name="list_resource_groups",
    rbac_action="Microsoft.Resources/subscriptions/resourceGroups/read",
    feature="discovery by lists, for sets of AKS",
    failure="listing the resource groups failed",
    when="each subscription whose sets are listed as a whole, to find those of AKS",
    requests=GET_SCALE_SET.requests,
    of_compute=False,
)
"""`ResourceGroups_List`. A subscription's list of sets was seen to miss those of AKS for hours."""

OPERATIONS = (
    LIST_INSTANCES,
    LIST_VIRTUAL_MACHINES,
    GET_VIRTUAL_MACHINE,
    GET_SCALE_SET,
    LIST_SCALE_SETS,
    LIST_SUBSCRIPTIONS,
    LIST_RESOURCE_GROUPS,
    QUERY_GRAPH,
    GET_SERVICES,
    GET_ROLLING_UPGRADE,
    LIST_LIFECYCLE_HOOKS,
    LIST_STANDBY_POOLS,
    GET_STANDBY_POOL,
    LIST_AUTOSCALE,
)
