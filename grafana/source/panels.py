"""Makers of panels: what is the same for every panel of a kind is said once, here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, statetimeline, table
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import timeseries as lines
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models.dashboard import (
    DashboardLink,
    DataSourceRef,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMapping,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.source.states import BROKEN, GOOD, LOOK, UNKNOWN

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDE_ENOUGH = 12
"""Columns from which on a legend has room beside the lines."""

FEW_POINTS = 120
"""Points of a panel that sums over the whole fleet: enough to see, cheap at 2,500 scale sets."""

TIMELINE_POINTS = 300


Kind = TypeVar("Kind", bargauge.Panel, lines.Panel, stat.Panel, statetimeline.Panel, table.Panel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a reader is told by a panel, whatever its kind.

    Attributes:
        title: what is shown.
        about: what it means, and what to think of it.
        unit: Grafana's name of the unit; `none` for states that are shown as words.
        empty: what it means that nothing is there, where that can be.
        size: of 24 columns, and in rows of the grid.
    """

    title: str
    about: str
    unit: str = "none"
    empty: str = ""
    size: tuple[int, int] = (12, 8)


@dataclass(frozen=True, slots=True)
class Ask:
    """One query: the expression, and how its series are called.

    A query without a legend names its only series by the panel's title.
    """

    expression: str
    legend: str = ""


def describe(panel: Kind, facts: Facts) -> Kind:
    """Give a panel what every panel has."""
    panel.title(facts.title).description(facts.about).datasource(DATASOURCE).unit(facts.unit)
    width, height = facts.size
    panel.span(width).height(height)
    return panel.no_value(facts.empty) if facts.empty else panel


def target(ask: Ask, number: int, *, instant: bool, table: bool = False) -> prometheus.Dataquery:
    """The query with its letter."""
    query = prometheus.Dataquery().expr(ask.expression).ref_id(chr(ord("A") + number))
    query.datasource(DATASOURCE)
    query = query.instant() if instant else query.range()
    query.legend_format(ask.legend or "__auto")
    return query.format(PromQueryFormat.TABLE if table else PromQueryFormat.TIME_SERIES)


def steps(*limits: tuple[float, str], start: str = "text") -> builders.ThresholdsConfig:
    """Colours from limits on. What has no value has the first colour, which says nothing."""
    first = Threshold(value=None, color=start)
    return (
        builders.ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([first, *(Threshold(value=limit, color=colour) for limit, colour in limits)])
    )


SMALL = (3, 4)
THIRD = (8, 8)
PLAIN = ((0.0, "text"),)
ANY_IS_BAD = ((0.0, GOOD), (1.0, BROKEN))
ANY_WANTS_A_LOOK = ((0.0, GOOD), (1.0, LOOK))
AGE = ((0.0, GOOD), (600.0, LOOK), (1800.0, BROKEN))


def number(
    facts: Facts,
    *asks: Ask,
    limits: Sequence[tuple[float, str]] = PLAIN,
    mapped: list[ValueMapping] | None = None,
    links: Sequence[Builder[DashboardLink]] = (),
) -> stat.Panel:
    """The value of now as a large number or word, without a line behind it."""
    panel = describe(stat.Panel(), facts)
    panel.graph_mode(options.BigValueGraphMode.NONE).color_mode(options.BigValueColorMode.VALUE)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.text_mode(options.BigValueTextMode.VALUE)
    panel.thresholds(steps(*limits)).mappings(mapped or [])
    panel.color_scheme(builders.FieldColor().mode(FieldColorModeId.THRESHOLDS))
    for index, ask in enumerate(asks):
        panel.with_target(target(ask, index, instant=True))
    return panel.data_links(list(links)) if links else panel


def series(
    facts: Facts,
    *asks: Ask,
    stacked: bool = False,
    colours: dict[str, str] | None = None,
    links: Sequence[Builder[DashboardLink]] = (),
    few: bool = False,
    limit: float | None = None,
    below: bool = False,
    counted: bool = False,
) -> lines.Panel:
    """Lines over time; where there is room the legend tells the last value and the largest.

    Args:
        facts: what the reader is told.
        asks: the queries.
        stacked: whether the lines are parts of a whole.
        colours: of series whose name means a state.
        links: where a click on a series leads.
        few: whether fewer points do.
        limit: a value at which a dashed line is drawn.
        below: whether the names are too long for a legend beside the lines.
        counted: whether each value is what happened since the one before, in whole numbers.
    """
    panel = describe(lines.Panel(), facts).min(0)
    panel.line_width(1).fill_opacity(60 if stacked else 5)
    panel.line_interpolation(options.LineInterpolation.STEP_AFTER)
    panel.show_points(options.VisibilityMode.NEVER).span_nulls(False)
    panel.legend(listed() if below or facts.size[0] < WIDE_ENOUGH else tabled())
    panel.tooltip(
        common.VizTooltipOptions()
        .mode(options.TooltipDisplayMode.MULTI)
        .sort(options.SortOrder.DESCENDING)
    )
    panel.color_scheme(builders.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    if stacked:
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    if counted:
        # Steps of a minute at least: rates need some scrapes, and would tell one event twice.
        panel.draw_style(options.GraphDrawStyle.BARS).interval("1m").decimals(0).fill_opacity(80)
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    if limit is not None:
        panel.thresholds(steps((limit, BROKEN), start="transparent"))
        panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(options.GraphThresholdsStyleMode.DASHED)
        )
    for name, colour in (colours or {}).items():
        panel.override_by_name(name, [fixed(colour)])
    if few:
        panel.max_data_points(FEW_POINTS)
    for index, ask in enumerate(asks):
        panel.with_target(target(ask, index, instant=False))
    return panel.data_links(list(links)) if links else panel


def tabled() -> common.VizLegendOptions:
    """A legend beside the lines: the last value and the largest, the largest first."""
    legend = common.VizLegendOptions().display_mode(options.LegendDisplayMode.TABLE)
    legend.placement(options.LegendPlacement.RIGHT).calcs(["lastNotNull", "max"])
    return legend.sort_by("Last *").sort_desc(True).show_legend(True)


def listed() -> common.VizLegendOptions:
    """A legend below: names only, the values are in the tooltip."""
    legend = common.VizLegendOptions().display_mode(options.LegendDisplayMode.LIST)
    return legend.placement(options.LegendPlacement.BOTTOM).calcs([]).show_legend(True)


def timeline(
    facts: Facts,
    *asks: Ask,
    mapped: list[ValueMapping],
    links: Sequence[Builder[DashboardLink]] = (),
    words: bool = True,
) -> statetimeline.Panel:
    """States over time, a row each; every state has its word beside its colour."""
    panel = describe(statetimeline.Panel(), facts).mappings(mapped)
    panel.merge_values(True).row_height(0.85).line_width(0).fill_opacity(80).per_page(40)
    panel.show_value(options.VisibilityMode.AUTO if words else options.VisibilityMode.NEVER)
    panel.align_value(options.TimelineValueAlignment.LEFT)
    panel.legend(listed())
    panel.tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.SINGLE))
    panel.color_scheme(builders.FieldColor().mode(FieldColorModeId.THRESHOLDS))
    panel.thresholds(steps(start=UNKNOWN)).max_data_points(TIMELINE_POINTS)
    for index, ask in enumerate(asks):
        panel.with_target(target(ask, index, instant=False))
    return panel.data_links(list(links)) if links else panel


def bars(
    facts: Facts,
    *asks: Ask,
    limits: Sequence[tuple[float, str]] = ((0.0, "blue"),),
    links: Sequence[Builder[DashboardLink]] = (),
    largest: float | None = None,
) -> bargauge.Panel:
    """The values of now as bars with their numbers."""
    panel = describe(bargauge.Panel(), facts).min(0).thresholds(steps(*limits, start="blue"))
    if largest is not None:
        panel.max(largest)
    panel.color_scheme(builders.FieldColor().mode(FieldColorModeId.THRESHOLDS))
    panel.orientation(options.VizOrientation.HORIZONTAL)
    panel.display_mode(options.BarGaugeDisplayMode.BASIC).show_unfilled(True)
    panel.value_mode(options.BarGaugeValueMode.TEXT)
    panel.text(common.VizTextDisplayOptions().title_size(13).value_size(15))
    if facts.unit == "short":
        panel.decimals(0)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    for index, ask in enumerate(asks):
        panel.with_target(target(ask, index, instant=True))
    return panel.data_links(list(links)) if links else panel


def fixed(colour: str) -> DynamicConfigValue:
    """A property of a field: this colour and no other."""
    return DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})
