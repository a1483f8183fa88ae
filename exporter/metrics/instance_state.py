"""One instance as the catalogue sees it: which status counts, which state holds.

A reading is made once per instance and poll (`reader.py`); every family of the catalogue is a
small function of it. Its parts are values that can be compared: most of them are the same in many
instances, and what is the same is rendered once.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from exporter.metrics.limited_names import LimitedNames
from exporter.metrics.statuses import UNKNOWN, ParsedStatus
from exporter.model.instance_view import (
    InstanceProperties,
    InstanceView,
    MaintenanceRedeployStatus,
    ProtectionPolicy,
)
from exporter.model.scale_set import ScaleSetId

POWER_STATES = (
    "creating",
    "starting",
    "running",
    "stopping",
    "stopped",
    "deallocating",
    "deallocated",
    UNKNOWN,
)
PROVISIONING_STATES = (
    "creating",
    "updating",
    "succeeded",
    "failed",
    "deleting",
    "migrating",
    UNKNOWN,
)
HEALTH_STATES = ("healthy", "unhealthy", "initializing", UNKNOWN)

_PASSING = frozenset(
    ("creating", "starting", "stopping", "deallocating", "updating", "deleting", "migrating")
)


class SetNames:
    """The names that have series of their own in a set, while a walk is read.

    Attributes:
        extensions: of extensions.
        handlers: of extension handlers.
        disks: of disks.
    """

    __slots__ = ("disks", "extensions", "handlers")

    def __init__(
        self,
        extensions: Collection[str] = (),
        handlers: Collection[str] = (),
        disks: Collection[str] = (),
    ) -> None:
        self.extensions = LimitedNames(extensions)
        self.handlers = LimitedNames(handlers)
        self.disks = LimitedNames(disks)


class StatusState(Struct, frozen=True, gc=False):
    """The instance's status of one kind, such as `power_state`."""

    kind: str
    parsed: ParsedStatus


class AgentState(Struct, frozen=True, gc=False):
    """The VM agent: an empty version is one that Azure did not send."""

    version: str
    status: ParsedStatus | None


class HandlerState(Struct, frozen=True, gc=False):
    """An extension handler as the VM agent reports it."""

    handler: str
    version: str
    status: ParsedStatus | None


class ExtensionState(Struct, frozen=True, gc=False):
    """An extension: entries of the same name are one, with the statuses of all."""

    extension: str
    handler: str
    version: str
    status: ParsedStatus | None


class DiskState(Struct, frozen=True, gc=False):
    """A disk: its provisioning and its encryption are two statuses in one list of Azure's."""

    disk: str
    status: ParsedStatus | None
    time: str | None
    encryption: ParsedStatus | None


class Placement(Struct, frozen=True, gc=False):
    """`platformFaultDomain` and `platformUpdateDomain`, numbers or text, and the first zone."""

    fault_domain: str | None
    update_domain: str | None
    zone: str | None


class InstanceState(Struct, gc=False):
    """What is known of one instance. None is always: Azure did not send it.

    Times stand beside what they belong to, in the same order: what has no times in it is the same
    in many instances. `names` are those of the walk so far. `unknown_codes` counts the codes and
    levels that are not known.
    """

    scale_set: ScaleSetId
    instance_id: str
    name: str
    full: bool
    properties: InstanceProperties
    view: InstanceView
    placement: Placement
    vm_size: str | None
    names: SetNames
    flexible: bool = False
    in_standby_pool: bool = False
    resilient_deletion_state: str | None = None
    power_state: str = UNKNOWN
    provisioning_state: str = UNKNOWN
    failure_code: str | None = None
    os_state: str | None = None
    hibernation_state: str | None = None
    health_state: str | None = None
    statuses: tuple[StatusState, ...] = ()
    status_times: tuple[str | None, ...] = ()
    agent: AgentState | None = None
    agent_time: str | None = None
    handlers: tuple[HandlerState, ...] = ()
    extensions: tuple[ExtensionState, ...] = ()
    extension_times: tuple[str | None, ...] = ()
    disks: tuple[DiskState, ...] = ()
    unknown_codes: int = 0

    @property
    def rdp_thumbprint(self) -> str | None:
        """`rdpThumbPrint`, or its old place in `windowsConfiguration`."""
        old = self.view.windows_configuration
        return self.view.rdp_thumb_print or (old.rdp_thumb_print if old else None)

    @property
    def latest_model_applied(self) -> bool | None:
        """`latestModelApplied`, which is not to be trusted under `$select`."""
        return self.properties.latest_model_applied if self.full else None

    @property
    def protection(self) -> ProtectionPolicy | None:
        """`protectionPolicy`: only without `$select`."""
        return self.properties.protection_policy

    @property
    def maintenance(self) -> MaintenanceRedeployStatus | None:
        """`maintenanceRedeployStatus`."""
        return self.view.maintenance_redeploy_status

    @property
    def unsettled(self) -> bool:
        """Whether the instance is in a state that should pass."""
        return self.power_state in _PASSING or self.provisioning_state in _PASSING

    @property
    def fingerprint(self) -> int:
        """A number that is another when the state is; within this process only.

        The times are those of the instance's own statuses: what was done between two polls shows
        by them, even when everything is again as it was.
        """
        return hash(
            (
                self.instance_id,
                self.power_state,
                self.provisioning_state,
                self.failure_code,
                self.health_state,
                self.status_times,
            )
        )

    @property
    def disk_level(self) -> int | None:
        """The worst level of all disks' provisioning statuses."""
        found: int | None = None
        for disk in self.disks:
            level = disk.status.level if disk.status else None
            if level is not None and (found is None or level > found):
                found = level
        return found
