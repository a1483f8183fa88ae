"""The table of all scale sets on the Fleet dashboard, worst first."""

from __future__ import annotations

from grafana.source import frame
from grafana.source.panels import Facts
from grafana.source.queries import FLEET, SET, trouble_of_sets, worst
from grafana.source.states import BROKEN, GOOD, LOOK, words
from grafana.source.tables import Column, rows

MOST_SETS = 50


def section() -> frame.Section:
    """The table that answers where to look."""
    chosen = f"topk({MOST_SETS}, {trouble_of_sets(FLEET)})"

    def of_chosen(family: str, *matchers: str) -> str:
        return worst(f"sum by ({SET}) ({FLEET.value(family, *matchers)})", chosen, SET)

    capacity = f"max by ({SET}) ({FLEET.value('azure_vmss_capacity')} > 0)"
    listed = f"max by ({SET}) ({FLEET.value('azure_vmss_instances')})"
    age = f"time() - max by ({SET}) ({FLEET.value('azure_vmss_last_success_timestamp_seconds')})"
    bad, look = ((1, BROKEN),), ((1, LOOK),)
    power = "azure_vmss_instances_by_power_state"
    columns = [
        Column(
            title="Scale set",
            label="scale_set",
            link=("Open the scale set", frame.SET_OF_ROW),
        ),
        Column(title="Resource group", label="resource_group"),
        Column(
            title="Trouble",
            expression=chosen,
            limits=((1, LOOK), (1000, BROKEN)),
            width=80,
        ),
        Column(
            title="Last poll",
            expression=worst(f"max by ({SET}) ({FLEET.value('azure_vmss_up')})", chosen, SET),
            mapped=words({"0": ("failed", BROKEN), "1": ("succeeded", GOOD)}),
            width=90,
        ),
        Column(
            title="Data's age",
            expression=worst(f"({age})", chosen, SET),
            unit="s",
            limits=((600, LOOK), (1800, BROKEN)),
            width=90,
        ),
        Column(title="Instances", expression=of_chosen("azure_vmss_instances"), width=85),
        Column(
            title="Of capacity",
            expression=worst(f"({listed} / {capacity})", chosen, SET),
            unit="percentunit",
            width=95,
        ),
        Column(title="Running", expression=of_chosen(power, 'state="running"'), width=80),
        Column(
            title="Stopped",
            expression=of_chosen(power, 'state="stopped"'),
            limits=look,
            width=80,
        ),
        Column(
            title="Failed",
            expression=of_chosen("azure_vmss_instances_by_provisioning_state", 'state="failed"'),
            limits=bad,
            width=70,
        ),
        Column(
            title="Unhealthy",
            expression=of_chosen("azure_vmss_instances_by_health_state", 'state="unhealthy"'),
            limits=bad,
            width=85,
        ),
        Column(
            title="Agent unavailable",
            expression=of_chosen("azure_vmss_instances_by_vm_agent_state", 'state="unavailable"'),
            limits=look,
            width=130,
        ),
        Column(
            title="Extension errors",
            expression=of_chosen("azure_vmss_extension_instances", 'level="error"'),
            limits=bad,
            width=125,
        ),
        Column(
            title="Subscription",
            label="subscription_id",
            link=("The set as the exporter's JSON", frame.JSON_OF_ROW),
        ),
    ]
    facts = Facts(
        title=f"Scale sets, worst first (at most {MOST_SETS})",
        about="Trouble is a sum of findings: instances failed, stopped, unknown, unhealthy or "
        "missing from the capacity, agents unavailable, extensions and disks with errors; a poll "
        "that failed weighs 1000. A dash: Azure or the exporter tells nothing of it. A set with "
        "0 has nothing wrong.",
        unit="short",
        empty="No scale set is polled.",
        size=(24, 12),
    )
    return frame.Section(title="Worst first", panels=[rows(facts, columns, order="Trouble")])
