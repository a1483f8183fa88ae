"""The committed dashboards are current, complete, and speak only of what the exporter serves."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import InstanceFamily
from exporter.telemetry import OWN_METRICS, PREFIX
from grafana.source.__main__ import files
from support.dashboards import (
    EVERYTHING,
    FOLDER,
    NAMES,
    Panel,
    Query,
    all_queries,
    filled,
    load,
    panels,
)
from support.promql import grouped_by, made_labels, selectors

STATE_SETS = {f"azure_vmss_instance_{kind}_state" for kind in ("power", "provisioning", "health")}
TARGET_LABELS = {"job", "instance", "pod"}
OF_PROMETHEUS = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
}
"""What Prometheus and its client libraries add; `test_dashboards_on_prometheus` finds them."""

every_dashboard = pytest.mark.parametrize("name", NAMES)
every_panel = pytest.mark.parametrize(
    ("name", "panel"),
    [(name, panel) for name in NAMES for panel in panels(load(name))],
    ids=lambda value: value if isinstance(value, str) else value["title"],
)
every_query = pytest.mark.parametrize("query", all_queries(), ids=str)


def families() -> dict[str, set[str]]:
    """The names of all series, with their labels."""
    known = {family.name: {*family.identity, *family.labels} for family in CATALOGUE}
    for metric in OWN_METRICS:
        if metric.kind == "histogram":
            for part, more in (("bucket", {"le"}), ("count", set()), ("sum", set())):
                known[f"{PREFIX}{metric.name}_{part}"] = {*metric.labels, *more}
        else:
            known[PREFIX + metric.name] = set(metric.labels)
    return known | {name: set() for name in OF_PROMETHEUS}


KNOWN = families()


def expression(query: Query) -> str:
    return filled(query.expression, EVERYTHING)


def links(node: Any) -> list[str]:
    """Every address in a dashboard, however deep."""
    if isinstance(node, dict):
        own = [node["url"]] if isinstance(node.get("url"), str) else []
        return own + [url for value in node.values() for url in links(value)]
    if isinstance(node, list):
        return [url for value in node for url in links(value)]
    return []


def test_the_committed_dashboards_are_what_the_source_makes() -> None:
    made = dict(files())
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert committed == made, "run `make dashboards`"


@every_panel
def test_a_panel_says_what_it_shows(name: str, panel: Panel) -> None:
    del name
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert defaults["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    letters = [target["refId"] for target in panel["targets"]]
    assert len(set(letters)) == len(letters) > 0


@every_panel
def test_a_panel_says_what_it_means_to_be_empty(name: str, panel: Panel) -> None:
    del name
    assert panel["fieldConfig"]["defaults"]["noValue"]


@every_panel
def test_a_colour_never_stands_without_its_word(name: str, panel: Panel) -> None:
    del name
    defaults = panel["fieldConfig"]["defaults"]
    if panel["type"] == "state-timeline":
        assert defaults["mappings"]
        assert panel["options"]["showValue"] == "auto"
        assert panel["options"]["legend"]["showLegend"]
    overrides = panel["fieldConfig"].get("overrides", [])
    configurations = [defaults] + [
        {one["id"]: one["value"] for one in override["properties"]} for override in overrides
    ]
    for configuration in configurations:
        for mapping in configuration.get("mappings", []):
            options = mapping["options"]
            results = [options["result"]] if "result" in options else list(options.values())
            assert all(result["text"] for result in results)


@every_dashboard
def test_numbers_of_panels_and_their_places_are_their_own(name: str) -> None:
    loaded = load(name)
    numbers = [panel["id"] for panel in loaded["panels"]]
    assert len(set(numbers)) == len(numbers)
    titles = [panel["title"] for panel in panels(loaded)]
    assert len(set(titles)) == len(titles)
    taken: set[tuple[int, int]] = set()
    for panel in loaded["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        columns = range(place["x"], place["x"] + place["w"])
        cells = {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_no_two_dashboards_are_confused() -> None:
    loaded = [load(name) for name in NAMES]
    assert len({one["uid"] for one in loaded}) == len({one["title"] for one in loaded}) == 4


@every_dashboard
def test_links_lead_to_dashboards_and_variables_that_exist(name: str) -> None:
    others = {other["uid"]: other for other in map(load, NAMES)}
    found = [link for link in links(load(name)) if link.startswith("/d/")]
    assert found
    for link in found:
        address = urlsplit(link.replace("${", "{"))
        other = others[address.path.removeprefix("/d/")]
        variables = {one["name"] for one in other["templating"]["list"]}
        for key, _ in parse_qsl(address.query):
            assert key.removeprefix("var-") in variables, link


@pytest.mark.parametrize("name", ["fleet", "scale-set", "instance"])
def test_a_set_leads_to_what_the_exporter_says_of_it(name: str) -> None:
    found = [link for link in links(load(name)) if "/api/v1/scale_sets/" in link]
    assert found
    assert all(link.startswith("${exporter:raw}/") for link in found)
    assert all(link.count("/") == 6 for link in found)


@every_dashboard
def test_every_variable_is_declared_and_explained(name: str) -> None:
    loaded = load(name)
    declared = {one["name"] for one in loaded["templating"]["list"]}
    assert all(one["label"] and one["description"] for one in loaded["templating"]["list"])
    texts = [query.expression for query in all_queries() if query.dashboard == name]
    texts += [str(one.get("query")) for one in loaded["templating"]["list"]]
    used = {match for text in texts for match in re.findall(r"\$\{?([a-z]\w*)", text)}
    assert used <= declared


@every_query
def test_a_query_asks_only_for_what_the_catalogue_declares(query: Query) -> None:
    asked = selectors(expression(query))
    assert asked
    labels: set[str] = set()
    for selector in asked:
        assert selector.name in KNOWN
        assert selector.labels <= KNOWN[selector.name] | TARGET_LABELS
        labels |= KNOWN[selector.name]
    made = made_labels(expression(query))
    assert grouped_by(expression(query)) <= labels | made | TARGET_LABELS
    assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= labels | made | TARGET_LABELS


@every_query
def test_a_query_counts_two_replicas_once(query: Query) -> None:
    for selector in selectors(expression(query)):
        by_replica = query.dashboard == "exporter" and selector.name not in {
            family.name for family in CATALOGUE
        }
        assert by_replica or selector.replicas_are_joined(), selector.name


@every_query
def test_a_query_holds_whether_or_not_states_that_do_not_hold_are_served(query: Query) -> None:
    for selector in selectors(expression(query)):
        assert selector.name not in STATE_SETS or selector.is_compared_with_one()


@every_query
def test_nothing_is_divided_by_a_capacity_of_zero(query: Query) -> None:
    text = re.sub(r"\{[^}]*\}", "", query.expression)
    for divisor in re.findall(r"/ (.*azure_vmss_capacity.*)", text):
        assert "azure_vmss_capacity) > 0" in divisor


@every_query
def test_a_panel_of_the_fleet_has_an_end_at_2500_scale_sets(query: Query) -> None:
    many = {"scale_set", "code", "version", "location", "policy", "fault_domain"}
    if query.dashboard in {"fleet", "exporter"} and many & grouped_by(expression(query)):
        last = re.search(r"(top|bottom)k\(\d+", query.expression)
        folded = ("count(", "sum(", "sum by (operation", "max by (instance, version")
        assert last or query.expression.startswith(folded)


@every_query
def test_no_query_of_the_fleet_reads_single_instances(query: Query) -> None:
    of_instances = {family.name for family in CATALOGUE if isinstance(family, InstanceFamily)}
    if query.dashboard in {"fleet", "exporter"}:
        assert not {one.name for one in selectors(expression(query))} & of_instances
