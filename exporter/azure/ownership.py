"""Whether an answer is about the scale set that was asked for, by the ids in it. Pure.

Connections, proxies and caches can give one request's answer to another. Azure's ids show which
set an item belongs to, in any letter case; an id in a form that does not show it is accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from exporter.azure.errors import BrokenAnswer
from exporter.model.instance_view import Instance
from exporter.model.scale_set import ScaleSetId
from exporter.redaction import clean


def check_instances(instances: Sequence[Instance], scale_set: ScaleSetId) -> None:
    """Check that the instances are those of the scale set.

    Raises:
        BrokenAnswer: the `id` of an instance, or a virtual machine's `virtualMachineScaleSet`,
            names another one.
    """
    usual = f"{scale_set.resource_id}/".lower()
    for instance in instances:
        if instance.id and not instance.id.lower().startswith(usual):
            check_id(instance.id, scale_set)
            owner = instance.properties and instance.properties.virtual_machine_scale_set
            if owner and owner.id:
                check_id(owner.id, scale_set)


def check_id(resource_id: str, scale_set: ScaleSetId) -> None:
    """Check that a resource id is the scale set's, or that of something in it.

    Raises:
        BrokenAnswer: it names another subscription, resource group or scale set.
    """
    parts = [part for part in unquote(resource_id).strip().casefold().split("/") if part]
    subscription_id, resource_group, name = scale_set.key
    wanted = {
        "subscriptions": subscription_id,
        "resourcegroups": resource_group,
        "virtualmachinescalesets": name,
    }
    # Types and names alternate; a resource group may be called `subscriptions`.
    for kind, value in zip(parts[::2], parts[1::2], strict=False):
        if wanted.get(kind, value) != value:
            raise _of_another(f"{kind}/{value}")


def check_name(name: str, scale_set: ScaleSetId) -> None:
    """Check that the name is the scale set's.

    Raises:
        BrokenAnswer: it is another one.
    """
    if name.strip().casefold() != scale_set.name.casefold():
        raise _of_another(name)


def _of_another(named: str) -> BrokenAnswer:
    return BrokenAnswer(f"the answer is about another scale set ({clean(named)})")
