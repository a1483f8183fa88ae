"""`/scale-sets/…/{instance_id}`: one instance, with everything that Azure says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from exporter.metrics.instance_json import parts_of
from exporter.metrics.instance_state import InstanceState
from exporter.metrics.statuses import present, read
from exporter.metrics.verdict import findings, verdict_of, verdict_of_status
from exporter.model.instance_view import InstanceView, Status
from exporter.polling.target_state import TargetState
from exporter.web.pages import links
from exporter.web.pages.commands import commands_for
from exporter.web.pages.set_head import set_head
from exporter.web.pages.site import PagesSite
from exporter.web.pages.texts import Since, State, label, shown, state_of

_SECTIONS = {
    "instance": "Instance",
    "vm_health": "Application health",
    "vm_agent": "VM agent",
    "extension_handler": "Extension handlers",
    "extension": "Extensions",
    "extension_substatus": "Output of extensions",
    "disk": "Disks",
}

AT_A_TIME = 20
"""Statuses that are made readable before others run: looking for secrets takes its time."""

MOST_TOLD = 12
"""Statuses that are told at the top, because they are not well."""


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One status of Azure's; all texts may be shown."""

    part: str
    state: State
    code: str
    level: str
    since: Since | None
    time: str
    text: str
    message: str


@dataclass(frozen=True, slots=True)
class Section:
    """The statuses of one kind of part."""

    title: str
    rows: list[StatusRow]


async def find_instance(state: TargetState, instance_id: str) -> InstanceState | None:
    """An instance of the last good walk; None where it has none of that id."""
    for item in state.items(wanted=instance_id):
        if item is not None:
            return item.observed
        await asyncio.sleep(0)
    return None


async def instance_page(
    site: PagesSite, state: TargetState, observed: InstanceState
) -> dict[str, Any]:
    """What the template needs.

    Args:
        site: what is shown.
        state: the set.
        observed: the instance.
    """
    now = site.clock.now()
    scale_set, flexible = state.target.scale_set, state.data.is_flexible
    found = findings(observed)
    instance_id = observed.instance_id
    sections = await _sections(observed.view, now, messages=site.messages)
    told = [
        row
        for section in sections
        for row in section.rows
        if row.state.key in {"failed", "warning"} and row.message
    ]
    return {
        "head": set_head(site, state),
        "id": label(instance_id),
        "name": label(observed.name),
        "state": state_of(verdict_of(found)),
        "findings": [
            (state_of(one.verdict), label(one.reason), Since.of_azure(one.since, now))
            for one in found
        ],
        "facts": [(name, value) for name, value in _facts(observed, site) if value],
        "handlers": _versions(observed),
        "told": told[:MOST_TOLD],
        "sections": sections,
        "messages": site.messages,
        "commands": commands_for(scale_set, instance_id, flexible=flexible),
        "portal": links.portal_of(site.portal_url, scale_set, instance_id, flexible=flexible),
        "grafana": links.grafana_of(site.grafana_url, "instance", scale_set, instance_id),
    }


def _facts(observed: InstanceState, site: PagesSite) -> Iterable[tuple[str, str]]:
    view, place = observed.view, observed.placement
    yield "Computer name", label(view.computer_name)
    yield "Power state", observed.power_state
    yield "Provisioning state", observed.provisioning_state
    yield "Health", observed.health_state or ""
    yield "Operating system", label(" ".join(filter(None, (view.os_name, view.os_version))))
    yield "VM size", label(observed.vm_size)
    yield "VM id", label(observed.properties.vm_id)
    yield "Availability zone", label(place.zone)
    yield "Fault domain", label(place.fault_domain)
    yield "Update domain", label(place.update_domain)
    yield "VM agent", label(observed.agent.version) if observed.agent else ""
    yield "In a standby pool", "yes" if observed.in_standby_pool else ""
    yield "Resilient deletion", label(observed.resilient_deletion_state)
    protection = observed.protection
    if protection is not None:
        kinds = (
            ("scale-in", protection.protect_from_scale_in),
            ("actions of the set", protection.protect_from_scale_set_actions),
        )
        yield "Protected from", ", ".join(name for name, is_on in kinds if is_on)
    yield from _of_maintenance(observed, site)
    yield from _of_patches(view)


def _of_maintenance(observed: InstanceState, site: PagesSite) -> Iterable[tuple[str, str]]:
    planned = observed.maintenance
    if planned is None:
        return
    begin, end = planned.maintenance_window_start_time, planned.maintenance_window_end_time
    yield "Maintenance", label(" to ".join(filter(None, (begin, end))))
    yield "Last maintenance", label(planned.last_operation_result_code)
    if site.messages:
        yield "Maintenance message", shown(planned.last_operation_message)


def _of_patches(view: InstanceView) -> Iterable[tuple[str, str]]:
    patches = view.patch_status
    available = patches.available_patch_summary if patches else None
    if available is not None:
        security, other = available.critical_and_security_patch_count, available.other_patch_count
        yield "Critical and security patches", "" if security is None else str(security)
        yield "Other patches", "" if other is None else str(other)
        yield "Reboot pending", "yes" if available.reboot_pending else ""
        yield "Patches assessed", label(available.last_modified_time)
    installed = patches.last_patch_installation_summary if patches else None
    if installed is not None:
        yield "Last patch installation", label(installed.status)


def _versions(observed: InstanceState) -> list[tuple[str, str, str]]:
    """What is installed: each extension with its handler and its version."""
    found = [(e.extension, e.handler, e.version) for e in observed.extensions]
    known = {handler for _, handler, _ in found}
    found += [
        (h.handler, h.handler, h.version) for h in observed.handlers if h.handler not in known
    ]
    return [(label(name), label(handler), label(version)) for name, handler, version in found]


async def _sections(view: InstanceView, now: float, *, messages: bool) -> list[Section]:
    by_kind: dict[str, list[StatusRow]] = {}
    count = 0
    for kind, name, statuses in parts_of(view):
        rows = by_kind.setdefault(kind, [])
        for status in present(statuses):
            rows.append(_status(name, status, now, messages=messages))
            count += 1
            if count % AT_A_TIME == 0:
                await asyncio.sleep(0)
    return [Section(title, by_kind[kind]) for kind, title in _SECTIONS.items() if by_kind.get(kind)]


def _status(name: str | None, status: Status, now: float, *, messages: bool) -> StatusRow:
    return StatusRow(
        part=label(name),
        state=state_of(verdict_of_status(read(status))),
        code=shown(status.code),
        level=label(status.level),
        since=Since.of_azure(status.time, now),
        time=label(status.time),
        text=label(status.display_status),
        message=shown(status.message) if messages else "",
    )
