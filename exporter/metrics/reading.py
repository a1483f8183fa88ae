"""One instance as the catalogue reads it: which status counts, which state holds.

A reading is made once per instance and poll; every family of the catalogue is a small function
of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from exporter.metrics.statuses import (
    LEVELS,
    UNKNOWN,
    ReadStatus,
    read_all,
    read_status,
    worst,
)
from exporter.model.instance_view import (
    Disk,
    Extension,
    ExtensionHandler,
    Instance,
    InstanceProperties,
    InstanceView,
    MaintenanceRedeployStatus,
    ProtectionPolicy,
    Status,
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

_STATUS_KINDS = {
    "provisioningstate": "provisioning_state",
    "powerstate": "power_state",
    "osstate": "os_state",
    "colocationstatus": "colocation_status",
    "migrationphase": "migration_phase",
}
_NO_VIEW = InstanceView()
_NO_PROPERTIES = InstanceProperties()


@dataclass(slots=True)
class HandlerReading:
    """An extension handler as the VM agent reports it."""

    handler: str
    version: str
    status: ReadStatus | None


@dataclass(slots=True)
class ExtensionReading:
    """An extension: entries of the same name are one, with the statuses of all."""

    extension: str
    handler: str
    version: str
    status: ReadStatus | None
    substatuses: list[tuple[str, str, int]]


@dataclass(slots=True)
class DiskReading:
    """A disk: its provisioning and its encryption are two statuses in one list of Azure's."""

    disk: str
    status: ReadStatus | None
    encryption: ReadStatus | None


@dataclass(slots=True)
class InstanceReading:
    """What one instance tells. None is always: Azure did not say.

    `unknown_codes` counts the codes and levels that are not known.
    """

    scale_set: ScaleSetId
    instance_id: str
    name: str
    full: bool
    properties: InstanceProperties
    view: InstanceView
    zone: str | None
    vm_size: str | None
    power_state: str = UNKNOWN
    provisioning_state: str = UNKNOWN
    failure_code: str | None = None
    os_state: str | None = None
    health_state: str | None = None
    statuses: dict[str, ReadStatus] = field(default_factory=dict)
    agent_version: str | None = None
    agent_status: ReadStatus | None = None
    handlers: list[HandlerReading] = field(default_factory=list)
    extensions: list[ExtensionReading] = field(default_factory=list)
    disks: list[DiskReading] = field(default_factory=list)
    unknown_codes: int = 0

    @property
    def fault_domain(self) -> str | None:
        """`platformFaultDomain`, which Azure sends as a number or as text."""
        return _text(self.view.platform_fault_domain)

    @property
    def update_domain(self) -> str | None:
        """`platformUpdateDomain`, or `platformUpgradeDomain` in 2016-04-30-preview."""
        new = self.view.platform_update_domain
        return _text(self.view.platform_upgrade_domain if new is None else new)

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
    def disk_level(self) -> int | None:
        """The worst level of all disks' provisioning statuses."""
        levels = [
            disk.status.level
            for disk in self.disks
            if disk.status and disk.status.level is not None
        ]
        return max(levels, default=None)


def read_instance(
    instance: Instance, *, scale_set: ScaleSetId, instance_id: str, full: bool
) -> InstanceReading:
    """Read one item of the list.

    Args:
        instance: the decoded item.
        scale_set: the set, in the spelling that is served.
        instance_id: the instance's id, in the spelling that is served.
        full: whether the list was asked for without `$select`.
    """
    properties = instance.properties or _NO_PROPERTIES
    view = properties.instance_view or _NO_VIEW
    profile = properties.hardware_profile
    reading = InstanceReading(
        scale_set=scale_set,
        instance_id=instance_id,
        name=instance.name or f"{scale_set.name}_{instance_id}",
        full=full,
        properties=properties,
        view=view,
        zone=next((zone for zone in instance.zones or () if zone), None),
        vm_size=(profile.vm_size if profile else None)
        or (instance.sku.name if instance.sku else None),
    )
    _read_instance_statuses(reading)
    _read_health(reading)
    _read_agent(reading)
    reading.extensions = _read_extensions(view.extensions)
    reading.disks = _read_disks(view.disks)
    reading.unknown_codes += sum(1 for status in _all_statuses(view) if _level_is_new(status))
    return reading


def _read_instance_statuses(reading: InstanceReading) -> None:
    kinds: dict[str, list[ReadStatus]] = {}
    for status in read_all(reading.view.statuses):
        kinds.setdefault(_STATUS_KINDS.get(status.kind, "other"), []).append(status)
    for kind, statuses in kinds.items():
        if chosen := worst(statuses):
            reading.statuses[kind] = chosen
    if power := reading.statuses.get("power_state"):
        reading.power_state = _known(power.state, POWER_STATES, reading)
    if os_state := reading.statuses.get("os_state"):
        reading.os_state = os_state.shown
    _read_provisioning(reading)


def _read_provisioning(reading: InstanceReading) -> None:
    provisioning = reading.statuses.get("provisioning_state")
    fallback = reading.properties.provisioning_state
    state = rest = ""
    if provisioning and provisioning.state:
        state, rest = provisioning.state, provisioning.rest
    elif isinstance(fallback, str):
        # The integer 0 of api-versions up to 2019-03-01 says nothing.
        state = fallback.strip().lower()
    elif provisioning:
        reading.unknown_codes += 1
    if state:
        reading.provisioning_state = _known(state, PROVISIONING_STATES, reading)
    if reading.provisioning_state == "failed":
        reading.failure_code = rest or "unspecified"


def _read_health(reading: InstanceReading) -> None:
    health = reading.view.vm_health
    if health is not None and health.status is not None:
        reading.health_state = _known(read_status(health.status).state, HEALTH_STATES, reading)


def _read_agent(reading: InstanceReading) -> None:
    agent = reading.view.vm_agent
    if agent is None:
        return
    version = (agent.vm_agent_version or "").strip()
    reading.agent_version = UNKNOWN if version.lower() == UNKNOWN else version
    reading.agent_status = worst(read_all(agent.statuses))
    handlers: dict[str, list[ExtensionHandler]] = {}
    for handler in agent.extension_handlers or ():
        if handler is not None:
            handlers.setdefault(handler.type or "", []).append(handler)
    for name, entries in handlers.items():
        reading.handlers.append(
            HandlerReading(
                handler=name,
                version=_first(entry.type_handler_version for entry in entries),
                status=worst(read_all([entry.status for entry in entries])),
            )
        )


def _read_extensions(extensions: list[Extension | None] | None) -> list[ExtensionReading]:
    by_name: dict[str, list[Extension]] = {}
    for extension in extensions or ():
        if extension is not None:
            by_name.setdefault(extension.name or "", []).append(extension)
    return [
        ExtensionReading(
            extension=name,
            handler=_first(entry.type for entry in entries),
            version=_first(entry.type_handler_version for entry in entries),
            status=worst(status for entry in entries for status in read_all(entry.statuses)),
            substatuses=_read_substatuses(entries),
        )
        for name, entries in by_name.items()
    ]


SUBSTATUS_LENGTH = 64
SUBSTATUSES_PER_EXTENSION = 16


def _read_substatuses(entries: list[Extension]) -> list[tuple[str, str, int]]:
    """Read `ComponentStatus/<free text>/<state>`: its text, state and level.

    The text and the state are the extension's author's: cut at 64 characters, and beyond 16
    pairs per extension both are `other`, so that no author can make series without end.
    """
    found: dict[tuple[str, str], int] = {}
    for entry in entries:
        for status in entry.substatuses or ():
            if status is None or status.level is None:
                continue
            read = read_status(status)
            if read.level is None:
                continue
            parts = (status.code or "").split("/")
            text = parts[1] if len(parts) > 2 else ""  # noqa: PLR2004 - kind, text, state
            state = parts[2].lower() if len(parts) > 2 else read.shown  # noqa: PLR2004 - as above
            pair = (text[:SUBSTATUS_LENGTH], (state or UNKNOWN)[:SUBSTATUS_LENGTH])
            if pair not in found and len(found) >= SUBSTATUSES_PER_EXTENSION:
                pair = ("other", "other")
            found[pair] = max(found.get(pair, 0), read.level)
    return [(text, state, level) for (text, state), level in found.items()]


def _read_disks(disks: list[Disk | None] | None) -> list[DiskReading]:
    by_name: dict[str, list[ReadStatus]] = {}
    for disk in disks or ():
        if disk is not None:
            by_name.setdefault(disk.name or "", []).extend(read_all(disk.statuses))
    return [
        DiskReading(
            disk=name,
            status=worst(s for s in statuses if s.kind == "provisioningstate"),
            encryption=worst(s for s in statuses if s.kind == "encryptionstate"),
        )
        for name, statuses in by_name.items()
    ]


def _all_statuses(view: InstanceView) -> Iterable[Status | None]:
    yield from view.statuses or ()
    if view.vm_health is not None:
        yield view.vm_health.status
    if view.vm_agent is not None:
        yield from view.vm_agent.statuses or ()
        for handler in view.vm_agent.extension_handlers or ():
            if handler is not None:
                yield handler.status
    for extension in view.extensions or ():
        if extension is not None:
            yield from extension.statuses or ()
            yield from extension.substatuses or ()
    for disk in view.disks or ():
        if disk is not None:
            yield from disk.statuses or ()


def _level_is_new(status: Status | None) -> bool:
    return status is not None and status.level is not None and status.level.lower() not in LEVELS


def _known(state: str, states: tuple[str, ...], reading: InstanceReading) -> str:
    if state in states:
        return state
    reading.unknown_codes += 1
    return UNKNOWN


def _first(texts: Iterable[str | None]) -> str:
    return next((text for text in texts if text), "")


def _text(value: int | str | None) -> str | None:
    return None if value is None or value == "" else str(value)
