"""The Scale set dashboard: one set, its instances worst first."""

from __future__ import annotations

from typing import Any

from grafana.source import frame, set_instances, shared_panels
from grafana.source.panels import (
    ANY_IS_BAD,
    SMALL,
    THIRD,
    Ask,
    Facts,
    bars,
    number,
    series,
)
from grafana.source.queries import ONE_SET, in_words
from grafana.source.states import BROKEN, GOOD, LOOK, MOVING, OFF, POWER, words
from grafana.source.tables import Column, rows


def now() -> frame.Section:
    """Whether the data can be trusted, and the sums."""
    listed = f"sum({ONE_SET.value('azure_vmss_instances')})"
    capacity = f"sum({ONE_SET.value('azure_vmss_capacity')} > 0)"
    running = ONE_SET.value("azure_vmss_instances_by_power_state", 'state="running"')
    failed = ONE_SET.value("azure_vmss_instances_by_provisioning_state", 'state="failed"')
    unhealthy = ONE_SET.value("azure_vmss_instances_by_health_state", 'state="unhealthy"')
    held_back = ONE_SET.value("azure_vmss_instance_series_suppressed")
    return frame.Section(
        title="Now",
        panels=[
            shared_panels.last_poll(
                ONE_SET,
                title="Last poll",
                about="Whether the last poll of the instances succeeded. After a failed one "
                "the data before it is shown.",
            ),
            shared_panels.age_of_data(ONE_SET),
            number(
                Facts(
                    title="Instances",
                    about="Instances that Azure lists.",
                    unit="short",
                    empty="no data",
                    size=SMALL,
                ),
                Ask(listed),
            ),
            number(
                Facts(
                    title="Of capacity",
                    about="Listed instances as a part of the capacity that is asked for. A set "
                    "with capacity 0, or a Flexible set without a profile, has no such part.",
                    unit="percentunit",
                    empty="no capacity",
                    size=SMALL,
                ),
                Ask(f"{listed} / {capacity}"),
            ),
            number(
                Facts(
                    title="Running",
                    about="Instances whose power state is running.",
                    unit="short",
                    empty="no data",
                    size=SMALL,
                ),
                Ask(f"sum({running})"),
                limits=((0, GOOD),),
            ),
            number(
                Facts(
                    title="Provisioning failed",
                    about="Instances whose provisioning state is failed.",
                    unit="short",
                    empty="no data",
                    size=SMALL,
                ),
                Ask(f"sum({failed})"),
                limits=ANY_IS_BAD,
            ),
            number(
                Facts(
                    title="Application unhealthy",
                    about="Instances whose application health is unhealthy.",
                    unit="short",
                    empty="not watched",
                    size=SMALL,
                ),
                Ask(f"sum({unhealthy})"),
                limits=ANY_IS_BAD,
            ),
            number(
                Facts(
                    title="Series of instances",
                    about="Above metrics.max_series the exporter keeps back the instances of the "
                    "largest sets; their sums stay.",
                    empty="not polled",
                    size=SMALL,
                ),
                Ask(f"max({held_back})"),
                mapped=words({"0": ("served", GOOD), "1": ("kept back", LOOK)}),
            ),
        ],
    )


def failures() -> frame.Section:
    """Failures by code, and why polls fail."""
    holding = ONE_SET.holding("azure_vmss_instance_provisioning_failure")
    entered = ONE_SET.increase("azure_vmss_provisioning_failures_total")
    reasons = ONE_SET.holding("azure_vmss_poll_failure")
    third = (8, 7)
    return frame.Section(
        title="Failures by code",
        panels=[
            bars(
                Facts(
                    title="Failed instances by code",
                    about="Instances that are failed now, by Azure's code in lower case.",
                    unit="short",
                    empty="No instance is failed.",
                    size=third,
                ),
                Ask(f"topk(20, count by (code) ({holding}))", "{{code}}"),
                limits=((0, BROKEN),),
            ),
            series(
                Facts(
                    title="Entries into a failed state by code",
                    about="Instances that became failed since the bar before, as seen "
                    "between polls.",
                    unit="short",
                    empty="No instance has been failed since the exporter started.",
                    size=third,
                ),
                Ask(f"sum by (code) ({entered})", "{{code}}"),
                counted=True,
            ),
            bars(
                Facts(
                    title="Why polls fail",
                    about="The reason of the last failed poll, while polls fail.",
                    unit="none",
                    empty="The last poll succeeded.",
                    size=third,
                ),
                Ask(f"max by (reason) ({reasons})", "{{reason}}"),
                limits=((0, BROKEN),),
            ),
        ],
    )


def extensions_and_agents() -> frame.Section:
    """What runs inside: extensions, their handlers, the VM agent, disks."""

    def of_level(level: str) -> str:
        return ONE_SET.value("azure_vmss_extension_instances", f'level="{level}"')

    stuck = ONE_SET.holding("azure_vmss_extension_state", 'state!="succeeded"')
    handlers = ONE_SET.holding("azure_vmss_extension_handler_state", 'state!~"succeeded|ready"')
    agents = ONE_SET.value("azure_vmss_instances_by_vm_agent_state")
    versions = ONE_SET.value("azure_vmss_instances_by_vm_agent_version")
    disks = ONE_SET.value("azure_vmss_disk_instances")
    third = THIRD
    return frame.Section(
        title="Extensions, agents, disks",
        panels=[
            rows(
                Facts(
                    title="Extensions by level",
                    about="Instances by extension and the worst level of its statuses.",
                    unit="short",
                    empty="No instance reports an extension.",
                    size=third,
                ),
                [
                    Column(title="Extension", label="extension"),
                    *(
                        Column(
                            title=level.title(),
                            expression=f"sum by (extension) ({of_level(level)})",
                            limits=limits,
                            width=80,
                        )
                        for level, limits in (
                            ("error", ((1, BROKEN),)),
                            ("warning", ((1, LOOK),)),
                            ("info", ()),
                        )
                    ),
                ],
                order="Error",
            ),
            bars(
                Facts(
                    title="Extensions that have not succeeded",
                    about="Instances by extension and state, where it is another than succeeded: "
                    "failed, or in transition.",
                    unit="short",
                    empty="Every extension that reports a state has succeeded.",
                    size=third,
                ),
                Ask(
                    f"topk(20, count by (extension, state) ({stuck}))",
                    "{{extension}}: {{state}}",
                ),
                limits=((0, LOOK),),
            ),
            bars(
                Facts(
                    title="Handlers that are not ready",
                    about="Instances by extension handler and state as the VM agent reports it. "
                    "NotReady comes at level Info.",
                    unit="short",
                    empty="Every handler is ready.",
                    size=third,
                ),
                Ask(
                    f"topk(20, count by (handler, state) ({handlers}))",
                    "{{handler}}: {{state}}",
                ),
                limits=((0, LOOK),),
            ),
            series(
                Facts(
                    title="VM agents by state",
                    about="Instances by the state of their VM agent. Deallocated instances have "
                    "none.",
                    unit="short",
                    empty="No VM agent reports.",
                    size=third,
                ),
                Ask(f"sum by (state) ({agents})", "{{state}}"),
                stacked=True,
                colours={"succeeded": GOOD, "unavailable": BROKEN},
            ),
            bars(
                Facts(
                    title="VM agents by version",
                    about="Instances by the version of their VM agent; unknown where Azure says "
                    "Unknown.",
                    unit="short",
                    empty="No VM agent tells its version.",
                    size=third,
                ),
                Ask(f"topk(20, sum by (version) ({versions}))", "{{version}}"),
            ),
            series(
                Facts(
                    title="Instances by the level of their disks",
                    about="Instances by the worst level of their disks' provisioning.",
                    unit="short",
                    empty="No disk has a level.",
                    size=third,
                ),
                Ask(f"sum by (level) ({disks})", "{{level}}"),
                stacked=True,
                colours={"info": GOOD, "warning": LOOK, "error": BROKEN},
            ),
        ],
    )


def capacity() -> frame.Section:
    """What is asked for, what there is, what came and went."""
    asked = ONE_SET.value("azure_vmss_capacity")
    listed = ONE_SET.value("azure_vmss_instances")
    power = ONE_SET.value("azure_vmss_instances_by_power_state")
    came = ONE_SET.increase("azure_vmss_instance_creations_total")
    went = ONE_SET.increase("azure_vmss_instance_deletions_total")
    domains = ONE_SET.value("azure_vmss_instances_by_fault_domain")
    model = ONE_SET.value("azure_vmss_instances_by_latest_model_applied")
    half = (6, 8)
    return frame.Section(
        title="Capacity",
        panels=[
            series(
                Facts(
                    title="Capacity and instances",
                    about="Instances asked for and instances listed. Azure may list more while it "
                    "overprovisions or deletes.",
                    unit="short",
                    empty="No poll has succeeded yet.",
                ),
                Ask(f"sum({asked})", "capacity"),
                Ask(f"sum({listed})", "instances"),
                colours={"capacity": OFF, "instances": GOOD},
            ),
            series(
                Facts(
                    title="Instances by power state",
                    about="Stopped ones are billed, deallocated ones are not.",
                    unit="short",
                    empty="No poll has succeeded yet.",
                ),
                Ask(f"sum by (state) ({power})", "{{state}}"),
                stacked=True,
                colours={state.word: state.colour for state in POWER},
            ),
            series(
                Facts(
                    title="Instances that came and went",
                    about="Since the bar before, as seen between polls. Azure does not say why an "
                    "instance went.",
                    unit="short",
                    empty="No poll has succeeded yet.",
                ),
                Ask(f"sum({came})", "came"),
                Ask(f"sum({went})", "went"),
                colours={"came": MOVING, "went": OFF},
                counted=True,
            ),
            bars(
                Facts(
                    title="Zone / fault domain",
                    about="Instances by availability zone and fault domain.",
                    unit="short",
                    empty="Azure sends no fault domains.",
                    size=half,
                ),
                Ask(
                    in_words(
                        f"sum by (availability_zone, fault_domain) ({domains})",
                        "availability_zone",
                        "fault_domain",
                    ),
                    "{{availability_zone}} / {{fault_domain}}",
                ),
            ),
            bars(
                Facts(
                    title="Latest model applied",
                    about="Instances by whether they have the latest model of the set. Needs "
                    "azure.detail: full.",
                    unit="short",
                    empty="Not told: azure.detail is not full.",
                    size=half,
                ),
                Ask(f"sum by (applied) ({model})", "{{applied}}"),
            ),
        ],
    )


def dashboard() -> dict[str, Any]:
    """The Scale set dashboard as JSON."""
    return frame.assemble(
        frame.Plan(
            uid=frame.SET_UID,
            title="Azure VMSS / Scale set",
            about="One scale set: its instances over time, failures, extensions, capacity.",
            variables=[
                frame.datasource(),
                frame.job(),
                *frame.places(many=False),
                frame.exporter_address(),
            ],
            links=[frame.FLEET_LINK, frame.EXPORTER_LINK, frame.JSON_LINK],
            events=frame.events(ONE_SET, many=False),
            sections=[
                now(),
                set_instances.section(),
                failures(),
                extensions_and_agents(),
                capacity(),
            ],
        )
    )
