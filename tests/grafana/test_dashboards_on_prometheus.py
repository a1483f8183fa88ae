"""Every query of every panel, asked of the real Prometheus that scrapes the demo."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from support.dashboards import (
    NAMES,
    RANGE_SECONDS,
    STEP_SECONDS,
    TIMES,
    Panel,
    Query,
    all_queries,
    filled,
    load,
    panels,
    queries_of,
)
from support.process import running
from support.prometheus import Prometheus, Sample, Target, prometheus
from support.rules import RULE_FILES
from support.waiting import eventually

pytestmark = [pytest.mark.process, pytest.mark.prometheus, pytest.mark.xdist_group("dashboards")]

STATE_SETS = ("power", "provisioning", "health")
GOOD_NEWS = {
    "scale-set": {
        "Failed instances by code",
        "Why polls fail",
        "Extensions that have not succeeded",
        "Handlers that are not ready",
    },
    "instance": {"Failure code", "Planned maintenance", "Protection and own redeploy"},
    "fleet": {"Provisioning failures by code, in the time range"},
    "exporter": {
        "Throttled by Azure, in the time range",
        "Waiting because Azure asked for it",
        "Fields left out, in the time range",
        "Other oddities, in the time range",
    },
}
"""Panels that may be empty: their texts for that say that nothing is wrong."""


class Pages(BaseHTTPRequestHandler):
    """Serves pages that never change."""

    pages: dict[str, bytes]

    def do_GET(self) -> None:
        page = self.pages[self.path]
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def with_states_that_hold_only(page: str) -> str:
    """The page as `metrics.state_sets: active` would serve it."""
    kinds = "|".join(STATE_SETS)
    return re.sub(rf"(?m)^azure_vmss_instance_({kinds})_state\{{[^}}]*\}} 0\n", "", page)


@dataclass(frozen=True)
class Scraped:
    """The demo in Prometheus: alive as job `demo`, and one page of it in three forms."""

    server: Prometheus
    until: float
    subscription: str

    def ask(self, query: Query, job: str, scale_set: str, instance: str) -> list[Sample]:
        one_set = query.dashboard in {"scale-set", "instance"}
        variables = {
            **TIMES,
            "job": job,
            "replica": ".*",
            "subscription": self.subscription,
            "resource_group": "rg-shop" if one_set else ".*",
            "scale_set": scale_set if one_set else ".*",
            "instance": instance,
        }
        asked = filled(query.expression, variables)
        if query.instant:
            return self.server.query(asked, self.until)
        start = self.until - RANGE_SECONDS
        return self.server.query_range(asked, start, self.until, STEP_SECONDS)

    def last(self, query: Query, job: str, instance: str) -> dict[tuple[Any, ...], float]:
        """The last value of each series, by the labels that remain."""
        found = {}
        for sample in self.ask(query, job, "checkout", instance):
            labels = {key: value for key, value in sample["metric"].items() if key != "job"}
            found[tuple(sorted(labels.items()))] = float(
                sample["value"][1] if "value" in sample else sample["values"][-1][1]
            )
        return found


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    with running("--demo") as exporter:
        eventually(lambda: "is ready" in exporter.get("/-/ready") or None, seconds=20)
        page = exporter.get("/metrics")
        Pages.pages = {
            "/full": page.encode(),
            "/active": with_states_that_hold_only(page).encode(),
        }
        site = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        port = site.server_address[1]
        here, again = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
        targets = [
            Target("demo", exporter.url),
            Target("full", here, path="/full"),
            Target("active", here, path="/active"),
            Target("pair", here, (again,), path="/full"),
        ]
        try:
            rules = {"rule_files": [str(path) for path in RULE_FILES]}
            folder = tmp_path_factory.mktemp("prometheus")
            with prometheus(folder, targets, more=rules) as server:
                # A rate needs two scrapes within four steps.
                enough = "min(count_over_time(azure_vmss_exporter_build_info[1m])) >= 5"
                everyone = "count(azure_vmss_exporter_build_info) == 5"
                eventually(lambda: server.query(f"{everyone} and {enough}") or None, seconds=60)
                of_web = 'azure_vmss_up{scale_set="web"}'
                known = server.query(f"group by (subscription_id) ({of_web})")
                yield Scraped(server, time.time(), known[0]["metric"]["subscription_id"])
        finally:
            site.shutdown()
            thread.join()
            site.server_close()


@pytest.mark.parametrize(
    ("name", "panel"),
    [(name, panel) for name in NAMES for panel in panels(load(name))],
    ids=lambda value: value if isinstance(value, str) else value["title"],
)
def test_a_panel_has_data_or_good_news(scraped: Scraped, name: str, panel: Panel) -> None:
    found = [scraped.ask(query, "demo", "web", "0") for query in queries_of(name, panel)]
    assert any(found) or panel["title"] in GOOD_NEWS[name]


@pytest.mark.parametrize(
    "query", [one for one in all_queries() if one.letter == "annotation"], ids=str
)
def test_the_query_of_an_annotation_is_understood(scraped: Scraped, query: Query) -> None:
    scraped.ask(query, "demo", "web", "0")


@pytest.mark.parametrize("job", ["pair", "active"])
@pytest.mark.parametrize(
    "query", [one for one in all_queries() if one.dashboard != "exporter"], ids=str
)
def test_two_replicas_or_fewer_states_tell_the_same(
    scraped: Scraped, query: Query, job: str
) -> None:
    one = scraped.last(query, "full", "3")
    other = scraped.last(query, job, "3")
    assert other == pytest.approx(one)
