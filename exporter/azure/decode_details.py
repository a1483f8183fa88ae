"""Azure's JSON about what a scale set has beside its model. Pure: bytes in, values out.

Sources: the models of azure-mgmt-compute 39, azure-mgmt-standbypool 2.1 and azure-mgmt-monitor.
Numbers may be texts: autoscale's are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

from msgspec import Struct

from exporter.azure.decode import NESTED, list_pieces, text_of
from exporter.azure.errors import BrokenAnswer
from exporter.model.details import (
    MOST_OF_A_KIND,
    Autoscale,
    LifecycleHook,
    RollingUpgrade,
    Service,
    StandbyCount,
)
from exporter.model.instance_view import Count
from exporter.model.lenient_decode import decode_in_any_case, mended
from exporter.model.scale_set import ScaleSetId

_DIGITS = 9
"""Of the longest number that is read from a text."""

_Shape = TypeVar("_Shape", bound=Struct)
_Found = TypeVar("_Found")


class _Service(Struct, rename="camel"):
    service_name: str | None = None
    service_state: str | None = None


class _View(Struct, rename="camel"):
    orchestration_services: list[_Service | None] | None = None


class _Running(Struct, rename="camel"):
    code: str | None = None


class _Progress(Struct, rename="camel"):
    successful_instance_count: Count | None = None
    failed_instance_count: Count | None = None
    in_progress_instance_count: Count | None = None
    pending_instance_count: Count | None = None


class _UpgradeProperties(Struct, rename="camel"):
    running_status: _Running | None = None
    progress: _Progress | None = None


class _Upgrade(Struct, rename="camel"):
    properties: _UpgradeProperties | None = None


class _EventProperties(Struct, rename="camel"):
    type: str | None = None
    state: str | None = None
    wait_until: str | None = None


class _Event(Struct, rename="camel"):
    name: str | None = None
    properties: _EventProperties | None = None


class _PoolProperties(Struct, rename="camel"):
    attached_virtual_machine_scale_set_id: str | None = None


class _Pool(Struct, rename="camel"):
    id: str | None = None
    properties: _PoolProperties | None = None


class _StateCount(Struct, rename="camel"):
    state: str | None = None
    count: Count | None = None


class _ZoneCount(Struct, rename="camel"):
    zone: int | str | None = None
    instance_counts_by_state: list[_StateCount | None] | None = None


class _RuntimeProperties(Struct, rename="camel"):
    instance_count_summary: list[_ZoneCount | None] | None = None


class _Runtime(Struct, rename="camel"):
    properties: _RuntimeProperties | None = None


class _Capacity(Struct, rename="camel"):
    minimum: int | str | None = None
    maximum: int | str | None = None


class _Profile(Struct, rename="camel"):
    capacity: _Capacity | None = None
    fixed_date: dict[str, object] | None = None
    recurrence: dict[str, object] | None = None


class _SettingProperties(Struct, rename="camel"):
    enabled: bool | None = None
    target_resource_uri: str | None = None
    profiles: list[_Profile | None] | None = None


class _Setting(Struct, rename="camel"):
    properties: _SettingProperties | None = None


class StandbyPool(NamedTuple):
    """A standby pool: its resource id, and the set that it is of."""

    resource_id: str
    scale_set: ScaleSetId


def decode_services(body: bytes) -> tuple[Service, ...]:
    """Decode the instance view of a set: its orchestration services.

    Raises:
        BrokenAnswer: it is not a JSON object.
    """
    view = _object(body, _View)
    found = (
        Service(one.service_name, one.service_state)
        for one in view.orchestration_services or ()
        if one and one.service_name and one.service_state
    )
    return tuple(islice(found, MOST_OF_A_KIND))


def decode_rolling_upgrade(body: bytes) -> RollingUpgrade:
    """Decode the latest rolling upgrade. Raises BrokenAnswer as `decode_services`."""
    properties = _object(body, _Upgrade).properties or _UpgradeProperties()
    progress = properties.progress or _Progress()
    return RollingUpgrade(
        properties.running_status.code if properties.running_status else None,
        progress.successful_instance_count,
        progress.failed_instance_count,
        progress.in_progress_instance_count,
        progress.pending_instance_count,
    )


def decode_lifecycle_hooks(body: bytes) -> Iterator[tuple[list[LifecycleHook], str | None]]:
    """Decode a page of events of lifecycle hooks, some at a time: those that wait.

    Yields:
        Some, and with the last ones the next link.

    Raises:
        BrokenAnswer: the answer is not a list.
    """
    return _pieces(body, _Event, _waiting)


def decode_standby_pools(body: bytes) -> Iterator[tuple[list[StandbyPool], str | None]]:
    """Decode a page of standby pools, as `decode_lifecycle_hooks`."""
    return _pieces(body, _Pool, _attached)


def decode_standby_pool(body: bytes) -> tuple[StandbyCount, ...]:
    """Decode the runtime view of a standby pool. Raises BrokenAnswer as `decode_services`."""
    properties = _object(body, _Runtime).properties or _RuntimeProperties()
    counts: dict[tuple[str, str], int] = {}
    for zone in properties.instance_count_summary or ():
        for counted in (zone.instance_counts_by_state or ()) if zone else ():
            if zone and counted and counted.state and counted.count is not None:
                key = str(zone.zone or ""), counted.state.strip().lower()
                if key in counts or len(counts) < MOST_OF_A_KIND:
                    counts[key] = counts.get(key, 0) + counted.count
    return tuple(StandbyCount(zone, state, count) for (zone, state), count in counts.items())


def decode_autoscale(
    body: bytes,
) -> Iterator[tuple[list[tuple[ScaleSetId, Autoscale]], str | None]]:
    """Decode a page of autoscale settings, as `decode_lifecycle_hooks`: sets' that are on."""
    return _pieces(body, _Setting, _in_force)


def _waiting(event: _Event) -> LifecycleHook | None:
    of = event.properties
    if not event.name or of is None or (of.state or "").casefold() != "active":
        return None
    return LifecycleHook(event.name, of.type or "", of.wait_until)


def _attached(pool: _Pool) -> StandbyPool | None:
    attached = pool.properties.attached_virtual_machine_scale_set_id if pool.properties else None
    scale_set = ScaleSetId.parse((attached or "").strip())
    return StandbyPool(pool.id, scale_set) if pool.id and scale_set else None


def _in_force(found: _Setting) -> tuple[ScaleSetId, Autoscale] | None:
    setting = found.properties
    if setting is None or setting.enabled is False:
        return None
    scale_set = ScaleSetId.parse((setting.target_resource_uri or "").strip())
    if scale_set is None:
        return None
    return scale_set, _limits([profile for profile in setting.profiles or () if profile])


def _limits(profiles: list[_Profile]) -> Autoscale:
    usual = [one for one in profiles if one.fixed_date is None and one.recurrence is None]
    capacities = [one.capacity for one in usual or profiles if one.capacity]
    least = [count for one in capacities if (count := _count(one.minimum)) is not None]
    most = [count for one in capacities if (count := _count(one.maximum)) is not None]
    return Autoscale(min(least, default=None), max(most, default=None))


def _count(value: int | str | None) -> int | None:
    if isinstance(value, str):
        return int(value) if value.strip().isdecimal() and len(value) <= _DIGITS else None
    return value if value is not None and 0 <= value < 2**31 else None


def _object(body: bytes, shape: type[_Shape]) -> _Shape:
    try:
        found = decode_in_any_case(mended(text_of(body)), shape)
    except RecursionError:
        raise BrokenAnswer(NESTED) from None
    if found is None:
        raise BrokenAnswer("the answer is not a JSON object")
    return found


def _pieces(
    body: bytes, shape: type[_Shape], read: Callable[[_Shape], _Found | None]
) -> Iterator[tuple[list[_Found], str | None]]:
    for piece, link in list_pieces(body):
        found: list[_Found] = []
        for raw in piece:
            try:
                item = decode_in_any_case(raw, shape)
            except RecursionError:
                continue  # one odd item costs no other its values
            if item is not None and (one := read(item)) is not None:
                found.append(one)
        yield found, link
