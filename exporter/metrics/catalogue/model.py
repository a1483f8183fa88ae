"""What the model of a scale set tells: what it is, how many it should have, its tags."""

from __future__ import annotations

import re
from collections.abc import Iterable

from exporter.metrics.family import STABLE, Family, ModelFamily, Row, holding, optional
from exporter.metrics.instance_state import PROVISIONING_STATES
from exporter.model.scale_set import ScaleSetModel, short_region


def _info(model: ScaleSetModel) -> Iterable[Row]:
    labels = (
        short_region(model.location),
        model.sku or "",
        # Sets made before the mode existed are Uniform, and Azure sends no mode for them.
        (model.orchestration_mode or "uniform").lower(),
        (model.upgrade_policy or "").lower(),
        _priority(model),
        (model.eviction_policy or "").lower(),
    )
    return ((labels, 1),)


def _priority(model: ScaleSetModel) -> str:
    # Azure leaves the priority out of a profile that is regular, and Low is the old name of Spot;
    # SpotPlus, new in 2026, may be evicted as Spot is.
    priority = (model.priority or ("regular" if model.has_profile else "")).lower()
    return "spot" if priority in ("low", "spotplus") else priority


def tag_label(tag: str) -> str:
    """The label of a tag: every character outside `[A-Za-z0-9_]` is `_`."""
    return "tag_" + re.sub(r"[^A-Za-z0-9_]", "_", tag)


def tags_family(tags: tuple[str, ...]) -> ModelFamily:
    """Declare `azure_vmss_tags_info` for the tags that the configuration names.

    Azure compares tag names without letter case, and so does this.
    """

    def rows(model: ScaleSetModel) -> Iterable[Row]:
        if not tags:
            return ()
        values = model.folded_tags
        return ((tuple(values.get(tag.casefold(), "") for tag in tags), 1),)

    return ModelFamily(
        name="azure_vmss_tags_info",
        stability=STABLE,
        help="Tags of the scale set; the value is 1.",
        source=("tags",),
        absent_when="As azure_vmss_info, or metrics.tags names no tag.",
        derivation="One label tag_{name} for each name of metrics.tags; empty where the set "
        "lacks the tag.",
        labels=tuple(tag_label(tag) for tag in tags),
        rows=rows,
    )


FAMILIES: tuple[Family, ...] = (
    ModelFamily(
        name="azure_vmss_info",
        stability=STABLE,
        help="Properties of the scale set; the value is 1.",
        source=(
            "location",
            "sku.name",
            "properties.orchestrationMode",
            "properties.upgradePolicy.mode",
            "properties.virtualMachineProfile.priority",
            "properties.virtualMachineProfile.evictionPolicy",
        ),
        absent_when="The GET of the set has not succeeded within the time that data is kept.",
        derivation="Lower case but for the SKU; the region by its short name (westus2); an absent "
        "mode is uniform, an absent priority of a set with a profile is regular, Low and "
        "SpotPlus are spot.",
        labels=(
            "location",
            "sku",
            "orchestration_mode",
            "upgrade_policy",
            "priority",
            "eviction_policy",
        ),
        rows=_info,
    ),
    ModelFamily(
        name="azure_vmss_capacity",
        stability=STABLE,
        help="Instances that the scale set is asked to have.",
        source=("sku.capacity",),
        absent_when="Azure sends no capacity, as for a Flexible set without a profile.",
        rows=lambda model: optional(model.capacity),
    ),
    tags_family(()),
    ModelFamily(
        name="azure_vmss_provisioning_state",
        stability=STABLE,
        help="The provisioning state of the scale set itself: 1 for the state that holds, else 0.",
        source=("properties.provisioningState",),
        absent_when="As azure_vmss_info, or Azure sends none.",
        derivation="A state that is not known is unknown.",
        labels=("state",),
        states=PROVISIONING_STATES,
        rows=lambda model: holding(model.provisioning_state, PROVISIONING_STATES),
    ),
)
