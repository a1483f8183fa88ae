"""Tables that join several instant queries into one row per scale set, instance or part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models.common import TableCellHeight
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    ValueMapping,
)

from grafana.source.panels import Ask, Facts, describe, target
from grafana.source.states import when_null


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: a label of the queries, or the value of a query of its own.

    Attributes:
        title: the heading.
        label: the label that is shown; else the value of `expression`.
        expression: the query whose value is shown, one row per combination of the table's labels.
        unit: of the value.
        mapped: words for values.
        limits: from which value on the cell has which colour, beside its number.
        link: where a click leads, as its title and address.
        width: in pixels, or as wide as there is room.
        missing: what a cell without a value shows.
        hidden: whether it is only there for links or for the order.
    """

    title: str
    label: str = ""
    expression: str = ""
    unit: str = "none"
    mapped: Sequence[ValueMapping] = ()
    limits: Sequence[tuple[float, str]] = ()
    link: tuple[str, str] | None = None
    width: int = 0
    missing: str = "-"
    hidden: bool = False


def rows(
    facts: Facts, columns: Sequence[Column], *, order: str, descending: bool = True
) -> table.Panel:
    """A table: queries joined by the labels that they share, ordered by one column.

    Args:
        facts: what the reader is told.
        columns: from left to right.
        order: the title of the column that decides about the order.
        descending: whether the largest comes first.
    """
    panel = describe(table.Panel(), facts).filterable(True)
    queries = [column for column in columns if column.expression]
    names: dict[str, str] = {}
    for index, column in enumerate(queries):
        panel.with_target(target(Ask(column.expression), index, instant=True, table=True))
        value = f"Value #{chr(ord('A') + index)}" if len(queries) > 1 else "Value"
        names[column.title] = value
    names |= {column.title: column.label for column in columns if column.label}
    excluded = {"Time": True} | {names[c.title]: True for c in columns if c.hidden and c.expression}
    sort_first = [DataTransformerConfig(id_val="merge", options={})]
    sort_first.append(
        DataTransformerConfig(
            id_val="sortBy",
            options={"fields": {}, "sort": [{"field": names[order], "desc": descending}]},
        )
    )
    sort_first.append(
        DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": excluded,
                "indexByName": {names[c.title]: i for i, c in enumerate(columns)},
                "renameByName": {names[c.title]: c.title for c in columns},
            },
        )
    )
    panel.transformations(sort_first)
    panel.cell_height(TableCellHeight.SM)
    panel.footer(common.TableFooterOptions().show(False))
    for column in columns:
        panel.override_by_name(column.title, list(properties(column)))
    return panel


def properties(column: Column) -> list[DynamicConfigValue]:
    """What a column has of its own."""
    found: dict[str, Any] = {"unit": column.unit, "noValue": column.missing}
    if column.mapped:
        found["mappings"] = [*column.mapped, when_null(column.missing)]
        found["custom.cellOptions"] = {"type": "color-text"}
    if column.limits:
        coloured: list[dict[str, Any]] = [{"value": None, "color": "text"}]
        coloured += [{"value": limit, "color": colour} for limit, colour in column.limits]
        found["thresholds"] = {"mode": "absolute", "steps": coloured}
        found["custom.cellOptions"] = {"type": "color-text"}
    if column.link is not None:
        title, address = column.link
        found["links"] = [{"title": title, "url": address}]
    if column.width:
        found["custom.width"] = column.width
    if column.hidden and column.label:
        found["custom.hidden"] = True
    return [DynamicConfigValue(id_val=key, value=value) for key, value in found.items()]
