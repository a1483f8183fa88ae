"""The configuration as a whole, and its small sections."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from exporter.configuration.addresses import Link
from exporter.configuration.azure import Azure
from exporter.configuration.credentials import CredentialName, NamedCredential
from exporter.configuration.fields import (
    MOST_ENTRIES,
    Boolean,
    Duration,
    Interval,
    OptionalPath,
    Pattern,
    Section,
    Text,
)
from exporter.configuration.scale_sets import Discovery, ScaleSet
from exporter.model.scale_set import ScaleSetId, Target


class Polling(Section):
    """`polling`: how often Azure is asked, and with what patience. Durations are seconds."""

    interval: Interval = Field(
        60.0,
        description="Between two polls of a scale set, as requested. At least 6s, for Azure allows "
        "10 calls a minute for a scale set; at least 100ms with cloud custom.",
    )
    timeout: Duration = Field(60.0, description="Of one request. Not longer than deadline.")
    deadline: Duration = Field(180.0, description="Of one scale set's whole walk.")
    keep_for: Duration = Field(
        600.0,
        description="How long the last good answer is served while polls fail or are put off. "
        "Never less than 2 x the interval in force + deadline. Then azure_vmss_up is 0, whatever "
        "the reason.",
    )
    concurrency: int = Field(
        16, strict=True, ge=1, le=1000, description="Requests in flight, 1 to 1000."
    )
    state_dir: OptionalPath = Field(
        "",
        description="A directory in which the last snapshots and the counters outlive a restart; "
        "empty for none. Each exporter needs one of its own. It is made if it is missing, for the "
        "exporter's user only.",
    )
    budget_share: float = Field(
        0.5,
        strict=True,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="The part of Azure's read quota that the exporter may use, more than 0 and at "
        "most 1: of Compute's limits in each region, and of the Resource Manager's over all "
        "regions of a subscription. Sets are polled less often where it does not allow the "
        "requested interval, and requests are spread evenly.",
    )


class Metrics(Section):
    """`metrics`: which families are served, and in what form."""

    deny: tuple[Pattern, ...] = Field(
        (),
        max_length=MOST_ENTRIES,
        description="Families that are not served. azure_vmss_instance_*, the way to drop what is "
        "served per instance, also drops azure_vmss_instance_creations_total, "
        "azure_vmss_instance_deletions_total and azure_vmss_instance_series_suppressed: name the "
        "families one by one to keep these. azure_vmss_up can be denied too, and then nothing "
        "shows whether polls succeed.",
    )
    opt_in: tuple[Pattern, ...] = Field(
        (), max_length=MOST_ENTRIES, description="Families that are off unless named."
    )
    state_sets: Literal["full", "active"] = Field(
        "full",
        description="full: one 0/1 series for each known state. active: only the state that "
        "holds; then queries say == 1, never == 0 or avg_over_time.",
    )
    tags: tuple[Text, ...] = Field(
        (),
        max_length=MOST_ENTRIES,
        description="Scale set tags shown on azure_vmss_tags_info. Every character outside A-Z, "
        "a-z, 0-9 and _ becomes _ in the label; two tags with one label, letter case ignored, are "
        "an error.",
    )
    max_series: int = Field(
        500_000,
        strict=True,
        ge=0,
        description="The page never has more series about Azure. Above it the instance families "
        "of the largest scale sets are suppressed, and azure_vmss_instance_series_suppressed is 1 "
        "for those sets; their counts stay. Where the counts alone are too many, those by versions "
        "and names of the largest sets are suppressed too, and at last all series but those about "
        "the polls. 0 for no limit.",
    )


def _mode(value: object) -> object:
    # YAML reads the bare word off as false.
    return "off" if value is False else value


class ResourceGraph(Section):
    """`resource_graph`: Azure's second source, Resource Graph. Discovery uses it."""

    mode: Annotated[Literal["off", "auto"], BeforeValidator(_mode)] = Field(
        "auto", description="off, or auto: discovery queries it, and lists where that fails."
    )
    interval: Duration = Field(30.0, description="Between two queries. No effect yet.")
    platform_events: Boolean = Field(
        default=False, description="Host failures, evictions and live migrations. No effect yet."
    )


class Model(Section):
    """`model`: what is asked beside the instance list and the set's own model."""

    interval: Duration = Field(300.0, description="Between two calls of a kind.")
    services: Boolean = Field(
        default=False,
        description="Orchestration services: automatic repairs, zone rebalancing. A call for each "
        "Uniform set, of the limit that the instance lists have.",
    )
    rolling_upgrades: Boolean = Field(
        default=False, description="The latest rolling upgrade. A call for each Uniform set."
    )
    lifecycle_hooks: Boolean = Field(
        default=False,
        description="Events of lifecycle hooks that wait for an answer. A call for each Uniform "
        "set.",
    )
    standby_pools: Boolean = Field(
        default=False,
        description="Instances in standby pools. A call for each subscription, and for each pool.",
    )
    autoscale: Boolean = Field(
        default=False,
        description="The limits of autoscale settings. A call for each subscription.",
    )


class Web(Section):
    """`web`: what the pages, the JSON and the log show."""

    messages: Boolean = Field(
        default=True,
        description="Whether the pages, the JSON and the log show Azure's messages, which are free "
        "text. Without them the log says the reason of a failure and what to do; `--once` still "
        "says why. What looks like a secret is replaced in any case, and texts are cut at 1 KB.",
    )
    grafana_url: Link = Field(
        default="",
        description="Where Grafana is, such as https://grafana.example.com: the pages then link to "
        "the dashboards.",
    )


class Configuration(Section):
    """The whole file, checked. Made by `exporter.configuration.load` only."""

    azure: Azure = Field(default_factory=Azure)
    credentials: dict[CredentialName, NamedCredential] = Field(
        default_factory=dict,
        description="Of other tenants and clouds, by name. An entry of scale_sets or discovery "
        "names the one that it is read with.",
    )
    polling: Polling = Field(default_factory=Polling)
    scale_sets: tuple[ScaleSet, ...] = Field(
        (),
        description="At least one, if there is no discovery. Two entries for one scale set, "
        "compared without letter case, are an error.",
    )
    discovery: tuple[Discovery, ...] = Field(
        (),
        description="Scale sets that are found. One that scale_sets lists too is polled as listed.",
    )
    metrics: Metrics = Field(default_factory=Metrics)
    resource_graph: ResourceGraph = Field(default_factory=ResourceGraph)
    model: Model = Field(default_factory=Model)
    web: Web = Field(default_factory=Web)

    def targets(self) -> tuple[Target, ...]:
        """The scale sets that are listed, in the file's order.

        Every target has the same label names, sorted; a label that its entry lacks is empty,
        for series of one family must not differ in their labels' names.
        """
        return tuple(self.target(entry.scale_set, entry) for entry in self.scale_sets)

    def target(self, scale_set: ScaleSetId, entry: ScaleSet | Discovery) -> Target:
        """The target that an entry makes of a scale set."""
        return Target(
            scale_set=scale_set,
            interval=self.polling.interval if entry.interval is None else entry.interval,
            labels=tuple((name, entry.labels.get(name, "")) for name in self.label_names),
            credential=entry.credential or "",
            origin="discovered" if isinstance(entry, Discovery) else "configured",
        )

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """The names of all extra labels, sorted."""
        entries: tuple[ScaleSet | Discovery, ...] = (*self.scale_sets, *self.discovery)
        return tuple(sorted({name for entry in entries for name in entry.labels}))
