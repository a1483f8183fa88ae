"""The committed alerting and recording rules, as tests read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.answers import ROOT

RULE_FILES = sorted((ROOT / "grafana" / "rules").glob("*.yaml"))
UNIT_TESTS = sorted((ROOT / "tests" / "rules").glob("*.yaml"))
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTMANAGER = ROOT / "grafana" / "alertmanager.example.yaml"

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def seconds(duration: str) -> int:
    """`1h30m` in seconds; an empty one is 0."""
    return sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([smhd])", duration))


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
        waits=seconds(rule.get("for", "")),
        keeps_firing=seconds(rule.get("keep_firing_for", "")),
        labels=rule["labels"],
        annotations=rule["annotations"],
    )
    for rule in _rules()
    if "alert" in rule
]

RECORDED: dict[str, str] = {rule["record"]: rule["expr"] for rule in _rules() if "record" in rule}
"""The expression of each recorded series, by its name."""
