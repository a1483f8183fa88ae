"""From an item of Azure's list to an instance state: which of many statuses counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exporter.exposition.text_format import cut
from exporter.metrics.instance_state import (
    HEALTH_STATES,
    POWER_STATES,
    PROVISIONING_STATES,
    AgentState,
    DiskState,
    ExtensionState,
    HandlerState,
    InstanceState,
    Placement,
    SetNames,
    StatusState,
)
from exporter.metrics.limited_names import OTHER, LimitedNames
from exporter.metrics.statuses import UNKNOWN, ParsedStatus, present, read, worst
from exporter.model.instance_view import (
    Disk,
    Extension,
    ExtensionHandler,
    Instance,
    InstanceProperties,
    InstanceView,
    Status,
)
from exporter.model.scale_set import ScaleSetId

_STATUS_KINDS = {
    "provisioningstate": "provisioning_state",
    "powerstate": "power_state",
    "osstate": "os_state",
    "colocationstatus": "colocation_status",
    "migrationphase": "migration_phase",
}
_USUAL_LEVELS = frozenset(("Info", "Warning", "Error", None))
_NO_VIEW = InstanceView()
_NO_PROPERTIES = InstanceProperties()


def normalize(
    instance: Instance,
    *,
    scale_set: ScaleSetId,
    instance_id: str,
    full: bool,
    flexible: bool = False,
    names: SetNames | None = None,
) -> InstanceState:
    """Read one item of the list.

    Args:
        instance: the decoded item.
        scale_set: the set, in the spelling that is served.
        instance_id: the instance's id, in the spelling that is served.
        full: whether the list was asked for without `$select`.
        flexible: whether it is a virtual machine of a Flexible set.
        names: the names that have series of their own so far; None for the instance's own.
    """
    properties = instance.properties or _NO_PROPERTIES
    view = properties.instance_view or _NO_VIEW
    profile = properties.hardware_profile
    observed = InstanceState(
        scale_set,
        instance_id,
        instance.name or f"{scale_set.name}_{instance_id}",
        full,
        properties,
        view,
        _read_placement(instance, properties, view),
        (profile.vm_size if profile else None) or (instance.sku.name if instance.sku else None),
        names or SetNames(),
        flexible,
        bool(view.is_vm_in_standby_pool),
        (properties.resilient_vm_deletion_status or "").strip().lower() or None,
    )
    _read_instance_statuses(observed)
    _read_health(observed)
    _read_agent(observed)
    if view.extensions:
        _read_extensions(observed)
    if view.disks:
        observed.disks = _read_disks(view.disks, observed.names.disks)
    for status in _all_statuses(view):
        # Looking at the usual spellings first spares nearly all of them the second look.
        if status is not None and status.level not in _USUAL_LEVELS and read(status).level_is_new:
            observed.unknown_codes += 1
    return observed


def _read_placement(
    instance: Instance, properties: InstanceProperties, view: InstanceView
) -> Placement:
    # 2016-04-30-preview calls the update domain platformUpgradeDomain.
    update_domain = view.platform_update_domain
    if update_domain is None:
        update_domain = view.platform_upgrade_domain
    fault_domain = view.platform_fault_domain
    if fault_domain is None:
        fault_domain = properties.platform_fault_domain
    return Placement(
        _text(fault_domain),
        _text(update_domain),
        next((zone for zone in instance.zones if zone), None) if instance.zones else None,
    )


def _read_instance_statuses(observed: InstanceState) -> None:
    counts: dict[str, Status] = {}
    hibernation: Status | None = None
    for status in observed.view.statuses or ():
        if status is not None:
            azures_kind = read(status).kind
            kind = _STATUS_KINDS.get(azures_kind, "other")
            counts[kind] = worst((counts[kind], status)) if kind in counts else status
            if azures_kind == "hibernationstate":
                hibernation = worst((hibernation, status)) if hibernation else status
    if hibernation is not None:
        observed.hibernation_state = read(hibernation).shown
    chosen = {kind: StatusState(kind, read(status)) for kind, status in counts.items()}
    observed.statuses = tuple(chosen.values())
    observed.status_times = tuple([status.time for status in counts.values()])
    if power := chosen.get("power_state"):
        observed.power_state = _known(power.parsed.state, POWER_STATES, observed)
    if os_state := chosen.get("os_state"):
        observed.os_state = os_state.parsed.shown
    provisioning = chosen.get("provisioning_state")
    _read_provisioning(observed, provisioning.parsed if provisioning else None)


def _read_provisioning(observed: InstanceState, provisioning: ParsedStatus | None) -> None:
    fallback = observed.properties.provisioning_state
    state = rest = ""
    if provisioning and provisioning.state:
        state, rest = provisioning.state, provisioning.rest
    elif isinstance(fallback, str):
        # The integer 0 of api-versions up to 2019-03-01 says nothing.
        state = fallback.strip().lower()
    elif provisioning:
        observed.unknown_codes += 1
    if state == "failed" and observed.resilient_deletion_state == "inprogress":
        # Azure tries again: the state alternates between the two until it has worked.
        state = "deleting"
    if state:
        observed.provisioning_state = _known(state, PROVISIONING_STATES, observed)
    if observed.provisioning_state == "failed":
        observed.failure_code = rest or "unspecified"


def _read_health(observed: InstanceState) -> None:
    health = observed.view.vm_health
    if health is not None and health.status is not None:
        observed.health_state = _known(read(health.status).state, HEALTH_STATES, observed)


def _read_agent(observed: InstanceState) -> None:
    agent = observed.view.vm_agent
    if agent is None:
        return
    version = cut((agent.vm_agent_version or "").strip())
    if version.lower() == UNKNOWN:
        version = UNKNOWN
    statuses = present(agent.statuses)
    if statuses:
        status = worst(statuses)
        observed.agent = AgentState(version, read(status))
        observed.agent_time = status.time
    else:
        observed.agent = AgentState(version, None)
    if agent.extension_handlers:
        observed.handlers = _read_handlers(agent.extension_handlers, observed.names.handlers)


def _read_handlers(
    found: list[ExtensionHandler | None], names: LimitedNames
) -> tuple[HandlerState, ...]:
    by_name: dict[str, list[ExtensionHandler]] = {}
    for handler in found:
        if handler is not None:
            by_name.setdefault(names[handler.type or ""], []).append(handler)
    all_observed = []
    for name, entries in by_name.items():
        statuses = present([entry.status for entry in entries])
        all_observed.append(
            HandlerState(
                name,
                _version(entries, name),
                read(worst(statuses)) if statuses else None,
            )
        )
    return tuple(all_observed)


def _read_extensions(observed: InstanceState) -> None:
    names = observed.names.extensions
    by_name: dict[str, list[Extension]] = {}
    for extension in observed.view.extensions or ():
        if extension is not None:
            by_name.setdefault(names[extension.name or ""], []).append(extension)
    all_observed: list[ExtensionState] = []
    times: list[str | None] = []
    for name, entries in by_name.items():
        statuses = [
            status for entry in entries for status in entry.statuses or () if status is not None
        ]
        status = worst(statuses) if statuses else None
        all_observed.append(
            ExtensionState(
                name,
                _handler(entries, name),
                _version(entries, name),
                read(status) if status else None,
            )
        )
        times.append(status.time if status else None)
    observed.extensions, observed.extension_times = tuple(all_observed), tuple(times)


SUBSTATUS_LENGTH = 64
SUBSTATUSES_PER_EXTENSION = 16


Substatus = tuple[str, str, str, int]
"""The extension, the text, the state and the level."""


def read_substatuses(observed: InstanceState) -> tuple[Substatus, ...]:
    """Read `ComponentStatus/<free text>/<state>` of all extensions.

    The text and the state are the extension's author's: cut at 64 characters, and beyond 16
    pairs per extension both are `other`, so that no author can make series without end.
    """
    by_name: dict[str, dict[tuple[str, str], int]] = {}
    for extension in observed.view.extensions or ():
        if extension is None:
            continue
        found = by_name.setdefault(observed.names.extensions[extension.name or ""], {})
        for status in present(extension.substatuses):
            parsed = read(status)
            if parsed.level is None:
                continue
            parts = (status.code or "").split("/")
            text = parts[1] if len(parts) > 2 else ""  # noqa: PLR2004 - kind, text, state
            state = parts[2].lower() if len(parts) > 2 else parsed.shown  # noqa: PLR2004 - as above
            pair = (text[:SUBSTATUS_LENGTH], (state or UNKNOWN)[:SUBSTATUS_LENGTH])
            if pair not in found and len(found) >= SUBSTATUSES_PER_EXTENSION:
                pair = ("other", "other")
            found[pair] = max(found.get(pair, 0), parsed.level)
    return tuple(
        (name, text, state, level)
        for name, found in by_name.items()
        for (text, state), level in found.items()
    )


def _read_disks(found: list[Disk | None], names: LimitedNames) -> tuple[DiskState, ...]:
    by_name: dict[str, tuple[list[Status], list[Status]]] = {}
    for disk in found:
        if disk is None:
            continue
        provisioning, encryption = by_name.setdefault(names[disk.name or ""], ([], []))
        for status in present(disk.statuses):
            kind = read(status).kind
            if kind == "provisioningstate":
                provisioning.append(status)
            elif kind == "encryptionstate":
                encryption.append(status)
    all_observed = []
    for name, (provisioning, encryption) in by_name.items():
        shown = worst(provisioning) if provisioning else None
        all_observed.append(
            DiskState(
                name,
                None if shown is None else read(shown),
                None if shown is None else shown.time,
                read(worst(encryption)) if encryption else None,
            )
        )
    return tuple(all_observed)


def _all_statuses(view: InstanceView) -> Iterable[Status | None]:
    found: list[Status | None] = list(view.statuses or ())
    if view.vm_health is not None:
        found.append(view.vm_health.status)
    if view.vm_agent is not None:
        found += view.vm_agent.statuses or ()
        for handler in view.vm_agent.extension_handlers or ():
            if handler is not None:
                found.append(handler.status)
    for extension in view.extensions or ():
        if extension is not None:
            found += extension.statuses or ()
            found += extension.substatuses or ()
    for disk in view.disks or ():
        if disk is not None:
            found += disk.statuses or ()
    return found


def _known(state: str, states: tuple[str, ...], observed: InstanceState) -> str:
    if state in states:
        return state
    observed.unknown_codes += 1
    return UNKNOWN


def _handler(entries: list[Extension], name: str) -> str:
    """The first type of the entries of one name; of several that are `other`, none is theirs."""
    if name == OTHER and len(entries) > 1:
        return ""
    return cut(entries[0].type or next((e.type for e in entries if e.type), ""))


def _version(entries: Sequence[Extension | ExtensionHandler], name: str) -> str:
    """The same for the version."""
    if name == OTHER and len(entries) > 1:
        return ""
    return cut(
        entries[0].type_handler_version
        or next((e.type_handler_version for e in entries if e.type_handler_version), "")
    )


def _text(value: int | str | None) -> str | None:
    return None if value is None or value == "" else str(value)
