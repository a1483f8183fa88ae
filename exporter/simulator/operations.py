"""What Azure answers to each call when nothing is wrong: the document, and what it costs."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from exporter.model.scale_set import ScaleSetId
from exporter.simulator import (
    buckets,
    calls,
    details_answers,
    errors,
    instance_answers,
    scale_set_answers,
)
from exporter.simulator.buckets import Charge
from exporter.simulator.calls import Call
from exporter.simulator.fleet import Fleet
from exporter.simulator.instance import SimulatedInstance
from exporter.simulator.instance_answers import View
from exporter.simulator.scale_set import SimulatedScaleSet

Json = dict[str, Any]

SET_PAGE_SIZE = 50
MACHINE_PAGE_SIZE = 50

_MODEL_FILTER = re.compile(r"properties/latestModelApplied eq (true|false)", re.IGNORECASE)
_POWER_FILTER = re.compile(
    r"startswith\(instanceView/statuses/code, ?'PowerState'\) eq true", re.IGNORECASE
)
_SET_FILTER = re.compile(r"'virtualMachineScaleSet/id' eq '([^']+)'", re.IGNORECASE)


@dataclass(slots=True)
class Answer:
    """A good answer: its document, what it is charged, and how many VMs were viewed for it."""

    document: Any
    charges: list[Charge] = field(default_factory=list)
    viewed: int = 0
    fans_out: bool = False


def answer(fleet: Fleet, call: Call, now: float, *, seen: frozenset[str] | None = None) -> Answer:
    """Answer a call from the fleet as it is now. Raises ArmError.

    Args:
        seen: the subscriptions that the caller sees, in lower case; None for all.
    """
    version = call.version
    if call.operation == "subscriptions":
        return _subscriptions(fleet, seen)
    _check_scope(fleet, call)
    if call.operation == "resource_groups":
        return _resource_groups(fleet, call)
    if call.operation in ("standby_pools", "standby_pool", "autoscale"):
        return Answer(_beside(fleet, call))
    if call.operation == "scale_sets":
        return _scale_sets(fleet, call, version)
    if call.operation in ("virtual_machines", "virtual_machine"):
        answered = _virtual_machine if call.instance else _virtual_machines
        return answered(fleet, call, version, now)
    return _of_scale_set(fleet, call, version, now)


def _of_scale_set(fleet: Fleet, call: Call, version: str, now: float) -> Answer:
    scale_set = fleet.find(call.identity)
    if scale_set is None:
        raise errors.scale_set_not_found(call.name or "", call.group or "")
    location = scale_set.description.location
    if call.operation == "scale_set":
        item = scale_set_answers.scale_set_item(scale_set, version, start=fleet.unix_time(0))
        return Answer(item, buckets.set_get(scale_set.identity, location))
    if call.operation == "scale_set_view":
        if scale_set.is_flexible:
            operation = "VirtualMachineScaleSets.instanceView.GET"
            raise errors.not_allowed_on_flexible(operation, scale_set.identity.name)
        summary = scale_set_answers.scale_set_summary(scale_set, now=now)
        return Answer(summary, buckets.set_view(scale_set.identity, location))
    if call.operation in ("rolling_upgrade", "lifecycle_hooks"):
        shape = (
            details_answers.rolling_upgrade
            if call.operation == "rolling_upgrade"
            else details_answers.lifecycle_hooks
        )
        document = shape(scale_set, start=fleet.unix_time(0))
        return Answer(document, buckets.set_get(scale_set.identity, location))
    if call.operation == "instance":
        return _instance(fleet, scale_set, call, now)
    return _instances(fleet, scale_set, call, now)


def _subscriptions(fleet: Fleet, seen: frozenset[str] | None) -> Answer:
    return Answer(
        {
            "value": [
                {
                    "id": f"/subscriptions/{subscription_id}",
                    "subscriptionId": subscription_id,
                    "displayName": f"Subscription {number}",
                    "state": "Enabled",
                }
                for number, subscription_id in enumerate(fleet.subscriptions, start=1)
                if seen is None or subscription_id.casefold() in seen
            ]
        }
    )


def _beside(fleet: Fleet, call: Call) -> Json:
    if call.operation == "autoscale":
        return details_answers.autoscale_settings(fleet, call.subscription)
    if call.operation == "standby_pools":
        return details_answers.standby_pools(fleet, call.subscription)
    return details_answers.standby_pool(fleet, call.subscription, call.group or "", call.name or "")


def _resource_groups(fleet: Fleet, call: Call) -> Answer:
    found = []
    for subscription, name in sorted(fleet.groups):
        if subscription != call.subscription.casefold():
            continue
        path = f"/subscriptions/{call.subscription}/resourceGroups/{name}"
        group: Json = {"id": path, "name": name, "location": "westeurope", "tags": {}}
        if name.startswith("mc_"):
            cluster = name.split("_")[2]
            group["managedBy"] = (
                f"/subscriptions/{call.subscription}/resourcegroups/{name.split('_')[1]}"
                f"/providers/Microsoft.ContainerService/managedClusters/{cluster}"
            )
        found.append(group)
    return Answer({"value": found})


def _check_scope(fleet: Fleet, call: Call) -> None:
    subscription = call.subscription.casefold()
    known = {subscription_id for subscription_id, _ in fleet.groups}
    if subscription not in known | {fleet.description.subscription_id.casefold()}:
        raise errors.subscription_not_found(call.subscription)
    if call.group is not None and (subscription, call.group.casefold()) not in fleet.groups:
        raise errors.resource_group_not_found(call.group)


def _instances(fleet: Fleet, scale_set: SimulatedScaleSet, call: Call, now: float) -> Answer:
    view = _view(fleet, scale_set, call, now)
    if scale_set.is_flexible and view.expand:
        operation = "VirtualMachineScaleSets.virtualMachines.GET"
        raise errors.not_allowed_on_flexible(operation, scale_set.identity.name)
    size = scale_set.description.page_size or fleet.description.page_size
    found, following = _page(scale_set, call, size, _instance_filter(call))
    shape = instance_answers.flexible_item if scale_set.is_flexible else instance_answers.list_item
    document: Json = {"value": [shape(scale_set, instance, view) for instance in found]}
    _link(document, scale_set, call, following)
    charges = buckets.instance_list(scale_set.identity, scale_set.description.location, len(found))
    return Answer(document, charges, viewed=len(found))


def _instance(fleet: Fleet, scale_set: SimulatedScaleSet, call: Call, now: float) -> Answer:
    identifier = call.instance or ""
    if not identifier.isdecimal():
        message = "Virtual Machine Scale Set VM instanceId must be a number."
        raise errors.invalid_parameter(message, "instanceId")
    instance = scale_set.instances.get(identifier)
    if instance is None:
        raise errors.instance_not_found()
    view = _view(fleet, scale_set, call, now)
    if call.instance_view_only:
        document = instance_answers.instance_view(scale_set, instance, view)
    else:
        document = instance_answers.list_item(scale_set, instance, view)
    location = scale_set.description.location
    return Answer(document, buckets.instance_get(scale_set.identity, location, identifier), 1)


def _scale_sets(fleet: Fleet, call: Call, version: str) -> Answer:
    subscription = call.subscription.casefold()
    wanted = [
        scale_set
        for scale_set in fleet.scale_sets
        if scale_set.identity.key[0] == subscription
        and (call.group is None or scale_set.identity.key[1] == call.group.casefold())
        and (call.group is not None or not scale_set.description.missed_by_list)
        and (
            call.location is None
            or scale_set.description.location.casefold() == call.location.casefold()
        )
    ]
    begin = 0
    if call.skiptoken is not None:
        if not call.skiptoken.isdecimal():
            raise errors.invalid_skiptoken()
        begin = int(call.skiptoken)
    shown = wanted[begin : begin + SET_PAGE_SIZE]
    start = fleet.unix_time(0)
    document: Json = {
        "value": [
            scale_set_answers.scale_set_item(
                scale_set, version, start=start, upper_case=_upper_case(fleet, scale_set)
            )
            for scale_set in shown
        ]
    }
    if begin + SET_PAGE_SIZE < len(wanted):
        document["nextLink"] = call.link(str(begin + SET_PAGE_SIZE))
    if call.group is None and call.location is None:
        return Answer(document, fans_out=True)  # ARM asks every region, and shows no bucket
    location = call.location or (wanted[0].description.location if wanted else "")
    return Answer(document, buckets.set_list(call.subscription, location.casefold()))


def _virtual_machines(fleet: Fleet, call: Call, version: str, now: float) -> Answer:
    found = _SET_FILTER.search(call.options.get("$filter", ""))
    identity = ScaleSetId.parse(found[1]) if found else None
    expand = call.options.get("$expand", "").casefold() == "instanceview"
    if expand and identity is None:
        message = "$expand is only supported together with a filter on virtualMachineScaleSet/id."
        raise errors.invalid_parameter(message, "$expand")
    charges = buckets.machine_list(call.subscription, "")
    scale_set = fleet.find(identity) if identity is not None else None
    if scale_set is None or not scale_set.is_flexible:
        return Answer({"value": []}, charges)  # Azure says nothing of an unknown set
    charges = buckets.machine_list(call.subscription, scale_set.description.location)
    view = View(
        version=version, expand=expand, select=None, start=fleet.unix_time(0), now=now,
        upper_case=_upper_case(fleet, scale_set),
    )  # fmt: skip
    size = scale_set.description.page_size or MACHINE_PAGE_SIZE
    instances, following = _page(scale_set, call, size, lambda _: True)
    document: Json = {
        "value": [
            instance_answers.machine_item(scale_set, instance, view) for instance in instances
        ]
    }
    _link(document, scale_set, call, following)
    return Answer(document, charges)


def _virtual_machine(fleet: Fleet, call: Call, version: str, now: float) -> Answer:
    """A machine of any Flexible set of the group, or one that was detached."""
    group = (call.subscription.casefold(), (call.group or "").casefold())
    for scale_set in fleet.scale_sets:
        if scale_set.identity.key[:2] != group or not scale_set.is_flexible:
            continue
        instance, attached = scale_set.machine(call.instance or "")
        if instance is not None:
            view = View(
                version=version, expand=False, select=None, start=fleet.unix_time(0), now=now,
                upper_case=_upper_case(fleet, scale_set),
            )  # fmt: skip
            item = instance_answers.machine_item(scale_set, instance, view)
            if not attached:
                del item["properties"]["virtualMachineScaleSet"]
            location = scale_set.description.location
            return Answer(item, buckets.machine_get(scale_set.identity, location))
    raise errors.machine_not_found(call.instance or "", call.group or "")


def _page(
    scale_set: SimulatedScaleSet,
    call: Call,
    size: int,
    wanted: Callable[[SimulatedInstance], bool],
) -> tuple[list[SimulatedInstance], str | None]:
    start = call.start(calls.owner(scale_set.identity))
    if start is not None and not scale_set.is_flexible and not start.isdecimal():
        raise errors.invalid_skiptoken()
    return scale_set.page(start, size, wanted)


def _link(document: Json, scale_set: SimulatedScaleSet, call: Call, start: str | None) -> None:
    if start is not None:
        token = calls.skiptoken(scale_set, page=call.page + 1, start=start)
        document["nextLink"] = call.link(token)


def _view(fleet: Fleet, scale_set: SimulatedScaleSet, call: Call, now: float) -> View:
    expand = call.options.get("$expand")
    if expand is not None and expand.casefold() != "instanceview":
        raise errors.invalid_parameter(f"The value '{expand}' is not supported.", "$expand")
    select = call.options.get("$select")
    if select is not None and select not in ("instanceView", "instanceView/statuses"):
        raise errors.invalid_parameter(f"The value '{select}' is not supported.", "$select")
    return View(
        version=call.version,
        expand=expand is not None,
        select=select,
        start=fleet.unix_time(0),
        now=now,
        upper_case=_upper_case(fleet, scale_set),
    )


def _upper_case(fleet: Fleet, scale_set: SimulatedScaleSet) -> bool:
    # Azure changes the spelling of the group between calls; here it does so every minute.
    minute = int(fleet.elapsed // 60)
    return (minute + zlib.crc32("/".join(scale_set.identity.key).encode())) % 2 == 1


def _instance_filter(call: Call) -> Callable[[SimulatedInstance], bool]:
    text = call.options.get("$filter")
    if text is None:
        return lambda _: True
    model = _MODEL_FILTER.fullmatch(text.strip())
    if model is not None:
        applied = model[1].casefold() == "true"
        return lambda instance: instance.latest_model is applied
    if _POWER_FILTER.fullmatch(text.strip()):
        return lambda instance: instance.power is not None
    raise errors.invalid_parameter("The value of the filter is not supported.", "$filter")
