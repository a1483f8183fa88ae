"""What `model` of the configuration asks for: services, upgrades, hooks, pools, autoscale."""

from __future__ import annotations

from collections.abc import Iterable
from operator import add

from exporter.exposition.text_format import cut
from exporter.metrics.family import STABLE, DetailFamily, Family, Row, holding, optional
from exporter.metrics.limited_names import limited_rows
from exporter.metrics.statuses import UNKNOWN, timestamp_text
from exporter.model.details import SetDetails

UPGRADE_STATES = (
    "rollingforward",
    "rollingback",
    "cancelled",
    "completed",
    "faulted",
    UNKNOWN,
)


def _services(details: SetDetails) -> Iterable[Row]:
    states: dict[str, Row] = {}
    for name, state in details.services or ():
        # One state holds: of two of one name the first counts.
        states.setdefault(cut(name).casefold(), ((name, state.strip().lower()), 1))
    return limited_rows(states.values(), merge=max)


def _upgrade_state(details: SetDetails) -> Iterable[Row]:
    upgrade = details.rolling_upgrade
    return holding(upgrade.status if upgrade else None, UPGRADE_STATES)


def _upgraded(details: SetDetails) -> Iterable[Row]:
    upgrade = details.rolling_upgrade
    if upgrade is None:
        return
    for state, count in (
        ("successful", upgrade.successful),
        ("failed", upgrade.failed),
        ("in_progress", upgrade.in_progress),
        ("pending", upgrade.pending),
    ):
        if count is not None:
            yield (state,), count


def _hooks(details: SetDetails) -> Iterable[Row]:
    waiting = [
        ((hook.name, hook.type), moment)
        for hook in details.lifecycle_hooks or ()
        if (moment := timestamp_text(hook.wait_until)) is not None
    ]
    return limited_rows(waiting, merge=_earlier)


def _earlier(one: str, other: str) -> str:
    return min(one, other, key=float)


def _pool(details: SetDetails) -> Iterable[Row]:
    counts = (((of.zone, of.state), of.count) for of in details.standby_pool or ())
    return limited_rows(counts, merge=add)


def _minimum(details: SetDetails) -> Iterable[Row]:
    return optional(details.autoscale.minimum if details.autoscale else None)


def _maximum(details: SetDetails) -> Iterable[Row]:
    return optional(details.autoscale.maximum if details.autoscale else None)


FAMILIES: tuple[Family, ...] = (
    DetailFamily(
        name="azure_vmss_orchestration_service_state",
        stability=STABLE,
        help="1 for the state of an orchestration service, such as AutomaticRepairs: running, "
        "notrunning, suspended.",
        source=("orchestrationServices[].serviceState",),
        absent_when="Without model.services; for a Flexible set; the set has no such service.",
        derivation="At most 64 services per set, then other.",
        labels=("service", "state"),
        rows=_services,
    ),
    DetailFamily(
        name="azure_vmss_rolling_upgrade_state",
        stability=STABLE,
        help="The state of the latest rolling upgrade: 1 for the one that holds, else 0.",
        source=("properties.runningStatus.code",),
        absent_when="Without model.rolling_upgrades; the set had no rolling upgrade.",
        derivation="A state that is not known is unknown.",
        labels=("state",),
        states=UPGRADE_STATES,
        rows=_upgrade_state,
    ),
    DetailFamily(
        name="azure_vmss_rolling_upgrade_instances",
        stability=STABLE,
        help="Instances by how far the latest rolling upgrade has come with them.",
        source=("properties.progress",),
        absent_when="As azure_vmss_rolling_upgrade_state.",
        labels=("state",),
        rows=_upgraded,
    ),
    DetailFamily(
        name="azure_vmss_lifecycle_hook_wait_until_timestamp_seconds",
        stability=STABLE,
        help="Until when Azure waits for an answer to the event of a lifecycle hook.",
        source=("properties.waitUntil",),
        absent_when="Without model.lifecycle_hooks; no event waits.",
        derivation="At most 64 events per set, then other: the earliest of them.",
        labels=("hook", "type"),
        rows=_hooks,
    ),
    DetailFamily(
        name="azure_vmss_standby_pool_instances",
        stability=STABLE,
        help="Instances of the set's standby pool, by zone and state.",
        source=("properties.instanceCountSummary[].instanceCountsByState[]",),
        absent_when="Without model.standby_pools; the set has no standby pool.",
        derivation="At most 64 zones and states per set, then other: the sum of them.",
        labels=("availability_zone", "state"),
        rows=_pool,
    ),
    DetailFamily(
        name="azure_vmss_autoscale_min_capacity",
        stability=STABLE,
        help="The fewest instances that autoscale leaves the set.",
        source=("properties.profiles[].capacity.minimum",),
        absent_when="Without model.autoscale; the set has no autoscale setting that is enabled.",
        derivation="Of the default profile, which has no schedule; without one the least of all.",
        rows=_minimum,
    ),
    DetailFamily(
        name="azure_vmss_autoscale_max_capacity",
        stability=STABLE,
        help="The most instances that autoscale gives the set.",
        source=("properties.profiles[].capacity.maximum",),
        absent_when="As azure_vmss_autoscale_min_capacity.",
        derivation="Of the default profile, which has no schedule; without one the most of all.",
        rows=_maximum,
    ),
)
