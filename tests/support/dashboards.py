"""The committed dashboards, as Grafana would ask Prometheus for them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from support.answers import ROOT

FOLDER = ROOT / "grafana" / "dashboards"
NAMES = ("fleet", "scale-set", "instance", "exporter")

Dashboard = dict[str, Any]
Panel = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """One query of a panel or an annotation."""

    dashboard: str
    title: str
    letter: str
    expression: str
    instant: bool
    legend: str = ""

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.title} ({self.letter})"


def load(name: str) -> Dashboard:
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    loaded: Dashboard = json.loads(text)
    return loaded


def panels(dashboard: Dashboard) -> list[Panel]:
    """The panels, rows left out."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries_of(name: str, panel: Panel) -> Iterator[Query]:
    for target in panel["targets"]:
        instant = bool(target.get("instant"))
        legend = target["legendFormat"]
        expression = target["expr"]
        yield Query(name, panel["title"], target["refId"], expression, instant, legend)


def events_of(name: str) -> Iterator[Query]:
    """The queries of annotations."""
    for event in load(name).get("annotations", {}).get("list", []):
        text = f"{event['titleFormat']} {event['textFormat']}"
        yield Query(name, event["name"], "annotation", event["expr"], False, text)


def all_queries() -> list[Query]:
    found = [query for name in NAMES for query in events_of(name)]
    for name in NAMES:
        for panel in panels(load(name)):
            found.extend(queries_of(name, panel))
    return found


def filled(expression: str, variables: dict[str, str]) -> str:
    """The expression as Grafana sends it, with the variables' values in place; `$1` stays."""

    def value(match: re.Match[str]) -> str:
        return variables[match[1] or match[2]]

    return re.sub(r"\$(?:([A-Za-z_]\w*)|\{(\w+)\})", value, expression)


RANGE_SECONDS, STEP_SECONDS = 300, 2
TIMES = {
    "__range": f"{RANGE_SECONDS}s",
    "__interval": f"{STEP_SECONDS}s",
    "__rate_interval": f"{4 * STEP_SECONDS}s",
}
EVERYTHING = {
    **TIMES,
    "job": ".*",
    "subscription": ".*",
    "resource_group": ".*",
    "scale_set": ".*",
    "instance": "0",
    "replica": ".*",
}
"""Values that are good enough to parse an expression."""
