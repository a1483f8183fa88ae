"""What all dashboards have in common: variables, links between them, annotations, numbering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardCursorSync,
    DashboardLink,
    DashboardLinkType,
    DataSourceRef,
    Panel,
    RowPanel,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.source.panels import DATASOURCE
from grafana.source.queries import Scope
from grafana.source.states import BROKEN, LOOK, OFF

TAG = "azure-vmss"
FLEET_UID = "azure-vmss-fleet"
SET_UID = "azure-vmss-scale-set"
INSTANCE_UID = "azure-vmss-instance"
EXPORTER_UID = "azure-vmss-exporter"

KEPT = "${datasource:queryparam}&${job:queryparam}&${exporter:queryparam}"
SET_PATH = "${subscription}/${resource_group}/${scale_set}"


def to_set(subscription: str, group: str, name: str) -> str:
    """The address of the Scale set dashboard for one set, with the time range."""
    return (
        f"/d/{SET_UID}?{KEPT}&var-subscription={subscription}&var-resource_group={group}"
        f"&var-scale_set={name}&${{__url_time_range}}"
    )


def to_instance(instance: str) -> str:
    """The address of the Instance dashboard, from within the Scale set dashboard."""
    return (
        f"/d/{INSTANCE_UID}?{KEPT}&var-subscription=${{subscription}}"
        "&var-resource_group=${resource_group}&var-scale_set=${scale_set}"
        f"&var-instance={instance}&${{__url_time_range}}"
    )


def to_json(path: str) -> str:
    """The address of what the exporter itself says of one set: every status and message."""
    return f"${{exporter:raw}}/api/v1/scale_sets/{path}"


SET_OF_ROW = to_set(
    *(f"${{__data.fields.{label}}}" for label in ("subscription_id", "resource_group", "scale_set"))
)
SET_OF_SERIES = to_set(
    *(
        f"${{__field.labels.{label}}}"
        for label in ("subscription_id", "resource_group", "scale_set")
    )
)
JSON_OF_ROW = to_json(
    "${__data.fields.subscription_id}/${__data.fields.resource_group}/${__data.fields.scale_set}"
)


def link(title: str, address: str, *, leaves: bool = False) -> builders.DashboardLink:
    """A link; one that leaves Grafana opens a page of its own."""
    made = builders.DashboardLink(title).url(address).target_blank(leaves)
    return made.type(DashboardLinkType.LINK).icon("external link" if leaves else "dashboard")


FLEET_LINK = link("Fleet", f"/d/{FLEET_UID}?{KEPT}").keep_time(True)
EXPORTER_LINK = link("Exporter", f"/d/{EXPORTER_UID}?{KEPT}").keep_time(True)
SET_LINK = link("This scale set", to_set("${subscription}", "${resource_group}", "${scale_set}"))
JSON_LINK = link("This scale set as the exporter's JSON", to_json(SET_PATH), leaves=True)


def datasource() -> Builder[VariableModel]:
    """Which Prometheus."""
    made = builders.DatasourceVariable("datasource").label("Data source").type("prometheus")
    return made.description(
        "The Prometheus, or what speaks its language, that scrapes the exporter."
    )


def choice(
    name: str, title: str, about: str, query: str, *, many: bool = True
) -> builders.QueryVariable:
    """A variable whose values Prometheus knows; All where several may be chosen."""
    made = builders.QueryVariable(name).label(title).description(about).datasource(DATASOURCE)
    made.query(f"label_values({query})").refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    made.sort(VariableSort.NATURAL_ASC)
    if many:
        everything = VariableOption(selected=True, text="All", value="$__all")
        made.multi(True).include_all(True).all_value(".*").current(everything)
    return made


JOB = 'job=~"$job"'


def job() -> Builder[VariableModel]:
    """Which scrape job."""
    about = "The scrape job of the exporter. Two jobs that scrape the same exporter count double."
    return choice("job", "Job", about, "azure_vmss_exporter_build_info, job")


def places(*, many: bool) -> list[Builder[VariableModel]]:
    """Subscription, resource group and scale set, each within the one before."""
    compare = "=~" if many else "="
    inside = f'{JOB}, subscription_id{compare}"$subscription"'
    deeper = f'{inside}, resource_group{compare}"$resource_group"'
    return [
        choice(
            "subscription",
            "Subscription",
            "The Azure subscription's id.",
            f"azure_vmss_up{{{JOB}}}, subscription_id",
            many=many,
        ),
        choice(
            "resource_group",
            "Resource group",
            "A resource group of the subscription.",
            f"azure_vmss_up{{{inside}}}, resource_group",
            many=many,
        ),
        choice(
            "scale_set",
            "Scale set",
            "A scale set of the resource group.",
            f"azure_vmss_up{{{deeper}}}, scale_set",
            many=many,
        ),
    ]


def exporter_address() -> Builder[VariableModel]:
    """Where the reader's browser reaches the exporter."""
    made = builders.TextBoxVariable("exporter").label("Exporter's address")
    made.description("Where your browser reaches the exporter, for the links to its JSON.")
    address = "http://localhost:10048"
    return made.default_value(address).current(VariableOption(text=address, value=address))


@dataclass(frozen=True, slots=True)
class Event:
    """An annotation: what happened, how often, drawn over every panel with time."""

    title: str
    expression: str
    colour: str
    text: str
    labels: str
    shown: bool = True
    step: str = "1m"


class EventQuery(AnnotationQuery):
    """An annotation of Prometheus, with the fields that the SDK's model does not know."""

    def __init__(self, event: Event) -> None:
        super().__init__(
            name=event.title,
            datasource=DataSourceRef(type_val="prometheus", uid="${datasource}"),
            enable=event.shown,
            icon_color=event.colour,
        )
        self.event = event

    def to_json(self) -> dict[str, object]:
        """As Grafana's annotation editor writes it."""
        return {
            **super().to_json(),
            "expr": self.event.expression,
            "titleFormat": self.event.title,
            "textFormat": self.event.text,
            "tagKeys": self.event.labels,
            "step": self.event.step,
            "useValueForTime": False,
        }


class EventBuilder(Builder[AnnotationQuery]):
    """The form in which the SDK takes an annotation."""

    def __init__(self, event: Event) -> None:
        self.event = event

    def build(self) -> AnnotationQuery:
        """The annotation."""
        return EventQuery(self.event)


def events(scope: Scope, *, many: bool) -> list[Event]:
    """What changed between polls.

    Args:
        many: whether it is a whole fleet: it changes always, so transitions are off at first, and
            it is looked at in longer steps.
    """
    step = "5m" if many else "1m"
    entered = scope.increase("azure_vmss_power_state_transitions_total")
    deleted = scope.increase("azure_vmss_instance_deletions_total")
    failed = scope.increase("azure_vmss_provisioning_failures_total")
    return [
        Event(
            "Power state entered",
            f"sum by (to) ({entered}) > 0",
            OFF,
            "Instances became {{to}}.",
            "to",
            shown=not many,
            step=step,
        ),
        Event("Instances deleted", f"sum({deleted}) > 0", LOOK, "Instances went.", "", step=step),
        Event(
            "Provisioning failed",
            f"topk(5, sum by (code) ({failed}) > 0)",
            BROKEN,
            "Provisioning failed: {{code}}.",
            "code",
            step=step,
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A row of a dashboard, with its panels from left to right and downwards."""

    title: str
    panels: Sequence[Builder[Panel]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a dashboard consists of."""

    uid: str
    title: str
    about: str
    variables: Sequence[Builder[VariableModel]]
    links: Sequence[Builder[DashboardLink]]
    sections: Sequence[Section]
    events: Sequence[Event] = ()
    since: str = "now-6h"


def assemble(plan: Plan) -> dict[str, Any]:
    """The dashboard as Grafana loads it, its panels numbered in their order."""
    made = builders.Dashboard(plan.title).uid(plan.uid).description(plan.about).tags([TAG])
    made.editable().time(plan.since, "now").refresh("1m").timezone("browser")
    made.tooltip(DashboardCursorSync.CROSSHAIR).version(1)
    for variable in plan.variables:
        made.with_variable(variable)
    for one in plan.links:
        made.link(one)
    for event in plan.events:
        made.annotation(EventBuilder(event))
    for section in plan.sections:
        made.with_row(builders.Row(section.title))
        for panel in section.panels:
            made.with_panel(panel)
    return numbered(made.build())


def numbered(dashboard: Dashboard) -> dict[str, Any]:
    """Give every panel and row its number."""
    for index, panel in enumerate(dashboard.panels or [], start=1):
        if isinstance(panel, Panel | RowPanel):
            panel.id_val = index
    return dashboard.to_json()
