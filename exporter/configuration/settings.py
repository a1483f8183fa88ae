"""The configuration as a whole, and its small sections."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from exporter.configuration.azure import Azure
from exporter.configuration.fields import (
    MOST_ENTRIES,
    Boolean,
    Duration,
    Interval,
    OptionalPath,
    Section,
    Text,
)
from exporter.configuration.scale_sets import Discovery, ScaleSet
from exporter.model.scale_set import Target


class Polling(Section):
    """`polling`: how often Azure is asked, and with what patience. Durations are seconds.

    Attributes:
        interval: between two polls of a scale set, as requested.
        timeout: of one request.
        deadline: of one scale set's whole walk.
        keep_for: how long the last good answer is served while polls fail.
        concurrency: requests in flight.
        state_dir: where state outlives a restart; empty for nowhere.
        budget_share: the part of Azure's read quota that the exporter may use.
    """

    interval: Interval = 60.0
    timeout: Duration = 60.0
    deadline: Duration = 180.0
    keep_for: Duration = 600.0
    concurrency: Annotated[int, Field(strict=True, ge=1, le=1000)] = 16
    state_dir: OptionalPath = ""
    budget_share: Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)] = 0.5


class Metrics(Section):
    """`metrics`: which families are served, and in what form.

    Attributes:
        deny: names or shell patterns of families that are not served.
        opt_in: names or shell patterns of families that are off unless named.
        state_sets: `full` for a series of every known state, `active` for the one that holds.
        tags: the scale set tags on `azure_vmss_tags_info`.
        max_series: above it the largest sets lose their instance families; 0 for no limit.
    """

    deny: Annotated[tuple[str, ...], Field(max_length=MOST_ENTRIES)] = ()
    opt_in: Annotated[tuple[str, ...], Field(max_length=MOST_ENTRIES)] = ()
    state_sets: Literal["full", "active"] = "full"
    tags: Annotated[tuple[Text, ...], Field(max_length=MOST_ENTRIES)] = ()
    max_series: Annotated[int, Field(strict=True, ge=0)] = 500_000


class Web(Section):
    """`web`: what the pages, the JSON and the log show.

    Attributes:
        messages: whether Azure's messages are shown; they are free text.
    """

    messages: Boolean = True


class Configuration(Section):
    """The whole file, checked. Made by `exporter.configuration.load` only."""

    azure: Azure = Field(default_factory=Azure)
    polling: Polling = Field(default_factory=Polling)
    scale_sets: tuple[ScaleSet, ...] = ()
    discovery: tuple[Discovery, ...] = ()
    metrics: Metrics = Field(default_factory=Metrics)
    web: Web = Field(default_factory=Web)

    def targets(self) -> tuple[Target, ...]:
        """The scale sets to poll, in the file's order.

        Every target has the same label names, sorted; a label that its entry lacks is empty,
        for series of one family must not differ in their labels' names.
        """
        names = sorted({name for entry in self.scale_sets for name in entry.labels})
        return tuple(
            Target(
                scale_set=entry.scale_set,
                interval=self.polling.interval if entry.interval is None else entry.interval,
                labels=tuple((name, entry.labels.get(name, "")) for name in names),
            )
            for entry in self.scale_sets
        )
