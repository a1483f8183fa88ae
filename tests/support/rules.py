"""The committed alerting and recording rules, as tests read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from support.answers import ROOT
from support.promql import selectors

RULE_FILES = sorted((ROOT / "grafana" / "rules").glob("*.yaml"))
UNIT_TESTS = sorted((ROOT / "tests" / "rules").glob("*.yaml"))
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTMANAGER = ROOT / "grafana" / "alertmanager.example.yaml"

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


@cache
def read(path: Path) -> Any:
    """The YAML of a committed file, read once for all tests: it is not to be changed."""
    return yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)


def seconds(duration: str) -> float:
    """A duration of Prometheus's, as `1h30m`, in seconds; an empty one is 0."""
    parts = re.findall(r"(\d+)(ms|[smhdw])", duration)
    if "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"not a duration: {duration!r}")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


@dataclass(frozen=True)
class Alert:
    name: str
    expression: str
    waits: int
    """`for`, in seconds."""
    keeps_firing: int
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def severity(self) -> str:
        return self.labels["severity"]

    @property
    def text(self) -> str:
        return self.annotations["summary"] + " " + self.annotations["description"]


def _rules() -> list[dict[str, Any]]:
    return [
        rule for path in RULE_FILES for group in read(path)["groups"] for rule in group["rules"]
    ]


ALERTS = [
    Alert(
        name=rule["alert"],
        expression=rule["expr"],
        waits=int(seconds(rule.get("for", ""))),
        keeps_firing=int(seconds(rule.get("keep_firing_for", ""))),
        labels=rule["labels"],
        annotations=rule["annotations"],
    )
    for rule in _rules()
    if "alert" in rule
]

RECORDED: dict[str, str] = {rule["record"]: rule["expr"] for rule in _rules() if "record" in rule}
"""The expression of each recorded series, by its name."""


def recorded_labels(name: str, served: Mapping[str, set[str]]) -> set[str]:
    """The labels that a recorded series may have, but for those of the target.

    Args:
        name: of the recorded series.
        served: the labels of the series that it may be made from.
    """
    asked = {one.name for one in selectors(RECORDED[name])}
    return {
        label
        for one in asked
        for label in (recorded_labels(one, served) if one in RECORDED else served[one])
    }
