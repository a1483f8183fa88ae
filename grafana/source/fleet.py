"""The Fleet dashboard: all scale sets, worst first."""

from __future__ import annotations

from typing import Any

from grafana.source import fleet_table, frame, shared_panels
from grafana.source.panels import (
    AGE,
    ANY_IS_BAD,
    ANY_WANTS_A_LOOK,
    THIRD,
    Ask,
    Facts,
    bars,
    number,
    series,
)
from grafana.source.queries import FLEET, QUOTA, RANGE, SET, in_words, worst
from grafana.source.states import (
    BROKEN,
    GOOD,
    HEALTH,
    LOOK,
    POWER,
    PROVISIONING,
    State,
)

SET_LINK = frame.link("Open the scale set", frame.SET_OF_SERIES)
POLICIES = shared_panels.Policies("subscription_id, location, policy", "{{location}} {{policy}}")
DOMAINS = "availability_zone, fault_domain"


NOT_RECORDED = "No data of any scale set, or the recording rules of grafana/rules are not loaded."


def colours(states: tuple[State, ...]) -> dict[str, str]:
    """Series named by the word of a state have its colour."""
    return {state.word: state.colour for state in states}


def now() -> frame.Section:
    """The numbers at the top."""
    small = (3, 4)

    def count(
        title: str,
        about: str,
        family: str,
        matcher: str,
        *,
        limits: tuple[tuple[float, str], ...],
        empty: str = "no data",
    ) -> Any:
        facts = Facts(title=title, about=about, unit="short", empty=empty, size=small)
        return number(facts, Ask(f"sum({FLEET.value(family, matcher)})"), limits=limits)

    power, provisioning = (
        "azure_vmss_instances_by_power_state",
        "azure_vmss_instances_by_provisioning_state",
    )
    return frame.Section(
        title="Now",
        panels=[
            number(
                Facts(
                    title="Scale sets",
                    about="Scale sets that the exporter polls.",
                    unit="short",
                    empty="no exporter",
                    size=small,
                ),
                Ask(f"count(max by ({SET}) ({FLEET.value('azure_vmss_up')}))"),
            ),
            shared_panels.polls_failing(
                FLEET,
                about="Scale sets whose last poll failed. What is shown of them is older.",
                size=small,
            ),
            number(
                Facts(
                    title="Oldest data",
                    about="Age of the oldest data that is shown: mostly below two poll intervals.",
                    unit="s",
                    empty="no data",
                    size=small,
                ),
                Ask(f"max(time() - {FLEET.value('azure_vmss_last_success_timestamp_seconds')})"),
                limits=AGE,
            ),
            count(
                "Running",
                "Instances whose power state is running.",
                power,
                'state="running"',
                limits=((0, GOOD),),
            ),
            count(
                "Stopped, billed",
                "Instances that were shut down from inside: Azure goes on billing them. "
                "Deallocated ones are not among them.",
                power,
                'state="stopped"',
                limits=ANY_WANTS_A_LOOK,
            ),
            count(
                "Provisioning failed",
                "Instances whose provisioning state is failed.",
                provisioning,
                'state="failed"',
                limits=ANY_IS_BAD,
            ),
            count(
                "Application unhealthy",
                "Instances whose application health is unhealthy, where health is watched.",
                "azure_vmss_instances_by_health_state",
                'state="unhealthy"',
                limits=ANY_IS_BAD,
                empty="not watched",
            ),
            count(
                "VM agent unavailable",
                "Instances whose VM agent does not report. Without it Azure knows nothing of "
                "extensions. Deallocated instances are not among them.",
                "azure_vmss_instances_by_vm_agent_state",
                'state="unavailable"',
                limits=ANY_WANTS_A_LOOK,
                empty="none reported",
            ),
        ],
    )


def over_time() -> frame.Section:
    """States of all instances, and what changed."""
    power, provisioning, health = (
        f"set_instances_by_{kind}_state" for kind in ("power", "provisioning", "health")
    )
    elsewhere = 'state!~"running|deallocated"'
    whole_range = f"sum_over_time({FLEET.recorded(power, elsewhere)}{RANGE})"
    most = f"topk(10, sum by ({SET}) ({whole_range}))"
    window = "$__range"
    entered = FLEET.increase("azure_vmss_power_state_transitions_total")
    failed = FLEET.increase("azure_vmss_provisioning_failures_total", window=window)
    return frame.Section(
        title="States over time",
        panels=[
            series(
                Facts(
                    title="Power states",
                    about="All instances by power state. Stopped ones are billed, deallocated "
                    "ones are not; an instance without a power state is unknown.",
                    unit="short",
                    empty=NOT_RECORDED,
                ),
                Ask(f"sum by (state) ({FLEET.recorded(power)})", "{{state}}"),
                stacked=True,
                colours=colours(POWER),
                few=True,
            ),
            series(
                Facts(
                    title="Provisioning states",
                    about="All instances by provisioning state.",
                    unit="short",
                    empty=NOT_RECORDED,
                ),
                Ask(f"sum by (state) ({FLEET.recorded(provisioning)})", "{{state}}"),
                stacked=True,
                colours=colours(PROVISIONING),
                few=True,
            ),
            series(
                Facts(
                    title="Application health",
                    about="Instances by application health, where an extension or a probe "
                    "watches it.",
                    unit="short",
                    empty="No scale set watches application health, or the rules are not loaded.",
                ),
                Ask(f"sum by (state) ({FLEET.recorded(health)})", "{{state}}"),
                stacked=True,
                colours=colours(HEALTH),
                few=True,
            ),
            series(
                Facts(
                    title="Neither running nor deallocated, by scale set",
                    about="The ten sets with the most instances on their way, stopped or unknown "
                    "in the whole time range. A set with nothing of it lies at 0.",
                    unit="short",
                    empty=NOT_RECORDED,
                ),
                Ask(
                    worst(f"sum by ({SET}) ({FLEET.recorded(power, elsewhere)})", most, SET),
                    "{{resource_group}} / {{scale_set}}",
                ),
                links=[SET_LINK],
                few=True,
            ),
            series(
                Facts(
                    title="Power states entered",
                    about="Instances that entered a power state since the bar before, as seen "
                    "between polls.",
                    unit="short",
                    empty="No poll has succeeded yet.",
                ),
                Ask(f"sum by (to) ({entered})", "{{to}}"),
                colours=colours(POWER),
                few=True,
                counted=True,
            ),
            bars(
                Facts(
                    title="Provisioning failures by code, in the time range",
                    about="How often instances entered a failed provisioning state, by Azure's "
                    "code. The ten most frequent.",
                    unit="short",
                    empty="No instance entered a failed state in this time range.",
                ),
                Ask(f"topk(10, sum by (code) ({failed}) > 0)", "{{code}}"),
                limits=((0, BROKEN),),
            ),
        ],
    )


def domains_and_quota() -> frame.Section:
    """Where instances sit, and how much Azure still lets the exporter read."""
    by_domain = f"sum by ({SET}, {DOMAINS}) ({FLEET.value('azure_vmss_instances_by_fault_domain')})"
    zones = f"{SET}, availability_zone"
    spread = f"max by ({zones}) ({by_domain}) - min by ({zones}) ({by_domain})"
    used = "azure_vmss_exporter_budget_used_ratio"
    remaining = "azure_vmss_exporter_azure_ratelimit_remaining"
    half = THIRD
    return frame.Section(
        title="Domains and quota",
        panels=[
            bars(
                Facts(
                    title="Instances by zone / fault domain",
                    about="All instances by availability zone and fault domain. A dash for "
                    "the zone: there are none, or azure.detail is not full.",
                    unit="short",
                    empty="Azure sends no fault domains.",
                    size=half,
                ),
                Ask(
                    in_words(
                        f"topk(30, sum by ({DOMAINS}) ({by_domain}))",
                        "availability_zone",
                        "fault_domain",
                    ),
                    "{{availability_zone}} / {{fault_domain}}",
                ),
            ),
            bars(
                Facts(
                    title="Unevenly spread sets",
                    about="Instances in the fullest fault domain minus those in the emptiest that "
                    "has any, within a zone. The ten largest; 0 or 1 is even.",
                    unit="short",
                    empty="Azure sends no fault domains.",
                    size=half,
                ),
                Ask(
                    in_words(f"topk(10, {spread})", "availability_zone"),
                    "{{scale_set}}, zone {{availability_zone}}",
                ),
                limits=((0, GOOD), (2, LOOK)),
                links=[SET_LINK],
            ),
            bars(
                Facts(
                    title="VM agent versions",
                    about="Instances by the version of their VM agent. The twenty most frequent; "
                    "unknown where Azure says Unknown.",
                    unit="short",
                    empty="No VM agent tells its version.",
                    size=half,
                ),
                Ask(
                    "topk(20, sum by (version) "
                    f"({FLEET.value('azure_vmss_instances_by_vm_agent_version')}))",
                    "{{version}}",
                ),
            ),
            shared_panels.budget_in_use(
                "Read budget in use",
                "Calls charged in the last minute, as a part of what the exporter allows "
                "itself of Azure's limits. Near 100 % polls are stretched. The ten largest.",
                QUOTA.value(used),
                QUOTA.in_range("max_over_time", used),
                POLICIES,
            ),
            shared_panels.what_remains(
                "The last x-ms-ratelimit header of each policy, the smaller of two "
                "replicas. The ten smallest.",
                QUOTA.least(remaining),
                QUOTA.in_range("min_over_time", remaining, replicas="min"),
                POLICIES,
            ),
        ],
    )


def dashboard() -> dict[str, Any]:
    """The Fleet dashboard as JSON."""
    return frame.assemble(
        frame.Plan(
            uid=frame.FLEET_UID,
            title="Azure VMSS / Fleet",
            about="All scale sets that the exporter polls: where something is wrong comes first.",
            variables=[
                frame.datasource(),
                frame.job(),
                *frame.places(many=True),
                frame.exporter_address(),
            ],
            links=[frame.EXPORTER_LINK],
            events=frame.events(FLEET, many=True),
            sections=[now(), fleet_table.section(), over_time(), domains_and_quota()],
        )
    )
