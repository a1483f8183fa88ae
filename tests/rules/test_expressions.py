"""Rules and runbooks ask for what the exporter serves, so that two exporters give one alert."""

from __future__ import annotations

import re

import pytest

from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import StateSetFamily
from exporter.telemetry import OWN_METRICS, PREFIX
from support.dashboards import EVERYTHING, all_queries, filled
from support.promql import grouped_by, selectors
from support.rules import ALERTS, RECORDED, RUNBOOKS, Alert, recorded_labels

TARGET = {"job", "instance", "pod"}
"""What Prometheus adds to every series of a target."""

LABELS: dict[str, set[str]] = {
    "up": set(),
    **{family.name: {*family.identity, *family.labels} for family in CATALOGUE},
    **{PREFIX + metric.name: set(metric.labels) for metric in OWN_METRICS},
}
STATE_SETS = {family.name for family in CATALOGUE if isinstance(family, StateSetFamily)}
EXPRESSIONS = {**RECORDED, **{alert.name: alert.expression for alert in ALERTS}}

by_expression = pytest.mark.parametrize("name", EXPRESSIONS)


def known_labels(name: str) -> set[str]:
    """The labels that a served or a recorded series may have, but for those of the target."""
    return recorded_labels(name, LABELS) if name in RECORDED else LABELS[name]


@by_expression
def test_an_expression_asks_for_series_and_labels_that_exist(name: str) -> None:
    asked = selectors(EXPRESSIONS[name])
    assert asked or EXPRESSIONS[name].startswith("vector(")
    for one in asked:
        assert one.name in LABELS or one.name in RECORDED
        assert one.labels <= known_labels(one.name) | TARGET, one.name
    every = {label for one in asked for label in known_labels(one.name)}
    assert grouped_by(EXPRESSIONS[name]) <= every | TARGET


@by_expression
def test_exporters_side_by_side_are_joined_first(name: str) -> None:
    """`max` or `min` without instance and pod, or a sum of what each has counted."""
    for one in selectors(EXPRESSIONS[name]):
        if one.name in RECORDED or re.search(rf"absent\({one.name}\)", EXPRESSIONS[name]):
            continue
        if one.name.endswith("_total"):
            assert "sum without (instance, pod) (increase(" in EXPRESSIONS[name]
        elif one.name != "up":
            assert one.replicas_are_joined(), one.name


@by_expression
def test_a_state_is_asked_for_where_it_holds(name: str) -> None:
    """The series of other states may be absent: `metrics.state_sets: active`."""
    expression = EXPRESSIONS[name]
    assert "avg_over_time" not in expression
    for one in selectors(expression):
        if one.name in STATE_SETS:
            asked = rf"last_over_time\({one.name}(\{{[^}}]*\}})?\[5m\]\) == 1\b"
            assert re.search(asked, expression), one.name


@by_expression
def test_a_capacity_of_none_is_not_divided_by(name: str) -> None:
    for divisor in re.findall(r"/\s*(.+)", EXPRESSIONS[name]):
        if "capacity" in divisor or "set_instances" in divisor:
            assert re.fullmatch(r"\(azure_vmss:set_(capacity|instances):held > 0\)", divisor)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_a_text_names_labels_that_the_alert_can_have(alert: Alert) -> None:
    can = {label for one in selectors(alert.expression) for label in known_labels(one.name)}
    named = set(re.findall(r"\$labels\.([a-z_]+)", alert.text))
    assert named <= can | {"job"}


def test_every_recorded_series_is_used() -> None:
    texts = [*EXPRESSIONS.values(), *(filled(one.expression, EVERYTHING) for one in all_queries())]
    used = {one.name for text in texts for one in selectors(text)}
    assert set(RECORDED) - used == set()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_the_queries_of_a_runbook_ask_for_what_exists(alert: Alert) -> None:
    page = (RUNBOOKS / f"{alert.name}.md").read_text(encoding="utf-8")
    queries = re.findall(r"```promql\n(.*?)```", page, re.DOTALL)
    assert queries, "a first look begins with a query"
    for query in queries:
        for one in selectors(query):
            if one.name == "ALERTS_FOR_STATE":
                continue
            assert one.name in LABELS or one.name in RECORDED, one.name
            assert one.labels <= known_labels(one.name) | TARGET, one.name


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_a_runbook_tells_since_when(alert: Alert) -> None:
    page = (RUNBOOKS / f"{alert.name}.md").read_text(encoding="utf-8")
    (asked,) = re.findall(r"^time\(\) - (ALERTS_FOR_STATE\{.*\})$", page, re.MULTILINE)
    (one,) = selectors(asked)
    assert one.matchers["alertname"] == alert.name
    can = {label for one in selectors(alert.expression) for label in known_labels(one.name)}
    assert one.labels <= can | {"alertname"}
