"""The instances on the Scale set dashboard: their states over time, and a table of all."""

from __future__ import annotations

from grafana.source import frame
from grafana.source.panels import Ask, Facts, timeline
from grafana.source.queries import ONE_SET, longest_not, trouble_of_instances, worst
from grafana.source.states import (
    AGENT,
    HEALTH,
    LEVELS,
    LOOK,
    MODEL,
    POWER,
    PROVISIONING,
    mappings,
)
from grafana.source.tables import Column, rows

MOST_ROWS = 40
MOST_INSTANCES = 100
ROW_LINK = frame.link("Open the instance", frame.to_instance("${__field.labels.instance_id}"))

POWER_STATE = "azure_vmss_instance_power_state"
PROVISIONING_STATE = "azure_vmss_instance_provisioning_state"


def columns() -> list[Column]:
    """What the table of instances tells."""
    chosen = f"topk({MOST_INSTANCES}, {trouble_of_instances(ONE_SET)})"

    def of_chosen(expression: str) -> str:
        return worst(expression, chosen, "instance_id")

    info = ONE_SET.value("azure_vmss_instance_info")
    place = ONE_SET.value("azure_vmss_instance_placement_info")
    code = ONE_SET.holding("azure_vmss_instance_provisioning_failure")
    model = ONE_SET.value("azure_vmss_instance_latest_model_applied")
    levels = ONE_SET.value("azure_vmss_extension_status_level")
    named = "instance_id, instance_name, computer_name, vm_size"
    placed = "instance_id, availability_zone, fault_domain"
    return [
        Column(
            title="Instance",
            label="instance_id",
            link=("Open the instance", frame.to_instance("${__data.fields.instance_id}")),
            width=90,
        ),
        Column(title="Name", label="instance_name"),
        Column(title="Computer", label="computer_name"),
        Column(title="Trouble", expression=chosen, unit="short", limits=((1, LOOK),), width=75),
        Column(
            title="Power",
            expression=of_chosen(ONE_SET.coded(POWER_STATE, POWER, "instance_id")),
            mapped=mappings(POWER),
        ),
        Column(
            title="Provisioning",
            expression=of_chosen(ONE_SET.coded(PROVISIONING_STATE, PROVISIONING, "instance_id")),
            mapped=mappings(PROVISIONING),
        ),
        Column(title="Failure code", label="code"),
        Column(
            title="Failed",
            expression=of_chosen(f"max by (instance_id, code) ({code})"),
            hidden=True,
        ),
        Column(
            title="Health",
            expression=of_chosen(
                ONE_SET.coded("azure_vmss_instance_health_state", HEALTH, "instance_id")
            ),
            mapped=mappings(HEALTH),
        ),
        Column(
            title="VM agent",
            expression=of_chosen(ONE_SET.coded("azure_vmss_vm_agent_state", AGENT, "instance_id")),
            mapped=mappings(AGENT),
        ),
        Column(
            title="Extensions' worst",
            expression=of_chosen(f"max by (instance_id) ({levels}) + 50"),
            mapped=mappings(LEVELS[:3]),
        ),
        Column(
            title="Model",
            expression=of_chosen(f"max by (instance_id) ({model}) + 60"),
            mapped=mappings(MODEL),
            width=105,
        ),
        Column(title="Zone", label="availability_zone", width=60),
        Column(title="Fault domain", label="fault_domain", width=105),
        Column(title="Size", label="vm_size"),
        Column(title="Known", expression=of_chosen(f"max by ({named}) ({info})"), hidden=True),
        Column(title="Placed", expression=of_chosen(f"max by ({placed}) ({place})"), hidden=True),
    ]


def section() -> frame.Section:
    """Timelines and the table."""
    kept_back = "Azure lists no instance, or the exporter keeps the series of this set back."
    limited = (
        f"The {MOST_ROWS} instances that were longest in another state in the whole time "
        "range. A click opens the instance."
    )
    return frame.Section(
        title="Instances",
        panels=[
            timeline(
                Facts(
                    title=f"Power state (the {MOST_ROWS} longest not running)",
                    about=f"{limited} Azure gives power states no time: what is seen here is "
                    "what the polls saw.",
                    empty=kept_back,
                    size=(12, 14),
                ),
                Ask(
                    worst(
                        ONE_SET.coded(POWER_STATE, POWER, "instance_id"),
                        longest_not(ONE_SET, POWER_STATE, "running", MOST_ROWS),
                        "instance_id",
                    ),
                    "{{instance_id}}",
                ),
                mapped=mappings(POWER),
                links=[ROW_LINK],
            ),
            timeline(
                Facts(
                    title=f"Provisioning state (the {MOST_ROWS} longest not succeeded)",
                    about=limited,
                    empty=kept_back,
                    size=(12, 14),
                ),
                Ask(
                    worst(
                        ONE_SET.coded(PROVISIONING_STATE, PROVISIONING, "instance_id"),
                        longest_not(ONE_SET, PROVISIONING_STATE, "succeeded", MOST_ROWS),
                        "instance_id",
                    ),
                    "{{instance_id}}",
                ),
                mapped=mappings(PROVISIONING),
                links=[ROW_LINK],
            ),
            rows(
                Facts(
                    title=f"Instances, worst first (at most {MOST_INSTANCES})",
                    about="Trouble counts the findings: failed, neither running nor deallocated, "
                    "unhealthy, agent unavailable, extensions and disks with a warning or an "
                    "error. A dash: Azure tells nothing of it.",
                    empty=kept_back,
                    size=(24, 12),
                ),
                columns(),
                order="Trouble",
            ),
        ],
    )
