"""The Instance dashboard: everything that is known of one instance, over time."""

from __future__ import annotations

from typing import Any

from grafana.source import frame, instance_parts, shared_panels
from grafana.source.panels import SMALL, Ask, Facts, bars, number, timeline
from grafana.source.queries import ONE_INSTANCE, ONE_SET
from grafana.source.states import (
    AGENT,
    HEALTH,
    LEVELS,
    MODEL,
    MOVING,
    POLL,
    POWER,
    PROVISIONING,
    mappings,
)
from grafana.source.tables import Column, rows

POWER_NOW = ONE_INSTANCE.coded("azure_vmss_instance_power_state", POWER, "instance_id")
PROVISIONING_NOW = ONE_INSTANCE.coded(
    "azure_vmss_instance_provisioning_state", PROVISIONING, "instance_id"
)
HEALTH_NOW = ONE_INSTANCE.coded("azure_vmss_instance_health_state", HEALTH, "instance_id")
AGENT_NOW = ONE_INSTANCE.coded("azure_vmss_vm_agent_state", AGENT, "instance_id")
MODEL_NOW = f"max({ONE_INSTANCE.value('azure_vmss_instance_latest_model_applied')}) + 60"
POLLED = f"min({ONE_SET.value('azure_vmss_up')}) + 70"
FETCHED = f"max({ONE_SET.value('azure_vmss_last_success_timestamp_seconds')})"

GONE = "Azure does not list the instance, or its set's series are kept back."


def now() -> frame.Section:
    """The states that hold."""
    failure = ONE_INSTANCE.holding("azure_vmss_instance_provisioning_failure")
    return frame.Section(
        title="Now",
        panels=[
            number(
                Facts(
                    title="Power",
                    about="The power state. Stopped is billed, deallocated is not.",
                    empty="not listed",
                    size=SMALL,
                ),
                Ask(POWER_NOW),
                mapped=mappings(POWER),
            ),
            number(
                Facts(
                    title="Provisioning",
                    about="The provisioning state: how Azure's last operation on it went.",
                    empty="not listed",
                    size=SMALL,
                ),
                Ask(PROVISIONING_NOW),
                mapped=mappings(PROVISIONING),
            ),
            rows(
                Facts(
                    title="Failure code",
                    about="Azure's code of the failed provisioning, in lower case. The message "
                    "stands in the exporter's JSON.",
                    empty="not failed",
                    size=SMALL,
                ),
                [
                    Column(title="Code", label="code"),
                    Column(
                        title="Failed",
                        expression=f"max by (code) ({failure})",
                        hidden=True,
                    ),
                ],
                order="Code",
            ).show_header(False),
            number(
                Facts(
                    title="Application health",
                    about="What the health extension or the probe says.",
                    empty="not watched",
                    size=SMALL,
                ),
                Ask(HEALTH_NOW),
                mapped=mappings(HEALTH),
            ),
            number(
                Facts(
                    title="VM agent",
                    about="Whether the agent inside reports to Azure.",
                    empty="no agent",
                    size=SMALL,
                ),
                Ask(AGENT_NOW),
                mapped=mappings(AGENT),
            ),
            number(
                Facts(
                    title="Model",
                    about="Whether it has the latest model of its set. Needs azure.detail: full.",
                    empty="not told",
                    size=SMALL,
                ),
                Ask(MODEL_NOW),
                mapped=mappings(MODEL),
            ),
            shared_panels.last_poll(
                ONE_SET,
                title="Last poll of the set",
                about="Whether the last poll succeeded. After a failed one the data before it "
                "is shown.",
            ),
            shared_panels.age_of_data(ONE_SET),
        ],
    )


def everything() -> frame.Section:
    """All states in one timeline, so that what changed together is seen together."""
    extensions = ONE_INSTANCE.value("azure_vmss_extension_status_level")
    moving = ONE_INSTANCE.holding(
        "azure_vmss_extension_state", 'state=~"creating|transitioning|updating|deleting"'
    )
    disks = ONE_INSTANCE.value("azure_vmss_disk_status_level")
    handlers = ONE_INSTANCE.value("azure_vmss_extension_handler_status_level")
    not_ready = ONE_INSTANCE.holding("azure_vmss_extension_handler_state", 'state="notready"')
    return frame.Section(
        title="Timeline",
        panels=[
            timeline(
                Facts(
                    title="Everything over time",
                    about="Each row is one part of the instance: power, provisioning, health, "
                    "agent, model, then every extension, handler and disk by its level; at the "
                    "bottom the polls. A gap: nothing was told. Azure gives power states no time, "
                    "so a change is as exact as the polls.",
                    empty=GONE,
                    size=(24, 14),
                ),
                Ask(POWER_NOW, "power"),
                Ask(PROVISIONING_NOW, "provisioning"),
                Ask(HEALTH_NOW, "application health"),
                Ask(AGENT_NOW, "VM agent"),
                Ask(MODEL_NOW, "model"),
                Ask(
                    f"max by (extension) ({extensions} + 50 or {moving} * 53)",
                    "extension {{extension}}",
                ),
                Ask(
                    f"max by (handler) ({handlers} + 50 or {not_ready} * 51)",
                    "handler {{handler}}",
                ),
                Ask(f"max by (disk) ({disks}) + 50", "disk {{disk}}"),
                Ask(POLLED, "poll of the set"),
                mapped=mappings(POWER, PROVISIONING, HEALTH, AGENT, LEVELS, MODEL, POLL),
            ),
        ],
    )


def ages() -> frame.Section:
    """How old what Azure says is, and what is planned."""
    written = ONE_INSTANCE.value("azure_vmss_instance_status_timestamp_seconds")
    agent = ONE_INSTANCE.value("azure_vmss_vm_agent_status_timestamp_seconds")
    extension = ONE_INSTANCE.value("azure_vmss_extension_status_timestamp_seconds")
    disk = ONE_INSTANCE.value("azure_vmss_disk_status_timestamp_seconds")
    start = ONE_INSTANCE.value("azure_vmss_instance_maintenance_window_start_timestamp_seconds")
    end = ONE_INSTANCE.value("azure_vmss_instance_maintenance_window_end_timestamp_seconds")
    maintenance = ONE_INSTANCE.value("azure_vmss_instance_maintenance_info")
    protection = ONE_INSTANCE.value("azure_vmss_instance_protection_info")
    allowed = "customer_initiated_allowed, last_result"
    kept = "protect_from_scale_in, protect_from_scale_set_actions"
    return frame.Section(
        title="Ages and plans",
        panels=[
            bars(
                Facts(
                    title="Age of what Azure says, when it was fetched",
                    about="Time between the status and the poll that fetched it. An agent that is "
                    "unavailable looks young, because Azure then sends the time of its answer: "
                    "look at its state. Power states and most extensions have no time.",
                    unit="s",
                    empty="Azure gives no status of this instance a time.",
                ),
                Ask(f"scalar({FETCHED}) - max by (status) ({written})", "{{status}}"),
                Ask(f"scalar({FETCHED}) - max({agent})", "VM agent"),
                Ask(
                    f"scalar({FETCHED}) - max by (extension) ({extension})",
                    "extension {{extension}}",
                ),
                Ask(f"scalar({FETCHED}) - max by (disk) ({disk})", "disk {{disk}}"),
            ),
            rows(
                Facts(
                    title="Planned maintenance",
                    about="Windows in which Azure maintains the machine; before the scheduled one "
                    "an own redeploy moves it away.",
                    empty="No maintenance is planned.",
                    size=(6, 8),
                ),
                [
                    Column(title="Window", label="window"),
                    Column(
                        title="Begins",
                        expression=f"max by (window) ({start}) * 1000",
                        unit="dateTimeAsIso",
                    ),
                    Column(
                        title="Ends",
                        expression=f"max by (window) ({end}) * 1000",
                        unit="dateTimeAsIso",
                    ),
                ],
                order="Begins",
                descending=False,
            ),
            rows(
                Facts(
                    title="Protection and own redeploy",
                    about="Whether scale-in and actions on the set spare this instance, and "
                    "whether an own redeploy before the maintenance is possible.",
                    empty="Neither protected nor planned for maintenance.",
                    size=(6, 8),
                ),
                [
                    Column(title="Spared at scale-in", label="protect_from_scale_in"),
                    Column(title="Spared by actions", label="protect_from_scale_set_actions"),
                    Column(title="Own redeploy", label="customer_initiated_allowed"),
                    Column(title="Last result", label="last_result"),
                    Column(
                        title="Protected",
                        expression=f"max by (instance_id, {kept}) ({protection})",
                        hidden=True,
                    ),
                    Column(
                        title="Planned",
                        expression=f"max by (instance_id, {allowed}) ({maintenance})",
                        hidden=True,
                    ),
                    Column(title="Instance", label="instance_id"),
                ],
                order="Instance",
            ),
        ],
    )


def changed() -> list[frame.Event]:
    """What happened to this instance, and around it in its set."""
    family = "azure_vmss_instance_power_state"
    holds = ONE_INSTANCE.holding(family)
    before = f"{ONE_INSTANCE.select(family)} offset $__interval"
    newly = f"{holds} unless max without (instance, pod) ({before} == 1)"
    of_set = [
        frame.Event(
            f"{event.title} (set)",
            event.expression,
            event.colour,
            event.text,
            event.labels,
            shown=False,
        )
        for event in frame.events(ONE_SET, many=False)
    ]
    return [
        frame.Event(
            "Power state entered",
            f"max by (state) ({newly})",
            MOVING,
            "The instance became {{state}}.",
            "state",
        ),
        *of_set,
    ]


def dashboard() -> dict[str, Any]:
    """The Instance dashboard as JSON."""
    selected = f"azure_vmss_instance_info{{{ONE_SET.matchers}}}, instance_id"
    return frame.assemble(
        frame.Plan(
            uid=frame.INSTANCE_UID,
            title="Azure VMSS / Instance",
            about="One instance of a scale set: all its states on one timeline, ages, parts.",
            variables=[
                frame.datasource(),
                frame.job(),
                *frame.places(many=False),
                frame.choice(
                    "instance",
                    "Instance",
                    "The instance's id within its set.",
                    selected,
                    many=False,
                ),
                frame.exporter_address(),
            ],
            links=[frame.FLEET_LINK, frame.SET_LINK, frame.EXPORTER_LINK, frame.JSON_LINK],
            events=changed(),
            sections=[now(), everything(), ages(), instance_parts.section()],
        )
    )
